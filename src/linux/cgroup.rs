//! cgroups v1, v2 and hybrid, found out at run time. A pod is `podlet/pod<uid>` in each hierarchy that serves, a container
//! `podlet/pod<uid>/<name>`, pause `podlet/pod<uid>/_pause` (no container's name has an underscore).
//!
//! v1 is used controller by controller (cpu, memory; freezer and devices only where cgroup v2 does not do their work); a cgroup v2 mount,
//! where there is one, is joined too, because `cgroup.kill` is the one kill that nothing escapes.

mod kill;
mod layout;
mod limits;

use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use layout::Layout;

/// The root of podlet's cgroups in each hierarchy.
const ROOT: &str = "podlet";
/// What pause's cgroup is called within the pod's.
const PAUSE: &str = "_pause";

/// The ways into a cgroup that do not stop the machine: a write to `cgroup.procs` waits for an RCU grace period (4 to 20 ms)
/// in which no process forks or ends.
#[derive(Debug)]
pub struct Entrance {
    /// The v2 directory, for CLONE_INTO_CGROUP: a process is made in it.
    pub unified: Option<OwnedFd>,
    /// `tasks` of each v1 controller, open for writing: a process with one thread that writes `0` goes in. Only that moves
    /// a single thread, which the kernel does without the lock.
    pub tasks: Vec<OwnedFd>,
}

/// The cgroups of one pod or of one container in it, in every hierarchy that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// (name of the hierarchy, directory).
    directories: Vec<(&'static str, PathBuf)>,
}

fn make(directory: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match fs::create_dir_all(directory) {
            // Between its making and that of what is below, another pod's end may have removed podlet's root as empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 10 => tries += 1,
            done => return done,
        }
    }
}

/// Writes a kernel file in one write(2), as cgroupfs wants it; the file must exist.
fn put(path: &Path, value: &str) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(value.as_bytes())).map_err(named)
}

impl Cgroup {
    fn at(below: &str) -> Cgroup {
        let layout = Layout::of_machine();
        let directories = layout.hierarchies.iter().map(|h| (h.name, h.mount.join(ROOT).join(below))).collect();
        Cgroup { directories }
    }

    /// The pod's.
    pub fn of_pod(uid: &str) -> Cgroup {
        Cgroup::at(&format!("pod{uid}"))
    }

    /// A container's.
    pub fn of_container(uid: &str, container: &str) -> Cgroup {
        Cgroup::at(&format!("pod{uid}/{container}"))
    }

    /// That of pause.
    pub fn of_pause(uid: &str) -> Cgroup {
        Cgroup::of_container(uid, PAUSE)
    }

    /// That of a pod's keeper and supervisor, outside the pod's own.
    pub fn of_keeper(uid: &str) -> Cgroup {
        Cgroup::at(&format!("keeper{uid}"))
    }

