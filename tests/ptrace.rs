//! Who enters a container has nothing left to steal: a container that may trace processes and looks into every process that
//! comes into its PID namespace sees nothing of the host, over hundreds of execs and some commands of probes. The same attacker is tried against a
//! process that does it the wrong way round (nsenter, which enters the PID namespace before it leaves the host's root), and
//! must catch it: else the test proves nothing.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use common::podlet::{Podlet, container};

/// Where the test's directory is mounted in the container.
const SHARED: &str = "/shared";
/// The attacker's part of this program runs only when this is set.
const ATTACK: &str = "PODLET_TEST_ATTACK";
const EXECS: usize = 500;
/// Each leaves a byte.
const PROBES: u64 = 10;

fn manifest(shared: &Path, program: &Path, secret: &Path) -> String {
    let program_directory = program.parent().unwrap().display();
    let name = program.file_name().unwrap().to_str().unwrap();
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata:
  name: attacker
spec:
  restartPolicy: Never
  containers:
  - name: app
    image: podlet.local/host
    command: ["/programs/{name}", "--exact", "attacker", "--nocapture"]
    env:
    - {{name: {ATTACK}, value: "{secret}"}}
    securityContext:
      capabilities:
        add: [SYS_PTRACE]
    readinessProbe: {{exec: {{command: [sh, -c, "echo >>{SHARED}/probes"]}}, periodSeconds: 1, timeoutSeconds: 60}}
    volumeMounts:
    - {{name: programs, mountPath: /programs, readOnly: true}}
    - {{name: shared, mountPath: {SHARED}}}
  volumes:
  - name: programs
    hostPath: {{path: {program_directory}, type: Directory}}
  - name: shared
    hostPath: {{path: {shared}, type: Directory}}
"#,
        secret = secret.display(),
        shared = shared.display(),
    )
}

/// Inside the container: looks into every other process until told to stop, and writes what it could open.
#[test]
fn attacker() {
    let Ok(secret) = std::env::var(ATTACK) else { return };
    let myself = std::process::id().to_string();
    let own_devices: Vec<u64> = ["/", "/proc", "/dev", "/sys", SHARED, "/programs", "/usr"]
        .iter()
        .filter_map(|path| fs::metadata(path).ok().map(|meta| meta.dev()))
        .collect();
    let mut opened = Vec::new();
    let mut looks = 0_u64;
    fs::write(format!("{SHARED}/ready"), "").unwrap();
    while !Path::new(SHARED).join("stop").exists() {
        for _ in 0..200 {
            for entry in fs::read_dir("/proc").unwrap().flatten() {
                let pid = entry.file_name().to_string_lossy().into_owned();
                if pid.parse::<u32>().is_err() || pid == myself {
                    continue;
                }
                looks += 1;
                let through_root = format!("/proc/{pid}/root{secret}");
                if fs::read(&through_root).is_ok() {
                    opened.push(through_root);
                    fs::write(format!("{SHARED}/caught"), "").unwrap();
                }
                for descriptor in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
                    let link = fs::read_link(descriptor.path()).unwrap_or_default();
                    let Ok(meta) = fs::metadata(descriptor.path()) else { continue };
                    // The stage's own table is a memfd: it holds what this container's program gets anyway.
                    let of_host = (meta.is_file() || meta.is_dir())
                        && !own_devices.contains(&meta.dev())
                        && !link.to_string_lossy().starts_with("/memfd:");
                    if of_host {
                        opened.push(format!("{} -> {}", descriptor.path().display(), link.display()));
                    }
                }
            }
        }
    }
    opened.dedup();
    fs::write(format!("{SHARED}/result"), format!("{looks}\n{}", opened.join("\n"))).unwrap();
}

/// Runs the attacker while `enter`, which is given the pod's uid and a file that is there once it has read the secret,
/// brings processes into its PID namespace; answers what it opened.
fn attack(podlet: &Podlet, enter: impl Fn(&str, &Path)) -> Vec<String> {
    let shared = podlet.root.join("shared");
    let secret = podlet.root.join("secret");
    fs::create_dir_all(&shared).unwrap();
    fs::write(&secret, "of the host").unwrap();
    podlet.apply(&manifest(&shared, &std::env::current_exe().unwrap(), &secret));
    let pod = podlet.wait("attacker", |pod| {
        assert!(container(pod, "app")["state"]["terminated"].is_null(), "{:#}", pod["status"]);
        shared.join("ready").exists() || container(pod, "app")["state"]["running"].is_object()
    });
    common::podlet::until("the attacker is ready", || shared.join("ready").exists());
    enter(pod["metadata"]["uid"].as_str().unwrap(), &shared.join("caught"));
    fs::write(shared.join("stop"), "").unwrap();
    podlet.wait("attacker", |pod| pod["status"]["phase"] == "Succeeded");
    let result = fs::read_to_string(shared.join("result")).unwrap();
    let (looks, opened) = result.split_once('\n').unwrap();
    println!("the attacker looked {looks} times into other processes");
    let looks: u64 = looks.parse().unwrap();
    assert!(looks > 0, "the attacker never saw another process");
    opened.lines().map(str::to_owned).collect()
}

#[test]
fn a_tracing_container_opens_nothing_of_the_host_during_execs_and_probes() {
    let podlet = Podlet::new();
    let opened = attack(&podlet, |_, caught| {
        for _ in 0..EXECS {
            podlet.succeed(&["exec", "attacker", "--", "true"]);
        }
        let probes = || fs::metadata(caught.with_file_name("probes")).map_or(0, |file| file.len());
        common::podlet::until("some probes have run", || probes() >= PROBES);
    });
    assert!(opened.is_empty(), "opened of the host: {opened:#?}");
    podlet.finish();
}

#[test]
fn the_same_attacker_catches_one_who_enters_the_pid_namespace_first() {
    let podlet = Podlet::new();
    let opened = attack(&podlet, |uid, caught| {
        let pid = common::podlet::processes_of(uid)
            .into_iter()
            .find(|pid| {
                fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.starts_with("/programs/"))
            })
            .unwrap();
        // On an idle machine it reads the secret of every second one; on one core it must be let run within that moment.
        common::podlet::until("the attacker catches one, or it is too weak to prove anything", || {
            assert!(Command::new("nsenter").args(["-p", "-t", &pid.to_string(), "true"]).status().unwrap().success());
            caught.exists()
        });
    });
    assert!(!opened.is_empty());
    podlet.finish();
}
