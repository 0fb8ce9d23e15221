//! The calls that more than one step is made of: opening inside the root, mount attributes, a write to a kernel file.

use std::sync::Arc;

use pause::table::{ENDED_OFFSET, STATUS_DESCRIPTOR};

use super::super::call::{Argument, MayFail};
use super::super::seccomp;
use super::super::syscall::{
    MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, MOVE_MOUNT_F_EMPTY_PATH,
    MOVE_MOUNT_T_EMPTY_PATH,
};
use super::arguments::{flag_names, here, named, number, octal, text, words};
use super::{LowerError, Lowering};
use crate::plan::paths;
use crate::plan::{Capabilities, MountFlags, Propagation, Shape};

/// What ps calls a process that forks for each run of a command.
const ZYGOTE: &str = "podlet-zygote";
/// A directory to go to or to resolve below.
const DIRECTORY: (u32, &str) =
    ((libc::O_PATH | libc::O_CLOEXEC | libc::O_DIRECTORY).cast_unsigned(), "O_DIRECTORY|O_PATH|O_CLOEXEC");

impl Lowering<'_> {
    /// A path in the container, held by descriptor: never through a magic link, never out of the root, which is where `root` is.
    fn resolve(&mut self, root: Argument, path: &str, flags: u64, flag_text: &str) -> Argument {
        let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
        let shown = format!("{{flags={flag_text}, resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_IN_ROOT}}");
        let how = Argument::Bytes(words(&[flags, 0, resolve]), shown);
        let entry = self.push("openat2", libc::SYS_openat2, vec![root, text(path), how, number(24)]);
        Argument::Result(entry, path.to_owned())
    }

    pub(super) fn resolve_path(&mut self, path: &str) -> Argument {
        self.resolve(here(), path, (libc::O_PATH | libc::O_CLOEXEC).cast_unsigned().into(), "O_PATH|O_CLOEXEC")
    }

    pub(super) fn resolve_directory(&mut self, path: &str) -> Argument {
        self.resolve_directory_below(here(), path)
    }

    pub(super) fn resolve_directory_below(&mut self, root: Argument, path: &str) -> Argument {
        self.resolve(root, path, DIRECTORY.0.into(), DIRECTORY.1)
    }

    /// The root itself, for a process that is somewhere else.
    pub(super) fn open_root(&mut self) -> Argument {
        let flags = named(DIRECTORY.0, DIRECTORY.1);
        let entry = self.push("openat", libc::SYS_openat, vec![here(), text("/"), flags]);
        Argument::Result(entry, "/".to_owned())
    }

    pub(super) fn make_missing(&mut self, missing: &[String], shape: Shape) {
        for (index, prefix) in missing.iter().enumerate() {
            let (parent, name) = paths::split(prefix);
            let parent = self.resolve_directory(parent);
            if index + 1 == missing.len() && shape == Shape::File {
                let mode = Argument::Named(u64::from(libc::S_IFREG | 0o644), "S_IFREG|0644".into());
                self.push("mknodat", libc::SYS_mknodat, vec![parent, text(name), mode, number(0)]);
            } else {
                self.push("mkdirat", libc::SYS_mkdirat, vec![parent, text(name), octal(0o755)]);
            }
            // There already, or on something read-only: the next call tells.
            self.may_fail(MayFail::Any);
        }
    }

    pub(super) fn attach(&mut self, tree: Argument, target: Argument) {
        let flags = flag_names(
            [
                (u64::from(MOVE_MOUNT_F_EMPTY_PATH), "MOVE_MOUNT_F_EMPTY_PATH"),
                (u64::from(MOVE_MOUNT_T_EMPTY_PATH), "MOVE_MOUNT_T_EMPTY_PATH"),
            ]
            .into_iter(),
        );
        self.push("move_mount", libc::SYS_move_mount, vec![tree, text(""), target, text(""), flags]);
    }

    pub(super) fn mount_setattr(
        &mut self,
        on: (Argument, &str, Vec<(u32, &str)>),
        flags: MountFlags,
        propagation: Option<Propagation>,
    ) {
        let (descriptor, path, at) = on;
        let own = [
            (flags.read_only, MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"),
            (flags.nosuid, MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"),
            (flags.nodev, MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"),
            (flags.noexec, MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"),
        ];
        let set: Vec<_> = own.into_iter().filter(|(on, ..)| *on).collect();
        let bits = set.iter().fold(0, |all, (_, bit, _)| all | bit);
        let names: Vec<&str> = set.iter().map(|(_, _, name)| *name).collect();
        let (spread, spread_name) = match propagation {
            None => (0, "0"),
            Some(Propagation::Private) => (libc::MS_PRIVATE, "MS_PRIVATE"),
            Some(Propagation::Slave) => (libc::MS_SLAVE, "MS_SLAVE"),
        };
        let set_text = if names.is_empty() { "0".to_owned() } else { names.join("|") };
        let shown = format!("{{attr_set={set_text}, attr_clr=0, propagation={spread_name}, userns_fd=0}}");
        let attributes = Argument::Bytes(words(&[bits, 0, spread, 0]), shown);
        let at = flag_names(at.into_iter().map(|(bit, name)| (u64::from(bit), name)));
        self.push("mount_setattr", libc::SYS_mount_setattr, vec![descriptor, text(path), at, attributes, number(32)]);
    }

    pub(super) fn write_file(&mut self, path: &str, value: &str, may_fail: Option<MayFail>) {
        let flags = named((libc::O_WRONLY | libc::O_CLOEXEC).cast_unsigned(), "O_WRONLY|O_CLOEXEC");
        let file = self.push("openat", libc::SYS_openat, vec![here(), text(path), flags]);
        if may_fail == Some(MayFail::Any) {
            self.may_fail(MayFail::Any);
        }
        let file = Argument::Result(file, path.to_owned());
        let length = i64::try_from(value.len()).unwrap_or_default();
        self.push("write", libc::SYS_write, vec![file.clone(), text(value), number(length)]);
        if let Some(may_fail) = may_fail {
            self.may_fail(may_fail);
        }
        self.push("close", libc::SYS_close, vec![file]);
        if may_fail == Some(MayFail::Any) {
            self.may_fail(MayFail::Any);
        }
    }

    pub(super) fn prctl(&mut self, option: i32, name: &str, value: Argument) {
        let rest = [number(0), number(0), number(0)];
        let arguments = [named(option.cast_unsigned(), name), value].into_iter().chain(rest).collect();
        self.push("prctl", libc::SYS_prctl, arguments);
    }

    /// Before a process is seen in the container's PID namespace: nothing is open but stdio, table and status descriptor.
    pub(super) fn close_what_was_used(&mut self) {
        let all = Argument::Named(u64::from(u32::MAX), "4294967295".into());
        self.push("close_range", libc::SYS_close_range, vec![number(5), all, number(0)]);
    }

    /// Waits for a packet with two descriptors, which become standard output and error of a process of its own; tells of its end
    /// what wait4(2) has stored. When nobody is left who could ask this process ends.
    pub(super) fn fork_for_each(&mut self) {
        // Nothing is open behind these two, and whatever is opened gets the lowest number that is free.
        const FIRST: u32 = STATUS_DESCRIPTOR + 1;
        let socket = || Argument::Descriptor(STATUS_DESCRIPTOR, "status".into());
        let ended = || Argument::Within(ENDED_OFFSET, "&table.ended".into());
        self.prctl(libc::PR_SET_NAME, "PR_SET_NAME", text(ZYGOTE));
        let flags = named(libc::MSG_CMSG_CLOEXEC.cast_unsigned(), "MSG_CMSG_CLOEXEC");
        let request = self.push("recvmsg", libc::SYS_recvmsg, vec![socket(), Argument::Message, flags]);
        self.push("exit_group", libc::SYS_exit_group, vec![number(0)]);
        self.only_if((request, true));
        // Not clone3: a container's filter knows this one alone.
        let flags = named(libc::SIGCHLD.cast_unsigned(), "SIGCHLD");
        let none = || Argument::Null;
        let clone = self.push("clone", libc::SYS_clone, vec![flags, none(), none(), none(), none()]);
        for (from, to) in [(FIRST, 1), (FIRST + 1, 2)] {
            let from = Argument::Descriptor(from, if to == 1 { "stdout" } else { "stderr" }.into());
            self.push("dup3", libc::SYS_dup3, vec![from.clone(), number(to), number(0)]);
            self.only_if((clone, true));
            self.push("close", libc::SYS_close, vec![from]);
            self.only_if((clone, false));
        }
        let child = Argument::Result(clone, "child".into());
        self.push("wait4", libc::SYS_wait4, vec![child, ended(), number(0), none()]);
        self.only_if((clone, false));
        let quiet = named(libc::MSG_NOSIGNAL.cast_unsigned(), "MSG_NOSIGNAL");
        self.push("sendto", libc::SYS_sendto, vec![socket(), ended(), number(4), quiet, none(), number(0)]);
        // To nobody: the next request tells.
        self.may_fail(MayFail::Any);
        self.only_if((clone, false));
        self.push("go_to", pause::table::GO_TO.into(), vec![number(request as i64)]);
        self.only_if((clone, false));
    }

    pub(super) fn mount(&mut self, source: Argument, target: &str, kind: Argument, flags: Argument, options: Argument) {
        self.push("mount", libc::SYS_mount, vec![source, text(target), kind, flags, options]);
    }

    pub(super) fn load_seccomp(&mut self, capabilities: Capabilities) -> Result<(), LowerError> {
        let program = seccomp::runtime_default(capabilities).map_err(|error| LowerError::Filter(error.to_string()))?;
        let mode = named(libc::SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER");
        self.push("seccomp", libc::SYS_seccomp, vec![mode, number(0), Argument::Filter(Arc::clone(&program))]);
        Ok(())
    }

    pub(super) fn set_capabilities(&mut self, capabilities: Capabilities) {
        // _LINUX_CAPABILITY_VERSION_3: header {version, pid}, then {effective, permitted, inheritable} for each 32.
        const VERSION: u32 = 0x2008_0522;
        let header: Vec<u8> = [VERSION, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let low = u32::try_from(capabilities.0 & u64::from(u32::MAX)).unwrap_or_default();
        let high = u32::try_from(capabilities.0 >> 32).unwrap_or_default();
        let data: Vec<u8> = [low, low, 0, high, high, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let names: Vec<String> =
            capabilities.numbers().map(|number| format!("1<<{}", Capabilities::name(number))).collect();
        let names = if names.is_empty() { "0".into() } else { names.join("|") };
        let shown = format!("{{effective={names}, permitted={names}, inheritable=0}}");
        let header = Argument::Bytes(header, "{version=_LINUX_CAPABILITY_VERSION_3, pid=0}".into());
        self.push("capset", libc::SYS_capset, vec![header, Argument::Bytes(data, shown)]);
    }
}
