//! `docs/conformance.md`: which rule is held by which test, and every known difference from a kubelet.
//!
//! `PODLET_WRITE_DOCS=1 cargo test --test conformance page` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use podlet::pod::rules::RULES;

use super::recorded::{DIFFERENT, simulated};
use super::recording::Case;
use super::{Row, elsewhere, reached, rows};

const HEAD: &str = "\
# Conformance

<!-- Made by `PODLET_WRITE_DOCS=1 cargo test --test conformance page`. Change what it is made from. -->

podlet is held to Kubernetes 1.36 in four ways: scenarios with numbers, each with what must be seen (`tests/conformance`); the cases of
Kubernetes' own tests, written as scenarios (`tests/data/kubernetes`); what a real kubelet, a real API server and a real kubectl
were recorded to do (`tests/data`); and tests of single rules (`src/pod/tests`). This page is made by the tests: a rule that no test holds, a test that is gone and a
difference that is none any more fail them. [rules.md](rules.md) says what each rule is, [testing.md](testing.md) how one's own
pods are tested in the same way.
";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    files
}

/// The machine's own tests that name a rule: `file: test`, by rule.
fn machine_tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in rust_files(&root().join("src/pod/tests")) {
        let text = fs::read_to_string(&file).unwrap();
        let (mut test, mut is_test) = (String::new(), false);
        for line in text.lines() {
            is_test = line.trim() == "#[test]" || is_test && !test_name(line, &mut test);
            for rule in RULES.iter().filter(|rule| line.contains(rule.name) && !test.is_empty()) {
                found.entry(rule.name.to_owned()).or_default().insert(test.clone());
            }
            if line == "}" {
                test.clear();
            }
        }
    }
    found
}

/// Takes the name of a test's function from its line.
fn test_name(line: &str, test: &mut String) -> bool {
    let Some((_, rest)) = line.split_once("fn ") else { return false };
    *test = rest.split('(').next().unwrap().to_owned();
    true
}

struct Holders {
    scenarios: Vec<String>,
    recorded: Vec<String>,
}

/// What decides by each rule.
fn holders(rows: &[&Row], cases: &[Case]) -> BTreeMap<String, Holders> {
    let mut found: BTreeMap<String, Holders> = BTreeMap::new();
    let none = || Holders { scenarios: Vec::new(), recorded: Vec::new() };
    for row in rows {
        reached::take();
        (row.play)();
        for rule in reached::take() {
            found.entry(rule).or_insert_with(none).scenarios.push(row.number.to_owned());
        }
    }
    for case in cases {
        simulated(case);
        for rule in reached::take() {
            found.entry(rule).or_insert_with(none).recorded.push(case.number().to_owned());
        }
    }
    found
}

/// Up to some of them; where nearly all are concerned, a number says as much.
fn some(names: &[String]) -> String {
    const MOST: usize = 12;
    let shown = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

/// The rows of the tables of `differences.md`, without the reasons.
fn differences() -> String {
    let text = fs::read_to_string(root().join("docs/differences.md")).unwrap();
    let mut page = String::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            write!(page, "\n### {heading}\n\n").unwrap();
        } else if line.starts_with('|') {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            writeln!(page, "|{}|{}|", cells[0], cells[1]).unwrap();
        }
    }
    page
}

/// The names of the scenarios of `tests/data/kubernetes`, below the tests from which each file has its cases.
fn kubernetes_cases() -> String {
    let directory = root().join("tests/data/kubernetes");
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut page = String::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let sources: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
        writeln!(page, "\n### {}\n\n{}\n", file.file_stem().unwrap().to_str().unwrap(), sources.join("\n")).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("metadata: {name: ")?.strip_suffix('}'));
        for name in names {
            writeln!(page, "- {}", name.trim_matches('"')).unwrap();
        }
    }
    page
}

