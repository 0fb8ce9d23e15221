//! Carries steps out: the keeper's client, lowering of plans, cgroups, users, seccomp, devices. (Skeleton.)

pub mod cgroup;
pub mod container;
pub mod descriptors;
pub mod keeper;
pub mod programs;
