//! How many changes of `pod/` the tests in virtual time notice, and which they do not.
//!
//! ```sh
//! cargo install cargo-mutants
//! cargo run --manifest-path tests/mutants/Cargo.toml            # all, about ten minutes of two cores
//! cargo run --manifest-path tests/mutants/Cargo.toml -- 7 42    # these alone, by their numbers
//! ```
//!
//! `cargo mutants` says which changes there are. It builds and tests each by itself, which takes hours; here all that can be
//! are compiled into one program and chosen by an environment variable when the tests run. That program is made of the pure
//! rooms, the driver of virtual time, their tests, and the rows and recorded cases of `tests/conformance`, in
//! `target/mutants`; the tests of scenarios and of exploring, which hold the same rules from farther away, are not in it.
//! `survivors.txt` says of each mutant that is known not to be noticed why. One that is not in it makes this fail.

mod weave;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// Seconds of processor time after which a mutant has no end; without one the tests take less than one.
const MOST_SECONDS: u32 = 6;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project");
    let alone: BTreeSet<usize> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let place = root.join("target/mutants");
    make_crate(&root, &place);
    let list = list(&place);
    let known = fs::read_to_string(root.join("tests/mutants/survivors.txt")).unwrap_or_default();
    let woven = weave_in(&place, &list);
    let program = build(&place);
    assert!(notices(&program, &place, usize::MAX) == Some(false), "the tests fail without any mutant");
    let tried: Vec<usize> = woven.iter().copied().filter(|one| alone.is_empty() || alone.contains(one)).collect();
    let Found { survivors, endless } = try_all(&tried, &program, &place);
    let mut unknown = 0;
    for number in &survivors {
        let name = list[*number]["name"].as_str().unwrap_or_default();
        let listed = known.lines().any(|line| line.split('\t').next() == Some(&without_place(name)));
        unknown += usize::from(!listed);
        println!("{}\t{number}\t{name}", if listed { "known" } else { "NEW" });
    }
    println!(
        "{} mutants, {} not compiled in, {} tried, {endless} without an end, {} not noticed: {:.1} % caught",
        list.len(),
        list.len() - woven.len(),
        tried.len(),
        survivors.len(),
        100.0 - 100.0 * survivors.len() as f64 / tried.len().max(1) as f64
    );
    std::process::exit(i32::from(unknown > 0));
}

/// `src/pod/why.rs: replace > with < in f`: lines move, what a mutant does stays.
fn without_place(name: &str) -> String {
    let mut parts = name.splitn(4, ':');
    let (file, _, _, what) = (parts.next(), parts.next(), parts.next(), parts.next());
    format!("{}:{}", file.unwrap_or_default(), what.unwrap_or_default())
}

