//! How fast a pod starts, restarts, runs a further command and goes away, and what it keeps in memory: beside a pod made by
//! hand, beside the plan alone, and beside podman, crun and bubblewrap where they are installed.
//!
//! `cargo bench --bench pods` prints the table of `docs/performance.md`. Run it as root on a quiet machine. Every start is
//! timed from just before the fork of the program to the first clock reading of the actor, which it takes before anything
//! else; image unpacked, cache warm, seccomp, cgroup limits, logs and all default mounts on.

mod bare;
mod figures;
mod memory;
mod peers;
mod plan_alone;
mod subject;

use figures::{Figure, now};
use subject::{Subject, between, clocks, first_clock, until_return, wait_for};

fn main() {
    // `cargo bench` passes --bench; a number is the count of runs.
    let runs = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(30);
    if std::env::args().any(|word| word == "--peers") {
        return peers::measure_here(runs);
    }
    let subject = Subject::new();
    let actor = podlet::image::Store::open(&subject.root.join("state/images"))
        .find("podlet.local/actor")
        .expect("the actor's image");
    let actor_root = actor.layers.last().expect("the actor's layer").clone();

    let bare_root = bare_root(&subject, &actor_root);
    let bare_one = Figure::take("bare pod, 1 container", runs, || bare_start(&subject, &bare_root, 1));
    let bare_three = Figure::take("bare pod, 3 containers", runs, || bare_start(&subject, &bare_root, 3));
    // The plan's mounts live in a mount namespace of this program's own.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("root");
    let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("root");
    let plan_one =
        Figure::take("podlet's plan alone, 1 container", runs, || plan_alone::start(&subject.root, &actor, 1));
    let plan_three =
        Figure::take("podlet's plan alone, 3 containers", runs, || plan_alone::start(&subject.root, &actor, 3));
    let one = Figure::take("**podlet apply**, 1 container", runs, || start(&subject, 1));
    let three = Figure::take("**podlet apply**, 3 containers (the last one)", runs, || start(&subject, 3));
    let (exec, delete, resident) = life(&subject, runs);
    let restart = restart(&subject, runs);
    let peers = peers::measure(&subject, &actor_root, runs);

    println!("| what | median ms | min | p95 | CPU ms | ratio to the bare pod | runs |");
    println!("|---|---|---|---|---|---|---|");
    println!("{}", bare_one.row(Some(&bare_one)));
    println!("{}", bare_three.row(Some(&bare_three)));
    println!("{}", plan_one.row(Some(&bare_one)));
    println!("{}", plan_three.row(Some(&bare_three)));
    println!("{}", one.row(Some(&bare_one)));
    println!("{}", three.row(Some(&bare_three)));
    for figure in [&exec, &delete, &restart].into_iter().chain(&peers) {
        println!("{}", figure.row(None));
    }
    println!("\nA bare pod issues {} system calls a container.", bare::CALLS_PER_CONTAINER);
    println!("\n| resident | PSS kB | private kB |\n|---|---|---|");
    for process in &resident {
        println!("| {} | {} | {} |", process.name, process.pss, process.private);
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

/// Exec into a running pod, its memory, and the deletion of one that obeys.
fn life(subject: &Subject, runs: usize) -> (Figure, Figure, Vec<memory::Resident>) {
    let manifest = subject.manifest("life", 1, "['clock,', sleep, forever]", "Never");
    let manifest = manifest.to_string_lossy();
    subject.run(&["apply", "--wait", &manifest]);
    let exec = Figure::take("**podlet exec**, to its return", runs, || {
        until_return(subject.command(&["exec", "life", "--", "/actor", "clock"]))
    });
    let resident = memory::of_pod(&subject.root);
    subject.run(&["delete", "pod", "life"]);
    let mut samples = Vec::new();
    for _ in 0..runs {
        subject.run(&["apply", "--wait", &manifest]);
        samples.push(until_return(subject.command(&["delete", "pod", "life"])));
    }
    (exec, Figure::of("**podlet delete**, a pod that obeys, to its return", samples), resident)
}

/// The first restart has no back-off: from the last clock reading of the first instance to the first of the second.
fn restart(subject: &Subject, runs: usize) -> Figure {
    let samples = (0..runs).map(|_| {
        let manifest = subject.manifest("again", 1, "['clock,', exit, '0']", "Always");
        subject.run(&["apply", &manifest.to_string_lossy()]);
        let first = subject.log("again", "c0", 0);
        let ended = wait_for(|| clocks(&first).last().copied());
        let began = first_clock(&first.with_file_name("1.log"));
        subject.run(&["delete", "pod", "again"]);
        between(ended, began)
    });
    Figure::of("**restart** without back-off, start of one instance to start of the next", samples.collect())
}
