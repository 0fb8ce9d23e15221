//! How fast a pod starts, restarts, runs a further command and goes away, and what it keeps in memory: beside a pod made by
//! hand, beside the plan alone, and beside podman, crun and bubblewrap where they are installed.
//!
//! ```text
//! cargo bench --bench pods                          every row of docs/performance.md
//! cargo bench --bench pods -- restart --runs 50     the rows whose name holds "restart", of 50 runs each
//! ```
//!
//! Run it as root on a quiet machine. Every start is timed from just before the fork of the program to the first clock reading
//! of the actor, which it takes before anything else; image unpacked, cache warm, seccomp, cgroup limits, logs and all default
//! mounts on.

mod bare;
mod figures;
mod logs;
mod many;
mod memory;
mod peers;
mod plan_alone;
mod probes;
mod subject;

use figures::{Figure, Table, now};
use subject::{Subject, between, clocks, first_clock, until_return, wait_for};

/// The yardstick, and what it is called.
const BARE: &str = "bare pod, 1 container";
/// Pods whose memory is told together.
const MANY: usize = 10;

fn main() {
    if probes::ran_by_hand() {
        return;
    }
    let mut table = Table::from_command_line();
    if std::env::args().any(|word| word == "--peers") {
        return peers::measure_here(&table);
    }
    let subject = Subject::new();
    let actor = podlet::image::Store::open(&subject.root.join("state/images"))
        .find("podlet.local/actor")
        .expect("the actor's image");
    let actor_root = actor.layers.last().expect("the actor's layer").clone();

    let bare_root = bare_root(&subject, &actor_root);
    table.take(BARE, || bare_start(&subject, &bare_root, 1));
    table.take("bare pod, 3 containers", || bare_start(&subject, &bare_root, 3));
    // The plan's mounts live in a mount namespace of this program's own.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("root");
    let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("root");
    table.take("podlet's plan alone, 1 container", || plan_alone::start(&subject.root, &actor, 1));
    table.take("podlet's plan alone, 3 containers", || plan_alone::start(&subject.root, &actor, 3));
    table.take("**podlet apply**, 1 container", || start(&subject, 1));
    table.take("**podlet apply**, 3 containers (the last one)", || start(&subject, 3));
    exec(&subject, &mut table);
    delete(&subject, &mut table);
    restarts(&subject, &mut table);
    let mut memory = if table.wants("memory") { memory_rows(&subject) } else { Vec::new() };
    memory.extend(many::measure(&subject, &mut table));
    let probed = if table.wants("probes") { probes::measure(&subject) } else { Vec::new() };
    let log_runs = table.runs.min(10);
    let logs = if table.wants("logs") { logs::measure(&subject, log_runs) } else { Vec::new() };
    let peers = peers::measure(&subject, &actor_root, &table);
    memory.extend(peers.memory);

    if !table.figures.is_empty() || !peers.figures.is_empty() {
        println!("| what | median ms | min | p95 | CPU ms | ratio to the bare pod | runs |");
        println!("|---|---|---|---|---|---|---|");
        let against = |name: &str| {
            let yardstick = if name.contains("3 containers") { "bare pod, 3 containers" } else { BARE };
            table.find(yardstick).filter(|_| ["bare", "plan alone", "apply"].iter().any(|one| name.contains(one)))
        };
        for figure in &table.figures {
            println!("{}", figure.row(against(&figure.name)));
        }
        for figure in &peers.figures {
            println!("{}", figure.row(None));
        }
        println!("\nA bare pod issues {} system calls a container.", bare::CALLS_PER_CONTAINER);
    }
    if !logs.is_empty() || !peers.logs.is_empty() {
        println!("\n| logs, lines of 80 bytes | median MB/s | least | most | CPU \u{b5}s a line | runs |");
        println!("|---|---|---|---|---|---|");
        println!("{}", logs::row("**podlet**", &logs));
        if !peers.logs.is_empty() {
            println!("{}", logs::row("conmon under podman, k8s-file", &peers.logs));
        }
    }
    if !probed.is_empty() {
        println!("\n| probes | cost |\n|---|---|");
        probed.iter().for_each(|row| println!("{row}"));
    }
    if !memory.is_empty() {
        println!("\n| resident | PSS kB | private kB |\n|---|---|---|");
        memory.iter().for_each(|row| println!("{row}"));
    }
}

/// The actor's program in a tree that has the mount points a pod made by hand needs.
fn bare_root(subject: &Subject, actor: &std::path::Path) -> std::path::PathBuf {
    let root = subject.root.join("bare");
    for directory in ["proc", "dev", "sys"] {
        std::fs::create_dir_all(root.join(directory)).expect("a mount point");
    }
    std::fs::copy(actor.join("actor"), root.join("actor")).expect("the actor's program");
    root
}

