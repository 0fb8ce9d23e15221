//! What podlet's tiny programs and podlet itself agree on (`table`, `message`), and the tiny programs' way to the kernel
//! (`sys`, which podlet itself never uses). `no_std`: the programs in `src/bin` have no library beneath them at all.
#![cfg_attr(not(test), no_std)]

pub mod message;
pub mod sys;
pub mod table;
