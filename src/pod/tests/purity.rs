//! The pure rooms stay pure: their sources name no clock, file, socket, thread, process, chance, or crate that has them.

use std::fs;
use std::path::{Path, PathBuf};

const FORBIDDEN: &[&str] = &[
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::env",
    "Instant",
    "SystemTime",
    "tokio",
    "nix::",
    "libc",
    "rand::",
    "signal_hook",
    "tracing",
    "::now()",
    "println!",
    "HashMap",
    "HashSet",
    "unsafe",
    "crate::linux",
    "crate::supervisor",
    "crate::cli",
    "crate::image",
    "crate::volume",
    "crate::network",
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().unwrap() != "tests" {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn machine_and_plan_name_nothing_impure() {
    let mut found = Vec::new();
    for (room, least) in [("src/pod", 15), ("src/plan", 12)] {
        let before = found.len();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(room), &mut found);
        assert!(found.len() - before > least, "the sources of {room} were not found: {found:?}");
    }
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{}: says nothing of itself", path.display());
        assert!(text.lines().count() <= 500, "{}: has more than one duty", path.display());
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            for word in FORBIDDEN {
                assert!(!code.contains(word), "{}:{}: {word}", path.display(), number + 1);
            }
        }
    }
}
