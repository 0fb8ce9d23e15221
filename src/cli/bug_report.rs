//! `podlet bug-report`: one archive with what somebody else needs to find a fault, and without what they must not see.
//! Nothing is changed, nothing is sent anywhere.

mod facts;
mod redact;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::everywhere::Everywhere;
use super::{Caller, Failure, ask, version};
use crate::config::{Config, Error, Overrides, Place};
use crate::linux::doctor;
use crate::supervisor::kept::{self, Claim};
use redact::Secrets;

/// The words of `bug-report`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet bug-report                    of all pods, into
                                       podlet-bug-report-<time>.tar.gz
  podlet bug-report web -o web.tar.gz  of one
  podlet bug-report web -o - | tar tz  to standard output

The archive's README.txt says what it holds, what was left out (logs of containers, values of Secrets and of \
environment variables) and what to look at before giving it away.")]
pub struct Words {
    /// Only of these pods.
    #[arg(value_name = "POD")]
    pub pods: Vec<String>,
    /// Where to; - is standard output. [default: podlet-bug-report-<time>.tar.gz here]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Of a file so much of its end is taken.
const MOST: usize = 4 * 1024 * 1024;

/// What an archive is made of: paths and contents, in their order.
struct Report {
    files: Vec<(String, Vec<u8>)>,
    /// What could not be had, a line each.
    missing: Vec<String>,
}

impl Report {
    fn add(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.files.push((path.into(), bytes.into()));
    }

    fn add_json(&mut self, path: impl Into<String>, value: &serde_json::Value) {
        let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
        bytes.push(b'\n');
        self.add(path, bytes);
    }

    /// The end of a file of the machine's; that there is none is nothing to tell.
    fn copy(&mut self, path: String, from: &Path) {
        match std::fs::read(from) {
            Ok(bytes) if bytes.len() > MOST => {
                let tail = bytes.get(bytes.len() - MOST..).unwrap_or_default();
                let line = tail.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                self.missing.push(format!("{path}: all but its last {MOST} bytes"));
                self.add(path, tail.get(line..).unwrap_or_default());
            }
            Ok(bytes) => self.add(path, bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => self.missing.push(format!("{path}: {}: {error}", from.display())),
        }
    }
}

/// Gathers, takes out what must not be seen, and writes.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let mut claims = if words.pods.is_empty() {
        ask::claims(&caller.paths, everywhere.namespace.as_deref())?
    } else {
        ask::named(&caller.paths, everywhere.namespace(), &words.pods)?
    };
    claims.sort();
    claims.dedup();
    let mut report = Report { files: Vec::new(), missing: Vec::new() };
    machine(&mut report, caller);
    for claim in &claims {
        pod(&mut report, claim, caller);
    }
    let (secrets, unread) = Secrets::of_store(&caller.paths);
    report.missing.extend(unread);
    for (_, bytes) in &mut report.files {
        *bytes = secrets.redact(std::mem::take(bytes));
    }
    report.missing.sort();
    let readme = readme(&report, &claims, caller);
    report.files.insert(0, ("README.txt".to_owned(), readme.into_bytes()));
    let stamp = caller.now().strftime("%Y%m%d-%H%M%S").to_string();
    if words.output.as_deref() == Some(Path::new("-")) {
        let time = caller_time(caller);
        write(&report, &stamp, &mut *caller.out, time)?;
        return Ok(0);
    }
    let path = words.output.clone().unwrap_or_else(|| format!("podlet-bug-report-{stamp}.tar.gz").into());
    let told = |error: std::io::Error| Failure::Error(format!("could not write {}: {error}", path.display()));
    let file = File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(told)?;
    write(&report, &stamp, file, caller_time(caller)).map_err(told)?;
    caller.print(&format!("{}\n", path.display()))?;
    caller.notice(
        "Note: values of Secrets and of environment variables were taken out; look at README.txt in it before you give it away",
    );
    Ok(0)
}

fn caller_time(caller: &Caller<'_>) -> u64 {
    u64::try_from(caller.now().as_second()).unwrap_or(0)
}

/// What concerns no single pod.
fn machine(report: &mut Report, caller: &Caller<'_>) {
    let of_program = json!({
        "podlet": crate::VERSION,
        "kubernetes": version::KUBERNETES,
        "controlProtocol": crate::supervisor::control::VERSION,
        "machine": crate::pod::machine::VERSION,
        "paths": caller.paths,
    });
    report.add_json("version.json", &of_program);
    let findings = doctor::examine(&caller.paths);
    report.add_json("doctor.json", &json!({ "podsCanRun": doctor::pods_can_run(&findings), "findings": findings }));
    let settings = match Config::load(&Place::from_environment(), &Overrides::default()) {
        Ok(config) => {
            config.rows().iter().map(|row| format!("{}: {} # {}\n", row.path, row.value, row.origin)).collect()
        }
        Err(Error::Unreadable { path, source }) => format!("could not read {}: {source}\n", path.display()),
        Err(Error::Wrong(told)) => told.iter().map(|one| format!("{one}\n")).collect::<String>(),
    };
    report.add("settings.txt", settings);
    for (name, path) in [
        ("kernel.txt", "/proc/version"),
        ("os-release.txt", "/etc/os-release"),
        ("memory.txt", "/proc/meminfo"),
        ("pressure-memory.txt", "/proc/pressure/memory"),
        ("filesystems.txt", "/proc/filesystems"),
        ("cgroups.txt", "/proc/cgroups"),
        ("mounts.txt", "/proc/self/mountinfo"),
    ] {
        report.copy(format!("machine/{name}"), Path::new(path));
    }
    report.add("machine/cgroup-tree.txt", facts::cgroup_tree());
}

