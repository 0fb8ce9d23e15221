//! The calls that more than one step is made of: opening inside the root, mount attributes, a write to a kernel file.

use std::sync::Arc;

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

impl Lowering<'_> {
    /// A path in the container, held by descriptor: never through a magic link, never out of the root.
    pub(super) fn resolve(&mut self, path: &str, flags: u64, flag_text: &str) -> Argument {
        let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
        let shown = format!("{{flags={flag_text}, resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_IN_ROOT}}");
        let how = Argument::Bytes(words(&[flags, 0, resolve]), shown);
        let entry = self.push("openat2", libc::SYS_openat2, vec![here(), text(path), how, number(24)]);
        Argument::Result(entry, path.to_owned())
    }

    pub(super) fn resolve_path(&mut self, path: &str) -> Argument {
        self.resolve(path, (libc::O_PATH | libc::O_CLOEXEC).cast_unsigned().into(), "O_PATH|O_CLOEXEC")
    }

    pub(super) fn resolve_directory(&mut self, path: &str) -> Argument {
        let flags = libc::O_PATH | libc::O_CLOEXEC | libc::O_DIRECTORY;
        self.resolve(path, flags.cast_unsigned().into(), "O_DIRECTORY|O_PATH|O_CLOEXEC")
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
