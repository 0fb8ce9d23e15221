//! Real stages, run as root. Each test lives in a mount namespace of its own, which takes the test's mounts with it, and
//! ends only processes that it started.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use k8s_openapi::api::core::v1::{ConfigMap, Container, Secret};
use serde_json::json;

use pause::sys::constant::CLONE_INTO_CGROUP;

use super::super::programs::Program as Tiny;
use super::*;
use crate::image::{Config, Image};

mod inside;
mod trace;

struct Shelf;

impl Objects for Shelf {
    fn config_map(&self, name: &str) -> Option<ConfigMap> {
        (name == "settings").then(|| serde_json::from_value(json!({"data": {"colour": "blue", "size": "7"}})).unwrap())
    }
    fn secret(&self, name: &str) -> Option<Secret> {
        (name == "db").then(|| serde_json::from_value(json!({"data": {"password": "aHVzaA=="}})).unwrap())
    }
}

/// A process that a stage became.
struct Child {
    pid: i32,
    status: File,
}

fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: waits for a child of this process.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, libc::__WALL) }, pid);
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

/// Does what the keeper does: clones, places descriptors, executes the stage.
fn spawn(prepared: &Prepared, directory: &Path) -> Child {
    spawn_after(prepared, directory, None)
}

/// [`spawn`]; with a gate, the child waits for a byte from it before it executes the stage.
fn spawn_after(prepared: &Prepared, directory: &Path, gate: Option<&OwnedFd>) -> Child {
    let stage = Tiny::Stage.open(directory).unwrap();
    let (status, status_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    // High numbers first, so that no dup2 meets a source.
    let high = |fd: &OwnedFd| nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(200)).unwrap();
    let mut moves: Vec<(i32, i32)> = vec![(high(&prepared.table), 3), (high(&status_end), 4)];
    moves.extend(prepared.descriptors.iter().map(|(fd, number)| (high(fd), i32::try_from(*number).unwrap())));
    let stage_number = high(&stage);
    let gate = gate.map(high);
    let mut arguments = [0u64; 11];
    arguments[0] = prepared.clone_flags;
    arguments[4] = libc::SIGCHLD as u64;
    if let Some(cgroup) = &prepared.cgroup {
        arguments[0] |= CLONE_INTO_CGROUP;
        arguments[10] = cgroup.as_raw_fd() as u64;
    }
    let argv = [c"stage".as_ptr(), std::ptr::null()];
    let environment: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: the child makes system calls only and ends by execveat or _exit.
    let pid = unsafe {
        let pid = libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) as i32;
        if pid == 0 {
            for (from, to) in &moves {
                libc::dup2(*from, *to);
            }
            if let Some(gate) = gate {
                let mut byte = 0u8;
                libc::read(gate, (&raw mut byte).cast(), 1);
            }
            libc::syscall(
                libc::SYS_execveat,
                stage_number,
                c"".as_ptr(),
                argv.as_ptr(),
                environment.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
            libc::_exit(99);
        }
        pid
    };
    assert!(pid > 0, "{}", io::Error::last_os_error());
    for (number, _) in moves.into_iter().chain([stage_number].into_iter().chain(gate).map(|n| (n, 0))) {
        // SAFETY: a duplicate made above.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
    Child { pid, status: status.into() }
}

impl Child {
    /// `None` when the program runs, else the failed entry and errno.
    fn failure(&mut self) -> Option<(u32, i32)> {
        let mut packet = Vec::new();
        self.status.read_to_end(&mut packet).unwrap();
        if packet.is_empty() {
            return None;
        }
        let word = |at: usize| u32::from_ne_bytes(packet[at..at + 4].try_into().unwrap());
        Some((word(4), word(8) as i32))
    }
}

/// A pod on an image that is busybox.
struct World {
    root: PathBuf,
    paths: Paths,
    pod: Pod,
    image: Image,
    pause: Child,
    pidfd: OwnedFd,
    seccomp_default: SeccompDefault,
    objects: Box<dyn Objects>,
}

const APPLETS: [&str; 24] = [
    "sh", "cat", "ls", "id", "mount", "hostname", "grep", "sleep", "env", "stat", "echo", "touch", "readlink", "tr",
    "sort", "pwd", "ip", "dd", "head", "kill", "mknod", "chroot", "wc", "unshare",
];

impl World {
    fn new(name: &str, spec: serde_json::Value) -> World {
        let pod = json!({"metadata": {"name": "web", "namespace": "default"}, "spec": spec});
        World::of(name, serde_json::from_value(pod).unwrap(), Box::new(Shelf))
    }

    fn of(name: &str, mut pod: Pod, objects: Box<dyn Objects>) -> World {
        // SAFETY: unshares this thread's mount namespace and its file system attributes; no pointers.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0, "these tests need root");
        let none: Option<&str> = None;
        let flags = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
        nix::mount::mount(none, "/", none, flags, none).unwrap();
        let root = std::env::temp_dir().join(format!("podlet-plan-{}-{name}", std::process::id()));
        let paths = Paths { run: root.join("run"), state: root.join("state"), logs: root.join("logs") };
        let layer = root.join("layer");
        for directory in ["bin", "etc", "tmp", "home/app"] {
            fs::create_dir_all(layer.join(directory)).unwrap();
        }
        fs::copy("/bin/busybox", layer.join("bin/busybox")).expect("busybox-static is installed");
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", layer.join("bin").join(applet)).unwrap();
        }
        fs::write(layer.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")
            .unwrap();
        fs::write(layer.join("etc/group"), "root:x:0:\napp:x:1000:\nstaff:x:50:app\n").unwrap();
        fs::write(layer.join("bin/script"), "#!/no/interpreter\n").unwrap();
        fs::set_permissions(layer.join("bin/script"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(layer.join("bin/garbage"), "garbage").unwrap();
        fs::set_permissions(layer.join("bin/garbage"), fs::Permissions::from_mode(0o755)).unwrap();
        pod.metadata.uid = Some(format!("test-{}-{name}", std::process::id()));
        let image = Image {
            reference: "localhost/busybox:1".into(),
            id: "sha256:0".into(),
            repo_digest: None,
            config: Config { env: vec!["PATH=/bin".into()], ..Config::default() },
            layers: vec![layer],
            binds: Vec::new(),
            size: 0,
        };
        let context = PodContext {
            pod: &pod,
            paths: &paths,
            seccomp_default: SeccompDefault::RuntimeDefault,
            objects: &*objects,
            trace: false,
            pids_limit: None,
            ignore_image_volumes: false,
        };
        prepare_pod(&context).unwrap();
        prepare_pod(&context).expect("a second time finds all in place");
        let prepared = prepare_sandbox(&context).unwrap();
        let mut pause = spawn(&prepared, &root.join("programs"));
        assert_eq!(pause.failure().map(|(entry, errno)| explain_failure(&prepared, entry, errno)), None);
        // SAFETY: a child of this process that has not been waited for.
        let pidfd = unsafe { OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, pause.pid, 0) as i32) };
        World { root, paths, pod, image, pause, pidfd, seccomp_default: SeccompDefault::RuntimeDefault, objects }
    }

    fn context(&self) -> PodContext<'_> {
        PodContext {
            pod: &self.pod,
            paths: &self.paths,
            seccomp_default: self.seccomp_default,
            objects: &*self.objects,
            trace: false,
            pids_limit: None,
            ignore_image_volumes: false,
        }
    }

    fn container(&self) -> &Container {
        &self.pod.spec.as_ref().unwrap().containers[0]
    }

    fn prepare(&self, output: &OwnedFd) -> Result<Prepared, StartFailure> {
        let null = File::open("/dev/null").unwrap();
        let stdio = [null.as_fd(), output.as_fd(), output.as_fd()];
        prepare_container(&self.context(), self.container(), 0, &self.image, self.pidfd.as_fd(), stdio)
    }

    /// Runs the container to its end: its exit code and output, or why it could not start.
    fn run(&self) -> Result<(i32, String), StartFailure> {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let prepared = self.prepare(&writer)?;
        drop(writer);
        let outcome = self.run_prepared(prepared, reader);
        remove_instance(&self.context(), &self.container().name, 0).unwrap();
        outcome
    }

    fn run_prepared(&self, mut prepared: Prepared, reader: OwnedFd) -> Result<(i32, String), StartFailure> {
        let mut child = spawn(&prepared, &self.root.join("programs"));
        // Only the child may hold the pipe's end, or it never ends.
        prepared.descriptors.clear();
        if let Some((entry, errno)) = child.failure() {
            let why = explain_failure(&prepared, entry, errno);
            wait(child.pid);
            return Err(why);
        }
        let mut last = child.pid;
        if prepared.second {
            assert_eq!(wait(child.pid), 0);
            last = second_of(&prepared);
        }
        let mut output = String::new();
        File::from(reader).read_to_string(&mut output).unwrap();
        Ok((wait(last), output))
    }
}

