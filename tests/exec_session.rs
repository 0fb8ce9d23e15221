//! An exec goes on over the death of the pod's supervisor, and its code is answered by the next one.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use common::podlet::{Podlet, container, text, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use podlet::paths::Paths;
use podlet::supervisor::client::ClientError;
use podlet::supervisor::exec_session::{ExecSession, Step};

const POD: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"hostNetwork": true,
    "terminationGracePeriodSeconds": 1,
    "containers": [{"name": "a", "image": "podlet.local/host", "command": ["sleep", "1000"]}]}}"#;

/// The pod's supervisor, by its name among the processes of the keeper's cgroup.
fn supervisor(uid: &str) -> i32 {
    let is = |pid: &i32| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        read("cgroup").contains(&format!("keeper{uid}")) && read("cmdline").contains("supervise")
    };
    let mut all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    all.find(is).unwrap_or(0)
}

fn kill_supervisor(uid: &str) {
    let old = supervisor(uid);
    assert!(old > 0, "no supervisor of {uid}");
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    until("the keeper starts another supervisor", || {
        let new = supervisor(uid);
        new > 0 && new != old
    });
}

fn end(session: &mut ExecSession) -> i32 {
    loop {
        if let Step::Ended(code) = session.step().unwrap() {
            return code;
        }
    }
}

#[test]
fn an_exec_survives_its_supervisor() {
    let podlet = Podlet::new();
    podlet.apply(POD);
    let pod = podlet.wait("web", |pod| container(pod, "a")["state"]["running"].is_object());
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let paths =
        Paths { run: podlet.root.join("run"), state: podlet.root.join("state"), logs: podlet.root.join("logs") };
    let start = |script: &str| {
        let (stdin, mut into) = std::io::pipe().unwrap();
        let (mut from, stdout) = std::io::pipe().unwrap();
        let command: Vec<String> = ["sh", "-c", script].map(str::to_owned).to_vec();
        let null: OwnedFd = fs::File::open("/dev/null").unwrap().into();
        let mut session =
            ExecSession::start(&paths, uid, "a", &command, false, [stdin.into(), stdout.into(), null]).unwrap();
        assert!(matches!(session.step().unwrap(), Step::Started { pid } if pid > 0));
        into.write_all(b"one\n").unwrap();
        let mut line = [0; 4];
        from.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"one\n");
        (session, into, from)
    };

    // It runs on while there is no supervisor, and ends under the next.
    let (mut session, mut into, mut from) = start("cat; exit 7");
    kill_supervisor(uid);
    into.write_all(b"two\n").unwrap();
    drop(into);
    let mut rest = Vec::new();
    from.read_to_end(&mut rest).unwrap();
    assert_eq!(text(&rest), "two\n");
    assert_eq!(end(&mut session), 7);

    // It has ended, and the supervisor that knew dies before anybody asked: the journal knows.
    let (mut session, into, mut from) = start("cat; exit 8");
    kill_supervisor(uid);
    drop(into);
    from.read_to_end(&mut rest).unwrap();
    kill_supervisor(uid);
    assert_eq!(end(&mut session), 8);

    // What cannot be run is said.
    let null = || -> OwnedFd { fs::File::options().read(true).write(true).open("/dev/null").unwrap().into() };
    let mut session =
        ExecSession::start(&paths, uid, "a", &["/no/such".to_owned()], false, [null(), null(), null()]).unwrap();
    assert!(matches!(session.step(), Err(ClientError::Refused(message)) if message.contains("/no/such")));
    podlet.finish();
}
