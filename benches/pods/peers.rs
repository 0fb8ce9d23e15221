//! The peers that are installed: podman, crun, bubblewrap, each with the same program. They run in a mount namespace of
//! their own without a cgroup2 mount beside version 1 controllers, which older crun refuses.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::figures::{Figure, Table, now};
use crate::subject::{Subject, between, until_return, wait_for};
use crate::{logs, memory};

/// Where `measure_here` finds the actor's tree, and works.
const ROOT: &str = "PODLET_BENCH_ACTOR";
const WORK: &str = "PODLET_BENCH_WORK";

/// What came of it.
#[derive(Default)]
pub struct Peers {
    /// Rows of the first table.
    pub figures: Vec<Figure>,
    /// conmon's runs.
    pub logs: Vec<logs::Run>,
    /// Rows of the table of memory.
    pub memory: Vec<String>,
}

/// How conmon's runs come back.
const LOGS: &str = "logs";
/// How a row of the table of memory does.
const MEMORY: &str = "memory";

/// Measures them in a fresh mount namespace, by this program's own `--peers`.
pub fn measure(subject: &Subject, actor: &Path, table: &Table) -> Peers {
    let myself = std::env::current_exe().expect("the path of this program");
    let script = "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$0\" --peers \"$@\"";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .arg(myself)
        .args(table.command_line())
        .env(ROOT, actor)
        .env(WORK, &subject.root)
        .output();
    let mut peers = Peers::default();
    let Ok(output) = output else { return peers };
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        match line.split_once('\t') {
            Some((LOGS, runs)) => peers.logs = logs::from_text(runs),
            Some((MEMORY, row)) => peers.memory.push(row.to_owned()),
            Some((name, samples)) => {
                let samples = samples.split(' ').filter_map(|sample| sample.parse().ok()).collect();
                peers.figures.push(Figure::of(name, samples));
            }
            None => {}
        }
    }
    peers
}

/// Prints a line a figure: its name, a tab, its samples.
pub fn measure_here(table: &Table) {
    let (Ok(actor), Ok(work)) = (std::env::var(ROOT), std::env::var(WORK)) else { return };
    let (actor, work, runs) = (Path::new(&actor), Path::new(&work), table.runs);
    if (table.wants(CRUN_RUN) || table.wants(CRUN_EXEC)) && installed("crun") {
        let bundle = crun_bundle(actor, work);
        let number = std::cell::Cell::new(0);
        if table.wants(CRUN_RUN) {
            print(CRUN_RUN, runs, || {
                number.set(number.get() + 1);
                let mut command = Command::new("crun");
                command.args(["run", "--bundle"]).arg(&bundle).arg(format!(
                    "bench-{}-{}",
                    std::process::id(),
                    number.get()
                ));
                first_clock_on_stdout(command)
            });
        }
        if table.wants(CRUN_EXEC) {
            crun_exec(actor, work, runs);
        }
    }
    if table.wants(BWRAP) && installed("bwrap") {
        print(BWRAP, runs, || {
            let mut command = Command::new("bwrap");
            command.args(["--unshare-all", "--ro-bind"]).arg(actor).args(["/", "--proc", "/proc", "--dev", "/dev"]);
            command.args(["/actor", "clock"]);
            first_clock_on_stdout(command)
        });
    }
    let of_podman = [PODMAN_PLAY, PODMAN_EXEC, PODMAN_DOWN, PODMAN_LOGS, PODMAN_MANY];
    if of_podman.iter().any(|name| table.wants(name)) && installed("podman") {
        podman(actor, work, table);
    }
}

const CRUN_RUN: &str = "crun run (one container, no pod)";
const CRUN_EXEC: &str = "crun exec, to its return";
const BWRAP: &str = "bwrap --unshare-all";
const PODMAN_PLAY: &str = "podman kube play";
const PODMAN_EXEC: &str = "podman exec, to its return";
const PODMAN_DOWN: &str = "podman kube down, 1 container, to its return (delete)";
const PODMAN_LOGS: &str = "conmon under podman, logs";
const PODMAN_MANY: &str = "podman kube play, 50 pods by one call, to the last one's first instruction";
/// So many.
const MANY: usize = 50;

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn print(name: &str, runs: usize, mut measure: impl FnMut() -> f64) {
    measure();
    let samples: Vec<String> = (0..runs).map(|_| format!("{:.4}", measure())).collect();
    println!("{name}\t{}", samples.join(" "));
}

