//! The tiny programs as descriptors to be executed. Made by whoever starts a keeper or a stage; nothing here executes one.
//!
//! A container may reach the program that runs in it by `/proc/<pid>/exe`, stage included, for the time before its exec.
//! So that is never a file of the host that could be written: it is a memfd sealed for good, or, where a machine lets no
//! memfd be executed (`vm.memfd_noexec=2`, see memfd_create(2) and the kernel's `sysctl/vm.rst`), a file seen through a
//! read-only mount of its own that is attached nowhere.

use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A tiny program. Its source is the file of its name in `pause/src/bin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Executes a table of system calls.
    Stage,
    /// Owns a pod's namespaces.
    Pause,
    /// Parent of everything in a pod.
    Keeper,
}

impl Program {
    /// Its name, which `/proc/<pid>/comm` shows.
    pub fn name(self) -> &'static str {
        match self {
            Program::Stage => "stage",
            Program::Pause => "pause",
            Program::Keeper => "keeper",
        }
    }

    /// The executable file's bytes.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Program::Stage => include_bytes!(concat!(env!("OUT_DIR"), "/stage")),
            Program::Pause => include_bytes!(concat!(env!("OUT_DIR"), "/pause")),
            Program::Keeper => include_bytes!(concat!(env!("OUT_DIR"), "/keeper")),
        }
    }

    /// A close-on-exec descriptor for execveat(2) with AT_EMPTY_PATH. `directory` is used only where memfds may not be
    /// executed; it is made when missing, must be the caller's own, and should not be on a mount with `noexec`.
    pub fn open(self, directory: &Path) -> io::Result<OwnedFd> {
        match self.sealed_memfd() {
            Ok(memfd) => Ok(memfd),
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => self.read_only_file(directory),
            Err(error) => Err(error),
        }
    }

    /// The same without the other way, for whoever wants to know whether memfds serve.
    pub(super) fn sealed_memfd(self) -> io::Result<OwnedFd> {
        let name = match self {
            Program::Stage => c"stage",
            Program::Pause => c"pause",
            Program::Keeper => c"keeper",
        };
        // Without MFD_EXEC a machine with vm.memfd_noexec=1 makes it not executable; before Linux 6.3 the flag is EINVAL.
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        let memfd = match memfd(name, flags | libc::MFD_EXEC) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => memfd(name, flags)?,
            other => other?,
        };
        let mut file = File::from(memfd);
        file.write_all(self.bytes())?;
        let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
        // SAFETY: fcntl on a descriptor of ours.
        check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }.into())?;
        Ok(file.into())
    }

    /// The other way: a file, as it is seen through a detached bind mount that is read-only. Root of a container could write
    /// a mere file once nothing executes it any more; through such a mount it gets EROFS.
    fn read_only_file(self, directory: &Path) -> io::Result<OwnedFd> {
        if let Err(error) = DirBuilder::new().mode(0o700).recursive(true).create(directory)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        let metadata = directory.symlink_metadata()?;
        // SAFETY: geteuid(2) cannot fail.
        if !metadata.is_dir() || metadata.uid() != unsafe { libc::geteuid() } || metadata.mode() & 0o077 != 0 {
            let message = format!("{}: must be a directory of mode 0700 of this user", directory.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        // Written under a name of its own and renamed, so that nobody executes half a program.
        let path = directory.join(self.name());
        let unfinished = directory.join(format!("{}.{}", self.name(), std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(self.bytes())?;
        // Pause is executed by a user of its own; the directory lets nobody else in.
        file.set_permissions(Permissions::from_mode(0o555))?;
        drop(file);
        std::fs::rename(&unfinished, &path)?;
        read_only_mount(&path)
    }
}

fn memfd(name: &CStr, flags: libc::c_uint) -> io::Result<OwnedFd> {
    // SAFETY: a C string; the result is a new descriptor that nobody else owns.
    unsafe {
        let fd = check(libc::memfd_create(name.as_ptr(), flags).into())?;
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

/// open_tree(OPEN_TREE_CLONE) makes a mount of the file alone, attached nowhere; mount_setattr(2) makes it read-only, and
/// executable though the directory's mount may be `noexec`.
fn read_only_mount(path: &Path) -> io::Result<OwnedFd> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: a C string; the result is a new descriptor that nobody else owns.
    let mount = unsafe {
        let fd = check(libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, name.as_ptr(), flags))?;
        OwnedFd::from_raw_fd(fd as i32)
    };
    // SAFETY: a structure of plain numbers.
    let mut attributes: libc::mount_attr = unsafe { std::mem::zeroed() };
    attributes.attr_set = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    attributes.attr_clr = libc::MOUNT_ATTR_NOEXEC;
    let size = size_of_val(&attributes);
    // SAFETY: the structure lives during the call, and its size is given.
    check(unsafe {
        let (empty, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
        libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), empty, flags, &raw const attributes, size)
    })?;
    Ok(mount)
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::process::ExitStatusExt;

    /// Runs it as `/proc/self/fd/N`, sends SIGTERM once it is there, and tells how it ended.
    fn pause_runs(program: &OwnedFd) {
        let inherited = program.as_fd().try_clone_to_owned().unwrap();
        let path = format!("/proc/self/fd/{}", inherited.as_raw_fd());
        let mut child = std::process::Command::new(path).spawn().unwrap();
        let comm = format!("/proc/{}/comm", child.id());
        while std::fs::read_to_string(&comm).unwrap() != "pause\n" {
            std::thread::yield_now();
        }
        let exe = format!("/proc/{}/exe", child.id());
        let written = OpenOptions::new().write(true).open(exe).and_then(|mut file| file.write_all(b"x"));
        // SAFETY: our own child.
        unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(0), None));
        assert!(written.is_err(), "the program could be written through /proc");
    }

    /// They are what must be read as if all of it were `unsafe`: so few that one does. What is neither blank nor a comment counts,
    /// of the programs and their way to the kernel, for both architectures; not what they share with podlet (table, message).
    #[test]
    fn the_tiny_programs_have_at_most_500_lines() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("pause/src");
        let mut counted = Vec::new();
        for directory in ["", "bin", "sys"] {
            for entry in std::fs::read_dir(source.join(directory)).unwrap() {
                let path = entry.unwrap().path();
                let shared = ["table.rs", "message.rs"].iter().any(|name| path.ends_with(name));
                if path.extension().is_some_and(|extension| extension == "rs") && !shared {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
                    counted.push((path, text.lines().filter(code).count()));
                }
            }
        }
        assert_eq!(counted.len(), 7, "{counted:?}");
        assert!(counted.iter().map(|(_, lines)| lines).sum::<usize>() <= 500, "{counted:?}");
    }

    #[test]
    fn pause_runs_from_a_sealed_memfd() {
        pause_runs(&Program::Pause.sealed_memfd().unwrap());
    }

    #[test]
    fn pause_runs_from_a_read_only_mount_where_memfds_may_not() {
        let directory = std::env::temp_dir().join(format!("podlet-programs-{}", std::process::id()));
        let program = Program::Pause.read_only_file(&directory).unwrap();
        pause_runs(&program);
        let exe = OpenOptions::new().write(true).open(format!("/proc/self/fd/{}", program.as_raw_fd()));
        assert_eq!(exe.unwrap_err().raw_os_error(), Some(libc::EROFS));
        std::fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(Program::Pause.read_only_file(&directory).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
