//! Carries steps out: the keeper's client, lowering of plans, cgroups, users, seccomp, devices. The only room, beside the
//! tiny programs, that may use `unsafe`.

pub mod call;
pub mod cgroup;
pub mod container;
pub mod descriptors;
pub mod device;
pub mod disk_usage;
pub mod doctor;
pub mod heap;
pub mod keeper;
pub mod kernel;
pub mod lower;
pub mod machine;
pub mod names;
pub mod network;
pub mod pidfd;
pub mod privilege;
pub mod process;
pub mod program;
pub mod programs;
pub mod resolve;
pub mod rootfs;
pub mod seccomp;
pub mod session;
pub mod signal;
pub mod syscall;
pub mod terminal;
pub mod tmpfs;
pub mod trace;
pub mod usage;
pub mod watch;
