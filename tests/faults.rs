//! The machine runs out of something, or somebody changes beneath a pod what podlet has made: what cannot be done now is said
//! and done later, and what is deleted goes. `docs/reliability.md` has the list.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::kills::{self, Part};
use common::podlet::{PROGRAM, Podlet, container, processes_of, text, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A pod with one container, `a`, of these fields.
fn pod(name: &str, fields: Value) -> Value {
    let mut container = json!({"name": "a", "image": "podlet.local/host", "command": ["sleep", "100000"]});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"hostNetwork": true, "terminationGracePeriodSeconds": 2, "containers": [container]}
    })
}

fn script(text: &str) -> Value {
    json!({"command": ["sh", "-c", text]})
}

fn is_running(pod: &Value) -> bool {
    container(pod, "a")["state"]["running"].is_object()
}

fn has_run(pod: &Value, restarts: u64) -> bool {
    is_running(pod) && container(pod, "a")["restartCount"].as_u64() >= Some(restarts)
}

/// Applies it and waits until it runs; answers its uid.
fn run(podlet: &Podlet, pod: &Value) -> String {
    // Who is looked at must be there.
    let output = podlet.try_apply(&pod.to_string(), &["--sleep-after=never"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    kills::uid(&podlet.wait(pod["metadata"]["name"].as_str().unwrap(), is_running))
}

fn command(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Waits for an event whose message has these words.
fn wait_for_event(podlet: &Podlet, name: &str, words: &str) {
    let events = || podlet.succeed(&["events", "--for", &format!("pod/{name}")]);
    until(words, || events().contains(words));
}

/// Clock ticks (hundredths of a second) of CPU time that a process has had, proc_pid_stat(5).
fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// All cgroups that name the pod, the deepest first.
fn cgroups_of(uid: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut stack = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = stack.pop() {
        let listing = fs::read_dir(&directory).into_iter().flatten().flatten();
        stack.extend(listing.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()));
        if directory.to_string_lossy().contains(uid) {
            found.push(directory);
        }
    }
    found.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    found
}

fn delete_now(podlet: &Podlet, name: &str, uid: &str) {
    podlet.succeed(&["delete", "pod", name, "--now"]);
    assert_eq!(processes_of(uid), Vec::<i32>::new(), "left of {name}");
}

#[test]
fn a_supervisor_without_descriptors_waits_for_them_and_goes_on() {
    let podlet = Podlet::new();
    let uid = run(&podlet, &pod("web", json!({})));
    let supervisor = Part::Supervisor.wait(&uid);
    // Not one more: below the first free number all are in use.
    let free = (0..).find(|number| !Path::new(&format!("/proc/{supervisor}/fd/{number}")).exists()).unwrap();
    let limit = |soft: u64| {
        command("prlimit", &["--pid", &supervisor.to_string(), &format!("--nofile={soft}:")]);
    };
    limit(free);
    let mut client = podlet.command(&["get", "pod", "web"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    kills::send(kills::program(&uid, "a"), Signal::SIGKILL);
    let before = ticks(supervisor);
    std::thread::sleep(Duration::from_secs(2));
    let spent = ticks(supervisor) - before;
    assert!(spent < 100, "without descriptors it spent {spent} hundredths of two seconds");
    limit(1024);
    client.wait().unwrap();
    podlet.wait("web", |pod| has_run(pod, 1));
    assert_eq!(Part::Supervisor.wait(&uid), supervisor, "it has lived through it");
    delete_now(&podlet, "web", &uid);
    podlet.finish();
}

/// SIGPIPE comes of a client that dies while it is shown something, SIGHUP of a terminal that goes away.
#[test]
fn signals_that_mean_nothing_to_a_supervisor_leave_it_as_it_is() {
    let podlet = Podlet::new();
    let uid = run(&podlet, &pod("web", json!({})));
    let supervisor = Part::Supervisor.wait(&uid);
    for (signal, restarts) in [(Signal::SIGPIPE, 1), (Signal::SIGHUP, 2)] {
        kills::send(supervisor, signal);
        podlet.succeed(&["restart", "web"]);
        podlet.wait("web", |pod| has_run(pod, restarts));
    }
    assert_eq!(Part::Supervisor.wait(&uid), supervisor, "it has lived through it");
    delete_now(&podlet, "web", &uid);
    podlet.finish();
}

/// With each limit the pod runs, or one message says why not and nothing is left.
#[test]
fn apply_with_few_descriptors_runs_the_pod_or_leaves_nothing() {
    let podlet = Podlet::new();
    let manifest = podlet.root.join("pod.yaml");
    fs::write(&manifest, pod("web", json!({})).to_string()).unwrap();
    let all = kills::budget(1) == usize::MAX;
    let limits: Vec<u64> = if all { (3..160).collect() } else { vec![3, 8, 16, 24, 40, 64, 80, 128, 256] };
    let mut worked = Vec::new();
    for limit in limits {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}:{limit}")).arg(PROGRAM).arg("apply").arg(&manifest);
        let output = command.envs(podlet.environment()).output().unwrap();
        let said = text(&output.stderr);
        if output.status.success() {
            let uid = kills::uid(&podlet.pod("web"));
            delete_now(&podlet, "web", &uid);
            worked.push(limit);
        } else {
            assert!(said.contains("open files"), "with {limit} descriptors: {said:?}");
            assert_eq!(podlet.succeed(&["get", "pods", "-o", "name"]), "", "with {limit} descriptors");
        }
        for directory in ["run/pods", "state/pods", "state/names"] {
            let left = fs::read_dir(podlet.root.join(directory)).map_or(0, Iterator::count);
            assert_eq!(left, 0, "with {limit} descriptors something is left in {directory}");
        }
    }
    assert!(!worked.is_empty(), "no number was enough");
    println!("enough: {worked:?}");
    podlet.finish();
}

/// A cgroup of the test's in which no process may be made.
struct NoForks(PathBuf);

impl NoForks {
    /// The processes that are in it from here on cannot fork. None where there is no controller for that.
    fn of(pids: &[i32]) -> Option<NoForks> {
        let root = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
            .into_iter()
            .find(|root| Path::new(root).join("cgroup.procs").exists() && Path::new(root).ends_with("pids"))?;
        let directory = Path::new(root).join(format!("podlet-test-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("pids.max"), "0").unwrap();
        for pid in pids {
            fs::write(directory.join("cgroup.procs"), pid.to_string()).unwrap();
        }
        Some(NoForks(directory))
    }

    fn allow(&self) {
        fs::write(self.0.join("pids.max"), "max").unwrap();
    }
}

impl Drop for NoForks {
    fn drop(&mut self) {
        // What is in it ends with its pod, or is moved out; and it may make others meanwhile.
        for _ in 0..500 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            for pid in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
                let _ = fs::write(self.0.parent().unwrap().join("cgroup.procs"), pid);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn processes_that_cannot_be_made_are_made_later() {
    let podlet = Podlet::new();
    let uid = run(&podlet, &pod("web", json!({})));
    let keepers = [Part::Keeper.wait(&uid), Part::Guard.wait(&uid)];
    let Some(no_forks) = NoForks::of(&keepers) else {
        println!("not tried: no controller pids of version 1 on this machine");
        return podlet.finish();
    };
    kills::send(kills::program(&uid, "a"), Signal::SIGKILL);
    wait_for_event(&podlet, "web", "Resource temporarily unavailable");
    assert_eq!(podlet.pod("web")["status"]["phase"], "Running", "it is tried again");
    // The supervisor cannot be started again either.
    let supervisor = Part::Supervisor.wait(&uid);
    kills::send(supervisor, Signal::SIGKILL);
    until("its end", || kills::is_gone(supervisor));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(Part::Supervisor.pid(&uid), None);
    no_forks.allow();
    podlet.wait("web", |pod| has_run(pod, 1));
    delete_now(&podlet, "web", &uid);
    drop(no_forks);
    podlet.finish();
}

#[test]
fn cgroups_that_were_removed_are_made_again() {
    let podlet = Podlet::new();
    let output = podlet.try_apply(
        &pod("web", script("[ -e /tmp/x ] || exit 3")).to_string(),
        &["--crash-backoff-initial=3000", "--crash-backoff-max=3000"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let waits = |pod: &Value| container(pod, "a")["state"]["waiting"]["reason"] == "CrashLoopBackOff";
    for _ in 0..2 {
        let state = podlet.wait("web", waits);
        let (uid, restarts) = (kills::uid(&state), container(&state, "a")["restartCount"].as_u64().unwrap());
        let removed = cgroups_of(&uid).into_iter().filter(|directory| fs::remove_dir(directory).is_ok()).count();
        println!("{removed} cgroups removed");
        let ended = |pod: &Value| container(pod, "a")["restartCount"].as_u64() > Some(restarts) && waits(pod);
        let state = podlet.wait("web", ended);
        assert_eq!(container(&state, "a")["lastState"]["terminated"]["exitCode"], 3, "{:#}", state["status"]);
    }
    podlet.finish();
}

#[test]
fn what_is_stopped_or_frozen_ends_when_it_is_deleted() {
    let podlet = Podlet::new();
    for (name, freeze) in [("stopped", false), ("frozen", true)] {
        let uid = run(&podlet, &pod(name, json!({})));
        let program = kills::program(&uid, "a");
        if freeze {
            let of_container = |directory: &PathBuf| directory.ends_with("a");
            let directories: Vec<PathBuf> = cgroups_of(&uid).into_iter().filter(of_container).collect();
            let files = [("cgroup.freeze", "1"), ("freezer.state", "FROZEN")];
            let frozen = files.iter().any(|(file, word)| {
                directories
                    .iter()
                    .any(|directory| directory.join(file).exists() && fs::write(directory.join(file), word).is_ok())
            });
            assert!(frozen, "no freezer in {directories:?}");
        } else {
            kills::send(program, Signal::SIGSTOP);
            until("its stop", || kills::is_stopped(program));
        }
        let begin = Instant::now();
        podlet.succeed(&["delete", "pod", name]);
        assert!(begin.elapsed() >= Duration::from_secs(2), "not before its grace period is over");
        assert!(kills::is_gone(program), "{name}");
    }
    podlet.finish();
}

#[test]
fn a_fork_bomb_stays_within_its_limit_and_is_ended_whole() {
    let podlet = Podlet::new();
    let settings = podlet.root.join("config.yaml");
    fs::write(&settings, "kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\npodPidsLimit: 60\n")
        .unwrap();
    // Each instance of it makes two more, hears no SIGTERM and waits for nobody.
    let bomb = "trap '' TERM HUP; b() { b & b & sleep 100000; }; b 2>/dev/null; sleep 100000";
    let manifest = podlet.root.join("bomb.yaml");
    fs::write(&manifest, pod("bomb", script(bomb)).to_string()).unwrap();
    let mut apply = podlet.command(&["apply", "-f", manifest.to_str().unwrap()]);
    assert!(apply.env("PODLET_CONFIG", &settings).status().unwrap().success());
    let uid = kills::uid(&podlet.wait("bomb", is_running));
    // A shell that cannot fork ends, so that their number goes up and down.
    let was_refused = |directory: &PathBuf| {
        let events = fs::read_to_string(directory.join("pids.events")).unwrap_or_default();
        events.lines().any(|line| line.strip_prefix("max ").is_some_and(|count| count.trim() != "0"))
    };
    until("it has come to its limit", || cgroups_of(&uid).iter().any(was_refused));
    assert!(processes_of(&uid).len() <= 60 + 3, "keeper, twin and supervisor are not the pod's");
    let other = run(&podlet, &pod("other", json!({})));
    assert_eq!(podlet.succeed(&["exec", "other", "--", "echo", "here"]), "here\n");
    delete_now(&podlet, "bomb", &uid);
    assert!(!processes_of(&other).is_empty());
    podlet.finish();
}

/// Daemons that left their parents and sessions end with their container, also where they can see each other.
#[test]
fn daemons_end_with_their_container() {
    let podlet = Podlet::new();
    let daemons = "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM HUP; sleep 54321 & :' & done; sleep 0.3; [ -e /data/on ] || exit 3; sleep 100000";
    for (name, field) in [("own", "hostIPC"), ("shared", "shareProcessNamespace"), ("hosts", "hostPID")] {
        let data = podlet.root.join(name);
        let mut fields = script(daemons);
        fields["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
        let mut manifest = pod(name, fields);
        manifest["spec"][field] = json!(field != "hostIPC");
        manifest["spec"]["restartPolicy"] = json!("Never");
        manifest["spec"]["volumes"] =
            json!([{"name": "data", "hostPath": {"path": data, "type": "DirectoryOrCreate"}}]);
        podlet.apply(&manifest.to_string());
        let pod = podlet.wait(name, |pod| pod["status"]["phase"] == "Failed");
        let uid = kills::uid(&pod);
        until("the end of all that it left", || processes_of(&uid).is_empty());
        assert_eq!(container(&pod, "a")["state"]["terminated"]["exitCode"], 3);
    }
    podlet.finish();
}

/// A file system of its own at a place of the test's, thawed and gone with it.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, words: &[&str]) -> Disk {
        fs::create_dir_all(at).unwrap();
        command("mount", &[words, &[at.to_str().unwrap()]].concat());
        Disk(at.to_owned())
    }

    fn freeze(&self, word: &str) {
        command("fsfreeze", &[word, self.0.to_str().unwrap()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.0).output();
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A process that the kernel does not let go of: the deletion says so, waits for it, and goes on when it can.
#[test]
fn a_process_that_cannot_die_is_named_and_waited_for() {
    // Declared first, so that it outlives the pod when the test fails.
    let disk;
    let podlet = Podlet::new();
    let (image, data) = (podlet.root.join("disk"), podlet.root.join("data"));
    fs::File::create(&image).unwrap().set_len(32 * 1024 * 1024).unwrap();
    command("mkfs.ext4", &["-q", image.to_str().unwrap()]);
    disk = Disk::mount(&data, &["-o", "loop", image.to_str().unwrap()]);
    let mut fields = script(
        "echo ready; while [ ! -e /data/frozen ]; do sleep 0.1; done; read x </dev/null; while :; do echo x > /data/x; done",
    );
    fields["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    let mut manifest = pod("stuck", fields);
    manifest["spec"]["volumes"] = json!([{"name": "data", "hostPath": {"path": data, "type": "Directory"}}]);
    let uid = run(&podlet, &manifest);
    let other = run(&podlet, &pod("other", json!({})));
    fs::write(data.join("frozen"), "").unwrap();
    let program = kills::program(&uid, "a");
    disk.freeze("-f");
    let state = || fs::read_to_string(format!("/proc/{program}/stat")).unwrap_or_default();
    until("it waits for its disk", || state().contains(") D "));
    let delete = podlet.run(&["delete", "pod", "stuck", "--now", "--timeout=30s"]);
    assert!(!delete.status.success());
    let said = text(&delete.stderr);
    println!("{said}");
    assert!(said.contains("timed out waiting"), "{said}");
    // The command itself says what it waits for.
    assert!(said.contains("Note: pod/stuck still ends: ") && said.contains("uninterruptible"), "{said}");
    // Meanwhile everybody is answered.
    let pod = podlet.pod("stuck");
    assert!(pod["metadata"]["deletionTimestamp"].is_string());
    wait_for_event(&podlet, "stuck", "uninterruptible");
    assert_eq!(podlet.succeed(&["exec", "other", "--", "echo", "here"]), "here\n");
    let supervisor = Part::Supervisor.wait(&uid);
    let before = ticks(supervisor);
    std::thread::sleep(Duration::from_secs(2));
    let spent = ticks(supervisor) - before;
    assert!(spent < 100, "while it waits it spent {spent} hundredths of two seconds");
    disk.freeze("-u");
    until("the end of the deletion", || !podlet.run(&["get", "pod", "stuck"]).status.success());
    until("the end of all its processes", || processes_of(&uid).is_empty());
    delete_now(&podlet, "other", &other);
    drop(disk);
    fs::remove_file(&image).unwrap();
    podlet.finish();
}

#[test]
fn deletions_do_not_get_in_each_others_way() {
    let podlet = Podlet::new();
    let slow = script("trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done");
    let uid = run(&podlet, &pod("web", slow));
    let spawn = |words: &[&str]| {
        podlet.command(words).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let exec = spawn(&["exec", "web", "--", "sleep", "100000"]);
    until("the command runs", || {
        processes_of(&uid)
            .iter()
            .any(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == "sleep\x00100000\0"))
    });
    let deletions: Vec<_> = (0..4).map(|_| spawn(&["delete", "pod", "web"])).collect();
    for deletion in deletions {
        let output = deletion.wait_with_output().unwrap();
        // One that comes when all is over finds nothing.
        assert!(output.status.success() || text(&output.stderr).contains("NotFound"), "{}", text(&output.stderr));
    }
    let output = exec.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(137), "{}", text(&output.stderr));
    assert_eq!(processes_of(&uid), Vec::<i32>::new());
    assert!(podlet.fail(&["delete", "pod", "web"]).contains("NotFound"));
    podlet.finish();
}

/// Keeper, twin, supervisor and container are gone, and the container's number belongs to somebody else: who takes the pod up
/// leaves that one alone.
#[test]
fn a_number_that_another_process_has_by_now_means_nothing() {
    let podlet = Podlet::new();
    let manifest = pod("web", json!({}));
    let uid = run(&podlet, &manifest);
    let (program, pause) = (kills::program(&uid, "a"), Part::Pause.wait(&uid));
    kills::kill_at_once(&uid, &[Part::Guard, Part::Keeper, Part::Supervisor]);
    for pid in [program, pause] {
        kills::send(pid, Signal::SIGKILL);
        until("its end", || !Path::new(&format!("/proc/{pid}")).exists());
    }
    let mut stranger = None;
    until("another process of this number", || {
        // The next number after it, if nobody is quicker (proc_sys_kernel(5), ns_last_pid).
        fs::write("/proc/sys/kernel/ns_last_pid", (program - 1).to_string()).unwrap();
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        if child.id().cast_signed() == program {
            stranger = Some(child);
            return true;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        false
    });
    let mut stranger = stranger.unwrap();
    podlet.apply(&manifest.to_string());
    podlet.wait("web", |pod| has_run(pod, 1));
    podlet.succeed(&["delete", "pod", "web", "--now"]);
    assert_eq!(stranger.try_wait().unwrap(), None, "the stranger lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    podlet.finish();
}

/// A machine that has been up for ten years, and one on which the clocks differ: a time namespace has its own.
#[test]
fn clocks_may_stand_anywhere() {
    let podlet = Podlet::new();
    let manifest = podlet.root.join("pod.yaml");
    let script_of = script("echo x >> /data/runs; exit 3");
    let mut crash = pod("crash", script_of);
    crash["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    let data = podlet.root.join("data");
    crash["spec"]["volumes"] = json!([{"name": "data", "hostPath": {"path": data, "type": "DirectoryOrCreate"}}]);
    fs::write(&manifest, crash.to_string()).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--time", "--fork", "--boottime", "315360000", "--monotonic", "1000"]);
    command.arg(PROGRAM).args(["apply", "--crash-backoff-initial=100", "--crash-backoff-max=100"]).arg(&manifest);
    let output = command.envs(podlet.environment()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let runs = || fs::read_to_string(data.join("runs")).unwrap_or_default().lines().count();
    until("some restarts", || runs() > 5);
    let uid = kills::uid(&podlet.pod("crash"));
    delete_now(&podlet, "crash", &uid);
    podlet.finish();
}

/// Directories that fill up while a pod runs: it goes on, is shown and obeys, and what could not be kept is kept later.
#[test]
fn a_disk_that_is_full_while_pods_run() {
    for directory in ["state", "run"] {
        // Declared first, so that it outlives the pod when the test fails.
        let disk;
        let podlet = Podlet::new();
        let place = podlet.root.join(directory);
        disk = Disk::mount(&place, &["-t", "tmpfs", "-o", "size=2m", "tmpfs"]);
        let mut manifest = pod("web", json!({"image": "podlet.local/host", "command": ["sh", "-c", "sleep 100000"]}));
        manifest["spec"]["restartPolicy"] = json!("OnFailure");
        let uid = run(&podlet, &manifest);
        let kept = podlet.root.join("state/pods").join(&uid).join("kept.json");
        until("its state is kept", || kept.exists());
        // To the last byte.
        let mut filler = fs::File::create(place.join("filler")).unwrap();
        while std::io::Write::write(&mut filler, &[0; 512]).is_ok_and(|written| written > 0) {}
        kills::send(kills::program(&uid, "a"), Signal::SIGKILL);
        if directory == "state" {
            // What becomes of it is told from memory; a start needs no room that it cannot wait for.
            let changed = |pod: &Value| {
                container(pod, "a")["lastState"]["terminated"].is_object()
                    || container(pod, "a")["state"]["waiting"].is_object()
            };
            podlet.wait("web", changed);
        } else {
            std::thread::sleep(Duration::from_millis(500));
        }
        let kept: Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
        assert_eq!(kept["pod"]["metadata"]["name"], "web", "half a file");
        drop(filler);
        fs::remove_file(place.join("filler")).unwrap();
        podlet.wait("web", |pod| has_run(pod, 1));
        delete_now(&podlet, "web", &uid);
        until("nothing is in the directory", || {
            fs::read_dir(&place).unwrap().all(|entry| entry.unwrap().file_name() == "images")
        });
        drop(disk);
        podlet.finish();
    }
}
