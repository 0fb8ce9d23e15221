//! `podlet cp`: files and directories into and out of a running container, through its root as its processes see it: volumes
//! are there, and the image needs no tar. Inside, the kernel resolves every path beneath that root (openat2).

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use k8s_openapi::api::core::v1::Pod;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, Whence, fchown, fchownat, linkat, lseek, symlinkat, unlinkat};

use super::everywhere::Everywhere;
use super::logs::choose;
use super::{Caller, Failure, ask, require};
use crate::linux::privilege::Work;
use crate::linux::resolve::Root;
use crate::supervisor::exec_session;

/// The words of `cp`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet cp conf.d web:/etc/app             a directory into the pod
  podlet cp web:/var/log/app.log .          a file out of it
  podlet cp note.txt shop/web:/tmp/ -c app  of another namespace, into this
                                            container

The container must run; the image needs no tar. A directory that is there takes what is copied in under its own name; what \
is in a directory of the container's goes into one that is there. Paths in the container begin at its working directory. \
What is copied in belongs to the container's user; where that is root, to whom it belongs here. Out of a container links \
are not copied, so that nothing is written elsewhere; one that is named itself is followed inside.")]
pub struct Words {
    /// From where: PATH, or POD:PATH, or NAMESPACE/POD:PATH.
    #[arg(value_name = "PLACE")]
    pub paths: Vec<String>,
    /// Of this container.
    #[arg(short, long, value_name = "CONTAINER")]
    pub container: Option<String>,
    /// Owner and permissions are not taken over.
    #[arg(long)]
    pub no_preserve: bool,
    /// For kubectl's users: nothing lies between that could break.
    #[arg(long, hide = true, value_name = "TIMES", allow_negative_numbers = true)]
    pub retries: Option<i64>,
}

/// How many directories lie within each other at the most: a container may make more than a stack has room for.
const DEEPEST: usize = 500;

/// One side.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// Namespace, if it is said, and pod.
    pod: Option<(Option<String>, String)>,
    path: String,
}

impl Place {
    fn parse(word: &str) -> Result<Place, Failure> {
        const FORMAT: &str = "filespec must match the canonical format: [[namespace/]pod:]file/path";
        // No namespace and no pod begins so; in a file's name a colon may be.
        let local = ["/", "./", "../"].iter().any(|begin| word.starts_with(begin));
        let Some((pod, path)) = word.split_once(':').filter(|_| !local) else {
            return Ok(Place { pod: None, path: word.to_owned() });
        };
        let pod = match pod.split('/').collect::<Vec<_>>().as_slice() {
            [""] => return Err(Failure::error(FORMAT)),
            [pod] => (None, (*pod).to_owned()),
            [namespace, pod] => (Some((*namespace).to_owned()), (*pod).to_owned()),
            _ => return Err(Failure::error(FORMAT)),
        };
        Ok(Place { pod: Some(pod), path: path.to_owned() })
    }
}

/// Copies.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let [from, to] = words.paths.as_slice() else {
        return Err(Failure::error("source and destination are required"));
    };
    let (from, to) = (Place::parse(from)?, Place::parse(to)?);
    if from.pod.is_some() && to.pod.is_some() {
        return Err(Failure::error("one of src or dest must be a local file specification"));
    }
    if from.path.is_empty() || to.path.is_empty() {
        return Err(Failure::error("filepath can not be empty"));
    }
    if let Some(pod) = &from.pod {
        let inside = Inside::open(pod, words, everywhere, caller)?;
        return inside.copy_out(&from.path, Path::new(&to.path), caller).map(|()| 0);
    }
    let Some(pod) = &to.pod else {
        return Err(Failure::error("one of src or dest must be a remote file specification"));
    };
    let source = Path::new(&from.path);
    if fs::metadata(source).is_err() {
        return Err(Failure::Error(format!("{} doesn't exist in local filesystem", from.path)));
    }
    let inside = Inside::open(pod, words, everywhere, caller)?;
    inside.copy_in(source, &to.path, caller).map(|()| 0)
}

/// A running container's files.
struct Inside {
    root: OwnedFd,
    /// Whom what is copied in belongs to; none: as here.
    owner: Option<(Uid, Gid)>,
    preserve: bool,
    /// Where paths begin that do not begin with `/`.
    working_directory: PathBuf,
    /// `web`, for messages.
    pod: String,
    namespace: String,
}

