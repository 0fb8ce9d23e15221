//! The words that name manifests, shared by `apply`, `up`, `plan` and `delete -f`, and what is said when a manifest is bad.

use std::path::PathBuf;

use clap::Args;

use super::config::seccomp_default;
use super::everywhere::Everywhere;
use super::resource::Kind;
use super::{Caller, Failure};
use crate::linux::container::SeccompDefault;
use crate::manifest::{self, Diagnostic, Loaded, Object, Options, Rejected};

/// Which files, and what about them is let pass.
#[derive(Args, Clone, Debug)]
pub struct FileWords {
    /// Manifests: files, directories, or - for standard input.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The same, as kubectl takes it.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    filenames: Vec<PathBuf>,
    /// Goes on although podlet does not carry this field out yet, and says so.
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    allow_unsupported: Vec<String>,
    /// The seccomp profile of containers whose manifest names none: RuntimeDefault (as a kubelet with seccompDefault: true)
    /// or Unconfined (as a plain kubelet).
    /// [default: as the settings say (podlet config view); RuntimeDefault when they say nothing]
    #[arg(long, value_name = "PROFILE", value_parser = seccomp_default)]
    seccomp_default: Option<SeccompDefault>,
}

impl FileWords {
    /// The profile for a silent manifest, when the command line names it.
    pub fn seccomp_default(&self) -> Option<SeccompDefault> {
        self.seccomp_default
    }

    /// Reads, defaults and validates all of them; says what is wrong with each before anything is started. With `status` the
    /// Status goes to stdout as JSON.
    pub fn load(&self, everywhere: &Everywhere, status: bool, caller: &mut Caller<'_>) -> Result<Loaded, Failure> {
        load(&self.names()?, everywhere, &self.allow_unsupported, status, caller)
    }

    fn names(&self) -> Result<Vec<PathBuf>, Failure> {
        let names: Vec<PathBuf> = self.files.iter().chain(&self.filenames).cloned().collect();
        if names.is_empty() {
            return Err(Failure::error("name a manifest: a file, a directory, or - for standard input"));
        }
        all_there(&names).map(|()| names)
    }

    /// The API server's verdict alone, for `apply --dry-run=server`: what podlet itself does not carry out is let pass. What
    /// is refused is told, and its Status goes to stdout where the output is json or yaml.
    pub fn judge(&self, everywhere: &Everywhere, output: &str, caller: &mut Caller<'_>) -> Result<Loaded, Failure> {
        let names = self.names()?;
        let sources = manifest::read_sources(&names).map_err(|e| Failure::Error(e.to_string()))?;
        let options =
            Options { namespace: everywhere.namespace.clone(), allow_unsupported: self.allow_unsupported.clone() };
        match manifest::dry_run(&sources, &options) {
            Ok(loaded) if loaded.objects.is_empty() => Err(Failure::error("no objects passed to apply")),
            Ok(loaded) => {
                loaded.warnings.iter().for_each(|text| caller.notice(&format!("Warning: {text}")));
                loaded.notices.iter().for_each(|text| caller.notice(&format!("Note: {text}")));
                Ok(loaded)
            }
            Err(rejected) => {
                if output == "yaml" {
                    let value = serde_json::to_value(&rejected.status).unwrap_or_default();
                    super::print::yaml(&value, caller.out)?;
                }
                reject(&rejected, output == "json", caller)
            }
        }
    }
}

/// Reads, defaults and validates; see [`FileWords::load`].
pub fn load(
    names: &[PathBuf],
    everywhere: &Everywhere,
    allow_unsupported: &[String],
    status: bool,
    caller: &mut Caller<'_>,
) -> Result<Loaded, Failure> {
    all_there(names)?;
    let sources = manifest::read_sources(names).map_err(|e| Failure::Error(e.to_string()))?;
    let options = Options { namespace: everywhere.namespace.clone(), allow_unsupported: allow_unsupported.to_vec() };
    match manifest::load(&sources, &options) {
        Ok(loaded) if loaded.objects.is_empty() => Err(Failure::error("no objects passed to apply")),
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|text| caller.notice(&format!("Warning: {text}")));
            loaded.notices.iter().for_each(|text| caller.notice(&format!("Note: {text}")));
            Ok(loaded)
        }
        Err(rejected) => {
            rejected.warnings.iter().for_each(|text| caller.notice(&format!("Warning: {text}")));
            reject(&rejected, status, caller)
        }
    }
}

