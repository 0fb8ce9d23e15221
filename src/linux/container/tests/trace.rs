//! What is shown is what is run: strace(1) of a stage, call by call, against [`Plan::calls`], which `podlet plan -o json`
//! prints. For every container of every pod in `manifests/`; the sandbox and exec are not traced yet.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::super::super::call::{Argument, Call};
use super::*;
use crate::image::Store;
use crate::manifest::{Object, Options, Source};

/// A line of strace.
#[derive(Clone, Debug, PartialEq)]
struct Traced {
    name: String,
    arguments: Vec<String>,
    /// Negative: failed.
    result: i64,
}

/// Splits at the commas that are in no string, bracket or comment.
fn split_arguments(text: &str) -> Vec<String> {
    let (mut all, mut one, mut depth, mut quoted, mut escaped) = (Vec::new(), String::new(), 0, false, false);
    for letter in text.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' | '[' | '(' if !quoted => depth += 1,
            '}' | ']' | ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                all.push(std::mem::take(&mut one).trim().to_owned());
                continue;
            }
            _ => {}
        }
        one.push(letter);
    }
    if !one.trim().is_empty() {
        all.push(one.trim().to_owned());
    }
    all
}

/// Takes strace's remarks (`/* 5 vars */`, ` /* MS_??? */`) away.
fn without_remarks(text: &str) -> String {
    let (mut rest, mut kept) = (text, String::new());
    while let Some((before, after)) = rest.split_once("/*") {
        kept.push_str(before.trim_end());
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    kept + rest
}

/// The calls of each process, by pid, in order; `strace -f -o`.
fn parse(text: &str) -> BTreeMap<i32, Vec<Traced>> {
    let mut unfinished: BTreeMap<i32, String> = BTreeMap::new();
    let mut found: BTreeMap<i32, Vec<Traced>> = BTreeMap::new();
    for line in text.lines() {
        let (pid, rest) = line.split_once(' ').unwrap();
        let (pid, rest) = (pid.parse().unwrap(), rest.trim_start());
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(pid, begun.to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ") {
            Some(rest) => unfinished.remove(&pid).unwrap_or_default() + rest.split_once("resumed>").unwrap().1,
            None => rest.to_owned(),
        };
        let (call, result) = whole.rsplit_once(") = ").or(whole.rsplit_once(")= ")).unwrap_or_else(|| panic!("{line}"));
        let (name, arguments) = call.split_once('(').unwrap();
        let result = result.split([' ', '<']).next().unwrap();
        found.entry(pid).or_default().push(Traced {
            name: name.to_owned(),
            arguments: split_arguments(&without_remarks(arguments)),
            result: result.parse().unwrap_or(0),
        });
    }
    found
}

/// Sets of flags in one order, which differs between versions of strace, as does whether they show `O_RDONLY`, a zero.
fn ordered(text: &str) -> String {
    let (mut all, mut word, mut quoted, mut escaped) = (String::new(), String::new(), false, false);
    let close = |word: &mut String, all: &mut String| {
        let word = std::mem::take(word);
        let mut flags: Vec<&str> = word.split('|').collect();
        if flags.len() > 1 {
            flags.retain(|flag| *flag != "O_RDONLY");
            flags.sort_unstable();
        }
        all.push_str(&flags.join("|"));
    };
    for letter in text.chars() {
        if !quoted && (letter.is_ascii_alphanumeric() || matches!(letter, '_' | '|' | '<')) {
            word.push(letter);
            continue;
        }
        close(&mut word, &mut all);
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        all.push(letter);
    }
    close(&mut word, &mut all);
    all
}

/// Whether strace's text is what the plan says. A reference to a Secret stands for its value, which is any text.
fn matches(expected: &str, seen: &str) -> bool {
    let mut pieces = expected.split("<secret ");
    let Some(mut rest) = seen.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut exact = true;
    for piece in pieces {
        let Some((_, literal)) = piece.split_once('>') else { return false };
        let Some(at) = rest.find(literal) else { return false };
        rest = &rest[at + literal.len()..];
        exact = literal.is_empty();
    }
    rest.is_empty() || (exact && expected.contains("<secret "))
}

/// Whether one argument agrees; `results` are those of the plan's earlier calls.
fn argument_agrees(argument: &Argument, seen: Option<&str>, results: &[i64]) -> bool {
    let Some(seen) = seen else {
        // strace leaves out what a call does not use.
        return matches!(argument, Argument::Number(0) | Argument::Null);
    };
    match argument {
        Argument::Descriptor(number, _) => seen == number.to_string(),
        Argument::Result(entry, _) => results.get(*entry).is_some_and(|result| seen == result.to_string()),
        Argument::Filter(program) => seen.starts_with(&format!("{{len={}, ", program.len())),
        // An address that is known when the table is mapped.
        Argument::Within(..) => seen.starts_with('[') || seen.starts_with("0x"),
        Argument::Text(_) | Argument::Texts(_) => matches(&argument.to_string(), seen),
        other => ordered(&other.to_string()) == ordered(seen),
    }
}

/// Compares a plan with what was seen: the differences, in words. Another call ends the comparison.
fn compare(calls: &[Call], seen: &[Traced]) -> Result<(), String> {
    let (mut results, mut differences) = (Vec::new(), Vec::new());
    let mut left = seen.iter();
    for (index, call) in calls.iter().enumerate() {
        let Some(traced) = left.next() else {
            // Further candidates for the program, after the one that could be executed.
            let rest_are_candidates = calls[index..].iter().all(|call| call.name == "execve");
            let executed = seen.last().is_some_and(|last| last.name == "execve" && last.result == 0);
            if !rest_are_candidates || !executed {
                differences.push(format!("{call} was not made"));
            }
            break;
        };
        let shown = format!("{}({}) = {}", traced.name, traced.arguments.join(", "), traced.result);
        if call.name != traced.name || traced.arguments.len() > call.arguments.len() {
            differences.push(format!("call {index}: planned {call}, seen {shown}"));
            break;
        }
        for (place, argument) in call.arguments.iter().enumerate() {
            if !argument_agrees(argument, traced.arguments.get(place).map(String::as_str), &results) {
                differences.push(format!("call {index}, argument {place}: planned {call}, seen {shown}"));
            }
        }
        results.push(traced.result);
    }
    if differences.is_empty() {
        differences.extend(left.next().map(|more| format!("{more:?} was made and is not in the plan")));
    }
    if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
}

/// Runs a stage under strace until its program runs: its own call (mmap of the table), then those of the table. A second
/// process's follow those of the first.
fn trace(world: &World, prepared: &mut Prepared) -> (Child, Vec<Traced>) {
    let output = world.root.join("strace");
    let (gate, opener) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut child = spawn_after(prepared, &world.root.join("programs"), Some(&gate));
    prepared.descriptors.clear();
    // strace attaches in two steps, and between them the child would run on unseen. One that is stopped already stays so
    // until strace has it in hand, whenever SIGCONT comes.
    let child_pid = nix::unistd::Pid::from_raw(child.pid);
    nix::sys::signal::kill(child_pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    nix::sys::wait::waitpid(child_pid, Some(nix::sys::wait::WaitPidFlag::WUNTRACED)).unwrap();
    let mut strace = Command::new("strace")
        .args(["-f", "-v", "-a1", "-s8192", "-p", &child.pid.to_string(), "-o"])
        .arg(&output)
        .stderr(Stdio::null())
        .spawn()
        .expect("strace is installed");
    let begun = Instant::now();
    let attached = || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.pid)).unwrap();
        status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() != "0"))
    };
    while !attached() {
        assert!(begun.elapsed() < Duration::from_secs(180), "strace did not attach");
        std::thread::sleep(Duration::from_millis(2));
    }
    File::from(opener).write_all(b"!").unwrap();
    nix::sys::signal::kill(child_pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    let failure = child.failure();
    assert_eq!(failure.map(|(entry, errno)| explain_failure(prepared, entry, errno)), None);
    let last = if prepared.second { second_of(prepared) } else { child.pid };
    // The exec's own line is written after it has happened.
    let seen = loop {
        let text = fs::read_to_string(&output).unwrap();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut by_process = parse(complete);
        let of_last = by_process.get(&last).cloned().unwrap_or_default();
        let executed = |call: &Traced| call.name.starts_with("execve") && call.result == 0;
        let execs = of_last.iter().filter(|call| executed(call)).count();
        // The program may be a shell that becomes another.
        if execs >= if prepared.second { 1 } else { 2 } {
            let mut seen = by_process.remove(&child.pid).unwrap_or_default();
            if prepared.second {
                seen.extend(of_last.iter().cloned());
            }
            let ends: Vec<usize> = seen.iter().enumerate().filter(|(_, c)| executed(c)).map(|(i, _)| i).collect();
            assert_eq!(seen[ends[0]].name, "execveat");
            assert_eq!(seen[ends[0] + 1].name, "mmap", "the table is mapped");
            break seen[ends[0] + 2..=ends[1]].to_vec();
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "no exec among {of_last:?}");
        std::thread::sleep(Duration::from_millis(5));
    };
    strace.kill().unwrap();
    strace.wait().unwrap();
    (child, seen)
}