impl Inside {
    fn open(
        (namespace, pod): &(Option<String>, String),
        words: &Words,
        everywhere: &Everywhere,
        caller: &mut Caller<'_>,
    ) -> Result<Inside, Failure> {
        let namespace = namespace.as_deref().unwrap_or(everywhere.namespace()).to_owned();
        let seen = ask::pod(&caller.paths, &namespace, pod)?.pod;
        let container = match words.container.as_deref().filter(|name| !name.is_empty()) {
            None => choose::default_container(&seen, false, caller)?,
            Some(name) => choose::check_container(&seen, name).map(|()| name.to_owned())?,
        };
        require(Work::Pods, caller)?;
        let uid = seen.metadata.uid.as_deref().unwrap_or_default();
        let process = || {
            exec_session::first_process(&caller.paths, uid, &container)
                .map_err(|error| Failure::Error(format!("container {container} does not run: {error}")))
        };
        loop {
            let pid = process()?;
            let look = Look::at(pid);
            // The number may have become another process's meanwhile: what the supervisor still says of it holds.
            if process()? != pid {
                continue;
            }
            let look = look.map_err(|error| {
                Failure::Error(format!("could not look at the root of container {container}: {error}"))
            })?;
            let wanted = spec_of(&seen, &container);
            return Ok(Inside {
                root: look.root.into(),
                // Who is not root makes files of its own only, whoever had them here: as its tar would.
                owner: look.user.filter(|(uid, _)| words.no_preserve || !uid.is_root()),
                preserve: !words.no_preserve,
                working_directory: wanted.map_or(look.working_directory, PathBuf::from),
                pod: pod.clone(),
                namespace,
            });
        }
    }

