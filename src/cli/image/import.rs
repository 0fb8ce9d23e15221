//! `podlet image import`: from a directory, a tar file, an OCI layout or an archive of `docker save` into the store.

use std::path::PathBuf;

use clap::Args;

use super::super::check_output;
use super::super::{Caller, Failure, print};
use crate::config::Images;
use crate::image::{Overrides, Store};

/// The words of `image import`.
#[derive(Args, Debug)]
pub struct Words {
    /// A directory, a tar file, an OCI layout, or - for a tar on standard input.
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// The name it gets; an OCI layout and docker save bring their own.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The program: one word, or a JSON list of words; empty takes the image's away.
    #[arg(long, value_name = "PROGRAM", value_parser = word_list, allow_hyphen_values = true)]
    entrypoint: Option<WordList>,
    /// Its arguments where a pod gives none: one word, or a JSON list of words.
    #[arg(long, value_name = "ARGUMENTS", value_parser = word_list, allow_hyphen_values = true)]
    cmd: Option<WordList>,
    /// Sets an environment variable; can be given several times.
    #[arg(short, long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// As whom it runs: a user, USER:GROUP, or numbers.
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// The working directory.
    #[arg(short, long, value_name = "DIRECTORY")]
    workdir: Option<String>,
    /// The signal that asks it to end: SIGTERM if none is named.
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Prints the stored record: json, yaml or name.
    #[arg(short, long, value_name = "json|name|yaml")]
    output: Option<String>,
}

/// Words of a program. A type of its own, since clap would take a `Vec` for a flag given several times.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WordList(Vec<String>);

fn word_list(text: &str) -> Result<WordList, String> {
    if text.is_empty() {
        return Ok(WordList(Vec::new()));
    }
    if text.starts_with('[') {
        let list = serde_json::from_str(text);
        return list.map(WordList).map_err(|error| format!("no JSON list of strings: {error}"));
    }
    if text.contains(char::is_whitespace) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let list = serde_json::to_string(&words).unwrap_or_default();
        return Err(format!("one word or a JSON list of words is expected; perhaps '{list}' is meant"));
    }
    Ok(WordList(vec![text.to_owned()]))
}

/// Imports.
pub fn run(words: Words, store: &Store, images: &Images, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = words.output.as_deref().unwrap_or_default();
    check_output(output, &["json", "name", "yaml"])?;
    let overrides = Overrides {
        entrypoint: words.entrypoint.map(|list| list.0),
        cmd: words.cmd.map(|list| list.0),
        env: words.env,
        user: words.user,
        working_dir: words.workdir,
        stop_signal: words.stop_signal,
    };
    let imported = store
        .import(&words.source, words.name.as_deref(), &overrides, images.limits())
        .map_err(|error| Failure::Error(error.to_string()))?;
    imported.notes.iter().for_each(|note| caller.notice(&format!("Note: {note}")));
    let record = serde_json::to_value(&imported.record).unwrap_or_default();
    match output {
        "json" => print::json(&record, caller.out)?,
        "yaml" => print::own_yaml(&record, caller.out)?,
        "name" => caller.print(&format!("{}\n", imported.record.name))?,
        _ => caller.print(&format!("{} imported\n", imported.record.name))?,
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_of_a_program() {
        let list = |words: &[&str]| Ok(WordList(words.iter().map(|word| (*word).to_owned()).collect()));
        assert_eq!(word_list("/bin/app"), list(&["/bin/app"]));
        assert_eq!(word_list(""), list(&[]));
        assert_eq!(word_list(r#"["sh", "-c", "a b"]"#), list(&["sh", "-c", "a b"]));
        assert!(word_list("[1]").unwrap_err().contains("JSON"));
        assert!(word_list("sh -c").unwrap_err().contains(r#"'["sh","-c"]'"#));
    }
}
