//! What containers write is in their logs, byte for byte and once: over rotations and over supervisors that are killed while
//! they copy. What is expected is made by the actor's own source.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::actor_noise::Noise;
use crate::common::kills::{self, Part, Random};
use crate::common::podlet::{Podlet, text, until, until_within};

/// No file is removed by rotation, so that all can be read back.
const SETTINGS: &str =
    "kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\ncontainerLogMaxFiles: 10000\n";

/// A gigabyte takes long on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What one container writes.
#[derive(Clone, Copy)]
struct Output {
    seed: u64,
    /// On each stream.
    bytes: u64,
    streams: &'static [&'static str],
    one_line: bool,
}

impl Output {
    fn arguments(&self) -> String {
        let stream = if let [stream] = self.streams { format!(", stream={stream}") } else { String::new() };
        let line = if self.one_line { ", line=yes" } else { "" };
        format!("noise, '{}', seed={}{stream}{line}", self.bytes, self.seed)
    }

    fn expected(&self, stream: &str) -> Noise {
        Noise::new(self.seed.wrapping_add(u64::from(stream == "stderr")), self.bytes, self.one_line)
    }

    fn total(&self) -> u64 {
        self.bytes * self.streams.len() as u64
    }
}

struct Pod<'a> {
    podlet: &'a Podlet,
    name: String,
    uid: String,
    output: Output,
}

impl Pod<'_> {
    fn start(podlet: &Podlet, name: String, output: Output) -> Pod<'_> {
        let manifest = format!(
            "
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  containers:
  - {{name: loud, image: podlet.local/actor, args: [{}]}}
",
            output.arguments()
        );
        let settings = podlet.root.join("settings.yaml");
        fs::write(&settings, SETTINGS).unwrap();
        let mut command: Command = podlet.command(&["apply", "-f", "-"]);
        let mut apply = command.env("PODLET_CONFIG", settings).stdin(Stdio::piped()).stderr(Stdio::piped());
        apply = apply.stdout(Stdio::null());
        let mut child = apply.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), manifest.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{name}: {}", text(&ended.stderr));
        let uid = kills::uid(&podlet.pod(&name));
        Pod { podlet, name, uid, output }
    }

    fn log(&self) -> PathBuf {
        kills::log_file(self.podlet, &self.name, &self.uid, "loud", 0)
    }

    /// The files of its log, oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let current = self.log();
        let listing = fs::read_dir(current.parent().unwrap()).into_iter().flatten();
        let mut files: Vec<PathBuf> = listing.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_none_or(|extension| extension != "new"));
        files.sort_by_key(|file| (*file == current, file.clone()));
        files
    }

    fn length(&self) -> u64 {
        self.files().iter().filter_map(|file| Some(fs::metadata(file).ok()?.len())).sum()
    }

    /// Kills its supervisor so often, each time while output is still to come: the log is shorter than what it will hold.
    fn kill_supervisors(&self, times: u64, mut random: Random) {
        for kill in 0..times {
            let place = (kill * 1000 + random.below(1000)) * self.output.total() / ((times + 1) * 1000);
            until_within(PATIENCE, "a part of the output in the log", || self.length() >= place);
            let pid = Part::Supervisor.wait(&self.uid);
            kills::send(pid, Signal::SIGKILL);
            until("the end of the supervisor", || Part::Supervisor.pid(&self.uid) != Some(pid));
        }
    }

    /// Waits for its end; the most memory that was seen of a supervisor of it, in bytes.
    fn end(&self) -> u64 {
        let mut most = 0;
        let size = || {
            let status = fs::read_to_string(format!("/proc/{}/status", Part::Supervisor.pid(&self.uid)?)).ok()?;
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB");
            peak.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
        };
        until_within(PATIENCE, "the end of all its processes", || {
            let here = size();
            most = most.max(here.unwrap_or(0));
            here.is_none() && self.podlet.pod(&self.name)["status"]["phase"] == "Succeeded"
        });
        most
    }

    /// Reads all files as the CRI log format has it and compares each stream with what was written.
    fn check(&self) {
        let mut streams: Vec<(&str, Comparison)> =
            self.output.streams.iter().map(|name| (*name, Comparison::with(self.output.expected(name)))).collect();
        let files = self.files();
        for file in &files {
            check_file(file, &mut streams);
        }
        for (name, comparison) in streams {
            assert_eq!(comparison.compared, self.output.bytes, "{name} of {}", self.name);
        }
        let rotations = self.output.total() / (11 * 1024 * 1024);
        assert!(files.len() as u64 > rotations, "{} files", files.len());
    }
}