    fn root(&self) -> Root<'_> {
        Root(self.root.as_fd())
    }

    /// Into the container. A directory that is there takes the source into it, as cp(1) and kubectl do.
    fn copy_in(&self, source: &Path, to: &str, caller: &mut Caller<'_>) -> Result<(), Failure> {
        let to = self.working_directory.join(to);
        let target = match self.root().metadata(&to) {
            Ok(metadata) if metadata.is_dir() => {
                let named = source.file_name().map(OsStr::to_owned);
                let name = named.or_else(|| Some(source.canonicalize().ok()?.file_name()?.to_owned()));
                name.map_or_else(|| to.clone(), |name| to.join(name))
            }
            _ => to,
        };
        self.put(source, &target, 0, caller)
    }

    fn put(&self, source: &Path, target: &Path, depth: usize, caller: &mut Caller<'_>) -> Result<(), Failure> {
        let here = |error: io::Error| Failure::Error(format!("{}: {}", shown(source), plain(&error)));
        let metadata = if depth == 0 { fs::metadata(source) } else { fs::symlink_metadata(source) }.map_err(here)?;
        if metadata.is_dir() {
            if depth > DEEPEST {
                return Err(too_deep(&shown(source)));
            }
            // The root itself is there.
            if let (Some(parent), Some(name)) = (target.parent(), target.file_name()) {
                let directory = self.directory(parent)?;
                match mkdirat(&directory, name, Mode::from_bits_truncate(0o755)) {
                    Ok(()) => {
                        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
                        let made = self.root().open(target, flags).map_err(|error| self.fault(target, &error))?;
                        self.take_over(&made, &metadata).map_err(|error| self.fault(target, &error))?;
                    }
                    Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(self.fault(target, &errno.into())),
                }
            }
            let mut names: Vec<_> = fs::read_dir(source).map_err(here)?.collect::<io::Result<_>>().map_err(here)?;
            names.sort_by_key(fs::DirEntry::file_name);
            for entry in names {
                self.put(&entry.path(), &target.join(entry.file_name()), depth + 1, caller)?;
            }
            return Ok(());
        }
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(self.fault(target, &Errno::EISDIR.into()));
        };
        let directory = self.directory(parent)?;
        if metadata.is_symlink() {
            let leads_to = fs::read_link(source).map_err(here)?;
            self.put_link(&leads_to, &metadata, &directory, name).map_err(|error| self.fault(target, &error))
        } else if metadata.is_file() {
            let from = File::open(source).map_err(here)?;
            self.put_file(&from, &metadata, (&directory, name), target).map_err(|error| self.fault(target, &error))
        } else {
            caller.notice(&format!("warning: skipping {}: neither a file, a directory nor a link", shown(source)));
            Ok(())
        }
    }

    fn directory(&self, path: &Path) -> Result<OwnedFd, Failure> {
        self.root().open(path, libc::O_PATH | libc::O_DIRECTORY).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT) => Failure::Error(format!(
                "{}:{}: there is no such directory in the container; make it first: podlet exec -n {} {} -- mkdir -p {}",
                self.pod,
                shown(path),
                self.namespace,
                self.pod,
                shown(path)
            )),
            _ => self.fault(path, &error),
        })
    }

    fn put_link(&self, leads_to: &Path, metadata: &fs::Metadata, directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let _ = unlinkat(directory, name, UnlinkatFlags::NoRemoveDir);
        symlinkat(leads_to, directory, name)?;
        let (uid, gid) = self.owner_of(metadata);
        Ok(fchownat(directory, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    /// Written beside its place and renamed, so that nobody in the container sees half a file.
    fn put_file(
        &self,
        from: &File,
        metadata: &fs::Metadata,
        (directory, name): (&OwnedFd, &OsStr),
        target: &Path,
    ) -> io::Result<()> {
        let beside = format!(".podlet-cp-{}", std::process::id());
        let beside = beside.as_str();
        let mode = Mode::from_bits_truncate(0o600);
        // Without a name until it is whole, where the file system can do that: a copy that is killed leaves nothing.
        let (file, named) = match openat(directory, ".", OFlag::O_WRONLY | OFlag::O_TMPFILE | OFlag::O_CLOEXEC, mode) {
            Ok(file) => (File::from(file), false),
            Err(_) => {
                let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                (File::from(openat(directory, beside, flags, mode)?), true)
            }
        };
        let written = copy_bytes(from, &file).and_then(|()| {
            self.take_over(&file, metadata)?;
            if !named {
                let this = format!("/proc/self/fd/{}", file.as_raw_fd());
                linkat(AT_FDCWD, this.as_str(), directory, beside, AtFlags::AT_SYMLINK_FOLLOW)?;
            }
            match renameat(directory, beside, directory, name) {
                Ok(()) => Ok(true),
                // A mount point (/etc/hosts): what lies there is written over.
                Err(Errno::EBUSY) => {
                    let there = self.root().open(target, libc::O_WRONLY | libc::O_NONBLOCK | libc::O_NOCTTY)?;
                    let there = File::from(there);
                    if !there.metadata()?.is_file() {
                        return Err(Errno::EBUSY.into());
                    }
                    there.set_len(0)?;
                    copy_bytes(from, &there)?;
                    Ok(false)
                }
                Err(errno) => Err(errno.into()),
            }
        });
        if !matches!(written, Ok(true)) {
            let _ = unlinkat(directory, beside, UnlinkatFlags::NoRemoveDir);
        }
        written.map(drop)
    }

    fn owner_of(&self, metadata: &fs::Metadata) -> (Uid, Gid) {
        self.owner.unwrap_or((Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid())))
    }

    fn take_over(&self, made: &impl AsFd, metadata: &fs::Metadata) -> io::Result<()> {
        let (uid, gid) = self.owner_of(metadata);
        fchown(made, Some(uid), Some(gid))?;
        // After the owner: a change of owner takes the set-user-ID bit away.
        let kept = if self.preserve && self.owner.is_none() { 0o7777 } else { 0o755 };
        Ok(fchmod(made, Mode::from_bits_truncate(metadata.permissions().mode() & kept))?)
    }

    /// Out of the container. A directory's content goes into one that is there, as kubectl has it; a file goes into it under
    /// its own name.
    fn copy_out(&self, from: &str, to: &Path, caller: &mut Caller<'_>) -> Result<(), Failure> {
        let from = self.working_directory.join(from);
        let found = self.root().metadata(&from).map_err(|error| self.fault(&from, &error))?;
        let target = match from.file_name() {
            Some(name) if to.is_dir() && !found.is_dir() => to.join(name),
            _ => to.to_owned(),
        };
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)
                .map_err(|error| Failure::Error(format!("{}: {}", shown(parent), plain(&error))))?;
        }
        self.get(&from, &target, 0, caller)
    }

    fn get(&self, from: &Path, to: &Path, depth: usize, caller: &mut Caller<'_>) -> Result<(), Failure> {
        let there = |error: io::Error| self.fault(from, &error);
        let here = |error: io::Error| Failure::Error(format!("{}: {}", shown(to), plain(&error)));
        // Looked at before it is opened: to open a device or a pipe does something.
        let follow = if depth == 0 { 0 } else { libc::O_NOFOLLOW };
        let found = self.root().open(from, libc::O_PATH | follow).map_err(there)?;
        let metadata = File::from(found.try_clone().map_err(there)?).metadata().map_err(there)?;
        let open = |flags| {
            let again = format!("/proc/self/fd/{}", found.as_raw_fd());
            nix::fcntl::open(again.as_str(), flags | OFlag::O_CLOEXEC, Mode::empty()).map_err(io::Error::from)
        };
        if metadata.is_symlink() {
            let leads_to = readlinkat(&found, "").map_err(|errno| there(errno.into()))?;
            caller.notice(&format!(
                "warning: skipping symlink: {:?} -> {leads_to:?} (consider using \"podlet exec -n {:?} {:?} -- tar cf - {from:?} \
                 | tar xf -\")",
                to, self.namespace, self.pod
            ));
            return Ok(());
        }
        if metadata.is_file() {
            let file = File::from(open(OFlag::O_RDONLY).map_err(there)?);
            return get_file(&file, &metadata, to).map_err(here);
        }
        if !metadata.is_dir() {
            caller.notice(&format!("warning: skipping {}: neither a file nor a directory", shown(from)));
            return Ok(());
        }
        if depth > DEEPEST {
            return Err(too_deep(&shown(from)));
        }
        match fs::create_dir(to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(here(error)),
            _ => {}
        }
        let listing = open(OFlag::O_RDONLY | OFlag::O_DIRECTORY).map_err(there)?;
        let mut listing = Dir::from_fd(listing).map_err(|errno| there(errno.into()))?;
        let mut names = Vec::new();
        for entry in listing.iter() {
            let entry = entry.map_err(|errno| there(errno.into()))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        for name in names {
            self.get(&from.join(&name), &to.join(&name), depth + 1, caller)?;
        }
        Ok(())
    }

    fn fault(&self, path: &Path, error: &io::Error) -> Failure {
        Failure::Error(format!("{}:{}: {}", self.pod, shown(path), plain(error)))
    }
}