fn assert_same(prepared: &Prepared, seen: &[Traced]) {
    let difference = compare(&prepared.plan.calls().unwrap(), seen);
    difference.unwrap_or_else(|difference| panic!("{}: {difference}", prepared.plan.title));
}

/// The comparison fails on each way in which a plan can be untrue: a call too few, too many, with another argument.
fn assert_comparison_sees_everything(calls: &[Call], seen: &[Traced]) {
    for index in 0..seen.len() {
        let mut fewer = seen.to_vec();
        let call = fewer.remove(index);
        let twice = seen.get(index + 1) == Some(&call) || index > 0 && seen.get(index - 1) == Some(&call);
        assert!(twice || compare(calls, &fewer).is_err(), "{call:?} left out is not noticed");
        let mut more = seen.to_vec();
        more.insert(index, call.clone());
        assert!(compare(calls, &more).is_err(), "{call:?} made twice is not noticed");
        for place in 0..call.arguments.len() {
            let mut other = seen.to_vec();
            other[index].arguments[place] = "other".into();
            assert!(compare(calls, &other).is_err(), "argument {place} of {call:?} changed is not noticed");
        }
    }
}

/// ConfigMaps and Secrets of a manifest.
#[derive(Clone, Default)]
struct Kept {
    maps: BTreeMap<String, ConfigMap>,
    secrets: BTreeMap<String, Secret>,
}

