//! Reads a tar stream as a list of entries, trusting nothing in it.
//!
//! The `tar` crate reads the fields of headers; the extension headers (GNU long names, PAX records) are joined here, each with
//! a limit on its size, since a name of gigabytes is an attack. Called by `unpack` and by `layout`.
//! Writes no file.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use tar::{EntryType, Header};

use super::ImageError;

mod sparse;

pub use sparse::Sparse;

/// What a tar archive consists of.
const BLOCK: usize = 512;

/// The largest extension header (Go's archive/tar: 1 MiB), and all of one entry's together.
const EXTENSION_MAX: u64 = 1 << 20;
/// The largest size that eleven octal digits hold; beyond it pax(1) writes the size into an extension header only.
const OCTAL_MAX: u64 = (8 << 30) - 1;
/// As the kernel's PATH_MAX.
const PATH_MAX: usize = 4096;
/// As the kernel's NAME_MAX.
const NAME_MAX: usize = 255;

/// One thing in an archive.
#[derive(Debug)]
pub struct Entry {
    /// Relative to the root, without `.` and `..`; empty for the root itself.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// The lower twelve bits of `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time: seconds, nanoseconds.
    pub mtime: (i64, i64),
    /// Extended attributes.
    pub xattrs: Vec<(OsString, Vec<u8>)>,
    /// Bytes of a file in the archive.
    pub size: u64,
    /// Where they belong, if they are not the whole file.
    pub sparse: Option<Sparse>,
}

/// The kinds of things.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// With its target, any text.
    Symlink(OsString),
    /// To another path in the archive.
    HardLink(PathBuf),
    /// A named pipe.
    Fifo,
    /// A character or block device.
    Device,
}

/// What extension headers say about the next entry.
#[derive(Default)]
struct Extension {
    /// Bytes of the headers so far: any number of them may come before their entry, and each may add to it.
    length: u64,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    uid: Option<u64>,
    gid: Option<u64>,
    size: Option<u64>,
    mtime: Option<(i64, i64)>,
    xattrs: Vec<(OsString, Vec<u8>)>,
    /// `GNU.sparse.…`, in the order in which they come.
    sparse: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Calls `each` with every entry and its content, and its position in the archive.
pub fn for_each(
    reader: impl Read,
    mut each: impl FnMut(Entry, u64, &mut dyn Read) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let mut blocks = Blocks { reader, position: 0 };
    let mut extension = Extension::default();
    while let Some(header) = blocks.header()? {
        let size = size_of(&header, &extension)?;
        let mut content = Content { blocks: &mut blocks, left: size };
        match header.entry_type() {
            EntryType::GNULongName => extension.path = Some(without_nul(extension.read(&mut content)?)),
            EntryType::GNULongLink => extension.link = Some(without_nul(extension.read(&mut content)?)),
            EntryType::XHeader => read_pax(&extension.read(&mut content)?, &mut extension)?,
            // Global headers (git writes its commit there) say nothing about single files that podlet would follow.
            EntryType::XGlobalHeader => drop(extension.read(&mut content)?),
            _ => {
                let sparse = sparse::of(&header, &extension.sparse, &mut content)?;
                let described = describe(&header, std::mem::take(&mut extension), content.left, sparse)?;
                each(described, content.blocks.position, &mut content)?;
            }
        }
        let left = content.left;
        blocks.skip(left, size)?;
    }
    Ok(())
}

/// The archive in blocks of 512 bytes.
struct Blocks<R> {
    reader: R,
    position: u64,
}

impl<R: Read> Blocks<R> {
    /// None at the end of the archive, with its mark or without.
    fn header(&mut self) -> Result<Option<Header>, ImageError> {
        let Some(block) = self.block()? else { return Ok(None) };
        if block == [0; BLOCK] {
            return match self.block()? {
                None => Ok(None),
                Some(second) if second == [0; BLOCK] => Ok(None),
                // Some readers stop here, others go on: they would see different files.
                Some(_) => Err(ImageError::Refused("the archive goes on behind an empty header".to_owned())),
            };
        }
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&block);
        // The sum of all bytes, those of the sum itself taken for spaces (POSIX, "ustar Interchange Format").
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let found = sum(&block) - sum(&header.as_old().cksum) + 8 * u32::from(b' ');
        if header.cksum().ok() != Some(found) {
            return Err(ImageError::Refused(format!(
                "the archive is damaged: the header at byte {} has a wrong checksum",
                self.position - BLOCK as u64
            )));
        }
        Ok(Some(header))
    }

