//! Streams that are counted, hashed and bounded while they pass: blobs, archives and what they unpack to. Called by
//! [`super::stage`]. A limit that is reached ends the stream with an error that says which.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::ImageError;
use super::document::Digest;
use super::files::io_error;
use super::limits::Limits;

/// Copies to the end, telling what is wrong with the archive from what is wrong with the disk.
pub fn copy(mut from: impl Read, to: &mut impl Write, path: &Path) -> Result<(), ImageError> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                let written = to.write_all(buffer.get(..n).unwrap_or_default());
                written.map_err(|error| io_error("write", path, &error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(match error.downcast::<ImageError>() {
                    Ok(own) => own,
                    Err(error) => ImageError::Refused(format!("the archive is damaged: {error}")),
                });
            }
        }
    }
}

/// What a stream may grow to.
pub enum Limit<'a> {
    /// A blob: its size in bytes.
    Blob(u64),
    /// An archive that nobody gave a size: bytes.
    Archive(u64),
    /// A layer's tar stream; `spent` counts over all of the image.
    Unpacked {
        /// What may come out.
        limits: Limits,
        /// Of the whole image.
        spent: &'a AtomicU64,
        /// Compressed bytes that were read for it.
        packed: Arc<AtomicU64>,
    },
}

/// Counts and hashes what passes, and stops it at its limit. The error travels inside an `io::Error` through the tar and
/// gzip readers.
pub struct Measured<'a, R> {
    inner: R,
    hasher: Sha256,
    count: Arc<AtomicU64>,
    limit: Limit<'a>,
}

impl<'a, R: Read> Measured<'a, R> {
    /// `count` is added to as bytes pass.
    pub fn new(inner: R, limit: Limit<'a>, count: Arc<AtomicU64>) -> Measured<'a, R> {
        Measured { inner, hasher: Sha256::new(), count, limit }
    }

    /// Reads what is left.
    pub fn drain(&mut self) -> Result<(), ImageError> {
        copy(self, &mut io::sink(), Path::new("nowhere"))
    }

    /// Of all that has passed.
    pub fn digest(self) -> Digest {
        Digest::finish(self.hasher)
    }

    fn check(&self) -> Result<(), ImageError> {
        let count = self.count.load(Ordering::Relaxed);
        match &self.limit {
            Limit::Blob(size) if count > *size => {
                Err(ImageError::Refused(format!("a layer's blob is longer than the {size} bytes that it should have")))
            }
            Limit::Archive(bytes) if count > *bytes => {
                Err(ImageError::Refused(format!("the archive has more than {bytes} bytes, its limit")))
            }
            Limit::Unpacked { limits, spent, .. } if spent.load(Ordering::Relaxed) > limits.bytes => {
                Err(ImageError::Refused(format!("the image unpacks to more than {} bytes, its limit", limits.bytes)))
            }
            Limit::Unpacked { limits, packed, .. }
                if count > Limits::RATIO_FROM && count / limits.ratio.max(1) > packed.load(Ordering::Relaxed) =>
            {
                Err(ImageError::Refused(format!(
                    "{} compressed bytes unpack to {count}, more than {} times as many: taken for a bomb (skopeo copy --dest-decompress makes of an honest image one that comes in)",
                    packed.load(Ordering::Relaxed),
                    limits.ratio
                )))
            }
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for Measured<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..n).unwrap_or_default());
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        if let Limit::Unpacked { spent, .. } = &self.limit {
            spent.fetch_add(n as u64, Ordering::Relaxed);
        }
        self.check().map_err(io::Error::other)?;
        Ok(n)
    }
}
