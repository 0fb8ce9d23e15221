//! The guide in `docs/` against the program: pages that are made from tables are what the tables say, commands in the
//! transcripts name verbs and flags that exist, and links lead somewhere. No pod is started.
//!
//! `PODLET_WRITE_DOCS=1 cargo test --test docs` writes the made pages anew.
#![allow(clippy::unwrap_used)]

mod commands;
mod fields;
mod help;
mod links;
mod reliability;
mod rules;
mod scenarios;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};

/// A page: its path from the repository's root, and its text.
struct Page {
    path: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page of the guide, and the README that leads there.
fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.push(root().join("README.md"));
    paths.push(root().join("examples/README.md"));
    paths.sort();
    paths.into_iter().map(|path| Page { text: fs::read_to_string(&path).unwrap(), path }).collect()
}

/// Compares a made page with the one that lies in `docs/`, or writes it.
fn compare(name: &str, made: &str) {
    let path = root().join("docs").join(name);
    if std::env::var_os("PODLET_WRITE_DOCS").is_some() {
        fs::write(&path, made).unwrap();
        return;
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let first = there.lines().zip(made.lines()).position(|(there, made)| there != made);
    let line = first.unwrap_or_else(|| there.lines().count().min(made.lines().count()));
    assert!(
        there == made,
        "docs/{name} is not what the table says, from line {} on:\n  there: {:?}\n  made:  {:?}\n\
         PODLET_WRITE_DOCS=1 cargo test --test docs writes it anew",
        line + 1,
        there.lines().nth(line),
        made.lines().nth(line)
    );
}

#[test]
fn the_made_pages_are_what_the_tables_say() {
    compare("fields.md", &fields::page());
    compare("rules.md", &rules::page());
    compare("scenarios.md", &scenarios::page());
    compare("settings.md", &settings::page());
}
