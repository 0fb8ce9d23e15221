//! Where a container's program is, and what it means when it cannot be started. The texts are those of the usual runtimes,
//! because people search for them.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use nix::errno::Errno;
use pause::table;

use super::resolve::{Root, executable_by};
use crate::plan::command::path_directories;
use crate::plan::identity::Identity;
use crate::plan::paths::{clean, is_below};
use crate::plan::{Plan, Step};

/// Largest passwd or group file that is read: a sparse one of gigabytes must not stop a start.
const USERS_MAXIMUM: u64 = 1 << 20;

/// The files of an image, however they are at hand.
pub trait Files {
    /// A small text file, empty when absent.
    fn text(&self, path: &str) -> io::Result<String>;
    /// What is at a path.
    fn metadata(&self, path: &str) -> io::Result<fs::Metadata>;
}

impl Files for Root<'_> {
    fn text(&self, path: &str) -> io::Result<String> {
        self.read_text(path, USERS_MAXIMUM)
    }

    fn metadata(&self, path: &str) -> io::Result<fs::Metadata> {
        Root::metadata(self, path)
    }
}

/// Unpacked layers that are not mounted together, lowest first: for a plan that is only shown. Links from one layer into
/// another are not followed.
pub struct Layers<'a>(pub &'a [PathBuf]);

impl Layers<'_> {
    fn first<T>(&self, look: impl Fn(&Root<'_>) -> io::Result<T>) -> io::Result<T> {
        use std::os::fd::AsFd;
        for layer in self.0.iter().rev() {
            let directory = fs::File::open(layer)?;
            match look(&Root(directory.as_fd())) {
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {}
                done => return done,
            }
        }
        Err(io::Error::from_raw_os_error(libc::ENOENT))
    }
}

impl Files for Layers<'_> {
    fn text(&self, path: &str) -> io::Result<String> {
        let holds = |root: &Root<'_>| root.metadata(path).and_then(|_| root.read_text(path, USERS_MAXIMUM));
        match self.first(holds) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(String::new()),
            done => done,
        }
    }

    fn metadata(&self, path: &str) -> io::Result<fs::Metadata> {
        self.first(|root| root.metadata(path))
    }
}

fn not_found(command: &str) -> String {
    format!("exec: \"{command}\": executable file not found in $PATH")
}

/// The paths that the stage tries. A name without a slash is sought in the container's `PATH` as far as the root file
/// system can be looked at; what a mount may hold only the stage can try.
pub fn candidates(
    command: &str,
    path: &str,
    working_directory: &str,
    identity: &Identity,
    mounts: &[&str],
    files: &dyn Files,
) -> Result<Vec<String>, String> {
    if command.is_empty() {
        return Err(not_found(command));
    }
    if command.contains('/') {
        // The kernel resolves it, relative ones from the working directory; only a directory is better told beforehand.
        let absolute =
            if command.starts_with('/') { clean(command) } else { clean(&format!("{working_directory}/{command}")) };
        let hidden = mounts.iter().any(|mount| is_below(&absolute, mount));
        return match files.metadata(&absolute) {
            Ok(found) if !hidden && found.is_dir() => Err(format!("exec: \"{command}\": is a directory")),
            _ => Ok(vec![command.to_owned()]),
        };
    }
    let mut candidates = Vec::new();
    for directory in path_directories(path) {
        let candidate = format!("{}/{command}", directory.trim_end_matches('/'));
        let hidden = mounts.iter().any(|mount| directory == *mount || is_below(directory, mount));
        match files.metadata(&candidate) {
            Ok(found) if !hidden && found.is_file() && executable_by(&found, identity.uid, &identity.groups) => {
                candidates.push(candidate);
                return Ok(candidates);
            }
            _ if hidden => candidates.push(candidate),
            _ => {}
        }
    }
    if candidates.is_empty() { Err(not_found(command)) } else { Ok(candidates) }
}

