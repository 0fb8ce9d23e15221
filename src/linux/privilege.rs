//! What a user, or the machine, lacks for what was asked, in one line with the way out. The command line asks before any
//! file is made or read; `doctor` shows the same list one by one. Changes nothing.

use std::ffi::OsStr;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access, geteuid};

use super::cgroup::Layout;
use super::kernel;
use super::machine::capabilities;
use crate::paths::Paths;
use crate::plan::Capabilities;

/// What somebody is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Start a pod.
    Pods,
    /// Take images into the store or out of it: their files have owners, device nodes and attributes of their own.
    Images,
    /// Look at or talk to what is there.
    State,
    /// Store ConfigMaps and Secrets.
    Objects,
}

/// A capability that the work cannot do without, and for what (capabilities(7)).
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// `SYS_ADMIN`.
    pub capability: &'static str,
    /// For what it is needed.
    pub purpose: &'static str,
}

const fn need(capability: &'static str, purpose: &'static str) -> Need {
    Need { capability, purpose }
}

/// For starting a pod. Containers get none of them for it.
pub const FOR_PODS: [Need; 12] = [
    need("SYS_ADMIN", "namespaces, mounts and cgroups are made"),
    need("NET_ADMIN", "the pod's own network is switched on"),
    need("SYS_CHROOT", "mount namespaces are joined"),
    need("SYS_PTRACE", "the namespaces of the pod's sandbox are joined"),
    need("MKNOD", "/dev of containers is furnished"),
    need("CHOWN", "volumes and the container's pipes get their owners"),
    need("DAC_OVERRIDE", "files of images belong to other users"),
    need("FOWNER", "files of images belong to other users"),
    need("SETUID", "containers run as their own users"),
    need("SETGID", "containers run with their own groups"),
    need("SETPCAP", "containers lose capabilities for good"),
    need("KILL", "processes of other users are ended"),
];

/// For filling the image store.
const FOR_IMAGES: [Need; 5] = [
    need("CHOWN", "files of images belong to other users"),
    need("DAC_OVERRIDE", "files of images belong to other users"),
    need("FOWNER", "files of images belong to other users"),
    need("MKNOD", "images hold device nodes and overlay's marks"),
    need("SYS_ADMIN", "images hold trusted attributes"),
];

/// What is missing, for the one line that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The user is not root.
    Root {
        /// Why root is needed.
        why: String,
    },
    /// The user is root, but was given less: in a container, or by a service manager.
    Capabilities {
        /// Their names without `CAP_`.
        names: Vec<&'static str>,
        /// What the first is needed for.
        why: &'static str,
    },
    /// The kernel, or a filter around this process, refuses system calls.
    Calls {
        /// The kernel's release.
        release: String,
        /// Their names.
        names: Vec<&'static str>,
        /// What the first was answered with.
        why: String,
    },
    /// No cgroup hierarchy is mounted that podlet may write to; what was found, if anything.
    Cgroups {
        /// A line of [`Layout::notices`].
        found: Option<String>,
    },
}

/// What this process lacks; none when it can go on.
pub fn missing(work: Work, paths: &Paths) -> Option<Missing> {
    let root = geteuid().is_root();
    let needs: &[Need] = match work {
        Work::Pods => &FOR_PODS,
        Work::Images => &FOR_IMAGES,
        Work::State | Work::Objects => &[],
    };
    if root {
        let lacking: Vec<&Need> = lacking(needs, capabilities()).collect();
        return match lacking.first() {
            Some(Need { purpose: why, .. }) => {
                Some(Missing::Capabilities { names: lacking.iter().map(|need| need.capability).collect(), why })
            }
            None if work == Work::Pods => missing_of_machine(),
            None => None,
        };
    }
    let why = match work {
        Work::Pods => "starting a pod needs root (namespaces, mounts and cgroups are made)".to_owned(),
        Work::Images => "the image store needs root (files of images belong to many users)".to_owned(),
        Work::State => {
            let closed = [&paths.run, &paths.state].into_iter().find(|path| !is_open(path))?;
            let owner = owner(closed, Path::new("/etc/passwd"));
            format!(
                "the pods in {} are {owner}'s and cannot be shown to you; looking at them needs root",
                closed.display()
            )
        }
        Work::Objects => {
            let closed = Some(&paths.state).filter(|path| !can_be_written(path))?;
            format!("podlet keeps objects in {}, where only root may write", closed.display())
        }
    };
    Some(Missing::Root { why })
}

fn describe(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno::from_raw(number).desc().to_owned())
}

/// What no right can give: system calls and cgroups.
fn missing_of_machine() -> Option<Missing> {
    let refused = kernel::calls(true).into_iter().filter_map(|(name, tried)| Some((name, tried.err()?)));
    let (names, errors): (Vec<_>, Vec<_>) = refused.unzip();
    if let Some(error) = errors.first() {
        return Some(Missing::Calls { release: kernel::release(), names, why: describe(error) });
    }
    let layout = Layout::of_machine();
    layout.is_empty().then(|| Missing::Cgroups { found: layout.notices.first().cloned() })
}

