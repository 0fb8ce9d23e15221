//! One pod's owner at run time: feeds the machine, carries out effects, journals, serves the control socket. (Skeleton.)

pub mod control;