    /// None at the end.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, ImageError> {
        let mut block = [0; BLOCK];
        match self.fill(&mut block)? {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            n => Err(ImageError::Refused(format!("the archive is damaged: it ends with {n} bytes of a header"))),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ImageError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(buffer.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(damaged(error)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    /// Passes over the rest of a content and what fills its last block. Without that filling an archive may end: umoci and
    /// others leave it out, as they leave out the end's mark.
    fn skip(&mut self, left: u64, size: u64) -> Result<(), ImageError> {
        let mut wanted = left;
        let mut buffer = [0; 8 * BLOCK];
        while wanted > 0 {
            let length = usize::try_from(wanted).unwrap_or(usize::MAX).min(buffer.len());
            let n = self.fill(buffer.get_mut(..length).unwrap_or_default())?;
            if n < length {
                return Err(ImageError::Refused("the archive is damaged: it ends within a file".to_owned()));
            }
            wanted -= n as u64;
        }
        let filling = usize::try_from(size.next_multiple_of(BLOCK as u64) - size).unwrap_or_default();
        self.fill(buffer.get_mut(..filling).unwrap_or_default()).map(drop)
    }
}

/// The content of one entry.
struct Content<'b, R> {
    blocks: &'b mut Blocks<R>,
    left: u64,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.blocks.reader.read(buffer.get_mut(..wanted).unwrap_or_default())?;
        self.blocks.position += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

fn damaged(error: std::io::Error) -> ImageError {
    // An error that podlet's own readers put there (a limit, a wrong digest) is passed on as it is.
    match error.downcast::<ImageError>() {
        Ok(own) => own,
        Err(error) => ImageError::Refused(format!("the archive is damaged: {error}")),
    }
}

impl Extension {
    /// The content of one more header.
    fn read(&mut self, entry: &mut impl Read) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        entry.take(EXTENSION_MAX + 1).read_to_end(&mut bytes).map_err(damaged)?;
        self.length += bytes.len() as u64;
        if self.length > EXTENSION_MAX {
            return Err(ImageError::Refused(format!(
                "the extension headers of one entry of the archive have more than {EXTENSION_MAX} bytes"
            )));
        }
        Ok(bytes)
    }
}

fn without_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// PAX records (pax(1), "pax Extended Header"): `<length> <key>=<value>\n`, where the length counts the whole record; the
/// value may hold any byte, line ends too.
fn read_pax(mut bytes: &[u8], extension: &mut Extension) -> Result<(), ImageError> {
    let malformed = || ImageError::Refused("a PAX header of the archive is malformed".to_owned());
    while !bytes.is_empty() {
        let space = bytes.iter().position(|b| *b == b' ').ok_or_else(malformed)?;
        let length: usize = number(bytes.get(..space).unwrap_or_default()).ok_or_else(malformed)?;
        let record = bytes.get(space + 1..length).ok_or_else(malformed)?;
        let (b'\n', record) = record.split_last().ok_or_else(malformed)? else { return Err(malformed()) };
        let equals = record.iter().position(|b| *b == b'=').ok_or_else(malformed)?;
        let (key, value) = record.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        match key {
            b"path" => extension.path = Some(value.to_vec()),
            b"linkpath" => extension.link = Some(value.to_vec()),
            b"uid" => extension.uid = Some(number(value).ok_or_else(malformed)?),
            b"gid" => extension.gid = Some(number(value).ok_or_else(malformed)?),
            b"size" => extension.size = Some(number(value).ok_or_else(malformed)?),
            b"mtime" => extension.mtime = Some(time(value).ok_or_else(malformed)?),
            _ if key.starts_with(sparse::PREFIX) => extension.sparse.push((key.to_vec(), value.to_vec())),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    extension.xattrs.push((OsString::from_vec(name.to_vec()), value.to_vec()));
                }
            }
        }
        bytes = bytes.get(length..).ok_or_else(malformed)?;
    }
    Ok(())
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

/// Seconds with an optional fraction.
fn time(bytes: &[u8]) -> Option<(i64, i64)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanoseconds: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    Some((seconds.parse().ok()?, nanoseconds.parse().ok().filter(|n| *n >= 0)?))
}