/// What no test in virtual time notices: what `tests/mutants` has found, and why.
fn mutants() -> String {
    let text = fs::read_to_string(root().join("tests/mutants/survivors.txt")).unwrap();
    let line = |line: &str| match (line.strip_prefix("# "), line.split_once('\t')) {
        (Some(words), _) => format!("{words}\n"),
        (None, Some((mutant, why))) => format!("- `{mutant}`: {why}\n"),
        (None, None) => "\n".to_owned(),
    };
    text.lines().map(line).collect()
}

fn page() -> String {
    let (rows, cases, tests) = (rows(), Case::all(), machine_tests());
    let holders = holders(&rows, &cases);
    let mut page = HEAD.to_owned();

    page += "\n## Scenarios\n\nPlayed in virtual time by `cargo test --test conformance`; those with a file beside them, with real \
             processes there.\n\n| scenario | what it says | also, or instead, in |\n|---|---|---|\n";
    let mut lines: Vec<(String, String, String)> =
        rows.iter().map(|row| (row.number.to_owned(), row.says.to_owned(), String::new())).collect();
    for held in elsewhere::HELD {
        let file = fs::read_to_string(root().join(held.file)).unwrap();
        assert!(file.contains(&format!("fn {}()", held.test)), "{} is not in {}", held.test, held.file);
        let place = format!("`{}`: {}", held.file, held.test.replace('_', " "));
        match lines.iter_mut().find(|(number, ..)| number == held.number) {
            Some((.., places)) if places.is_empty() => *places = place,
            Some((.., places)) => *places += &format!("; {place}"),
            None => lines.push((held.number.to_owned(), held.says.to_owned(), place)),
        }
    }
    lines.sort();
    for (number, says, place) in lines {
        writeln!(page, "| {number} | {says} | {place} |").unwrap();
    }

    page += "\n## Cases of Kubernetes' own tests\n\nPlayed by `podlet test tests/data/kubernetes`.\n";
    page += &kubernetes_cases();

    page += "\n## Rules, and what holds them\n\nThe scenarios and recorded cases in which a rule decides, and the machine's own tests \
             that ask for it by name.\n\n| rule | scenarios | recorded cases | tests |\n|---|---|---|---|\n";
    let mut unheld = Vec::new();
    let nothing = Holders { scenarios: Vec::new(), recorded: Vec::new() };
    for rule in RULES {
        let held = holders.get(rule.name).unwrap_or(&nothing);
        let named: Vec<String> =
            tests.get(rule.name).into_iter().flatten().map(|test| test.replace('_', " ")).collect();
        if held.scenarios.is_empty() && named.is_empty() {
            unheld.push(format!("{}: {}", rule.name, rule.text));
        }
        writeln!(
            page,
            "| {} | {} | {} | {} |",
            rule.name,
            some(&held.scenarios),
            some(&held.recorded),
            named.join("; ")
        )
        .unwrap();
    }

    assert!(unheld.is_empty(), "no scenario and no test holds these rules:\n{}", unheld.join("\n"));

    page += "\n## Recorded pods\n\nEach is replayed in virtual time and with real processes; what is compared is described in \
             `tests/data/golden/README.md`.\n\n| recording | known difference |\n|---|---|\n";
    for case in &cases {
        let known: Vec<&str> =
            DIFFERENT.iter().filter(|(name, ..)| *name == case.name).map(|(_, _, why)| *why).collect();
        writeln!(page, "| {} | {} |", case.name, known.join("; ")).unwrap();
    }

    page += "\n## Mutants\n\n";
    page += &mutants();

    page += "\n## Known differences\n\nThe reasons stand in [differences.md](differences.md).\n";
    page + &differences()
}

#[test]
fn the_page_is_what_the_tests_say() {
    let (path, made) = (root().join("docs/conformance.md"), page());
    if std::env::var_os("PODLET_WRITE_DOCS").is_some() {
        fs::write(&path, made).unwrap();
        return;
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let first = there.lines().zip(made.lines()).find(|(there, made)| there != made);
    let hint = "PODLET_WRITE_DOCS=1 cargo test --test conformance page writes it anew";
    assert!(there == made, "docs/conformance.md is stale, first at {first:#?}: {hint}");
}