impl Objects for Kept {
    fn config_map(&self, name: &str) -> Option<ConfigMap> {
        self.maps.get(name).cloned()
    }
    fn secret(&self, name: &str) -> Option<Secret> {
        self.secrets.get(name).cloned()
    }
}

#[test]
fn every_manifest_runs_as_planned() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let mut count = 0;
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let source = Source { name: file.display().to_string(), bytes: fs::read(&file).unwrap() };
        let loaded = crate::manifest::load(&[source], &Options::default()).unwrap_or_else(|e| panic!("{e:?}"));
        let (mut pods, mut kept) = (Vec::new(), Kept::default());
        for object in loaded.objects {
            let name = object.metadata().name.clone().unwrap();
            match object {
                Object::Pod(pod) => pods.push(*pod),
                Object::ConfigMap(map) => drop(kept.maps.insert(name, *map)),
                Object::Secret(secret) => drop(kept.secrets.insert(name, *secret)),
            }
        }
        for pod in pods {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let world = World::of(&format!("traced-{name}"), pod, Box::new(kept.clone()));
            let store = Store::open(&world.root.join("images"));
            let spec = world.pod.spec.clone().unwrap();
            for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
                let image = store.find(container.image.as_deref().unwrap()).unwrap();
                let null = OwnedFd::from(File::options().read(true).write(true).open("/dev/null").unwrap());
                let stdio = [null.as_fd(), null.as_fd(), null.as_fd()];
                let mut prepared =
                    prepare_container(&world.context(), container, 0, &image, world.pidfd.as_fd(), stdio).unwrap();
                let (child, seen) = trace(&world, &mut prepared);
                container_cgroup(&world.context(), &container.name).kill().unwrap();
                wait(child.pid);
                if prepared.second {
                    wait(second_of(&prepared));
                }
                assert_same(&prepared, &seen);
                if count == 0 {
                    assert_comparison_sees_everything(&prepared.plan.calls().unwrap(), &seen);
                }
                remove_instance(&world.context(), &container.name, 0).unwrap();
                count += 1;
            }
        }
    }
    assert!(count > 10, "only {count} containers");
}
