//! cgroups v1, v2 and hybrid, found out at run time. (Skeleton: the outward signatures.)

use std::io;

/// The cgroups of one pod or of one container in it, in every hierarchy that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {}

impl Cgroup {
    /// SIGKILLs everything in it, by `cgroup.kill` or the freezer loop, until it is empty.
    pub fn kill(&self) -> io::Result<()> {
        unimplemented!()
    }

    /// How many processes the memory controller has killed in it.
    pub fn oom_kills(&self) -> u64 {
        unimplemented!()
    }

    /// The processes in it.
    pub fn processes(&self) -> Vec<i32> {
        unimplemented!()
    }

    /// Removes it; it must be empty. Gone already is no error.
    pub fn remove(&self) -> io::Result<()> {
        unimplemented!()
    }
}