/// Those of the needs that a set does not meet.
pub fn lacking(needs: &[Need], has: Capabilities) -> impl Iterator<Item = &Need> {
    needs.iter().filter(move |need| !has.has(need.capability))
}

/// Not there is open too: there is nothing to be kept from.
fn is_open(path: &Path) -> bool {
    access(path, AccessFlags::R_OK | AccessFlags::X_OK) != Err(Errno::EACCES)
}

/// The nearest directory that exists decides whether anything can be made below it.
fn can_be_written(path: &Path) -> bool {
    path.ancestors().find(|above| above.exists()).is_none_or(|found| access(found, AccessFlags::W_OK).is_ok())
}

/// Whose a directory is: the user's name, else the number. Read here, as a static program has no name service.
fn owner(path: &Path, users: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = std::fs::metadata(path) else { return "another user".to_owned() };
    let uid = metadata.uid().to_string();
    let users = std::fs::read_to_string(users).unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(uid.as_str())).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("user {uid}"))
}

impl Missing {
    /// The one line. `words` is the command as typed, the program first; `environment` what of podlet's is set, which
    /// sudo(8) would drop.
    pub fn line(&self, words: &[String], environment: &[(String, String)]) -> String {
        match self {
            Missing::Root { why } => {
                let mut command = vec!["sudo".to_owned()];
                if !environment.is_empty() {
                    command.push("env".to_owned());
                    command.extend(environment.iter().map(|(name, value)| format!("{name}={}", quoted(value))));
                }
                command.extend(words.iter().map(|word| quoted(word)));
                format!("{why}; type: {}", command.join(" "))
            }
            Missing::Capabilities { names, why } => {
                let list: Vec<String> = names.iter().map(|name| format!("CAP_{name}")).collect();
                let list = list.join(", ");
                format!(
                    "this needs {list} ({why}); you are root without it: where this runs in a container, start that with \
                     --privileged or --cap-add; where a service manager starts it, add it to CapabilityBoundingSet="
                )
            }
            Missing::Calls { release, names, why } => format!(
                "pods need the system calls {}, which are refused here ({why}): podlet is made for Linux 5.14 and newer, and \
                 this is Linux {release}; in a container, start that with --security-opt seccomp=unconfined; `podlet doctor` \
                 says more",
                names.join(", ")
            ),
            Missing::Cgroups { found } => format!(
                "no cgroup hierarchy is at hand: processes of a pod could not be held together, limited or ended{}; type: \
                 mount -t cgroup2 cgroup2 /sys/fs/cgroup; in a container, start that with --privileged --cgroupns=private",
                found.iter().map(|found| format!(" ({found})")).collect::<String>()
            ),
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The words of this process and what of podlet's is set in its environment, for [`Missing::line`].
pub fn typed() -> (Vec<String>, Vec<(String, String)>) {
    let text = |text: &OsStr| text.to_string_lossy().into_owned();
    let words: Vec<String> = std::env::args_os().map(|word| text(&word)).collect();
    let mut environment: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| (text(&name), text(&value)))
        .filter(|(name, _)| matches!(name.as_str(), "PODLET_RUN_DIR" | "PODLET_STATE_DIR" | "PODLET_LOG_DIR"))
        .collect();
    environment.sort();
    (words, environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_line_can_be_typed_as_it_stands() {
        let missing = Missing::Root { why: "starting a pod needs root".to_owned() };
        assert_eq!(
            missing.line(&words(&["podlet", "apply", "my pod's.yaml"]), &[]),
            r"starting a pod needs root; type: sudo podlet apply 'my pod'\''s.yaml'"
        );
        let environment = [("PODLET_RUN_DIR".to_owned(), "/tmp/a b".to_owned())];
        assert_eq!(
            missing.line(&words(&["./podlet", "up", ""]), &environment),
            "starting a pod needs root; type: sudo env PODLET_RUN_DIR='/tmp/a b' ./podlet up ''"
        );
    }

    #[test]
    fn a_root_with_less_is_told_what() {
        let has = FOR_PODS
            .iter()
            .skip(1)
            .fold(0, |all, need| all | Capabilities::by_name(need.capability).unwrap_or_default().0);
        let names: Vec<&str> = lacking(&FOR_PODS, Capabilities(has)).map(|need| need.capability).collect();
        assert_eq!(names, ["SYS_ADMIN"]);
        let missing = Missing::Capabilities { names, why: "namespaces are made" };
        assert!(missing.line(&[], &[]).starts_with("this needs CAP_SYS_ADMIN (namespaces are made); you are root"));
        let (names, why) = (vec!["clone3", "openat2"], "Function not implemented".to_owned());
        let missing = Missing::Calls { release: "5.4.0".to_owned(), names, why };
        let line = missing.line(&[], &[]);
        assert!(
            line.starts_with("pods need the system calls clone3, openat2, which are refused here (Function"),
            "{line}"
        );
        assert!(line.contains("this is Linux 5.4.0") && line.contains("seccomp=unconfined"), "{line}");
    }
}