/// From just before the first clone to the last container's first clock reading.
fn bare_start(subject: &Subject, root: &std::path::Path, containers: usize) -> f64 {
    let path = subject.root.join("bare.out");
    let file = std::fs::File::create(&path).expect("a file for the clocks");
    let begin = now();
    let pod = bare::BarePod::start(root, "/actor", &["clock"], &file.into(), containers).expect("a bare pod");
    pod.finish();
    let last = *clocks(&path).iter().max().expect("the actor printed its clock");
    between(begin, last)
}

/// From just before the fork of `podlet apply` to the first clock reading of the last container in list order.
fn start(subject: &Subject, containers: usize) -> f64 {
    let manifest = subject.manifest("start", containers, "['clock,', sleep, forever]", "Never");
    let begin = now();
    subject.run(&["apply", &manifest.to_string_lossy()]);
    let last = first_clock(&subject.log("start", &format!("c{}", containers - 1), 0));
    subject.run(&["delete", "pod", "start"]);
    between(begin, last)
}

/// Exec into a running pod.
fn exec(subject: &Subject, table: &mut Table) {
    let name = "**podlet exec**, to its return";
    if table.wants(name) {
        let manifest = subject.manifest("life", 1, "['clock,', sleep, forever]", "Never");
        subject.run(&["apply", "--wait", &manifest.to_string_lossy()]);
        table.take(name, || until_return(subject.command(&["exec", "life", "--", "/actor", "clock"])));
        subject.run(&["delete", "pod", "life"]);
    }
}

/// The deletion of a pod that obeys.
fn delete(subject: &Subject, table: &mut Table) {
    let name = "**podlet delete**, a pod that obeys, to its return";
    if table.wants(name) {
        let manifest = subject.manifest("life", 1, "['clock,', sleep, forever]", "Never");
        let samples = (0..table.runs).map(|_| {
            subject.run(&["apply", "--wait", &manifest.to_string_lossy()]);
            until_return(subject.command(&["delete", "pod", "life"]))
        });
        let figure = Figure::of(name, samples.collect());
        table.figures.push(figure);
    }
}

/// The first restart has no back-off. Of a program that ends as soon as it has begun: from its first instruction to the next
/// instance's. Of one that has run for a while and is killed: from just before the kill.
fn restarts(subject: &Subject, table: &mut Table) {
    let at_once = "**restart** without back-off of a program that ends at once, first instruction to first instruction";
    if table.wants(at_once) {
        let manifest = subject.manifest("again", 1, "['clock,', exit, '0']", "Always");
        let samples = (0..table.runs).map(|_| {
            subject.run(&["apply", &manifest.to_string_lossy()]);
            let first = subject.log("again", "c0", 0);
            let ended = wait_for(|| clocks(&first).last().copied());
            let began = first_clock(&first.with_file_name("1.log"));
            subject.run(&["delete", "pod", "again"]);
            between(ended, began)
        });
        let figure = Figure::of(at_once, samples.collect());
        table.figures.push(figure);
    }
    let killed = "**restart** without back-off of a program that is killed, SIGKILL to first instruction";
    if table.wants(killed) {
        let manifest = subject.manifest("killed", 1, "['clock,', sleep, forever]", "Always");
        let samples = (0..table.runs).map(|_| {
            subject.run(&["apply", "--wait", &manifest.to_string_lossy()]);
            let first = subject.log("killed", "c0", 0);
            let program = memory::containers(&subject.root).first().copied().expect("the container's program");
            // For as long as a program lives at least that is worth restarting.
            std::thread::sleep(std::time::Duration::from_millis(200));
            let begin = now();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(program), nix::sys::signal::Signal::SIGKILL)
                .expect("it is killed");
            let began = first_clock(&first.with_file_name("1.log"));
            subject.run(&["delete", "pod", "killed"]);
            between(begin, began)
        });
        let figure = Figure::of(killed, samples.collect());
        table.figures.push(figure);
    }
}

/// What stays in memory of one pod, and of many.
fn memory_rows(subject: &Subject) -> Vec<String> {
    let mut one = Vec::new();
    for number in 0..MANY {
        let manifest = subject.manifest(&format!("many-{number}"), 1, "['clock,', sleep, forever]", "Always");
        subject.run(&["apply", "--wait", &manifest.to_string_lossy()]);
        if number == 0 {
            one = memory::of_pods(&subject.root);
        }
    }
    let many = memory::of_pods(&subject.root);
    subject.run(&["delete", "pod", "--all"]);
    memory::rows(&one, &many)
}