fn make_crate(root: &Path, place: &Path) {
    for old in ["src", "tests"] {
        let _ = fs::remove_dir_all(place.join(old));
    }
    for room in ["pod", "plan", "manifest"] {
        copy(&root.join("src").join(room), &place.join("src").join(room));
    }
    let files = [
        "src/duration.rs",
        "src/linux/container/tests/mod.rs",
        "src/linux/container/tests/inside.rs",
        "src/linux/container/tests/trace.rs",
        "src/supervisor/probe/http_test.rs",
        "src/simulation/answers.rs",
        "src/simulation/script.rs",
        "src/simulation/timeline.rs",
        "tests/data/kubelet-configuration.txt",
    ];
    let print = ["age", "columns", "event_row", "order", "pod_row", "table"];
    let print = print.map(|name| format!("src/cli/print/{name}.rs"));
    for file in files.into_iter().chain(print.iter().map(String::as_str)) {
        copy(&root.join(file), &place.join(file));
    }
    for data in ["tests/conformance", "tests/data/golden"] {
        copy(&root.join(data), &place.join(data));
    }
    // Exploring has mutants of its own, put into the driver.
    for name in ["driver", "interference"] {
        let text = fs::read_to_string(root.join(format!("src/simulation/{name}.rs"))).expect("the simulation");
        write(&place.join(format!("src/simulation/{name}.rs")), &text.replace("#[cfg(test)]", "#[cfg(any())]"));
    }
    let text = fs::read_to_string(root.join("src/simulation/mod.rs")).expect("the simulation");
    let away = ["explore", "lanes", "peers", "scenario", "story"].map(|name| format!("mod {name};"));
    write(&place.join("src/simulation/mod.rs"), &without_lines(&text, &away));
    let text = fs::read_to_string(root.join("tests/conformance/main.rs")).expect("the rows");
    let away = ["common", "images", "real", "page", "elsewhere"].map(|name| format!("mod {name};"));
    let away: Vec<String> = away.into_iter().chain(["#[path".to_owned()]).collect();
    write(&place.join("tests/conformance/main.rs"), &without_lines(&text, &away));
    let modules: String = print
        .iter()
        .map(|file| format!("#[path = \"{}\"] pub mod {};\n", file.trim_start_matches("src/cli/print/"), stem(file)))
        .collect();
    write(&place.join("src/cli/print/mod.rs"), &modules);
    write(&place.join("src/cli/mod.rs"), "pub mod print;\n");
    write(&place.join("src/mutant.rs"), include_str!("mutant.rs"));
    write(
        &place.join("src/lib.rs"),
        "#![allow(dead_code, missing_docs)]\nextern crate self as podlet;\npub mod cli;\npub mod duration;\npub mod manifest;\n\
         pub mod mutant;\npub mod plan;\npub mod pod;\npub mod simulation;\n#[cfg(test)]\n\
         #[path = \"../tests/conformance/main.rs\"]\nmod conformance;\n",
    );
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("Cargo.toml");
    let used = [
        "clap",
        "granit-parser",
        "jiff",
        "k8s-openapi",
        "memchr",
        "proptest",
        "regex",
        "schemars",
        "serde",
        "serde_json",
        "thiserror",
    ];
    let uses = |line: &&str| line.split_once(" = ").is_some_and(|(name, _)| used.contains(&name));
    let dependencies: BTreeMap<&str, &str> =
        manifest.lines().filter(uses).filter_map(|line| line.split_once(" = ")).collect();
    let dependencies: String = dependencies.iter().map(|(name, what)| format!("{name} = {what}\n")).collect();
    write(
        &place.join("Cargo.toml"),
        &format!(
            "[package]\nname = \"podlet\"\nversion = \"0.1.0\"\nedition = \"2024\"\nautotests = false\n[lib]\ndoctest = false\n\
             [workspace]\n[dependencies]\n{dependencies}[profile.dev]\ndebug = false\nopt-level = 1\n\
             [profile.dev.package.\"*\"]\nopt-level = 0\n"
        ),
    );
    copy(&root.join("Cargo.lock"), &place.join("Cargo.lock"));
}

fn stem(file: &str) -> &str {
    Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

fn without_lines(text: &str, away: &[String]) -> String {
    let stays = |line: &&str| !away.iter().any(|away| line.trim_start_matches("pub ").starts_with(away.as_str()));
    text.lines().filter(stays).map(|line| format!("{line}\n")).collect()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory is made");
    fs::write(path, text).expect("a file is written");
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::create_dir_all(to.parent().expect("a directory")).expect("a directory is made");
        fs::copy(from, to).expect("a file is copied");
        return;
    }
    for entry in fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry")) {
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// All mutants that `cargo mutants` would make.
fn list(place: &Path) -> Vec<Value> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json", "-f", "src/pod/*.rs"]).current_dir(place).stderr(Stdio::inherit());
    let output = command.output().expect("cargo");
    assert!(output.status.success(), "no list of mutants: cargo install cargo-mutants");
    serde_json::from_slice(&output.stdout).expect("a list of mutants")
}

/// Weaves in what the compiler takes; the numbers of those.
fn weave_in(place: &Path, list: &[Value]) -> Vec<usize> {
    let mut files: BTreeMap<PathBuf, (String, Vec<usize>)> = BTreeMap::new();
    for (number, mutant) in list.iter().enumerate() {
        let path = place.join(mutant["file"].as_str().expect("file"));
        let text = || fs::read_to_string(&path).expect("a source file");
        files.entry(path.clone()).or_insert_with(|| (text(), Vec::new())).1.push(number);
    }
    let mut refused: BTreeSet<usize> = BTreeSet::new();
    loop {
        for (path, (text, numbers)) in &files {
            let woven = weave::weave(text, list, numbers.iter().copied().filter(|number| !refused.contains(number)));
            write(path, &woven);
        }
        let found = refused_by_compiler(place);
        eprintln!("{} mutants that do not compile", refused.len() + found.len());
        if found.is_empty() {
            break;
        }
        refused.extend(found);
    }
    let texts: String = files.keys().map(|path| fs::read_to_string(path).expect("a source file")).collect();
    (0..list.len()).filter(|number| texts.contains(&format!("/*mutant {number}*/"))).collect()
}

