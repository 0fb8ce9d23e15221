//! A process of podlet's own, made by the keeper as all others are: it outlives the supervisor that has asked for it, and its
//! memory goes with it.

use std::fs::{self, File};
use std::os::fd::OwnedFd;

use super::super::cgroup::Cgroup;
use super::{PodContext, Prepared, StartFailure, assemble, create};
use crate::plan::identity::Identity;
use crate::plan::{Secrets, helper};

/// podlet with these words, in podlet's own cgroup, reading nothing and writing to `log`.
pub fn prepare_helper(
    context: &PodContext<'_>,
    title: &str,
    arguments: Vec<String>,
    log: &File,
) -> Result<Prepared, StartFailure> {
    let cgroup = Cgroup::of_keeper(context.uid());
    let entrance = cgroup.entrance().map_err(create("the cgroup of podlet's processes cannot be opened"))?;
    let plan = helper::plan(title.to_owned(), &cgroup.hierarchies(), arguments);
    // Not by its name: that file may be another one by now, this one speaks the supervisor's language.
    let program = File::open("/proc/self/exe").map_err(create("podlet's own program"))?;
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null").map_err(create("/dev/null"))?;
    let log = || log.try_clone().map(OwnedFd::from).map_err(create("the supervisor's log"));
    let descriptors = vec![(OwnedFd::from(null), 0), (log()?, 1), (log()?, 2)];
    let root = Identity { uid: 0, gid: 0, groups: Vec::new(), home: "/".into() };
    assemble(plan, entrance, vec![program.into()], descriptors, &Secrets::default(), &root, false)
}