/// What a container's first process tells of the container.
struct Look {
    root: File,
    user: Option<(Uid, Gid)>,
    working_directory: PathBuf,
}

impl Look {
    fn at(pid: i32) -> io::Result<Look> {
        let root = File::open(format!("/proc/{pid}/root"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        // Real, effective, saved and the file system's: proc_pid_status(5).
        let effective = |line: &str| {
            let ids = status.lines().find_map(|text| text.strip_prefix(line))?;
            ids.split_whitespace().nth(1)?.parse().ok()
        };
        let user = effective("Uid:").zip(effective("Gid:")).map(|(u, g)| (Uid::from_raw(u), Gid::from_raw(g)));
        let working_directory = fs::read_link(format!("/proc/{pid}/cwd"))?;
        Ok(Look { root, user, working_directory })
    }
}

/// The directory in which the manifest wants this container.
fn spec_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a str> {
    let spec = pod.spec.as_ref()?;
    let mut all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    all.find(|known| known.name == container)?.working_dir.as_deref().filter(|directory| !directory.is_empty())
}

fn get_file(from: &File, metadata: &fs::Metadata, to: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).mode(metadata.permissions().mode() & 0o777 | 0o200);
    let (made, out) = match options.clone().create_new(true).open(to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (false, options.truncate(true).open(to)?),
        done => (true, done?),
    };
    let copied = copy_bytes(from, &out);
    // Half a file is none.
    if copied.is_err() && made {
        let _ = fs::remove_file(to);
    }
    copied
}

/// From the beginning on. Holes stay holes: a file of a container's may say that it has more bytes than a disk holds.
fn copy_bytes(from: &File, to: &File) -> io::Result<()> {
    let size = from.metadata()?.len();
    let (mut from, mut to) = (from, to);
    if !to.metadata()?.is_file() {
        from.rewind()?;
        return io::copy(&mut from.take(size), &mut to).map(drop);
    }
    let mut at = 0;
    while at < size {
        let data = match lseek(from, i64::try_from(at).unwrap_or(i64::MAX), Whence::SeekData) {
            Ok(data) => u64::try_from(data).unwrap_or(at),
            // Nothing but a hole is left.
            Err(Errno::ENXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let hole = lseek(from, i64::try_from(data).unwrap_or(i64::MAX), Whence::SeekHole)?;
        let hole = u64::try_from(hole).unwrap_or(size).min(size);
        from.seek(SeekFrom::Start(data))?;
        to.seek(SeekFrom::Start(data))?;
        io::copy(&mut from.take(hole.saturating_sub(data)), &mut to)?;
        if hole <= at {
            break;
        }
        at = hole;
    }
    to.set_len(size)
}

fn too_deep(place: &str) -> Failure {
    Failure::Error(format!("{place}: more than {DEEPEST} directories within each other"))
}

/// A name as it can be shown: what would do something to a terminal is written out.
fn shown(path: &Path) -> String {
    let mut shown = String::new();
    for c in path.to_string_lossy().chars() {
        match c.is_control() {
            true => shown.extend(c.escape_debug()),
            false => shown.push(c),
        }
    }
    shown
}

/// In the words of strerror(3).
fn plain(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno::from_raw(number).desc().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_are_read_as_kubectl_reads_them() {
        let pod = |word: &str| Place::parse(word).unwrap().pod;
        assert_eq!(pod("a/b"), None);
        assert_eq!(pod("web:/x"), Some((None, "web".to_owned())));
        assert_eq!(pod("shop/web:x"), Some((Some("shop".to_owned()), "web".to_owned())));
        assert!(Place::parse(":x").is_err() && Place::parse("a/b/c:x").is_err());
        assert_eq!((pod("./a:b"), pod("/a:b")), (None, None));
    }
}
