//! System calls as data: what `plan -o json` lists and what the stage's table is encoded from. One description, two uses.
//! An argument renders itself as strace(1) would print it, but for descriptors, which are shown by name.

use std::fmt;
use std::sync::Arc;

use libc::sock_filter;
use pause::table;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::plan::{Secrets, Text};

/// An argument of a call.
#[derive(Clone, Debug)]
pub enum Argument {
    /// A plain number.
    Number(i64),
    /// A number that has a name: flags, commands.
    Named(u64, String),
    /// A descriptor that the stage is started with.
    Descriptor(u32, String),
    /// What an earlier call returned, by its index; and what it is.
    Result(usize, String),
    /// A NULL pointer.
    Null,
    /// A string, with its NUL.
    Text(Text),
    /// An array of strings, ended by NULL.
    Texts(Vec<Text>),
    /// A structure, and how strace shows it.
    Bytes(Vec<u8>, String),
    /// An address within the table itself, and what is there.
    Within(usize, String),
    /// A `struct msghdr` for a packet of eight bytes with two descriptors beside it.
    Message,
    /// A `struct sock_fprog` and its instructions.
    Filter(Arc<Vec<sock_filter>>),
}

/// One system call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// Its number on this architecture.
    pub number: libc::c_long,
    /// At most six.
    pub arguments: Vec<Argument>,
    /// An errno that is no failure.
    pub may_fail: Option<MayFail>,
    /// Run only if an earlier call's result was zero (`true`) or was not (`false`).
    pub condition: Option<(usize, bool)>,
    /// The step that it belongs to, by index.
    pub step: usize,
}

/// Which failure is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayFail {
    /// This one.
    Errno(i32),
    /// Any.
    Any,
}

impl Call {
    /// Its arguments as text.
    pub fn rendered(&self) -> Vec<String> {
        self.arguments.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.rendered().join(", "))
    }
}

impl Serialize for Call {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut call = serializer.serialize_struct("Call", 5)?;
        call.serialize_field("call", self.name)?;
        call.serialize_field("arguments", &self.rendered())?;
        if let Some(may_fail) = self.may_fail {
            let errno = match may_fail {
                MayFail::Any => "any".to_owned(),
                MayFail::Errno(errno) => format!("{:?}", nix::errno::Errno::from_raw(errno)),
            };
            call.serialize_field("mayFail", &errno)?;
        }
        if let Some((entry, zero)) = self.condition {
            call.serialize_field(if zero { "ifZero" } else { "ifNotZero" }, &entry)?;
        }
        call.serialize_field("step", &self.step)?;
        call.end()
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Argument::Number(number) => write!(f, "{number}"),
            Argument::Named(_, name) => f.write_str(name),
            Argument::Descriptor(number, name) => write!(f, "{number}<{name}>"),
            Argument::Result(entry, name) => write!(f, "r{entry}<{name}>"),
            Argument::Null => f.write_str("NULL"),
            Argument::Text(text) => write!(f, "{:?}", text.to_string()),
            Argument::Texts(texts) => {
                let words: Vec<String> = texts.iter().map(|text| format!("{:?}", text.to_string())).collect();
                write!(f, "[{}]", words.join(", "))
            }
            Argument::Bytes(_, shown) | Argument::Within(_, shown) => f.write_str(shown),
            Argument::Message => f.write_str("{msg_iovlen=1, msg_controllen=24}"),
            Argument::Filter(program) => write!(f, "{{len={}, filter=…}}", program.len()),
        }
    }
}

/// Why no table can be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EncodeError {
    /// More calls than a table holds.
    #[error("the plan needs {0} system calls; a stage's table holds {MAXIMUM_ENTRIES}")]
    TooManyCalls(usize),
    /// More than a table may weigh.
    #[error("the plan's data is too large: {0} bytes")]
    TooLarge(usize),
    /// A string with a NUL inside.
    #[error("a string of the plan holds a NUL byte: {0}")]
    Nul(String),
    /// A result of a call that comes later, or is none.
    #[error("call {0} uses the result of a later call")]
    Order(usize),
}

/// As in the table's description.
const MAXIMUM_ENTRIES: usize = table::ENTRIES_MAX as usize;

