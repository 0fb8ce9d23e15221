//! Capabilities by name, and the set that a container gets.

use std::fmt;

use serde::{Serialize, Serializer};

/// Names by number, capabilities(7), without `CAP_`.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities, bit by number.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// The 14 that containerd gives a container.
    pub const DEFAULT: Capabilities = Capabilities(0xa804_25fb);

    /// The capability of this name; with or without `CAP_`, in any case.
    pub fn by_name(name: &str) -> Option<Capabilities> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        NAMES.iter().position(|known| *known == bare).map(|number| Capabilities(1 << number))
    }

    /// Whether all of `other` are in it.
    pub fn contains(self, other: Capabilities) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the named one is in it.
    pub fn has(self, name: &str) -> bool {
        Capabilities::by_name(name).is_some_and(|one| self.contains(one))
    }

    /// Those in both.
    pub fn and(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & other.0)
    }

    /// Those in it but not in `other`.
    pub fn without(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & !other.0)
    }

    /// Numbers, rising.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |bit| self.0 & (1 << bit) != 0)
    }

    /// The name of a number: `CAP_CHOWN`, or its digits for one that has no name here.
    pub fn name(number: u32) -> String {
        usize::try_from(number)
            .ok()
            .and_then(|n| NAMES.get(n))
            .map_or_else(|| number.to_string(), |name| format!("CAP_{name}"))
    }

    /// What a container gets of `available`: the default, with the manifest's `add` and `drop` applied as containerd does:
    /// `add: [ALL]` starts from everything, then `drop: [ALL]` from nothing; then single additions, then single removals.
    /// Unknown names are left out (validation has spoken of them).
    pub fn of_container(available: Capabilities, add: &[String], drop: &[String]) -> Capabilities {
        let all = |names: &[String]| names.iter().any(|name| name == "ALL");
        let mut set = if all(add) { available } else { Capabilities::DEFAULT };
        if all(drop) {
            set = Capabilities(0);
        }
        for name in add {
            set.0 |= Capabilities::by_name(name).unwrap_or_default().0;
        }
        for name in drop {
            set.0 &= !Capabilities::by_name(name).unwrap_or_default().0;
        }
        set.and(available)
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capabilities({:016x})", self.0)
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.numbers().map(Capabilities::name).collect();
        f.write_str(&names.join(","))
    }
}

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.numbers().map(Capabilities::name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn add_and_drop_as_containerd() {
        let all = Capabilities((1 << 41) - 1);
        let of = |add: &[&str], drop: &[&str]| Capabilities::of_container(all, &names(add), &names(drop)).0;
        assert_eq!(of(&[], &[]), 0xa804_25fb);
        assert_eq!(of(&["NET_ADMIN"], &["ALL"]), 1 << 12);
        assert_eq!(of(&["cap_net_admin"], &["ALL"]), 1 << 12);
        assert_eq!(of(&["ALL"], &[]), all.0);
        assert_eq!(of(&["ALL"], &["NET_RAW"]), all.0 & !(1 << 13));
        assert_eq!(of(&["ALL", "CHOWN"], &["ALL"]), 1);
        assert_eq!(of(&["CHOWN"], &["CHOWN"]), 0xa804_25fa);
        assert_eq!(of(&["NO_SUCH"], &["NO_SUCH"]), 0xa804_25fb);
        assert_eq!(Capabilities::of_container(Capabilities(1), &[], &[]).0, 1);
    }
}