/// How many bytes follow the header. Readers that disagree about a size see different files: two sizes must be the same, unless
/// the header's field has no room for it and is left empty.
fn size_of(header: &Header, extension: &Extension) -> Result<u64, ImageError> {
    let empty = header.as_old().size.iter().all(|byte| matches!(byte, 0 | b' ' | b'0'));
    let in_header = if empty { 0 } else { header.entry_size().map_err(damaged)? };
    let described = matches!(
        header.entry_type(),
        EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
    );
    match extension.size.filter(|_| !described) {
        Some(pax) if pax > OCTAL_MAX && in_header == 0 => Ok(pax),
        Some(pax) if pax != in_header => {
            let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
            Err(ImageError::Refused(format!("{name:?} in the archive has two sizes, {in_header} and {pax}")))
        }
        // What no file can have (off_t): a negative number, in the binary form.
        _ if i64::try_from(in_header).is_err() => {
            let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
            Err(ImageError::Refused(format!("{name:?} in the archive has an impossible size")))
        }
        _ => Ok(in_header),
    }
}

/// `left` is what is to come of the content, once a map of a sparse file is read.
fn describe(header: &Header, extension: Extension, left: u64, sparse: Option<Sparse>) -> Result<Entry, ImageError> {
    let named = sparse::name(&extension.sparse).or(extension.path);
    let raw = named.unwrap_or_else(|| header.path_bytes().into_owned());
    let path = relative(&raw)?;
    let name = || String::from_utf8_lossy(&raw).into_owned();
    let refuse = |why: String| ImageError::Refused(format!("{:?} in the archive {why}", name()));
    let link = || -> Vec<u8> {
        extension.link.clone().or_else(|| header.link_name_bytes().map(|bytes| bytes.into_owned())).unwrap_or_default()
    };
    let kind = match header.entry_type() {
        // An old tar marks a directory by a slash only.
        EntryType::Regular if raw.last() == Some(&b'/') => Kind::Directory,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => {
            let target = link();
            if target.is_empty() || target.len() >= PATH_MAX || target.contains(&0) {
                return Err(refuse("is a symbolic link without a usable target".to_owned()));
            }
            Kind::Symlink(OsString::from_vec(target))
        }
        EntryType::Link => Kind::HardLink(relative(&link())?),
        EntryType::Fifo => Kind::Fifo,
        EntryType::Char | EntryType::Block => Kind::Device,
        EntryType::GNUSparse => Kind::File,
        other => return Err(refuse(format!("is of the unknown type {:?}", char::from(other.as_byte())))),
    };
    // (uid_t)-1 means "leave as it is" to chown(2).
    let id = |pax: Option<u64>, header: std::io::Result<u64>, what: &str| {
        let value = pax.map_or(header, Ok).map_err(damaged)?;
        u32::try_from(value)
            .ok()
            .filter(|id| *id < u32::MAX)
            .ok_or_else(|| refuse(format!("has the impossible {what} {value}")))
    };
    let mtime = match extension.mtime {
        Some(mtime) => mtime,
        None => (i64::try_from(header.mtime().map_err(damaged)?).unwrap_or(0), 0),
    };
    Ok(Entry {
        path,
        mode: header.mode().map_err(damaged)? & 0o7777,
        uid: id(extension.uid, header.uid(), "user")?,
        gid: id(extension.gid, header.gid(), "group")?,
        mtime,
        xattrs: extension.xattrs,
        size: if kind == Kind::File { left } else { 0 },
        sparse: sparse.filter(|_| kind == Kind::File),
        kind,
    })
}

