//! A layer's tar stream without what its files hold: headers, fillings, and where in the layer each content lies. With it
//! `image save` writes the very stream that came in, so that the layer keeps its digest and the image its ID, and no byte of
//! a file is stored twice. (Docker and podman keep the same under the name of tar-split.) Written by [`super::stage`] while a
//! layer is unpacked, read by [`super::save`]. It is packed by gzip: some thirty bytes a file.
//!
//! ```text
//! 0 length:u32 bytes                              of the stream, as they are
//! 1 length:u32 path offset:u64 length:u64         so many bytes of this file
//! 2                                               the end
//! ```
//!
//! Whoever reads it compares the digest of what comes out: a file that the same archive had twice holds only the last content.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use super::ImageError;
use super::files::io_error;

/// Its name beside the layer's files.
pub const NAME: &str = "skeleton.gz";

/// A stream with more than that beside its files (it would be millions of them, or no honest image) goes without one.
const SIZE_MAX: u64 = 256 << 20;
/// Bytes of the stream that are written at a time.
const PIECE: usize = 64 << 10;
/// As the kernel's PATH_MAX.
const PATH_MAX: u32 = 4096;

const BYTES: u8 = 0;
const CONTENT: u8 = 1;
const END: u8 = 2;

/// What is written of a stream that passes.
pub struct Skeleton {
    path: PathBuf,
    /// `None` once it has become too large.
    output: Option<GzEncoder<Counted>>,
    /// Bytes of the stream that are not written yet.
    bytes: Vec<u8>,
    /// So many of the bytes that come next are a file's.
    content: u64,
}

struct Counted {
    file: BufWriter<File>,
    count: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.count += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Skeleton {
    /// Begins one in a directory of a layer.
    pub fn begin(layer: &Path) -> Result<RefCell<Skeleton>, ImageError> {
        let path = layer.join(NAME);
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = BufWriter::new(file.map_err(|error| io_error("make", &path, &error))?);
        let output = Some(GzEncoder::new(Counted { file, count: 0 }, Compression::fast()));
        Ok(RefCell::new(Skeleton { path, output, bytes: Vec::with_capacity(PIECE), content: 0 }))
    }

    /// The next `length` bytes of the stream are these of a file.
    pub fn content(&mut self, path: &Path, offset: u64, length: u64) -> Result<(), ImageError> {
        if length == 0 {
            return Ok(());
        }
        self.content = length;
        self.write_bytes()?;
        let name = path.as_os_str().as_bytes();
        let mut record = vec![CONTENT];
        record.extend(u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        record.extend(name);
        record.extend(offset.to_le_bytes());
        record.extend(length.to_le_bytes());
        self.write(&record)
    }

    /// Writes the end.
    pub fn end(mut self) -> Result<(), ImageError> {
        self.write_bytes()?;
        self.write(&[END])?;
        let Some(output) = self.output else { return Ok(()) };
        let finished = output.finish().and_then(|mut counted| counted.flush());
        finished.map_err(|error| io_error("write", &self.path, &error))
    }

    fn pass(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        let of_file = usize::try_from(self.content).unwrap_or(usize::MAX).min(bytes.len());
        self.content -= of_file as u64;
        let own = bytes.get(of_file..).unwrap_or_default();
        if self.output.is_none() {
            return Ok(());
        }
        self.bytes.extend(own);
        if self.bytes.len() >= PIECE { self.write_bytes() } else { Ok(()) }
    }

    fn write_bytes(&mut self) -> Result<(), ImageError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        self.write(&[&[BYTES], &length[..]].concat())?;
        self.write(&bytes)?;
        bytes.clear();
        self.bytes = bytes;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        let Some(output) = &mut self.output else { return Ok(()) };
        output.write_all(bytes).map_err(|error| io_error("write", &self.path, &error))?;
        if output.get_ref().count > SIZE_MAX {
            self.output = None;
            fs::remove_file(&self.path).map_err(|error| io_error("remove", &self.path, &error))?;
        }
        Ok(())
    }
}

/// A stream that is written down as it is read.
pub struct Watched<'s, R> {
    reader: R,
    skeleton: &'s RefCell<Skeleton>,
}