fn check_file(file: &Path, streams: &mut [(&str, Comparison)]) {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(file).unwrap());
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        if reader.read_until(b'\n', &mut line).unwrap() == 0 {
            return;
        }
        let place = || format!("{}:{number}", file.display());
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let (time, stream, tag) = (fields.next().unwrap(), fields.next(), fields.next());
        let content = fields.next().unwrap_or_else(|| panic!("{}: not a record", place()));
        assert!(time.len() == 30 && time.ends_with(b"Z"), "{}: not a record", place());
        let content = match tag {
            Some(b"F") => content,
            Some(b"P") => &content[..content.len() - 1],
            _ => panic!("{}: not a record", place()),
        };
        assert!(content.len() <= 16 * 1024 + 1, "{}: {} bytes", place(), content.len());
        let found = streams.iter_mut().find(|(name, _)| Some(name.as_bytes()) == stream);
        found.unwrap_or_else(|| panic!("{}: another stream", place())).1.go_on(content, &place);
    }
}

/// What was written, beside what is in the log.
struct Comparison {
    noise: Noise,
    piece: Vec<u8>,
    at: usize,
    compared: u64,
}

impl Comparison {
    fn with(noise: Noise) -> Comparison {
        Comparison { noise, piece: Vec::new(), at: 0, compared: 0 }
    }

    fn go_on(&mut self, mut content: &[u8], place: &dyn Fn() -> String) {
        while !content.is_empty() {
            if self.at == self.piece.len() {
                self.piece = self.noise.next().unwrap_or_else(|| panic!("{}: more than was written", place()));
                self.at = 0;
            }
            let left = &self.piece[self.at..];
            let length = left.len().min(content.len());
            assert!(left[..length] == content[..length], "{}: after {} bytes another one", place(), self.compared);
            self.at += length;
            self.compared += length as u64;
            content = &content[length..];
        }
    }
}

#[test]
fn every_byte_is_in_the_logs_over_rotations_and_a_hundred_kills() {
    let podlet = Podlet::new();
    // One supervisor is not killed a hundred times: it is started ever later.
    let (pods, kills, total) = if kills::budget(1) == usize::MAX { (10, 10, 1 << 30) } else { (2, 4, 48 << 20) };
    let seed = kills::seed();
    println!("{total} bytes of {pods} pods, {} kills, seed {seed}", pods * kills);
    let output = |pod| Output {
        seed: seed ^ pod << 32,
        bytes: total / pods / 2,
        streams: &["stdout", "stderr"],
        one_line: false,
    };
    let pods: Vec<Pod<'_>> = (0..pods).map(|pod| Pod::start(&podlet, format!("loud-{pod}"), output(pod))).collect();
    std::thread::scope(|scope| {
        for pod in &pods {
            scope.spawn(move || pod.kill_supervisors(kills, Random::new(pod.output.seed)));
        }
    });
    for pod in &pods {
        pod.end();
        pod.check();
    }
    podlet.finish();
}

#[test]
fn a_line_of_a_gigabyte_is_cut_into_records_and_costs_no_memory() {
    let podlet = Podlet::new();
    let bytes = if kills::budget(1) == usize::MAX { 1 << 30 } else { 96 << 20 };
    let seed = kills::seed();
    println!("a line of {bytes} bytes, seed {seed}");
    let pod = Pod::start(&podlet, "line".to_owned(), Output { seed, bytes, streams: &["stdout"], one_line: true });
    pod.kill_supervisors(3, Random::new(seed));
    let memory = pod.end();
    pod.check();
    assert!(memory < 64 << 20, "{memory} bytes");
    podlet.finish();
}