fn reason(errno: Errno) -> String {
    let text = errno.desc();
    let mut characters = text.chars();
    // As C libraries write them: "no such file or directory".
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// The result that the stage wrote beside an entry.
fn result_of(table: BorrowedFd<'_>, entry: u32) -> Option<i64> {
    let offset = size_of::<table::Header>() as u64
        + u64::from(entry) * size_of::<table::Entry>() as u64
        + std::mem::offset_of!(table::Entry, result) as u64;
    let mut word = [0; 8];
    let file = fs::File::from(table.try_clone_to_owned().ok()?);
    file.read_exact_at(&mut word, offset).ok()?;
    Some(i64::from_ne_bytes(word))
}

/// What a failed call of the stage means to a user. Without the table it is not known what came of the calls before it.
pub fn explain(plan: &Plan, table: Option<BorrowedFd<'_>>, entry: u32, errno: i32) -> String {
    let errno = Errno::from_raw(errno);
    let calls = plan.calls().unwrap_or_default();
    let call = usize::try_from(entry).ok().and_then(|entry| calls.get(entry));
    let Some((call, step)) = call.and_then(|call| Some((call, plan.steps.get(call.step)?))) else {
        return format!("{}: the stage failed at call {entry}: {}", plan.title, reason(errno));
    };
    match step {
        Step::Execute { candidates, arguments, .. } => {
            let command = arguments.first().map(ToString::to_string).unwrap_or_default();
            let tried = (0..candidates.len()).rev().filter_map(|back| {
                let result = result_of(table?, entry.checked_sub(u32::try_from(back).ok()?)?)?;
                Some(Errno::from_raw(i32::try_from(result.checked_neg()?).ok()?))
            });
            let absent = |errno: &Errno| matches!(errno, Errno::ENOENT | Errno::ENOTDIR);
            // Of several places, the one that has the program says what is wrong with it.
            let told = tried.into_iter().find(|errno| !absent(errno)).unwrap_or(errno);
            match told {
                Errno::ENOENT | Errno::ENOTDIR if !command.contains('/') => match candidates.as_slice() {
                    // It was seen there: what is missing is its interpreter.
                    [only] => format!("exec {only}: {} (its interpreter or loader is missing)", reason(told)),
                    _ => not_found(&command),
                },
                Errno::ENOENT | Errno::ENOTDIR => format!("exec: \"{command}\": stat {command}: {}", reason(told)),
                Errno::EACCES => format!("exec: \"{command}\": {}", reason(told)),
                _ => format!("exec {command}: {}", reason(told)),
            }
        }
        Step::ChangeDirectory { path, .. } => format!("chdir to workingDir (\"{path}\") failed: {}", reason(errno)),
        Step::Attach { target, tree, .. } => {
            format!("mounting {} to \"{target}\" failed: {}: {}", tree.0, call.name, reason(errno))
        }
        Step::OpenTree { source, .. } => format!("\"{source}\" cannot be mounted: {}: {}", call.name, reason(errno)),
        other => format!("{}: step \"{other}\" failed: {call}: {}", plan.title, reason(errno)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn search() {
        let root = std::env::temp_dir().join(format!("podlet-program-{}", std::process::id()));
        fs::create_dir_all(root.join("usr/bin/dir")).unwrap();
        fs::write(root.join("usr/bin/tool"), "").unwrap();
        fs::write(root.join("usr/bin/data"), "").unwrap();
        let mode = |bits| std::os::unix::fs::PermissionsExt::from_mode(bits);
        fs::set_permissions(root.join("usr/bin/tool"), mode(0o755)).unwrap();
        fs::set_permissions(root.join("usr/bin/data"), mode(0o644)).unwrap();
        std::os::unix::fs::symlink("/usr/bin", root.join("bin")).unwrap();
        let layers = [root.clone()];
        let files = Layers(&layers);
        let user = Identity { uid: 0, gid: 0, groups: vec![0], home: "/".into() };
        let find =
            |command: &str, mounts: &[&str]| candidates(command, "/opt:/bin:/usr/bin", "/", &user, mounts, &files);
        assert_eq!(find("tool", &[]), Ok(vec!["/bin/tool".to_owned()]));
        assert_eq!(find("tool", &["/opt"]), Ok(vec!["/opt/tool".to_owned(), "/bin/tool".to_owned()]));
        assert_eq!(find("data", &[]), Err(not_found("data")));
        assert_eq!(find("dir", &[]), Err(not_found("dir")));
        assert_eq!(find("no", &["/data"]), Err("exec: \"no\": executable file not found in $PATH".to_owned()));
        assert_eq!(find("/usr", &[]), Err("exec: \"/usr\": is a directory".to_owned()));
        assert_eq!(find("/no/such", &[]), Ok(vec!["/no/such".to_owned()]));
        fs::remove_dir_all(root).unwrap();
    }
}