impl<'s, R: Read> Watched<'s, R> {
    /// All that is read of it passes the skeleton.
    pub fn new(reader: R, skeleton: &'s RefCell<Skeleton>) -> Watched<'s, R> {
        Watched { reader, skeleton }
    }
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.skeleton.borrow_mut().pass(buffer.get(..n).unwrap_or_default()).map_err(io::Error::other)?;
        Ok(n)
    }
}

/// Why a stream does not come out again.
enum Lost {
    /// The layer has no skeleton, or not all that is in it: it must be packed anew.
    Gone,
    /// An error.
    Failed(ImageError),
}

/// Writes the stream of a layer again, a piece at a time. `false`: it cannot be had any more; what was written is of no use.
pub fn replay(layer: &Path, write: impl FnMut(&[u8]) -> Result<(), ImageError>) -> Result<bool, ImageError> {
    match Replay::begin(layer, write).and_then(|mut replay| replay.all()) {
        Ok(()) => Ok(true),
        Err(Lost::Gone) => Ok(false),
        Err(Lost::Failed(error)) => Err(error),
    }
}

struct Replay<W> {
    path: PathBuf,
    skeleton: GzDecoder<BufReader<File>>,
    root: OwnedFd,
    write: W,
    buffer: Vec<u8>,
}

impl<W: FnMut(&[u8]) -> Result<(), ImageError>> Replay<W> {
    fn begin(layer: &Path, write: W) -> Result<Replay<W>, Lost> {
        let path = layer.join(NAME);
        let open = |path: &Path| match File::open(path) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Lost::Gone),
            Err(error) => Err(Lost::Failed(io_error("open", path, &error))),
        };
        let skeleton = GzDecoder::new(BufReader::new(open(&path)?));
        let root = OwnedFd::from(open(&layer.join("fs"))?);
        Ok(Replay { path, skeleton, root, write, buffer: vec![0; 128 << 10] })
    }

    fn all(&mut self) -> Result<(), Lost> {
        loop {
            match self.number::<1>()? {
                [BYTES] => {
                    let length = u32::from_le_bytes(self.number()?).into();
                    let mut skeleton = (&mut self.skeleton).take(length);
                    copy(&mut skeleton, length, &mut self.buffer, &mut self.write)?;
                }
                [CONTENT] => {
                    let length = u32::from_le_bytes(self.number()?);
                    if length > PATH_MAX {
                        return Err(Lost::Gone);
                    }
                    let mut name = vec![0; usize::try_from(length).unwrap_or_default()];
                    self.skeleton.read_exact(&mut name).map_err(|error| self.unreadable(&error))?;
                    let (offset, length) = (u64::from_le_bytes(self.number()?), u64::from_le_bytes(self.number()?));
                    let mut file = self.open(Path::new(OsStr::from_bytes(&name)))?;
                    file.seek(SeekFrom::Start(offset)).map_err(|_| Lost::Gone)?;
                    copy(&mut file, length, &mut self.buffer, &mut self.write)?;
                }
                [END] => return Ok(()),
                _ => return Err(Lost::Gone),
            }
        }
    }

    fn number<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], Lost> {
        let mut bytes = [0; BYTES];
        match self.skeleton.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    /// A damaged one is as good as none.
    fn unreadable(&self, error: &io::Error) -> Lost {
        tracing::info!("could not read {:?}: {error}", self.path);
        Lost::Gone
    }

    /// As it was made: links on the way lead within the layer.
    fn open(&self, path: &Path) -> Result<File, Lost> {
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_NO_XDEV);
        match openat2(&self.root, path, how) {
            Ok(file) => Ok(File::from(file)),
            // Replaced by something else that the same archive had under the name.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENXIO) => Err(Lost::Gone),
            Err(errno) => Err(Lost::Failed(io_error("read", path, &errno.into()))),
        }
    }
}

/// Passes on exactly so many bytes.
fn copy(
    from: &mut impl Read,
    length: u64,
    buffer: &mut [u8],
    write: &mut impl FnMut(&[u8]) -> Result<(), ImageError>,
) -> Result<(), Lost> {
    let mut left = length;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        match from.read(buffer.get_mut(..wanted).unwrap_or_default()) {
            Ok(0) => return Err(Lost::Gone),
            Ok(n) => {
                write(buffer.get(..n).unwrap_or_default()).map_err(Lost::Failed)?;
                left -= n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A directory, or a damaged skeleton.
            Err(_) => return Err(Lost::Gone),
        }
    }
    Ok(())
}
