//! Stage tables by hand.

use std::fs::File;
use std::io::{Read, Write};
use std::mem::{offset_of, size_of};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use pause::table::{ALWAYS, Entry, Header, IF_NOT_ZERO, IF_ZERO, MAGIC, SECOND_OFFSET, Status, VERSION};

pub struct Table {
    entries: Vec<Entry>,
    /// Arguments that point into the data, or (`true`) at the header's word for the second process.
    pointers: Vec<(usize, usize, bool)>,
    /// Words of the data that point into the data.
    inner: Vec<usize>,
    data: Vec<u8>,
    trace: u32,
}

impl Table {
    pub fn new() -> Table {
        Table { entries: vec![], pointers: vec![], inner: vec![], data: vec![], trace: 0 }
    }

    pub fn trace(&mut self) {
        self.trace = 1;
    }

    pub fn call(&mut self, number: i64, arguments: [u64; 6]) -> usize {
        self.entries.push(Entry {
            number: number as u16,
            may_fail: 0,
            condition: ALWAYS,
            condition_entry: 0,
            results: 0,
            pad: [0; 7],
            arguments,
            result: 0,
            began: 0,
            ended: 0,
        });
        self.entries.len() - 1
    }

    pub fn may_fail(&mut self, entry: usize, errno: i32) {
        self.entries[entry].may_fail = errno as u16;
    }

    pub fn only_if_zero(&mut self, entry: usize, of: usize) {
        (self.entries[entry].condition, self.entries[entry].condition_entry) = (IF_ZERO, of as u16);
    }

    pub fn only_if_not_zero(&mut self, entry: usize, of: usize) {
        (self.entries[entry].condition, self.entries[entry].condition_entry) = (IF_NOT_ZERO, of as u16);
    }

    /// Puts bytes into the data; the result is for an argument that [`Table::point_at`] makes a pointer.
    pub fn data(&mut self, bytes: &[u8]) -> u64 {
        let offset = self.data.len();
        self.data.extend(bytes);
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        offset as u64
    }

    pub fn point_at(&mut self, entry: usize, argument: usize) {
        self.pointers.push((entry, argument, false));
    }

    pub fn clone_second(&mut self) -> usize {
        let flags = (libc::CLONE_PARENT | libc::CLONE_PARENT_SETTID | libc::SIGCHLD) as u64;
        let entry = self.call(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]);
        self.pointers.push((entry, 2, true));
        entry
    }

    pub fn exec(&mut self, fd: u64, argument: &str) {
        let path = self.data(b"\0");
        let text = self.data(format!("{argument}\0").as_bytes());
        let list = self.data(&[text.to_ne_bytes(), [0; 8]].concat());
        self.inner.push(list as usize);
        let environment = list + 8;
        let entry = self.call(libc::SYS_execveat, [fd, path, list, environment, libc::AT_EMPTY_PATH as u64, 0]);
        for argument in 1..4 {
            self.point_at(entry, argument);
        }
    }

    pub fn memfd(&self) -> OwnedFd {
        let count = self.pointers.len() + self.inner.len();
        let entries_at = size_of::<Header>();
        let relocations_at = entries_at + self.entries.len() * size_of::<Entry>();
        let data_at = (relocations_at + 4 * count).next_multiple_of(8);
        let mut entries = self.entries.clone();
        let mut data = self.data.clone();
        let mut relocations = Vec::new();
        for (entry, argument, second) in &self.pointers {
            let value = &mut entries[*entry].arguments[*argument];
            *value = if *second { SECOND_OFFSET as u64 } else { *value + data_at as u64 };
            let offset = entries_at + entry * size_of::<Entry>() + offset_of!(Entry, arguments) + 8 * argument;
            relocations.push(offset as u32);
        }
        for offset in &self.inner {
            let word = u64::from_ne_bytes(data[*offset..offset + 8].try_into().unwrap()) + data_at as u64;
            data[*offset..offset + 8].copy_from_slice(&word.to_ne_bytes());
            relocations.push((data_at + offset) as u32);
        }
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            entries: entries.len() as u32,
            relocations: count as u32,
            size: (data_at + data.len()) as u32,
            trace: self.trace,
            second: 0,
            ended: 0,
        };
        let mut bytes = bytes_of(&header).to_vec();
        entries.iter().for_each(|entry| bytes.extend(bytes_of(entry)));
        relocations.iter().for_each(|offset| bytes.extend(offset.to_ne_bytes()));
        bytes.resize(data_at, 0);
        bytes.extend(data);
        memfd(&bytes)
    }
}

fn bytes_of<T>(value: &T) -> &[u8] {
    // SAFETY: the table's structures are numbers without gaps.
    unsafe { std::slice::from_raw_parts((&raw const *value).cast(), size_of::<T>()) }
}

pub fn memfd(bytes: &[u8]) -> OwnedFd {
    // SAFETY: a new descriptor.
    let mut file = unsafe { File::from_raw_fd(libc::memfd_create(c"table".as_ptr(), libc::MFD_CLOEXEC)) };
    file.write_all(bytes).unwrap();
    file.into()
}

/// A table in use, and its status pipe.
pub struct Running {
    pub table: File,
    pub status: std::io::PipeReader,
}

impl Running {
    /// Waits for what the stage says, or for the end of its pipe.
    pub fn status(&self) -> Option<Status> {
        let mut bytes = Vec::new();
        (&self.status).read_to_end(&mut bytes).unwrap();
        let words = bytes.as_chunks::<4>().0;
        let word = |index: usize| u32::from_ne_bytes(words[index]);
        (!bytes.is_empty()).then(|| Status { kind: word(0), entry: word(1), value: i64::from(word(2)) })
    }

    pub fn entries(&self) -> Vec<Entry> {
        let count = {
            let mut bytes = [0; 4];
            self.table.read_exact_at(&mut bytes, offset_of!(Header, entries) as u64).unwrap();
            u32::from_ne_bytes(bytes) as usize
        };
        let mut bytes = vec![0u8; count * size_of::<Entry>()];
        self.table.read_exact_at(&mut bytes, size_of::<Header>() as u64).unwrap();
        // SAFETY: numbers without gaps, read unaligned.
        (0..count).map(|i| unsafe { bytes.as_ptr().cast::<Entry>().add(i).read_unaligned() }).collect()
    }

    pub fn of(table: OwnedFd) -> (Running, std::io::PipeWriter) {
        let (status, writer) = std::io::pipe().unwrap();
        (Running { table: table.as_fd().try_clone_to_owned().unwrap().into(), status }, writer)
    }
}
