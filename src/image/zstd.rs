//! Reads a zstd stream as RFC 8878 has it: frame after frame, skippable frames between them.
//!
//! The decoder takes one frame at a time. Tools that make layers which can be fetched in parts write a frame for each file
//! and their table of contents as a skippable frame at the end. Called by [`super::stage`] for layers and archives; what
//! may come out is limited there.

use std::io::{self, BufRead, BufReader, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The frames of one stream, decoded one after another.
pub struct Frames<R> {
    source: BufReader<R>,
    /// Keeps its buffers from frame to frame; a window is at most 100 MiB.
    decoder: FrameDecoder,
    within_frame: bool,
}

impl<R: Read> Frames<R> {
    /// The stream begins with a frame, of either kind.
    pub fn new(inner: R) -> Frames<R> {
        Frames { source: BufReader::with_capacity(128 << 10, inner), decoder: FrameDecoder::new(), within_frame: false }
    }

    /// Goes to the next frame that has content. False: there is none.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within_frame && !self.next_frame()? {
                return Ok(0);
            }
            self.within_frame = true;
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            let n = self.decoder.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            self.within_frame = false;
        }
    }
}
