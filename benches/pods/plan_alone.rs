//! The second yardstick: exactly podlet's own calls and nothing around them. The same preparation and the same plans as a
//! real pod's (cgroups with limits, overlay, all default mounts, seccomp), handed to the same stage, but from one program
//! that clones directly: no command line, no keeper, no supervisor, no journal, no log.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use podlet::image::Image;
use podlet::linux::container::{self, Objects, PodContext, Prepared, SeccompDefault};
use podlet::linux::programs::Program;
use podlet::paths::Paths;

use crate::bare::{clone3, pidfd_open, wait};
use crate::figures::now;
use crate::subject::{between, clocks};

struct NoObjects;

impl Objects for NoObjects {
    fn config_map(&self, _: &str) -> Option<ConfigMap> {
        None
    }
    fn secret(&self, _: &str) -> Option<Secret> {
        None
    }
}

/// One pod with so many containers: milliseconds from the first call of the preparation to the last container's first clock.
pub fn start(root: &Path, image: &Image, containers: usize) -> f64 {
    let paths = Paths { run: root.join("alone-run"), state: root.join("alone-state"), logs: root.join("alone-logs") };
    let limits =
        serde_json::json!({"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "1", "memory": "64Mi"}});
    let list: Vec<_> = (0..containers)
        .map(|number| {
            serde_json::json!({"name": format!("c{number}"), "image": "podlet.local/actor", "args": ["clock"],
                "resources": limits, "terminationMessagePath": "/dev/termination-log"})
        })
        .collect();
    let pod: Pod = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "alone", "namespace": "default", "uid": format!("bench-alone-{}", std::process::id())},
        "spec": {"containers": list}
    }))
    .expect("a pod");
    let context = PodContext {
        pod: &pod,
        paths: &paths,
        seccomp_default: SeccompDefault::RuntimeDefault,
        objects: &NoObjects,
        trace: false,
        pids_limit: None,
        ignore_image_volumes: false,
    };
    let output_path = root.join("alone.out");
    let output: OwnedFd = std::fs::File::create(&output_path).expect("a file for the clocks").into();
    let null: OwnedFd = std::fs::File::open("/dev/null").expect("/dev/null").into();
    let stage = Program::Stage.open(&root.join("programs")).expect("the stage");

    let begin = now();
    container::prepare_pod(&context).expect("the pod is prepared");
    let pause = spawn(&container::prepare_sandbox(&context).expect("the sandbox is prepared"), &stage);
    let sandbox = pidfd_open(pause).expect("a pidfd of pause");
    let mut running = Vec::new();
    for spec in pod.spec.iter().flat_map(|spec| &spec.containers) {
        let stdio = [null.as_fd(), output.as_fd(), output.as_fd()];
        let prepared = container::prepare_container(&context, spec, 0, image, sandbox.as_fd(), stdio)
            .unwrap_or_else(|failure| panic!("{failure}"));
        running.push(spawn(&prepared, &stage));
    }
    for pid in running {
        wait(pid);
    }
    let last = clocks(&output_path).into_iter().max().expect("the actor printed its clock");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pause), nix::sys::signal::Signal::SIGKILL)
        .expect("pause is killed");
    wait(pause);
    container::tear_down(&context).expect("nothing is left");
    between(begin, last)
}

/// What the keeper does: clones, puts each descriptor at its number, executes the stage; and waits for the stage's word.
fn spawn(prepared: &Prepared, stage: &OwnedFd) -> i32 {
    let (status, status_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
    // High numbers first, so that no dup2 meets a source.
    let high = |fd: BorrowedFd<'_>| {
        nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(200)).expect("a descriptor number")
    };
    let mut moves = vec![(high(prepared.table.as_fd()), 3), (high(status_end.as_fd()), 4)];
    moves.extend(prepared.descriptors.iter().map(|(fd, number)| (high(fd.as_fd()), *number as i32)));
    let cgroup = prepared.cgroup.as_ref().map(AsFd::as_fd);
    let pid = clone3(prepared.clone_flags, cgroup).expect("a clone");
    if pid == 0 {
        let argv = [c"stage".as_ptr(), std::ptr::null()];
        let environment: [*const libc::c_char; 1] = [std::ptr::null()];
        // SAFETY: the child of a clone without CLONE_VM in a program with one thread: system calls only, then exec or _exit.
        unsafe {
            for (from, to) in &moves {
                libc::dup2(*from, *to);
            }
            libc::syscall(
                libc::SYS_execveat,
                stage.as_raw_fd(),
                c"".as_ptr(),
                argv.as_ptr(),
                environment.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
            libc::_exit(99)
        }
    }
    for (number, _) in moves {
        nix::unistd::close(number).expect("a duplicate is closed");
    }
    drop(status_end);
    let mut word = [0; 64];
    let length = nix::unistd::read(&status, &mut word).expect("the stage's word");
    assert_eq!(length, 0, "the stage failed: {:?}", word.get(..length));
    pid
}
