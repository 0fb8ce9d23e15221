//! What probes cost: a hundred a second of each kind over the network, and commands beside the same namespaces joined and the
//! same program executed by hand.

use std::fs;
use std::os::fd::AsRawFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::libc;

use crate::bare;
use crate::memory::{children, containers, cpu_of, is_named, supervisors};
use crate::subject::{Subject, wait_for};

/// Containers with two probes a second each; commands are run in a small pod, too, whose keeper holds fewer descriptors.
const PROBED: usize = 50;
const FEW: usize = 5;
/// How long is measured.
const TIME: Duration = Duration::from_secs(20);
/// So many commands by hand.
const COMMANDS: u32 = 2_000;

/// The kinds, and what the manifest says.
const KINDS: [(&str, &str); 4] = [
    ("httpGet", "{httpGet: {port: 8080}, periodSeconds: 1}"),
    ("tcpSocket", "{tcpSocket: {port: 7070}, periodSeconds: 1}"),
    ("grpc", "{grpc: {port: 9090}, periodSeconds: 1}"),
    ("exec", "{exec: {command: [/actor, exit, \"0\"]}, periodSeconds: 1}"),
];

/// The rows of the table.
pub fn measure(subject: &Subject) -> Vec<String> {
    let all = KINDS.iter().map(|(kind, probe)| (*kind, *probe, PROBED));
    let few = KINDS.iter().filter(|(kind, _)| *kind == "exec").map(|(kind, probe)| (*kind, *probe, FEW));
    all.chain(few).flat_map(|(kind, probe, probed)| of_kind(subject, kind, probe, probed)).collect()
}

fn of_kind(subject: &Subject, kind: &str, probe: &str, probed: usize) -> Vec<String> {
    let mut text = "apiVersion: v1\nkind: Pod\nmetadata: {name: probed}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
                    - name: server\n    image: podlet.local/actor\n    args: [serve-http, \"8080\", \",\", serve-tcp, \"7070\", \
                    \",\", serve-grpc, \"9090\"]\n"
        .to_owned();
    for number in 0..probed {
        text += &format!(
            "  - name: c{number}\n    image: podlet.local/actor\n    args: [sleep, forever]\n    livenessProbe: {probe}\n    \
             readinessProbe: {probe}\n"
        );
    }
    let manifest = subject.root.join("probed.yaml");
    fs::write(&manifest, text).expect("a manifest is written");
    subject.run(&["apply", "--wait", &manifest.to_string_lossy()]);
    sleep(Duration::from_secs(2));
    let supervisor = wait_for(|| supervisors(&subject.root).first().copied());
    let keeper = parent(supervisor);
    let (cpu, family, begin) = (cpu_of(supervisor), with_children(keeper), Instant::now());
    sleep(TIME);
    let (cpu, family) = (cpu_of(supervisor) - cpu, with_children(keeper) - family);
    let seconds = begin.elapsed().as_secs_f64();
    let probes = seconds * (2 * probed) as f64;
    let mut rows =
        vec![format!("| {kind}, {} a second, supervisor | {:.1} % of one core |", 2 * probed, cpu / seconds * 100.0)];
    if kind == "exec" {
        let each = (cpu + family) / probes * 1e6;
        let dead = children(keeper).into_iter().filter(|pid| is_zombie(*pid)).count();
        let program = containers(&subject.root).into_iter().find(|pid| is_named(*pid, "actor"));
        let by_hand = program.map_or(0.0, by_hand);
        rows.push(format!(
            "| one exec probe in a pod of {} containers, all processes | {each:.0} µs of CPU; by hand {by_hand:.0} µs, {:.1} times |",
            probed + 1,
            each / by_hand
        ));
        rows.push(format!("| zombies behind {probes:.0} of them | {dead} |"));
    }
    subject.run(&["delete", "pod", "probed", "--now"]);
    rows
}

/// The CPU time of one command in a container's namespaces, made by hand, in microseconds.
fn by_hand(container: i32) -> f64 {
    let pidfd = bare::pidfd_open(container).expect("a container's first process");
    let before = of_children();
    for _ in 0..COMMANDS {
        let outer = bare::clone3(0, None).expect("a process");
        if outer == 0 {
            enter_and_run(pidfd.as_raw_fd());
        }
        bare::wait(outer);
    }
    (of_children() - before) / f64::from(COMMANDS) * 1e6
}

/// In a fresh process: joins the namespaces, runs the program in another one, and ends.
fn enter_and_run(pidfd: i32) -> ! {
    let namespaces =
        libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWPID;
    let argv = [c"/actor".as_ptr(), c"exit".as_ptr(), c"0".as_ptr(), std::ptr::null()];
    // SAFETY: a process of its own, made by clone3 from a program with one thread; the strings live for ever.
    unsafe {
        if libc::setns(pidfd, namespaces) != 0 {
            libc::_exit(9);
        }
        match libc::fork() {
            0 => {
                libc::execv(argv[0], argv.as_ptr());
                libc::_exit(8)
            }
            inner => {
                libc::waitpid(inner, std::ptr::null_mut(), 0);
                libc::_exit(0)
            }
        }
    }
}

/// The CPU time of all children so far that were waited for, in seconds.
fn of_children() -> f64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).expect("getrusage");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn stat(pid: i32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().map(str::to_owned).collect()
}

fn parent(pid: i32) -> i32 {
    stat(pid).get(1).and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn is_zombie(pid: i32) -> bool {
    stat(pid).first().is_some_and(|state| state == "Z")
}

/// The CPU time of a process and of all children that it has waited for.
fn with_children(pid: i32) -> f64 {
    stat(pid).iter().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}
