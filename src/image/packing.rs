//! How archives and layers are packed.

use std::io::{Cursor, Read};

use super::ImageError;

/// How a layer's blob is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Plain,
    /// gzip, several members too.
    Gzip,
    /// zstd, several frames too.
    Zstd,
}

/// Looks at the first bytes, as containerd does; media types are sometimes wrong.
pub fn sniff<'a>(mut reader: impl Read + Send + 'a) -> Result<(Packing, Box<dyn Read + Send + 'a>), ImageError> {
    let mut head = Vec::new();
    let read = reader.by_ref().take(4).read_to_end(&mut head);
    read.map_err(|error| match error.downcast::<ImageError>() {
        Ok(own) => own,
        Err(error) => ImageError::Unreadable(format!("could not read the archive: {error}")),
    })?;
    let packing = match head.as_slice() {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Packing::Zstd,
        // A skippable frame (RFC 8878, 3.1.2) may come first.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Packing::Zstd,
        [b'B', b'Z', b'h', ..] => return Err(unpackable("bzip2")),
        [0xfd, b'7', b'z', b'X'] => return Err(unpackable("xz")),
        _ => Packing::Plain,
    };
    Ok((packing, Box::new(Cursor::new(head).chain(reader))))
}

fn unpackable(what: &str) -> ImageError {
    ImageError::Refused(format!("the archive is compressed with {what}; podlet reads gzip, zstd and uncompressed tar"))
}
