//! stage: becomes a container's program. It executes the table of system calls that the supervisor compiled, one after the
//! other where none says which comes next; the last one is the exec. It knows nothing of containers and decides nothing: what
//! it does is the table, no more.
//!
//! Its own calls, beside the table's: one mmap before the first entry; a write and exit_group after a failed one, or an
//! exit_group when the table ends without exec; with `trace`, a clock_gettime before the first entry and after each.
#![no_std]
#![no_main]

use pause::sys::{call, constant::*, exit, map, now, write};
use pause::table::*;

pause::program!();

extern "C" fn main() -> ! {
    let base = map(TABLE_DESCRIPTOR as i32, SIZE_MAX);
    // SAFETY: the memfd has at least a page, and the kernel zeroes its rest. What lies beyond it is never touched. Nobody
    // else writes a table that is being executed.
    let result = if base < 0 { Err((BAD_TABLE, base as i64)) } else { unsafe { execute(base as *mut u8) } };
    let Err((entry, errno)) = result else { exit(0) };
    write(STATUS_DESCRIPTOR as i32, &Status { kind: FAILED, entry, value: -errno }, size_of::<Status>());
    exit(FAILED_EXIT)
}

/// # Safety
/// `base` is a page or more; if it begins as a table of this version, it is one. Its calls are the supervisor's to answer for.
unsafe fn execute(base: *mut u8) -> Result<(), (u32, i64)> {
    // SAFETY: a page is there; alignment is a page's.
    let header = unsafe { *(base as *const Header) };
    if header.magic != MAGIC || header.version != VERSION {
        return Err((BAD_TABLE, -EINVAL as i64));
    }
    let entries = base.wrapping_add(size_of::<Header>()) as *mut Entry;
    let list = entries.wrapping_add(header.entries as usize) as *const u32;
    for i in 0..header.relocations as usize {
        // SAFETY: the list lies in the table, behind its entries.
        let offset = unsafe { *list.add(i) } as usize;
        // SAFETY: and so does the word, aligned by eight.
        unsafe { *(base.add(offset) as *mut u64) += base as u64 };
    }
    // On the stack: the table is shared with the second process, whose clone returned another result.
    let mut results = [0i64; ENTRIES_MAX as usize];
    let mut time = if header.trace == 1 { now(CLOCK_MONOTONIC) } else { 0 };
    let mut left = 0..header.entries as usize;
    while let Some(i) = left.next() {
        // SAFETY: the entry lies in the table, and nobody else uses it.
        let step = unsafe { &mut *entries.add(i) };
        let result_of = |index: usize| results.get(index).copied().unwrap_or_default();
        let zero = result_of(step.condition_entry as usize) == 0;
        if step.condition == IF_ZERO && !zero || step.condition == IF_NOT_ZERO && zero {
            continue;
        }
        let mut arguments = [0; 6];
        for (bit, (to, from)) in arguments.iter_mut().zip(step.arguments).enumerate() {
            *to = if step.results >> bit & 1 == 1 { result_of(from as usize) as usize } else { from as usize };
        }
        if step.number == GO_TO {
            left.start = arguments[0];
            continue;
        }
        // SAFETY: the supervisor's to answer for. (After a clone both processes go on from here, each on its own stack.)
        let result = unsafe { call(step.number as usize, &arguments) } as i64;
        results.get_mut(i).into_iter().for_each(|place| *place = result);
        // Not so the second process's 0: what is left to be read is its pid.
        (result != 0).then(|| step.result = result);
        if header.trace == 1 {
            (step.began, time) = (time, now(CLOCK_MONOTONIC));
            step.ended = time;
        }
        // An errno is one of the last 4095 numbers; no address looks like one.
        if (-4095..0).contains(&result) && step.may_fail != ANY_ERRNO && step.may_fail as i64 != -result {
            return Err((i as u32, result));
        }
    }
    Ok(())
}
