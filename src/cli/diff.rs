//! `podlet diff`: what `apply` would change, in diff(1)'s form. Exit code 0 when nothing, 1 when something, more for an error.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use serde_json::{Value, json};

use super::apply::change::keep_marks;
use super::everywhere::Everywhere;
use super::files::Filenames;
use super::print::{self, wire};
use super::resource::Kind;
use super::targets::Target;
use super::{Caller, Failure, ask, files, revision};
use crate::manifest::Object;
use crate::manifest::unified_diff;

/// The words of `diff`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet diff -f pod.yaml  what podlet apply -f pod.yaml would change
  cat pod.yaml | podlet diff -f -
  KUBECTL_EXTERNAL_DIFF='diff -u --color' podlet diff -f pod.yaml

Exit code: 0 when nothing would change, 1 when something would, 2 for an error.")]
pub struct Words {
    /// Manifests: files, directories, or - for standard input.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The same, as kubectl takes it.
    #[command(flatten)]
    pub filenames: Filenames,
    /// Only documents with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Shows what Secrets hold.
    #[arg(long)]
    pub show_secrets: bool,
}

/// An error is told apart from a difference.
const TROUBLE: u8 = 2;

/// Compares.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    match compare(words, everywhere, caller) {
        Ok(differs) => Ok(u8::from(differs)),
        Err(Failure::Output(error)) => Err(Failure::Output(error)),
        Err(failure) => {
            caller.out.flush()?;
            if let Some(text) = failure.text() {
                caller.notice(&text);
            }
            Ok(TROUBLE)
        }
    }
}

/// Whether anything differs.
fn compare(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<bool, Failure> {
    let names = words.filenames.behind(&words.files);
    if names.is_empty() {
        return Err(Failure::error("must specify one of -f and -k"));
    }
    let external = std::env::var("KUBECTL_EXTERNAL_DIFF").ok().filter(|program| !program.trim().is_empty());
    let mut pairs = Vec::new();
    let mut objects = files::load_with_sources(&names, everywhere, "diff", caller)?;
    files::retain(&mut objects, |(_, object)| object, words.selector.as_deref(), "diff")?;
    for (_, object) in objects {
        pairs.push(pair(&object, words.show_secrets, caller)?);
    }
    if let Some(program) = external {
        return by_program(&program, &pairs, caller);
    }
    let mut differs = false;
    for Pair { name, live, merged } in &pairs {
        let text = unified_diff(live, merged);
        if text.is_empty() {
            continue;
        }
        differs = true;
        caller.print(&format!("diff -u -N LIVE/{name} MERGED/{name}\n--- LIVE/{name}\n+++ MERGED/{name}\n{text}"))?;
    }
    Ok(differs)
}

/// One object as it is and as it would be, as YAML; what is not there is empty.
struct Pair {
    /// kubectl's file name for it.
    name: String,
    live: String,
    merged: String,
}

fn pair(object: &Object, show_secrets: bool, caller: &Caller<'_>) -> Result<Pair, Failure> {
    let Target { kind, namespace, name } = revision::target(object);
    let live = ask::find(&caller.paths, kind, &namespace, &name)?.map(|live| live.wire().clone());
    let mut object = object.clone();
    if let Some(old) = revision::read(&caller.paths, &revision::target(&object))? {
        keep_marks(object.metadata_mut(), old.metadata());
    }
    let object = &object;
    let mut merged = match &live {
        Some(live) => revision::foreseen(live, object),
        None => wire::object(object),
    };
    let mut live = live.unwrap_or(Value::Null);
    if kind == Kind::Secret && !show_secrets {
        mask(&mut live, &mut merged);
    }
    let text = |value: &Value| -> Result<String, Failure> {
        let mut text = Vec::new();
        if !value.is_null() {
            print::yaml(value, &mut text)?;
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    let name = format!("v1.{}.{namespace}.{name}", kind.name());
    Ok(Pair { name, live: text(&live)?, merged: text(&merged)? })
}

/// A Secret's values do not belong on a screen; that one differs does.
fn mask(live: &mut Value, merged: &mut Value) {
    let before = live.get("data").cloned().unwrap_or_default();
    let after = merged.get("data").cloned().unwrap_or_default();
    let masked = |own: &Value, other: &Value, differing: &str| -> Value {
        let entries = own.as_object().into_iter().flatten();
        entries
            .map(|(key, value)| {
                let differs = other.get(key).is_some_and(|other| other != value);
                (key.clone(), json!(if differs { differing } else { "***" }))
            })
            .collect()
    };
    for (object, own, other, word) in
        [(live, &before, &after, "*** (before)"), (merged, &after, &before, "*** (after)")]
    {
        if let Some(data) = object.get_mut("data") {
            *data = masked(own, other, word);
        }
    }
}

/// Hands two directories to a program of the caller's; its exit code says whether they differ.
fn by_program(program: &str, pairs: &[Pair], caller: &mut Caller<'_>) -> Result<bool, Failure> {
    let trouble = |what: &str, error: std::io::Error| Failure::Error(format!("could not {what}: {error}"));
    let root = std::env::temp_dir().join(format!("podlet-diff-{}", std::process::id()));
    let written = (|| {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().mode(0o700).create(&root)?;
        for side in ["LIVE", "MERGED"] {
            std::fs::create_dir(root.join(side))?;
        }
        for Pair { name, live, merged } in pairs {
            for (side, text) in [("LIVE", live), ("MERGED", merged)] {
                if !text.is_empty() {
                    std::fs::write(root.join(side).join(name), text)?;
                }
            }
        }
        Ok(())
    })();
    let ran = written.and_then(|()| {
        caller.out.flush()?;
        let mut words = program.split_whitespace();
        Command::new(words.next().unwrap_or("diff")).args(words).arg("LIVE").arg("MERGED").current_dir(&root).output()
    });
    let _ = std::fs::remove_dir_all(&root);
    let output = ran.map_err(|error| trouble(&format!("run {program:?}"), error))?;
    caller.out.write_all(&output.stdout)?;
    caller.err.write_all(&output.stderr)?;
    match output.status.code() {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(Failure::Error(format!("{program:?} failed: {}", output.status))),
    }
}