fn reject(rejected: &Rejected, status: bool, caller: &mut Caller<'_>) -> Result<Loaded, Failure> {
    if status {
        let value = serde_json::to_value(&rejected.status).unwrap_or_default();
        super::print::json(&value, caller.out)?;
    }
    let colour = caller.colour && caller.err_terminal;
    for diagnostic in &rejected.diagnostics {
        caller.notice(&render(diagnostic, colour));
    }
    Err(Failure::Told)
}

/// `pod.yaml:12:9: spec.x: text`, the source line, and a caret beneath the column.
pub fn render(diagnostic: &Diagnostic, colour: bool) -> String {
    let Diagnostic { source, line, column, path, text, excerpt, caret } = diagnostic;
    let (bold, red, plain) = if colour { ("\x1b[1m", "\x1b[31m", "\x1b[0m") } else { ("", "", "") };
    let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
    let head = format!("{bold}{source}:{line}:{column}:{plain} {path}{red}{text}{plain}");
    if excerpt.trim().is_empty() {
        return head;
    }
    let (shown, caret) = window(excerpt, *caret + 1);
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    format!("{head}\n  {number} | {shown}\n  {margin} | {}{red}^{plain}", " ".repeat(caret))
}

/// The part of a source line around the column that fits a terminal, control characters made visible, and where in it
/// the column is.
fn window(excerpt: &str, column: usize) -> (String, usize) {
    const WIDTH: usize = 100;
    let characters: Vec<char> = excerpt.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let at = column.saturating_sub(1).min(characters.len());
    if characters.len() <= WIDTH {
        return (characters.into_iter().collect(), at);
    }
    let start = at.saturating_sub(WIDTH / 2).min(characters.len() - WIDTH);
    let cut: String = characters.iter().skip(start).take(WIDTH).collect();
    let (before, shift) = if start > 0 { ("…", 1) } else { ("", 0) };
    let after = if start + WIDTH < characters.len() { "…" } else { "" };
    (format!("{before}{cut}{after}"), at - start + shift)
}

fn all_there(names: &[PathBuf]) -> Result<(), Failure> {
    let Some(missing) = names.iter().find(|name| name.as_os_str() != "-" && !name.exists()) else { return Ok(()) };
    let path = missing.display().to_string();
    if path.starts_with("https://") || path.starts_with("http://") {
        return Err(Failure::Error(format!("podlet reads no URLs yet; type: curl -fsSL {path} | podlet apply -f -")));
    }
    Err(Failure::Error(format!("the path {path:?} does not exist")))
}

/// Kinds, namespaces and names of the objects in manifests, for `delete -f`. What podlet does not carry out is no reason
/// not to delete.
pub fn names(
    names: &[PathBuf],
    everywhere: &Everywhere,
    caller: &mut Caller<'_>,
) -> Result<Vec<(Kind, String, String)>, Failure> {
    all_there(names)?;
    let sources = manifest::read_sources(names).map_err(|e| Failure::Error(e.to_string()))?;
    let options = Options { namespace: everywhere.namespace.clone(), ..Options::default() };
    let loaded = match manifest::dry_run(&sources, &options) {
        Ok(loaded) => loaded,
        Err(rejected) => reject(&rejected, false, caller)?,
    };
    let name = |object: &Object| {
        let kind = match object {
            Object::Pod(_) => Kind::Pod,
            Object::ConfigMap(_) => Kind::ConfigMap,
            Object::Secret(_) => Kind::Secret,
        };
        let metadata = object.metadata();
        let namespace = metadata.namespace.clone().unwrap_or_else(|| everywhere.namespace().to_owned());
        (kind, namespace, metadata.name.clone().unwrap_or_default())
    };
    Ok(loaded.objects.iter().map(name).collect())
}