/// The pid that the kernel wrote into the table.
fn second_of(prepared: &Prepared) -> i32 {
    use std::os::unix::fs::FileExt;
    let mut word = [0; 4];
    let table = File::from(prepared.table.try_clone().unwrap());
    table.read_exact_at(&mut word, pause::table::SECOND_OFFSET as u64).unwrap();
    i32::from_ne_bytes(word)
}

impl Drop for World {
    fn drop(&mut self) {
        // SAFETY: a child of this process that has not been waited for.
        unsafe { libc::kill(self.pause.pid, libc::SIGKILL) };
        wait(self.pause.pid);
        // After a failed assertion a container may still run.
        let cgroup = Cgroup::of_pod(self.context().uid());
        for pid in cgroup.processes() {
            // SAFETY: everything in this cgroup is a child of this process.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            wait(pid);
        }
        let torn = tear_down(&self.context());
        let _ = fs::remove_dir_all(&self.root);
        if !std::thread::panicking() {
            torn.unwrap();
        }
    }
}
fn shell(script: &str) -> serde_json::Value {
    json!({"name": "c", "image": "busybox", "command": ["sh", "-c", script]})
}

fn with(mut container: serde_json::Value, key: &str, value: serde_json::Value) -> serde_json::Value {
    container[key] = value;
    container
}

fn output(name: &str, container: serde_json::Value) -> String {
    let world = World::new(name, json!({"containers": [container]}));
    let (code, output) = world.run().unwrap();
    assert_eq!(code, 0, "{output}");
    output
}