/// The mutants on whose lines the compiler has found an error.
fn refused_by_compiler(place: &Path) -> BTreeSet<usize> {
    let mut command = Command::new("cargo");
    command.args(["check", "--lib", "--profile", "test", "--message-format=json"]).current_dir(place);
    let output = command.stderr(Stdio::null()).output().expect("cargo");
    let mut texts: HashMap<String, Vec<String>> = HashMap::new();
    let (mut found, mut other) = (BTreeSet::new(), String::new());
    for message in
        output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok())
    {
        let message = &message["message"];
        if message["level"] != "error" {
            continue;
        }
        let mut hit = BTreeSet::new();
        for span in message["spans"].as_array().into_iter().flatten() {
            let file = span["file_name"].as_str().unwrap_or_default();
            let lines = texts.entry(file.to_owned()).or_insert_with(|| {
                fs::read_to_string(place.join(file)).unwrap_or_default().lines().map(str::to_owned).collect()
            });
            let line = |name: &str| span[name].as_u64().unwrap_or(1) as usize;
            // Where a match is not exhaustive without its deleted arms, it is told of the arms together.
            let (first, last) = (line("line_start") - 1, line("line_end"));
            let far = if message["code"]["code"] == "E0004" { 40 } else { 0 };
            hit.extend(lines.iter().take(last + far).skip(first).filter_map(|line| deleted_or_any(line, far > 0)));
        }
        if hit.is_empty() {
            other += message["rendered"].as_str().unwrap_or_default();
        }
        found.extend(hit);
    }
    assert!(!found.is_empty() || output.status.success(), "the woven text does not compile:\n{other}");
    found
}

/// The mutant that stands on this line; where only arms are meant, one that deletes an arm.
fn deleted_or_any(line: &str, arms: bool) -> Option<usize> {
    let rest = line.split_once("/*mutant ")?.1;
    let (number, rest) = rest.split_once("*/")?;
    (!arms || rest.trim_start().starts_with("!crate::mutant")).then(|| number.parse().ok())?
}

fn build(place: &Path) -> PathBuf {
    let mut command = Command::new("cargo");
    command.args(["test", "--lib", "--no-run", "--message-format=json"]).current_dir(place).stderr(Stdio::null());
    let output = command.output().expect("cargo");
    let messages =
        output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.last().expect("the woven tests are built")
}

/// What came of the mutants that were tried.
#[derive(Default)]
struct Found {
    /// Those that no test notices, in their order.
    survivors: Vec<usize>,
    /// How many have no end, which is noticed, too.
    endless: usize,
}

/// Two are tried at a time.
fn try_all(tried: &[usize], program: &Path, place: &Path) -> Found {
    let next = AtomicUsize::new(0);
    let try_some = || {
        let mut found = Found::default();
        while let Some(number) = tried.get(next.fetch_add(1, Ordering::Relaxed)) {
            match notices(program, place, *number) {
                Some(true) => {}
                Some(false) => found.survivors.push(*number),
                None => found.endless += 1,
            }
        }
        found
    };
    let mut found = Found::default();
    std::thread::scope(|scope| {
        for thread in [scope.spawn(try_some), scope.spawn(try_some)] {
            let some = thread.join().expect("tests are run");
            found.survivors.extend(some.survivors);
            found.endless += some.endless;
        }
    });
    found.survivors.sort_unstable();
    found
}

/// Whether the tests notice a mutant; none when they have no end with it.
fn notices(program: &Path, place: &Path, number: usize) -> Option<bool> {
    let stages: [&[&str]; 2] = [
        // These read the rooms' source, or change numbers themselves.
        &["pod::", "--skip", "mutations::", "--skip", "purity", "--skip", "property"],
        &["conformance::each", "conformance::recorded", "pod::tests::property"],
    ];
    for stage in stages {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -t {MOST_SECONDS}; exec \"$0\" \"$@\"")]).arg(program);
        command.arg("--test-threads=1").args(stage).current_dir(place).stdout(Stdio::null()).stderr(Stdio::null());
        command.envs([
            ("MUTANT", number.to_string()),
            ("PROPTEST_CASES", "32".to_owned()),
            ("PROPTEST_RNG_SEED", "1".to_owned()),
        ]);
        let status = command.status().expect("the tests are run");
        match status.code() {
            Some(0) => {}
            Some(_) => return Some(true),
            None => return None,
        }
    }
    Some(false)
}
