//! Arguments of system calls, spelled as the manual pages spell them.

use super::super::call::Argument;
use super::clone_flag;
use crate::plan::{MountFlags, Namespace, Text};

pub(super) fn namespace_flags(namespaces: &[Namespace]) -> Argument {
    let name = |namespace: &Namespace| match namespace {
        Namespace::Mount => "CLONE_NEWNS",
        Namespace::Pid => "CLONE_NEWPID",
        Namespace::Network => "CLONE_NEWNET",
        Namespace::Ipc => "CLONE_NEWIPC",
        Namespace::Uts => "CLONE_NEWUTS",
        Namespace::Cgroup => "CLONE_NEWCGROUP",
    };
    let value = namespaces.iter().fold(0, |all, namespace| all | clone_flag(*namespace));
    Argument::Named(value, namespaces.iter().map(name).collect::<Vec<_>>().join("|"))
}

pub(super) fn number(value: impl Into<i64>) -> Argument {
    Argument::Number(value.into())
}

pub(super) fn named(value: impl TryInto<u64>, name: &str) -> Argument {
    Argument::Named(value.try_into().unwrap_or_default(), name.to_owned())
}

pub(super) fn text(value: &str) -> Argument {
    Argument::Text(Text::from(value))
}

/// `AT_FDCWD`, sign-extended as the kernel's int argument.
pub(super) fn here() -> Argument {
    Argument::Named(i64::from(libc::AT_FDCWD).cast_unsigned(), "AT_FDCWD".into())
}

pub(super) fn octal(mode: u32) -> Argument {
    Argument::Named(u64::from(mode), if mode == 0 { "000".into() } else { format!("0{mode:o}") })
}

pub(super) fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Flags of mount(2).
pub(super) fn mount_flags(flags: MountFlags, more: &[(u64, &str)]) -> Argument {
    let own = [
        (flags.read_only, libc::MS_RDONLY, "MS_RDONLY"),
        (flags.nosuid, libc::MS_NOSUID, "MS_NOSUID"),
        (flags.nodev, libc::MS_NODEV, "MS_NODEV"),
        (flags.noexec, libc::MS_NOEXEC, "MS_NOEXEC"),
        (flags.strictatime, libc::MS_STRICTATIME, "MS_STRICTATIME"),
    ];
    let on = own.into_iter().filter(|(on, ..)| *on).map(|(_, bit, name)| (bit, name)).chain(more.iter().copied());
    flag_names(on)
}

pub(super) fn flag_names<'a>(flags: impl Iterator<Item = (u64, &'a str)>) -> Argument {
    let (mut value, mut names) = (0, Vec::new());
    for (bit, name) in flags {
        value |= bit;
        names.push(name);
    }
    Argument::Named(value, if names.is_empty() { "0".into() } else { names.join("|") })
}

/// As strace(1) writes it: zero without a prefix.
pub(super) fn hexadecimal(number: u32) -> String {
    if number == 0 { "0".into() } else { format!("{number:#x}") }
}
