//! Names: each is a file that holds the uid of the pod that has it. Claimed and given up under a lock of its own.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::error::{KeptError, file_error};
use crate::paths::Paths;
use crate::supervisor::files::{self, Durability};

/// A claimed name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

impl Claim {
    /// Of a pod with this uid.
    pub fn of(pod: &Pod, uid: &str) -> Claim {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Claim { namespace: text(&pod.metadata.namespace), name: text(&pod.metadata.name), uid: uid.to_owned() }
    }
}

/// The uid that holds a name, if any does.
pub fn find(paths: &Paths, namespace: &str, name: &str) -> Result<Option<String>, KeptError> {
    read_claim(&paths.name(namespace, name))
}

pub(super) fn read_claim(path: &Path) -> Result<Option<String>, KeptError> {
    match std::fs::read_to_string(path) {
        Ok(uid) if is_uid(uid.trim()) => Ok(Some(uid.trim().to_owned())),
        Ok(_) => Err(KeptError::Content { path: path.to_owned(), reason: "not a uid".to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error("read", path)(error)),
    }
}

/// A uid becomes part of paths: nothing but letters, digits and dashes.
fn is_uid(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// All pods known, of one namespace or of all, in the order of namespace and name.
pub fn list(paths: &Paths, namespace: Option<&str>) -> Result<Vec<Claim>, KeptError> {
    let mut claims = Vec::new();
    let namespaces = match namespace {
        Some(namespace) => vec![namespace.to_owned()],
        None => entries(&paths.names())?,
    };
    for namespace in namespaces {
        for name in entries(&paths.names().join(&namespace))? {
            // A claim given up between the two calls is no error.
            if let Some(uid) = find(paths, &namespace, &name)? {
                claims.push(Claim { namespace: namespace.clone(), name, uid });
            }
        }
    }
    claims.sort();
    Ok(claims)
}

fn entries(directory: &Path) -> Result<Vec<String>, KeptError> {
    let listing = match std::fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file_error("read", directory)(error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        let name = entry.map_err(file_error("read", directory))?.file_name();
        // Locks and files being written begin with a dot.
        if let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// The lock of one name, held while it is claimed, given up, or a pod of it is set going. Freed when dropped; when nobody
/// has the name then, the lock's file and directory go with it.
pub struct NameLock {
    lock: Flock<File>,
    /// The lock's file.
    path: PathBuf,
    /// The claim's.
    name: PathBuf,
}

/// Waits for the lock of a name. Two `apply` of one pod at once: the second sees what the first has done.
pub fn lock_name(paths: &Paths, namespace: &str, name: &str) -> Result<NameLock, KeptError> {
    loop {
        if let Some(lock) = try_lock_name(paths, namespace, name, FlockArg::LockExclusive)? {
            return Ok(lock);
        }
    }
}

/// `None`: another has it, or had it and has removed its file.
pub(super) fn try_lock_name(
    paths: &Paths,
    namespace: &str,
    name: &str,
    how: FlockArg,
) -> Result<Option<NameLock>, KeptError> {
    let path = paths.name_lock(namespace, name);
    if let Some(directory) = path.parent() {
        files::private_directory(directory).map_err(file_error("make", directory))?;
    }
    let file = match File::options().create(true).truncate(false).write(true).mode(0o600).open(&path) {
        Ok(file) => file,
        // Its directory was removed as empty just now.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error("open", &path)(error)),
    };
    match Flock::lock(file, how) {
        Ok(lock) => {
            let lock = NameLock { lock, path, name: paths.name(namespace, name) };
            Ok(lock.is_named().then_some(lock))
        }
        Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => Ok(None),
        Err((_, errno)) => Err(file_error("lock", &path)(errno.into())),
    }
}

impl NameLock {
    /// A lock on a file that was removed meanwhile keeps nobody out: others lock the new one.
    fn is_named(&self) -> bool {
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        match (self.lock.metadata().map(identity), std::fs::metadata(&self.path).map(identity)) {
            (Ok(locked), Ok(named)) => locked == named,
            _ => false,
        }
    }
}

impl Drop for NameLock {
    fn drop(&mut self) {
        // Looked at under the lock: whoever claims the name holds it.
        let unclaimed = matches!(self.name.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound);
        if unclaimed {
            // Whoever writes the name has its lock: a half-written one is of somebody who was killed.
            files::remove_strays(&self.name);
        }
        if unclaimed && self.is_named() && files::remove_file(&self.path).is_ok() {
            let directories: Vec<&Path> = self.path.ancestors().skip(1).take(2).collect();
            files::remove_empty(&directories);
        }
    }
}

/// Claims a name for a uid, once: the first claim stands.
pub(in crate::supervisor) fn claim(_lock: &NameLock, paths: &Paths, claim: &Claim) -> Result<(), KeptError> {
    let path = paths.name(&claim.namespace, &claim.name);
    files::replace(&path, claim.uid.as_bytes(), Durability::Process).map_err(file_error("write", &path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{clear, paths};
    use super::*;
    use crate::supervisor::kept::remove;

    #[test]
    fn names_are_claimed_listed_and_given_up() {
        let paths = paths("names");
        let web = Claim { namespace: "default".into(), name: "web".into(), uid: "u-1".into() };
        assert_eq!(list(&paths, None).unwrap(), vec![]);
        {
            let lock = lock_name(&paths, "default", "web").unwrap();
            claim(&lock, &paths, &web).unwrap();
        }
        assert_eq!(find(&paths, "default", "web").unwrap().as_deref(), Some("u-1"));
        assert_eq!(list(&paths, None).unwrap(), vec![web.clone()]);
        assert_eq!(list(&paths, Some("other")).unwrap(), vec![]);
        // Another pod has the name by now: removing the old one leaves it.
        remove(&paths, &Claim { uid: "u-0".into(), ..web.clone() }).unwrap();
        assert_eq!(find(&paths, "default", "web").unwrap().as_deref(), Some("u-1"));
        remove(&paths, &web).unwrap();
        assert_eq!(list(&paths, None).unwrap(), vec![]);
        clear(&paths);
    }

    #[test]
    fn what_a_killed_writer_left_of_a_name_goes_with_the_next_who_has_it() {
        let paths = paths("strays");
        let names = paths.names().join("default");
        files::private_directory(&names).unwrap();
        for stray in [".web.4711.new", ".web.1.4711.new", ".web.x.new"] {
            std::fs::write(names.join(stray), "u-").unwrap();
        }
        assert_eq!(list(&paths, None).unwrap(), vec![]);
        drop(lock_name(&paths, "default", "web").unwrap());
        let mut left: Vec<_> = std::fs::read_dir(&names).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".web.1.4711.new", ".web.x.new"]);
        clear(&paths);
    }
}
