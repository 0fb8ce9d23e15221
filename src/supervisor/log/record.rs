//! **R**, the record page of a log: all that its protocol must know after a kill, in one page of a memfd that the keeper
//! holds. Read once, when a log is opened; written by [`super::books`] alone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::Stream;

/// Where one stream stands. Positions are those of its M.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamSlot {
    /// Bytes of M that are in the log already.
    pub consumed: u64,
    /// A batch in flight ends here; 0: none is.
    pub n: u64,
    /// The batch's time.
    pub time: i64,
    /// 1 + the length of the rest that has been copied to M's front; 0: no rewind is under way.
    pub wrap: u64,
    /// The pipe has ended.
    pub ended: bool,
    /// 1 + where the batch in flight has its gap, which reaches to the batch's end; 0: it has none.
    pub gap: u64,
    /// 1 + from where on bytes are being dropped; 0: none are.
    pub dropping: u64,
    /// Bytes of the stream that lay before those of M: its position 0 is this one of the stream.
    pub base: u64,
}

/// Everything that must survive, as of one commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// The log file's committed length.
    pub offset: u64,
    /// When a rotation under way began (it makes the name); 0: none is.
    pub stamp: i64,
    /// stdout, stderr.
    pub streams: [StreamSlot; 2],
    /// How many clients are shown what comes.
    pub attached: u64,
}

impl Slot {
    /// One stream's part.
    pub fn stream(&mut self, which: Stream) -> &mut StreamSlot {
        let [stdout, stderr] = &mut self.streams;
        match which {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        }
    }

    fn to_bytes(self) -> [u8; 8 * WORDS] {
        let mut words = vec![self.offset, self.stamp as u64];
        for stream in self.streams {
            let StreamSlot { consumed, n, time, wrap, ended, gap, dropping, base: _ } = stream;
            words.extend([consumed, n, time as u64, wrap, u64::from(ended), gap, dropping]);
        }
        // Behind what an older podlet knows of.
        words.extend(self.streams.map(|stream| stream.base));
        words.push(self.attached);
        let mut bytes = [0; 8 * WORDS];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; 8 * WORDS]) -> Slot {
        let mut words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
        let mut word = || words.next().unwrap_or_default();
        let (offset, stamp) = (word(), word() as i64);
        // An array's elements are made in their order, and a struct's fields in the order in which they are written.
        let mut stream = || StreamSlot {
            consumed: word(),
            n: word(),
            time: word() as i64,
            wrap: word(),
            ended: word() != 0,
            gap: word(),
            dropping: word(),
            base: 0,
        };
        let mut streams = [stream(), stream()];
        for stream in &mut streams {
            stream.base = word();
        }
        Slot { offset, stamp, streams, attached: word() }
    }
}

const WORDS: usize = 2 + 2 * 8 + 1;
const SLOT_AT: [u64; 2] = [64, 2048];

/// The page: two slots, and an index that says which counts.
pub struct RecordPage {
    page: File,
    index: u32,
    slot: Slot,
}

impl RecordPage {
    /// A page of zeros is the record of a log that has not begun.
    pub fn read(page: File) -> io::Result<RecordPage> {
        let mut index = [0; 4];
        page.read_exact_at(&mut index, 0)?;
        let index = u32::from_le_bytes(index) & 1;
        let mut bytes = [0; 8 * WORDS];
        page.read_exact_at(&mut bytes, SLOT_AT[index as usize & 1])?;
        Ok(RecordPage { page, index, slot: Slot::from_bytes(&bytes) })
    }

    /// What counts.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Writes the other slot whole and then flips the index: four bytes, aligned, in one page.
    pub fn commit(&mut self, slot: Slot) -> io::Result<()> {
        let other = (self.index ^ 1) & 1;
        self.page.write_all_at(&slot.to_bytes(), SLOT_AT[other as usize])?;
        self.page.write_all_at(&other.to_le_bytes(), 0)?;
        self.index = other;
        self.slot = slot;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_committed_slot_is_read_back_and_a_page_of_zeros_is_a_beginning() {
        let page = File::from(nix::sys::memfd::memfd_create("test", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap());
        page.set_len(4096).unwrap();
        let mut record = RecordPage::read(page.try_clone().unwrap()).unwrap();
        assert_eq!(record.slot(), Slot::default());
        let stream = |n| StreamSlot {
            consumed: n,
            n: n + 1,
            time: -3,
            wrap: n + 2,
            ended: true,
            gap: n + 3,
            dropping: n,
            base: n + 1,
        };
        for n in [1, u64::MAX - 3] {
            let slot = Slot { offset: n, stamp: -1, streams: [stream(n), stream(7)], attached: n };
            record.commit(slot).unwrap();
            assert_eq!(RecordPage::read(page.try_clone().unwrap()).unwrap().slot(), slot);
        }
    }
}