/// Encodes calls as a stage's table, the values of Secrets in place.
pub fn encode(calls: &[Call], secrets: &Secrets, trace: bool) -> Result<Vec<u8>, EncodeError> {
    if calls.len() > MAXIMUM_ENTRIES {
        return Err(EncodeError::TooManyCalls(calls.len()));
    }
    let mut entries: Vec<table::Entry> = Vec::with_capacity(calls.len());
    // Pointers to be relocated: in an entry's argument, or within the data. (Half of what a stage maps is for the data.)
    let mut in_entries: Vec<(usize, usize)> = Vec::new();
    let mut within: Vec<(usize, usize)> = Vec::new();
    let mut in_data: Vec<usize> = Vec::new();
    let mut data: Vec<u8> = Vec::with_capacity(4096);
    for (index, call) in calls.iter().enumerate() {
        let mut entry = table::Entry {
            number: u16::try_from(call.number).map_err(|_| EncodeError::TooManyCalls(index))?,
            may_fail: match call.may_fail {
                None => 0,
                Some(MayFail::Any) => table::ANY_ERRNO,
                Some(MayFail::Errno(errno)) => u16::try_from(errno).unwrap_or(table::ANY_ERRNO),
            },
            condition: table::ALWAYS,
            condition_entry: 0,
            results: 0,
            pad: [0; 7],
            arguments: [0; 6],
            result: 0,
            began: 0,
            ended: 0,
        };
        if let Some((on, zero)) = call.condition {
            entry.condition = if zero { table::IF_ZERO } else { table::IF_NOT_ZERO };
            entry.condition_entry = earlier(on, index)?;
        }
        for (place, (argument, word)) in call.arguments.iter().zip(entry.arguments.iter_mut()).enumerate() {
            *word = match argument {
                Argument::Number(number) => number.cast_unsigned(),
                Argument::Named(number, _) => *number,
                Argument::Descriptor(number, _) => u64::from(*number),
                Argument::Result(on, _) => {
                    entry.results |= 1 << place;
                    u64::from(earlier(*on, index)?)
                }
                Argument::Null => 0,
                Argument::Text(text) => {
                    in_entries.push((index, place));
                    string(&mut data, text, secrets)?
                }
                Argument::Texts(texts) => {
                    let words =
                        texts.iter().map(|text| string(&mut data, text, secrets)).collect::<Result<Vec<_>, _>>()?;
                    align(&mut data);
                    let start = data.len();
                    for word in words {
                        in_data.push(data.len());
                        data.extend_from_slice(&word.to_ne_bytes());
                    }
                    data.extend_from_slice(&0u64.to_ne_bytes());
                    in_entries.push((index, place));
                    start as u64
                }
                Argument::Bytes(bytes, _) => {
                    align(&mut data);
                    let start = data.len();
                    data.extend_from_slice(bytes);
                    in_entries.push((index, place));
                    start as u64
                }
                Argument::Within(offset, _) => {
                    within.push((index, place));
                    *offset as u64
                }
                Argument::Message => {
                    in_entries.push((index, place));
                    message(&mut data, &mut in_data)
                }
                Argument::Filter(program) => {
                    align(&mut data);
                    let instructions = data.len() as u64;
                    for instruction in program.iter() {
                        data.extend_from_slice(&instruction.code.to_ne_bytes());
                        data.extend_from_slice(&[instruction.jt, instruction.jf]);
                        data.extend_from_slice(&instruction.k.to_ne_bytes());
                    }
                    let start = data.len();
                    let length = u16::try_from(program.len()).map_err(|_| EncodeError::TooLarge(program.len()))?;
                    // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
                    data.extend_from_slice(&length.to_ne_bytes());
                    data.extend_from_slice(&[0; 6]);
                    in_data.push(data.len());
                    data.extend_from_slice(&instructions.to_ne_bytes());
                    in_entries.push((index, place));
                    start as u64
                }
            };
        }
        entries.push(entry);
        if data.len() > table::SIZE_MAX / 2 {
            return Err(EncodeError::TooLarge(data.len()));
        }
    }
    Ok(assemble(entries, [&in_entries, &within], &in_data, data, trace))
}

