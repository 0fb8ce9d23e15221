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
/// The word behind which this program, as a process of its own, runs commands by hand.
const BY_HAND: &str = "--by-hand";

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
    let program = wait_for(|| containers(&subject.root).into_iter().find(|pid| is_named(*pid, "actor")));
    let (cpu, all, begin) = (cpu_of(supervisor), cpu_of_pod(program, keeper), Instant::now());
    sleep(TIME);
    let (cpu, all) = (cpu_of(supervisor) - cpu, cpu_of_pod(program, keeper) - all);
    let seconds = begin.elapsed().as_secs_f64();
    let probes = seconds * (2 * probed) as f64;
    let mut rows =
        vec![format!("| {kind}, {} a second, supervisor | {:.1} % of one core |", 2 * probed, cpu / seconds * 100.0)];
    if kind == "exec" {
        let each = all / probes * 1e6;
        let zygotes = children(keeper).into_iter().filter(|pid| is_named(*pid, "podlet-zygote"));
        let parents = zygotes.chain([keeper]).flat_map(children);
        let dead = parents.filter(|pid| is_zombie(*pid)).count();
        let by_hand = by_hand(program, 2 * probed);
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

/// The CPU time of one command in a container's namespaces, made by hand, in microseconds. By a small process, since a fork
/// costs what its parent maps, and so many a second, since what a processor has forgotten meanwhile has to be fetched again.
fn by_hand(container: i32, a_second: usize) -> f64 {
    let words = [BY_HAND.to_owned(), container.to_string(), a_second.to_string()];
    let program = std::env::current_exe().expect("this program");
    let output = std::process::Command::new(program).args(words).output().expect("this program runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("microseconds")
}

/// Whether this process is to run commands by hand; then it has.
pub fn ran_by_hand() -> bool {
    let mut words = std::env::args().skip_while(|word| word != BY_HAND).skip(1);
    let numbers = [words.next(), words.next()].map(|word| word.and_then(|word| word.parse::<i32>().ok()));
    let [Some(container), Some(a_second)] = numbers else { return false };
    let pidfd = bare::pidfd_open(container).expect("a container's first process");
    let (before, begin) = (own_cpu(), Instant::now());
    let commands = TIME.as_secs_f64() * f64::from(a_second);
    for number in 1..=commands as u32 {
        let outer = bare::clone3(0, None).expect("a process");
        if outer == 0 {
            enter_and_run(pidfd.as_raw_fd());
        }
        bare::wait(outer);
        sleep((begin + TIME.mul_f64(f64::from(number) / commands)).saturating_duration_since(Instant::now()));
    }
    println!("{}", (own_cpu() - before) / commands * 1e6);
    true
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

/// The CPU time of this process and of all its children that were waited for, in seconds.
fn own_cpu() -> f64 {
    use nix::sys::resource::{UsageWho, getrusage};
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let of = |who| getrusage(who).map_or(0.0, |usage| seconds(usage.user_time()) + seconds(usage.system_time()));
    of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN)
}

/// The CPU time of a pod so far, in seconds: of its containers with all that was run in them, and of keeper and supervisor.
fn cpu_of_pod(container: i32, keeper: i32) -> f64 {
    let container = cgroup_of(container);
    let (pod, _) = container.rsplit_once('/').expect("the pod's, and its own in it");
    cpu_of_cgroup(pod) + cpu_of_cgroup(&cgroup_of(keeper))
}

/// The cgroup of version 2 that a process is in.
fn cgroup_of(pid: i32) -> String {
    let all = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its cgroups");
    all.lines().find_map(|line| line.strip_prefix("0::")).expect("one of version 2").to_owned()
}

/// What it has counted, which it does without any controller.
fn cpu_of_cgroup(path: &str) -> f64 {
    // Beside controllers of version 1 it is mounted at a place of its own.
    let places = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(|root| format!("{root}{path}/cpu.stat"));
    let text = places.iter().find_map(|path| fs::read_to_string(path).ok()).expect("its CPU time");
    let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse::<f64>().ok());
    usage.expect("usage_usec") / 1e6
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
