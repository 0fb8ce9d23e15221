//! Files with holes, in the four ways in which GNU tar has written them ("Storing Sparse Files" in its manual): a map in the
//! header and in blocks behind it, in PAX records (0.0 and 0.1), or at the beginning of the content (1.0). buildah, umoci and
//! Docker write none; `tar --sparse` does.

use std::io::Read;

use tar::{EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

use super::{BLOCK, Blocks, Content, EXTENSION_MAX, ImageError, damaged, number};

/// Before the keys of PAX records.
pub(super) const PREFIX: &[u8] = b"GNU.sparse.";

/// Where the bytes of a file belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparse {
    /// Bytes of the whole file.
    pub size: u64,
    /// Offset and length of each piece, ascending; what is between them is a hole.
    pub pieces: Vec<(u64, u64)>,
}

type Records = [(Vec<u8>, Vec<u8>)];

fn value<'r>(records: &'r Records, key: &str) -> Option<&'r [u8]> {
    let found = records.iter().find(|(found, _)| found.strip_prefix(PREFIX) == Some(key.as_bytes()));
    found.map(|(_, value)| value.as_slice())
}

fn value_of(records: &Records, key: &str) -> Result<Option<u64>, ImageError> {
    value(records, key).map(|value| number(value).ok_or_else(malformed)).transpose()
}

fn malformed() -> ImageError {
    ImageError::Refused("the map of a sparse file in the archive is malformed".to_owned())
}

/// What the file is called; its header has a made-up name.
pub(super) fn name(records: &Records) -> Option<Vec<u8>> {
    value(records, "name").map(<[u8]>::to_vec)
}

/// The map, if the entry is a sparse file. What of it stands in the archive behind the header is read.
pub(super) fn of<R: Read>(
    header: &Header,
    records: &Records,
    content: &mut Content<'_, R>,
) -> Result<Option<Sparse>, ImageError> {
    let (size, pieces) = if header.entry_type() == EntryType::GNUSparse {
        let gnu = header.as_gnu().ok_or_else(malformed)?;
        let mut pieces = Vec::new();
        read_headers(&gnu.sparse, &mut pieces)?;
        let mut more = gnu.is_extended();
        while more {
            let block = extension_block(content.blocks)?;
            let mut extended = GnuExtSparseHeader::new();
            extended.as_mut_bytes().copy_from_slice(&block);
            read_headers(&extended.sparse, &mut pieces)?;
            more = extended.is_extended();
            check_length(pieces.len())?;
        }
        (gnu.real_size().map_err(damaged)?, pieces)
    } else if records.is_empty() {
        return Ok(None);
    } else if value_of(records, "major")? == Some(1) {
        (value_of(records, "realsize")?.ok_or_else(malformed)?, map_of_content(content)?)
    } else {
        (value_of(records, "size")?.ok_or_else(malformed)?, map_of_records(records)?)
    };
    check(size, &pieces, content.left)?;
    Ok(Some(Sparse { size, pieces }))
}

fn read_headers(headers: &[GnuSparseHeader], pieces: &mut Vec<(u64, u64)>) -> Result<(), ImageError> {
    for header in headers.iter().filter(|header| !header.is_empty()) {
        pieces.push((header.offset().map_err(damaged)?, header.length().map_err(damaged)?));
    }
    Ok(())
}

fn extension_block<R: Read>(blocks: &mut Blocks<R>) -> Result<[u8; BLOCK], ImageError> {
    blocks.block()?.ok_or_else(malformed)
}

/// Lines of numbers, as many as the first one says twice, in whole blocks.
fn map_of_content<R: Read>(content: &mut Content<'_, R>) -> Result<Vec<(u64, u64)>, ImageError> {
    let mut read = 0;
    let mut line = || -> Result<u64, ImageError> {
        let mut digits = Vec::new();
        loop {
            let mut byte = [0];
            content.read_exact(&mut byte).map_err(damaged)?;
            read += 1;
            match byte {
                [b'\n'] => return number(&digits).ok_or_else(malformed),
                [digit] if digits.len() < 20 => digits.push(digit),
                _ => return Err(malformed()),
            }
        }
    };
    let count = usize::try_from(line()?).map_err(|_| malformed())?;
    check_length(count)?;
    let pieces: Vec<_> = (0..count).map(|_| Ok((line()?, line()?))).collect::<Result<_, ImageError>>()?;
    let mut filling = vec![0; read_to_block(read)];
    content.read_exact(&mut filling).map_err(damaged)?;
    Ok(pieces)
}

fn read_to_block(read: usize) -> usize {
    read.next_multiple_of(BLOCK) - read
}

/// `GNU.sparse.map`, or pairs of `GNU.sparse.offset` and `GNU.sparse.numbytes`.
fn map_of_records(records: &Records) -> Result<Vec<(u64, u64)>, ImageError> {
    let numbers: Vec<u64> = match value(records, "map") {
        Some(map) => map.split(|byte| *byte == b',').map(number).collect::<Option<_>>().ok_or_else(malformed)?,
        None => {
            let wanted = |key: &[u8]| matches!(key.strip_prefix(PREFIX), Some(b"offset" | b"numbytes"));
            let values = records.iter().filter(|(key, _)| wanted(key)).map(|(_, value)| number(value));
            values.collect::<Option<_>>().ok_or_else(malformed)?
        }
    };
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(malformed());
    }
    Ok(pairs.iter().map(|[offset, length]| (*offset, *length)).collect())
}

fn check_length(pieces: usize) -> Result<(), ImageError> {
    match pieces as u64 * 2 <= EXTENSION_MAX {
        true => Ok(()),
        false => Err(ImageError::Refused(format!("a sparse file of the archive has {pieces} pieces"))),
    }
}

/// Ascending, apart from each other, within the file, and together as long as what the archive has of it.
fn check(size: u64, pieces: &[(u64, u64)], stored: u64) -> Result<(), ImageError> {
    let (mut end, mut sum) = (0u64, 0u64);
    for (offset, length) in pieces {
        let after = offset.checked_add(*length).filter(|after| *offset >= end && *after <= size);
        end = after.ok_or_else(malformed)?;
        sum = sum.checked_add(*length).ok_or_else(malformed)?;
    }
    if sum != stored || i64::try_from(size).is_err() {
        return Err(malformed());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_lie_are_refused() {
        assert!(check(100, &[(0, 10), (50, 50)], 60).is_ok());
        assert!(check(100, &[], 0).is_ok());
        for (size, pieces, stored) in [
            (100, &[(0, 10), (5, 10)][..], 20),
            (100, &[(95, 10)], 10),
            (100, &[(0, 10)], 9),
            (u64::MAX, &[(0, 10)], 10),
            (100, &[(u64::MAX, 10)], 10),
        ] {
            assert!(check(size, pieces, stored).is_err(), "{size} {pieces:?} {stored}");
        }
    }
}
