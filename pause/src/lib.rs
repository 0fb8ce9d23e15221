//! What podlet's tiny programs and podlet itself agree on: the stage's table. `no_std`, plain data.
#![no_std]

pub mod table;
