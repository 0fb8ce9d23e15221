//! The residue check is tried itself: one leak of each kind is planted and must be found.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::process::{Command, Stdio};

use common::residue::{self, Host};

/// Plants a leak, looks for a line of that kind that names it, takes the leak away.
fn found(kind: &str, name: &str, plant: impl FnOnce(), remove: impl FnOnce()) {
    let before = Host::now(None);
    plant();
    let added = Host::now(Some(&before)).added_since(&before);
    remove();
    assert!(
        added.iter().any(|line| line.starts_with(&format!("{kind}: ")) && line.contains(name)),
        "a leaked {kind} was not found among: {added:#?}"
    );
}

fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_leak_of_each_kind_is_found() {
    let guard = residue::Guard::new();

    // A process that has lost its parent, as a daemon would.
    let pid = std::cell::Cell::new(0);
    found(
        "process",
        "sleep",
        || {
            pid.set(
                sh("setsid sleep 1000 >/dev/null 2>&1 & until grep -q sleep /proc/$!/comm; do :; done; echo $!")
                    .parse()
                    .unwrap(),
            )
        },
        || drop(sh(&format!("kill -9 {}", pid.get()))),
    );
    let child = std::cell::RefCell::new(None);
    found(
        "namespace",
        "net:[",
        || {
            let mut command = Command::new("unshare");
            command.args(["-n", "sh", "-c", "echo ready; exec sleep 1000"]);
            let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
            std::io::Read::read_exact(process.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
            *child.borrow_mut() = Some(process);
        },
        || {
            let mut process = child.borrow_mut().take().unwrap();
            process.kill().unwrap();
            process.wait().unwrap();
        },
    );

    let directory = std::env::temp_dir().join(format!("podlet-leak-{}", std::process::id()));
    let place = directory.to_str().unwrap();
    fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
    found(
        "mount",
        place,
        || drop(sh(&format!("mount -t tmpfs tmpfs {place}"))),
        || drop(sh(&format!("umount {place}"))),
    );
    fs::remove_dir(&directory).unwrap();

    for root in cgroup_roots() {
        let leaf = format!("{root}/podlet-leak");
        found("cgroup", &leaf, || fs::create_dir(&leaf).unwrap(), || fs::remove_dir(&leaf).unwrap());
    }
    for root in ["/run", "/var/lib", "/var/log", "/tmp", "/dev/shm"] {
        let file = format!("{root}/leak-{}", std::process::id());
        found("file", &file, || fs::write(&file, "").unwrap(), || fs::remove_file(&file).unwrap());
    }
    found(
        "interface",
        "leak0",
        || drop(sh("ip link add leak0 type dummy || ip tuntap add leak0 mode tap")),
        || {
            drop(sh("ip link del leak0"));
        },
    );
    found(
        "rule",
        "fwmark 0x7ea",
        || drop(sh("ip rule add fwmark 0x7ea table 7777")),
        || {
            drop(sh("ip rule del fwmark 0x7ea table 7777"));
        },
    );
    let queue = std::cell::RefCell::new(String::new());
    found(
        "System V IPC",
        "msg",
        || *queue.borrow_mut() = sh("ipcmk -Q | sed 's/[^0-9]*//'"),
        || drop(sh(&format!("ipcrm -q {}", queue.borrow()))),
    );
    found(
        "keyring",
        "podlet-leak",
        || drop(sh("keyctl newring podlet-leak @u")),
        || {
            drop(sh("keyctl purge keyring podlet-leak"));
        },
    );
    let socket = std::cell::RefCell::new(None);
    let path = format!("@leak-{}", std::process::id());
    found(
        "socket",
        &path,
        || {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(&path[1..]).unwrap();
            *socket.borrow_mut() = Some(std::os::unix::net::UnixListener::bind_addr(&address).unwrap());
        },
        || drop(socket.borrow_mut().take()),
    );
    guard.finish();
}

/// One writable mount of each cgroup version that this machine has.
fn cgroup_roots() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut found: Vec<(String, String)> = Vec::new();
    for line in mounts.lines() {
        let (left, right) = line.split_once(" - ").unwrap();
        let kind = right.split_whitespace().next().unwrap().to_owned();
        let path = left.split_whitespace().nth(4).unwrap().to_owned();
        if kind.starts_with("cgroup") && !right.contains("cpuset") && found.iter().all(|(known, _)| *known != kind) {
            found.push((kind, path));
        }
    }
    found.into_iter().map(|(_, path)| path).collect()
}