/// What concerns one pod.
fn pod(report: &mut Report, claim: &Claim, caller: &Caller<'_>) {
    let paths = &caller.paths;
    let at = |name: &str| format!("pods/{}_{}_{}/{name}", claim.namespace, claim.name, claim.uid);
    match kept::see(paths, &claim.uid) {
        Ok(Some(seen)) => {
            let standing = json!({ "standing": format!("{:?}", seen.standing) });
            report.add_json(at("standing.json"), &standing);
            report.add_json(at("pod.json"), &redact::pod(&serde_json::to_value(&seen.pod).unwrap_or_default()));
            report.add_json(at("events.json"), &serde_json::to_value(&seen.events).unwrap_or_default());
        }
        Ok(None) => report.missing.push(format!("{}: the pod went away meanwhile", at(""))),
        Err(error) => report.missing.push(format!("{}: {error}", at("pod.json"))),
    }
    let run = paths.pod_run(&claim.uid);
    let history = paths.history(&claim.uid);
    for (below, directory) in [("", &run), ("history/", &history)] {
        let mut names: Vec<PathBuf> =
            std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        names.sort();
        for path in names {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let is_state = name.ends_with(".json") || name.starts_with("journal.");
            if is_state {
                // Whole objects stand in them: each line, or the file, is JSON.
                let bytes = std::fs::read(&path).unwrap_or_default();
                report.add(at(&format!("{below}{name}")), redact::json_lines(&bytes));
            } else if name.starts_with("supervisor.log") || matches!(name, "notices" | "panics") {
                report.copy(at(&format!("{below}{name}")), &path);
            }
        }
    }
    let kept = std::fs::read(paths.pod_kept(&claim.uid)).unwrap_or_default();
    report.add(at("kept.json"), redact::json_lines(&kept));
    report.add(at("processes.txt"), facts::processes(&claim.uid));
    report.add(at("cgroups.txt"), facts::cgroup_values(&claim.uid));
    report.add(at("mounts.txt"), facts::mounts(&claim.uid));
    report.add(at("files.txt"), facts::listing(&[&run, &paths.pod_state(&claim.uid)]));
    let logs = paths.pod_logs(&claim.namespace, &claim.name, &claim.uid);
    report.add(at("logs.txt"), facts::listing(&[&logs]));
}

fn readme(report: &Report, claims: &[Claim], caller: &Caller<'_>) -> String {
    let mut text = format!(
        "A report of podlet {} of {}.\n\n\
         It holds: podlet's version and settings, what `podlet doctor` found, kernel, memory, mounts and cgroups of the \
         machine;\nand of each pod its status, events, journal, snapshots, supervisor's log, processes with their \
         namespaces, cgroup\nvalues and mounts, and the names and sizes of its files.\n\n\
         Left out: what containers wrote into their logs and volumes, the environments of processes, images. The values of\n\
         environment variables in manifests were replaced, and every value of a Secret that podlet stores wherever it was\n\
         found (values of fewer than {} bytes were not looked for). Still there: names of hosts, pods, images, paths and\n\
         addresses, commands and arguments, annotations, and what containers wrote as their termination messages.\n\
         Look through it before you give it away.\n\nPods:\n",
        crate::VERSION,
        caller.now(),
        redact::SHORTEST,
    );
    for claim in claims {
        text.push_str(&format!("  {}/{} {}\n", claim.namespace, claim.name, claim.uid));
    }
    text.push_str("\nNot to be had:\n");
    for line in &report.missing {
        text.push_str(&format!("  {line}\n"));
    }
    if report.missing.is_empty() {
        text.push_str("  nothing\n");
    }
    text.push_str("\nFiles:\n");
    for (path, bytes) in &report.files {
        text.push_str(&format!("  {path} {} bytes\n", bytes.len()));
    }
    text
}

fn write(report: &Report, stamp: &str, to: impl Write, time: u64) -> std::io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(to, Compression::default()));
    for (path, bytes) in &report.files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(time);
        archive.append_data(&mut header, format!("podlet-bug-report-{stamp}/{path}"), bytes.as_slice())?;
    }
    archive.into_inner()?.finish()?.flush()
}