fn first_clock_on_stdout(mut command: Command) -> f64 {
    let begin = now();
    let output = command.output().expect("a peer starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let clock = text.lines().find_map(|line| line.split_once("monotonic ")?.1.trim().parse().ok());
    let clock =
        clock.unwrap_or_else(|| panic!("{command:?} printed no clock: {}", String::from_utf8_lossy(&output.stderr)));
    between(begin, clock)
}

/// An OCI bundle like crun's own `spec`, with the actor as its program and the tree as its root.
fn crun_bundle(actor: &Path, work: &Path) -> std::path::PathBuf {
    let bundle = work.join("bundle");
    let _ = fs::create_dir_all(&bundle);
    let _ = fs::remove_file(bundle.join("config.json"));
    let status = Command::new("crun").arg("spec").current_dir(&bundle).status().expect("crun spec");
    assert!(status.success(), "crun spec");
    let text = fs::read_to_string(bundle.join("config.json")).expect("the bundle's configuration");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    config["process"]["args"] = serde_json::json!(["/actor", "clock"]);
    config["process"]["terminal"] = false.into();
    config["process"]["rlimits"] = serde_json::json!([]);
    config["root"] = serde_json::json!({"path": actor, "readonly": true});
    fs::write(bundle.join("config.json"), config.to_string()).expect("the bundle's configuration");
    bundle
}

fn crun_exec(actor: &Path, work: &Path, runs: usize) {
    let bundle = crun_bundle(actor, work);
    let text = fs::read_to_string(bundle.join("config.json")).expect("the bundle's configuration");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    config["process"]["args"] = serde_json::json!(["/actor", "sleep", "forever"]);
    fs::write(bundle.join("config.json"), config.to_string()).expect("the bundle's configuration");
    let name = format!("bench-exec-{}", std::process::id());
    let mut container =
        Command::new("crun").args(["run", "--bundle"]).arg(&bundle).arg(&name).spawn().expect("crun run");
    wait_for(|| {
        let state = Command::new("crun").args(["state", &name]).output().ok()?;
        String::from_utf8_lossy(&state.stdout).contains("running").then_some(())
    });
    print(CRUN_EXEC, runs, || {
        let mut command = Command::new("crun");
        command.args(["exec", &name, "/actor", "clock"]);
        until_return(command)
    });
    let _ = Command::new("crun").args(["delete", "-f", &name]).output();
    let _ = container.wait();
}

/// `podman kube play` of one and three containers without a network, exec, and `kube down`.
fn podman(actor: &Path, work: &Path, table: &Table) {
    let runs = table.runs.min(12);
    let settings = work.join("containers.conf");
    fs::write(&settings, "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=32768:32768\"]\n[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n")
        .expect("podman's settings");
    let podman = |words: &[&str]| {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", &settings).args(["--root"]).arg(work.join("podman")).args(["--runroot"]);
        command.arg(work.join("podman-run")).args(words);
        command
    };
    let archive = work.join("actor.tar");
    let _ = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(actor).arg(".").status();
    let output = podman(&["import", &archive.to_string_lossy(), "localhost/actor:1"]).output().expect("podman import");
    if !output.status.success() {
        eprintln!("podman is installed but cannot import: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    if table.wants(PODMAN_LOGS) {
        println!("{LOGS}\t{}", logs::to_text(&conmon(&podman, work, table.runs.min(10))));
    }
    if table.wants(PODMAN_MANY) {
        podman_many(&podman, work);
    }
    let mut downs = Vec::new();
    for containers in [1, 3] {
        let row = format!("{PODMAN_PLAY}, {containers} container(s)");
        let others = containers == 1 && (table.wants(PODMAN_EXEC) || table.wants(PODMAN_DOWN));
        if !table.wants(&row) && !others {
            continue;
        }
        let manifest = work.join(format!("podman-{containers}.yaml"));
        let mut text =
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: peer\nspec:\n  restartPolicy: Never\n  containers:\n"
                .to_owned();
        for number in 0..containers {
            text += &format!(
                "    - name: c{number}\n      image: localhost/actor:1\n      command: [/actor, 'clock,', sleep, forever]\n      resources: {{limits: {{memory: 64Mi, cpu: \"1\"}}}}\n"
            );
        }
        fs::write(&manifest, text).expect("a manifest is written");
        let manifest = manifest.to_string_lossy().into_owned();
        let down = || podman(&["kube", "down", &manifest]);
        let play = || {
            let begin = now();
            let output = podman(&["kube", "play", "--network", "none", &manifest]).output().expect("podman kube play");
            assert!(output.status.success(), "podman kube play: {}", String::from_utf8_lossy(&output.stderr));
            // podman starts containers in any order: the last clock of all counts.
            let clocks = (0..containers).map(|number| {
                wait_for(|| {
                    let logs = podman(&["logs", &format!("peer-c{number}")]).output().ok()?;
                    let text = String::from_utf8_lossy(&logs.stdout).into_owned();
                    text.lines().find_map(|line| line.split_once("monotonic ")?.1.trim().parse::<u64>().ok())
                })
            });
            between(begin, clocks.max().unwrap_or(begin))
        };
        let mut samples = Vec::new();
        for _ in 0..runs {
            samples.push(format!("{:.4}", play()));
            if containers == 1 && downs.is_empty() && table.wants(PODMAN_EXEC) {
                print(PODMAN_EXEC, runs, || until_return(podman(&["exec", "peer-c0", "/actor", "clock"])));
            }
            let took = until_return(down());
            if containers == 1 {
                downs.push(format!("{took:.4}"));
            }
        }
        println!("{row}\t{}", samples.join(" "));
    }
    if !downs.is_empty() {
        println!("{PODMAN_DOWN}\t{}", downs.join(" "));
    }
}

/// Fifty pods of one container by one call, once, and what their processes that are not the containers' keep in memory.
fn podman_many(podman: &impl Fn(&[&str]) -> Command, work: &Path) {
    let pod = |number: usize| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: peer-{number}}}\nspec:\n  restartPolicy: Always\n  containers:\n    - name: \
             c0\n      image: localhost/actor:1\n      command: [/actor, 'clock,', sleep, forever]\n      resources: {{limits: \
             {{memory: 64Mi, cpu: \"1\"}}}}\n"
        )
    };
    let manifest = work.join("podman-many.yaml");
    fs::write(&manifest, (0..MANY).map(pod).collect::<Vec<_>>().join("---\n")).expect("a manifest is written");
    let begin = now();
    let output = podman(&["kube", "play", "--network", "none", &manifest.to_string_lossy()]).output();
    let output = output.expect("podman kube play");
    assert!(output.status.success(), "podman kube play: {}", String::from_utf8_lossy(&output.stderr));
    let last = (0..MANY).map(|number| {
        wait_for(|| {
            let logs = podman(&["logs", &format!("peer-{number}-c0")]).output().ok()?;
            let text = String::from_utf8_lossy(&logs.stdout).into_owned();
            text.lines().find_map(|line| line.split_once("monotonic ")?.1.trim().parse::<u64>().ok())
        })
    });
    println!("{PODMAN_MANY}\t{:.4}", between(begin, last.max().unwrap_or(begin)));
    // A conmon for each container and for the pod's pause, which is its child.
    let monitors = memory::named_with("conmon", &work.to_string_lossy());
    let pauses = monitors
        .iter()
        .flat_map(|monitor| memory::children(*monitor))
        .filter(|child| memory::is_named(*child, "catatonit"));
    let processes: Vec<i32> = monitors.iter().copied().chain(pauses).collect();
    let residents: Vec<memory::Resident> = processes.iter().map(|pid| memory::resident(*pid)).collect();
    let each = |of: fn(&memory::Resident) -> u64| residents.iter().map(of).sum::<u64>() / MANY as u64;
    println!(
        "{MEMORY}\t| podman, one of {MANY} pods of one container: conmon twice and pause ({} processes in all), and {} kB of page \
         tables | {} | {} |",
        processes.len(),
        each(|process| process.tables),
        each(|process| process.pss),
        each(|process| process.private),
    );
    let _ = podman(&["pod", "rm", "-f", "-a", "-t", "0"]).output();
}

/// The same lines through conmon, into a file in the same format.
fn conmon(podman: &impl Fn(&[&str]) -> Command, work: &Path, runs: usize) -> Vec<logs::Run> {
    let log = work.join("conmon.log");
    let options = [format!("path={}", log.display()), "max-size=10mb".to_owned()];
    let run = |_| {
        let _ = fs::remove_file(&log);
        let mut command = podman(&["run", "-d", "--name", "loud", "--network", "none", "--log-driver", "k8s-file"]);
        command.args(options.iter().flat_map(|option| ["--log-opt", option]));
        command.args(["localhost/actor:1", "/actor"]).args(logs::ARGUMENTS).arg("forever");
        let output = command.output().expect("podman run");
        assert!(output.status.success(), "podman run: {}", String::from_utf8_lossy(&output.stderr));
        let run = logs::watch(&log, || {
            let found = podman(&["inspect", "--format", "{{.State.ConmonPid}}", "loud"]).output();
            String::from_utf8_lossy(&found.expect("podman inspect").stdout).trim().parse().expect("conmon's pid")
        });
        let _ = podman(&["rm", "-f", "-t", "0", "loud"]).output();
        run
    };
    (0..runs).map(run).collect()
}