    /// Names of the hierarchies; those of v1 in the order of [`Entrance::tasks`].
    pub fn hierarchies(&self) -> Vec<String> {
        self.directories.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    /// The directory in a hierarchy.
    pub fn directory(&self, hierarchy: &str) -> Option<&Path> {
        self.directories.iter().find(|(name, _)| *name == hierarchy).map(|(_, directory)| directory.as_path())
    }

    /// Whether it is there, in any hierarchy.
    pub fn exists(&self) -> bool {
        self.directories.iter().any(|(_, directory)| directory.exists())
    }

    /// Makes it, and on cgroup v2 hands the controllers down to it from the mount on.
    pub fn create(&self) -> io::Result<()> {
        for (name, directory) in &self.directories {
            make(directory)?;
            if *name == "unified" && Layout::of_machine().is_unified() {
                let mut levels: Vec<&Path> = directory.ancestors().skip(1).take(2).collect();
                levels.reverse();
                levels.into_iter().for_each(hand_down);
            }
        }
        Ok(())
    }

    /// Makes it anew within the pod's: counters from zero, nothing charged. What an earlier instance left is killed first.
    pub fn create_fresh(&self) -> io::Result<()> {
        for (name, directory) in &self.directories {
            if let ("unified", true, Some(pod)) = (*name, Layout::of_machine().is_unified(), directory.parent()) {
                hand_down(pod);
            }
            match fs::create_dir(directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if fs::remove_dir(directory).is_err() {
                        self.kill()?;
                        remove_directory(directory)?;
                    }
                    fs::create_dir(directory)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(directory)?,
                done => done?,
            }
        }
        Ok(())
    }

    /// What a process needs to get in.
    pub fn entrance(&self) -> io::Result<Entrance> {
        let mut entrance = Entrance { unified: None, tasks: Vec::new() };
        for (name, directory) in &self.directories {
            if *name == "unified" {
                let flags = libc::O_PATH | libc::O_DIRECTORY;
                let opened = fs::OpenOptions::new().read(true).custom_flags(flags).open(directory)?;
                entrance.unified = Some(opened.into());
            } else {
                entrance.tasks.push(fs::OpenOptions::new().write(true).open(directory.join("tasks"))?.into());
            }
        }
        Ok(entrance)
    }

    /// Puts a process in.
    pub fn add(&self, pid: i32) -> io::Result<()> {
        self.directories.iter().try_for_each(|(_, directory)| put(&directory.join("cgroup.procs"), &pid.to_string()))
    }

    /// Removes it and what is below; it must be empty. Gone already is no error.
    pub fn remove(&self) -> io::Result<()> {
        self.directories.iter().try_for_each(|(_, directory)| remove_directory(directory))
    }

    /// Takes what is in it (not below) out, to the root of the hierarchy, removes it, and podlet's root with it when nothing
    /// else is in that. For the keeper's cgroup at the pod's end: nobody can remove the cgroup that he is in, and what is
    /// taken out ends within milliseconds. Gone already is no error.
    ///
    /// In a cgroup namespace the root that is seen may be one that on v2 takes no processes (EBUSY, cgroups(7)): then it
    /// stays, empty, until `delete` comes by.
    pub fn vacate(&self) -> io::Result<()> {
        let mut done = Ok(());
        for (hierarchy, (_, directory)) in Layout::of_machine().hierarchies.iter().zip(&self.directories) {
            let vacated = vacate_directory(directory, &hierarchy.mount);
            // Refused where there are cgroups of other pods.
            let _ = fs::remove_dir(hierarchy.mount.join(ROOT));
            done = done.and(vacated);
        }
        done
    }
}

fn vacate_directory(directory: &Path, root: &Path) -> io::Result<()> {
    // More than once: the keeper may just be starting a supervisor.
    for _ in 0..10 {
        let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        if processes.is_empty() {
            break;
        }
        for pid in processes.lines() {
            let to = root.join("cgroup.procs");
            match fs::OpenOptions::new().write(true).open(&to).and_then(|mut file| file.write_all(pid.as_bytes())) {
                // It has ended meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", to.display()))),
                Ok(()) => {}
            }
        }
    }
    remove_directory(directory)
}

/// Switches controllers on for the children of a cgroup. One with processes of its own refuses (EBUSY), but for the real
/// root; what is below goes without then ([`Cgroup::without_effect`]).
fn hand_down(level: &Path) {
    let control = level.join("cgroup.subtree_control");
    if put(&control, "+cpu +memory +pids").is_err() {
        // The kernel takes all or none, and this machine may lack one.
        for controller in ["+cpu", "+memory", "+pids"] {
            let _ = put(&control, controller);
        }
    }
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.flatten().filter(is_directory).map(|entry| entry.path()).collect()
}

fn remove_directory(directory: &Path) -> io::Result<()> {
    for child in subdirectories(directory) {
        remove_directory(&child)?;
    }
    // The last process may have been reaped an instant ago: the kernel says EBUSY until it has let go.
    let mut tries = 0;
    loop {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && tries < 50 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", directory.display()))),
            Ok(()) => return Ok(()),
        }
    }
}
