//! stage: becomes a container's program. It executes the table of system calls that the supervisor compiled, entry by entry;
//! the last one is the exec. It knows nothing of containers and decides nothing: what it does is the table, no more.
//!
//! Its own calls, beside the table's: one mmap before the first entry; a write and exit_group after a failed one; with
//! `trace`, one clock_gettime before the first entry and one after each.
#![no_std]
#![no_main]

use core::mem::size_of;
use pause::sys::{call, clock_gettime, number, write};
use pause::table::*;

pause::program!();

const EINVAL: i64 = 22;
const PROT_READ_WRITE: usize = 1 | 2;
const MAP_SHARED: usize = 1;
const CLOCK_MONOTONIC: i32 = 1;

fn main() -> i32 {
    let mapping = [0, SIZE_MAX, PROT_READ_WRITE, MAP_SHARED, TABLE_DESCRIPTOR as usize, 0];
    // SAFETY: a new mapping. It is longer than the table; what lies beyond is never touched.
    let base = unsafe { call(number::MMAP, mapping) };
    if base < 0 {
        return failed(BAD_TABLE, base as i64);
    }
    // SAFETY: nobody else writes a table that is being executed; the memfd has at least a page, the kernel zeroes its rest.
    match unsafe { execute(base as *mut u8) } {
        Ok(()) => 0,
        Err((entry, errno)) => failed(entry, errno),
    }
}

fn failed(entry: u32, result: i64) -> i32 {
    write(STATUS_DESCRIPTOR as i32, &Status { kind: FAILED, entry, value: -result }, size_of::<Status>());
    FAILED_EXIT
}

/// # Safety
/// `base` is a table of at least its header's `size`. Its calls are the supervisor's to answer for.
unsafe fn execute(base: *mut u8) -> Result<(), (u32, i64)> {
    // SAFETY: a page is there; alignment is a page's.
    let header = unsafe { &*(base as *const Header) };
    let (count, relocations, size) = (header.entries as usize, header.relocations as usize, header.size as usize);
    let list = size_of::<Header>() + count * size_of::<Entry>();
    let sound = header.magic == MAGIC && header.version == VERSION && header.entries <= ENTRIES_MAX && size <= SIZE_MAX;
    if !sound || relocations > SIZE_MAX || list + 4 * relocations > size {
        return Err((BAD_TABLE, -EINVAL));
    }
    for i in 0..relocations {
        // SAFETY: the list and the word were found to be inside the table.
        unsafe {
            let offset = *(base.add(list) as *const u32).add(i) as usize;
            if offset % 8 != 0 || offset + 8 > size {
                return Err((BAD_TABLE, -EINVAL));
            }
            let word = base.add(offset) as *mut u64;
            *word = (*word).wrapping_add(base as u64);
        }
    }
    let entries = base.wrapping_add(size_of::<Header>()) as *mut Entry;
    // On the stack: the table is shared with the second process, whose clone returned another result.
    let mut results = [0i64; ENTRIES_MAX as usize];
    let mut time = if header.trace == 1 { now() } else { 0 };
    for i in 0..count {
        // SAFETY: inside the table; no other reference to this entry exists while it is changed.
        let entry = unsafe { entries.add(i) };
        // SAFETY: as above.
        let step = unsafe { *entry };
        let result_of = |index: usize| results.get(index).copied().unwrap_or(-EINVAL);
        let zero = result_of(step.condition_entry as usize) == 0;
        if step.condition == IF_ZERO && !zero || step.condition == IF_NOT_ZERO && zero {
            continue;
        }
        let mut arguments = [0; 6];
        for (bit, (to, from)) in arguments.iter_mut().zip(step.arguments).enumerate() {
            *to = if step.results >> bit & 1 == 1 { result_of(from as usize) } else { from as i64 } as usize;
        }
        // SAFETY: the supervisor's to answer for. (After a clone both processes go on from here, each on its own stack.)
        let result = unsafe { call(step.number as usize, arguments) } as i64;
        if let Some(place) = results.get_mut(i) {
            *place = result;
        }
        // SAFETY: as above.
        unsafe {
            if result != 0 {
                // Not so the second process's 0: what is left to be read is its pid.
                (*entry).result = result;
            }
            if header.trace == 1 {
                (*entry).began = time;
                time = now();
                (*entry).ended = time;
            }
        }
        // Addresses that mmap might return look negative to nobody: an errno is within the last 4095 numbers.
        let failed = (-4095..0).contains(&result);
        if failed && step.may_fail != ANY_ERRNO && step.may_fail as i64 != -result {
            return Err((i as u32, result));
        }
    }
    Ok(())
}

fn now() -> u64 {
    let mut time = [0; 2];
    clock_gettime(CLOCK_MONOTONIC, &mut time);
    time[0] as u64 * 1_000_000_000 + time[1] as u64
}