fn earlier(on: usize, index: usize) -> Result<u16, EncodeError> {
    u16::try_from(on).ok().filter(|_| on < index).ok_or(EncodeError::Order(index))
}

fn align(data: &mut Vec<u8>) {
    data.resize(data.len().next_multiple_of(8), 0);
}

/// struct msghdr, behind the struct iovec and the two places that it points to; answers where it is.
fn message(data: &mut Vec<u8>, pointers: &mut Vec<usize>) -> u64 {
    // SOL_SOCKET's header and two numbers.
    const CONTROL: u64 = 24;
    align(data);
    let packet = data.len() as u64;
    let (control, parts) = (packet + 8, packet + 8 + CONTROL);
    let header = parts + 16;
    data.resize(data.len() + 8 + CONTROL as usize, 0);
    for (word, is_pointer) in [
        (packet, true),
        (8, false),
        // name, namelen, iov, iovlen, control, controllen, flags
        (0, false),
        (0, false),
        (parts, true),
        (1, false),
        (control, true),
        (CONTROL, false),
        (0, false),
    ] {
        pointers.extend(is_pointer.then_some(data.len()));
        data.extend_from_slice(&word.to_ne_bytes());
    }
    header
}

fn string(data: &mut Vec<u8>, text: &Text, secrets: &Secrets) -> Result<u64, EncodeError> {
    let start = data.len() as u64;
    let bytes = text.reveal(secrets);
    if bytes.contains(&0) {
        return Err(EncodeError::Nul(text.to_string()));
    }
    data.extend_from_slice(&bytes);
    data.push(0);
    Ok(start)
}

/// Puts head, entries, relocations and data together; offsets into the data become offsets into the table.
fn assemble(
    mut entries: Vec<table::Entry>,
    [in_entries, within_table]: [&[(usize, usize)]; 2],
    in_data: &[usize],
    mut data: Vec<u8>,
    trace: bool,
) -> Vec<u8> {
    let head = size_of::<table::Header>();
    let each = size_of::<table::Entry>();
    let relocations = in_entries.len() + within_table.len() + in_data.len();
    let data_start = (head + entries.len() * each + relocations * 4).next_multiple_of(8);
    let mut places: Vec<u32> = Vec::with_capacity(relocations);
    let place = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    let argument_place = |index: usize, argument: usize| {
        place(head + index * each + std::mem::offset_of!(table::Entry, arguments) + argument * 8)
    };
    for (index, argument) in in_entries {
        if let Some(word) = entries.get_mut(*index).and_then(|entry| entry.arguments.get_mut(*argument)) {
            *word += data_start as u64;
            places.push(argument_place(*index, *argument));
        }
    }
    places.extend(within_table.iter().map(|(index, argument)| argument_place(*index, *argument)));
    for offset in in_data {
        if let Some(word) = data.get_mut(*offset..offset + 8) {
            let mut value = [0; 8];
            value.copy_from_slice(word);
            word.copy_from_slice(&(u64::from_ne_bytes(value) + data_start as u64).to_ne_bytes());
            places.push(place(data_start + offset));
        }
    }
    let header = table::Header {
        magic: table::MAGIC,
        version: table::VERSION,
        entries: place(entries.len()),
        relocations: place(places.len()),
        size: place(data_start + data.len()),
        trace: u32::from(trace),
        second: 0,
        ended: 0,
    };
    let mut bytes = Vec::with_capacity(data_start + data.len());
    let table::Header { magic, version, entries: count, relocations, size, trace, second, ended } = header;
    for word in [magic, version, count, relocations, size, trace, second, ended] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    for entry in &entries {
        for half in [entry.number, entry.may_fail, entry.condition, entry.condition_entry] {
            bytes.extend_from_slice(&half.to_ne_bytes());
        }
        bytes.push(entry.results);
        bytes.extend_from_slice(&entry.pad);
        for word in entry.arguments {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(&[0; 24]);
    }
    for place in places {
        bytes.extend_from_slice(&place.to_ne_bytes());
    }
    bytes.resize(data_start, 0);
    bytes.extend_from_slice(&data);
    bytes
}