/// A path below the root: leading slashes and `.` do no harm, `..` has no place in an image.
fn relative(bytes: &[u8]) -> Result<PathBuf, ImageError> {
    let refuse = |why: &str| ImageError::Refused(format!("{:?} in the archive {why}", String::from_utf8_lossy(bytes)));
    if bytes.len() >= PATH_MAX {
        return Err(ImageError::Refused(format!("a name in the archive has {PATH_MAX} bytes or more")));
    }
    if bytes.contains(&0) {
        return Err(refuse("has a NUL in its name"));
    }
    let mut path = PathBuf::new();
    for part in bytes.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(refuse("leads out of the image by \"..\"")),
            _ if part.len() > NAME_MAX => return Err(refuse("has a component of more than 255 bytes")),
            _ => path.push(OsString::from_vec(part.to_vec())),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn pax(records: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            bytes.extend(format!("{length} ").into_bytes());
            bytes.extend(*key);
            bytes.push(b'=');
            bytes.extend(*value);
            bytes.push(b'\n');
        }
        bytes
    }

    #[test]
    fn pax_values_may_hold_line_ends() {
        let mut extension = Extension::default();
        let value = b"\x01\n\x002 x=y\n";
        let bytes = pax(&[(b"SCHILY.xattr.security.capability", value), (b"mtime", b"5.25"), (b"uid", b"77")]);
        read_pax(&bytes, &mut extension).unwrap();
        assert_eq!(extension.xattrs, [(OsString::from("security.capability"), value.to_vec())]);
        assert_eq!(extension.mtime, Some((5, 250_000_000)));
        assert_eq!(extension.uid, Some(77));
        for bad in [
            &b"x"[..],
            b"5 a=b",
            b"999999 a=b\n",
            b"0 a=b\n",
            b"7 uid=x\n",
            b"18446744073709551616 a=b\n",
            b"8 mtime\n",
        ] {
            assert!(read_pax(bad, &mut Extension::default()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn many_extension_headers_of_one_entry_take_no_more_memory_than_one_may() {
        let record = pax(&[(b"SCHILY.xattr.user.x", &[b'x'; 100_000])]);
        let archive = |count: usize| {
            let (mut extension, mut file) = (Header::new_ustar(), Header::new_ustar());
            extension.set_entry_type(EntryType::XHeader);
            extension.set_size(record.len() as u64);
            file.set_path("file").unwrap();
            file.set_mode(0o644);
            file.set_uid(0);
            file.set_gid(0);
            file.set_mtime(0);
            file.set_size(0);
            let mut bytes = Vec::new();
            for _ in 0..count {
                extension.set_cksum();
                bytes.extend(extension.as_bytes());
                bytes.extend(&record);
                bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
            }
            file.set_cksum();
            bytes.extend(file.as_bytes());
            bytes
        };
        let read = |count: usize| {
            let mut attributes = 0;
            for_each(&archive(count)[..], |entry, _, _| {
                attributes = entry.xattrs.len();
                Ok(())
            })?;
            Ok::<_, ImageError>(attributes)
        };
        assert_eq!(read(9).unwrap(), 9);
        assert!(read(11).unwrap_err().to_string().contains("the extension headers of one entry"));
    }

    #[test]
    fn paths_stay_below_the_root() {
        for (text, expected) in
            [("/etc/passwd", "etc/passwd"), ("./a//b/.", "a/b"), (".", ""), ("/", ""), ("...", "...")]
        {
            assert_eq!(relative(text.as_bytes()).unwrap(), PathBuf::from(expected));
        }
        for text in ["..", "../x", "a/../../x", "/..", "a/.."] {
            assert!(relative(text.as_bytes()).is_err(), "{text}");
        }
        assert!(relative(b"a\0b").is_err());
        assert!(relative(&[b'x'; 256]).is_err());
        assert!(relative("x/".repeat(3000).as_bytes()).is_err());
    }

    #[test]
    fn a_size_beyond_the_header_is_in_the_extension() {
        let header = |size: &[u8; 12]| {
            let mut header = Header::new_ustar();
            header.as_old_mut().size.copy_from_slice(size);
            header
        };
        let told = |size| Extension { size, ..Extension::default() };
        let ten_gib = 10 << 30;
        for empty in [b"\0\0\0\0\0\0\0\0\0\0\0\0", b"00000000000\0"] {
            assert_eq!(size_of(&header(empty), &told(Some(ten_gib))).unwrap(), ten_gib);
            assert_eq!(size_of(&header(empty), &told(None)).unwrap(), 0);
            // What fits must stand in the header, too.
            assert!(size_of(&header(empty), &told(Some(5))).is_err());
        }
        // GNU's own way: the highest bit set, and the number as it is.
        let gnu = b"\x80\0\0\0\0\0\0\x02\x80\0\0\0";
        assert_eq!(size_of(&header(gnu), &told(None)).unwrap(), ten_gib);
        assert_eq!(size_of(&header(gnu), &told(Some(ten_gib))).unwrap(), ten_gib);
        assert!(size_of(&header(gnu), &told(Some(ten_gib + 1))).is_err());
        for negative in [b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x80\0\0\0\x80\0\0\0\0\0\0\0"] {
            assert!(size_of(&header(negative), &told(None)).is_err());
        }
        assert!(size_of(&header(b"-0000000001\0"), &told(None)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let _ = for_each(&bytes[..], |_, _, _| Ok(()));
            let _ = read_pax(&bytes, &mut Extension::default());
        }
    }
}
