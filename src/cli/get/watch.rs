//! `get -w`: prints again after each change.

use super::super::line::Everywhere;
use super::super::resource::Wanted;
use super::super::{Caller, Failure};
use super::Words;

/// Prints what is there, then what changes, until Ctrl-C.
pub fn run(words: &Words, wanted: &Wanted, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let _ = (words, wanted, everywhere, caller);
    Err(Failure::error("get -w is not carried out yet"))
}
