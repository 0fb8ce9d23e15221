//! The words that name manifests, shared by `apply`, `up`, `plan` and `delete -f`, and what is said when a manifest is bad.

use std::path::PathBuf;

use clap::Args;

use super::everywhere::Everywhere;
use super::output::Output;
use super::resource::Kind;
use super::select::Selector;
use super::{Caller, Failure};
use crate::http;
use crate::linux::container::SeccompDefault;
use crate::manifest::{self, Diagnostic, Loaded, Object, Options, Rejected, Source};

/// `-f`, and how deep.
#[derive(Args, Clone, Debug, Default)]
pub struct Filenames {
    /// Manifests: files, directories, https addresses, or - for standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub names: Vec<PathBuf>,
    /// Takes directories with all that lie in them.
    #[arg(short = 'R', long)]
    pub recursive: bool,
}

impl Filenames {
    /// Whether none is named.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The same behind these, which need no `-f`.
    pub fn behind(&self, files: &[PathBuf]) -> Filenames {
        Filenames { names: files.iter().chain(&self.names).cloned().collect(), recursive: self.recursive }
    }

    /// The one local file or `-` that `--raw` takes; kubectl's texts.
    pub fn only(&self) -> Result<Source, Failure> {
        let [name] = self.names.as_slice() else {
            return Err(Failure::error("--raw can only use a single local file or stdin"));
        };
        if name.to_str().is_some_and(is_address) {
            return Err(Failure::error("--raw cannot read from a url"));
        }
        if self.recursive {
            return Err(Failure::error("--raw and --recursive are mutually exclusive"));
        }
        let mut sources = read(self)?;
        match (sources.pop(), sources.is_empty()) {
            (Some(source), true) => Ok(source),
            _ => Err(Failure::error("--raw can only use a single local file or stdin")),
        }
    }
}

/// Which files, and what about them is let pass.
#[derive(Args, Clone, Debug)]
pub struct FileWords {
    /// Manifests: files, directories, https addresses, or - for standard input.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The same, as kubectl takes it.
    #[command(flatten)]
    filenames: Filenames,
    /// Goes on although podlet does not carry this field out yet, and says so.
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    allow_unsupported: Vec<String>,
    /// A document of a kind that podlet does not keep is an error; without it, it is passed over with a notice.
    #[arg(long)]
    strict: bool,
    /// The seccomp profile of containers whose manifest names none: RuntimeDefault (as a kubelet with seccompDefault: true)
    /// or Unconfined (as a plain kubelet).
    /// [default: as the settings say (podlet config view); RuntimeDefault when they say nothing]
    #[arg(long, value_name = "PROFILE")]
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
        let options = self.options(everywhere);
        load(&self.names()?, &options, status, caller)
    }

    fn options(&self, everywhere: &Everywhere) -> Options {
        Options {
            namespace: everywhere.namespace.clone(),
            allow_unsupported: self.allow_unsupported.clone(),
            strict: self.strict,
        }
    }

    fn names(&self) -> Result<Filenames, Failure> {
        let names = self.filenames.behind(&self.files);
        if let [word, ..] = self.files.as_slice()
            && let Some(what) = word.to_str().and_then(|word| word.strip_suffix("-last-applied"))
            && !word.exists()
        {
            return Err(Failure::Error(format!(
                "podlet keeps no manifest as it was last applied to {what} it; the object as it is: podlet get pod POD -o yaml; \
                 in an editor: podlet edit pod POD"
            )));
        }
        if names.is_empty() {
            return Err(Failure::error("name a manifest: a file, a directory, or - for standard input"));
        }
        Ok(names)
    }

    /// The API server's verdict alone, for `apply --dry-run=server`: what podlet itself does not carry out is let pass. What
    /// is refused is told, and its Status goes to stdout where the output is json or yaml.
    pub fn judge(&self, everywhere: &Everywhere, output: &Output, caller: &mut Caller<'_>) -> Result<Loaded, Failure> {
        let names = self.names()?;
        let sources = read(&names)?;
        let options = self.options(everywhere);
        match manifest::dry_run(&sources, &options) {
            Ok(loaded) => told(loaded, caller),
            Err(rejected) => {
                if *output == Output::Yaml {
                    let value = serde_json::to_value(&rejected.status).unwrap_or_default();
                    super::print::yaml(&value, caller.out)?;
                }
                reject(&rejected, *output == Output::Json, caller)
            }
        }
    }
}

/// Says what is to be said of what was read, which must be something.
fn told(loaded: Loaded, caller: &mut Caller<'_>) -> Result<Loaded, Failure> {
    let empty = loaded.objects.is_empty();
    if !empty {
        loaded.warnings.iter().for_each(|text| caller.notice(&format!("Warning: {text}")));
    }
    loaded.notices.iter().for_each(|text| caller.notice(&format!("Note: {text}")));
    if empty { Err(Failure::error("no objects passed to apply")) } else { Ok(loaded) }
}

/// Reads, defaults and validates; see [`FileWords::load`].
pub fn load(names: &Filenames, options: &Options, status: bool, caller: &mut Caller<'_>) -> Result<Loaded, Failure> {
    let sources = read(names)?;
    match manifest::load(&sources, options) {
        Ok(loaded) => told(loaded, caller),
        Err(rejected) => {
            rejected.warnings.iter().for_each(|text| caller.notice(&format!("Warning: {text}")));
            reject(&rejected, status, caller)
        }
    }
}

/// The objects of words that stand in no file, judged as if they did.
pub fn accept(source: Source, options: &Options, caller: &mut Caller<'_>) -> Result<Vec<Object>, Failure> {
    let loaded = manifest::load(&[source], options).map_err(|rejected| refusal(&rejected))?;
    loaded.warnings.iter().for_each(|text| caller.notice(&format!("Warning: {text}")));
    Ok(loaded.objects)
}

/// Objects with the name of the file that each comes from, for verbs whose messages tell it. All are judged before any is
/// answered.
pub fn load_with_sources(
    names: &Filenames,
    everywhere: &Everywhere,
    verb: &str,
    caller: &mut Caller<'_>,
) -> Result<Vec<(String, Object)>, Failure> {
    let sources = read(names)?;
    let options = Options { namespace: everywhere.namespace.clone(), ..Options::default() };
    let whole = match manifest::load(&sources, &options) {
        Ok(loaded) => loaded,
        Err(rejected) => reject(&rejected, false, caller)?,
    };
    if whole.objects.is_empty() {
        return Err(Failure::Error(format!("no objects passed to {verb}")));
    }
    whole.warnings.iter().for_each(|text| caller.notice(&format!("Warning: {text}")));
    whole.notices.iter().for_each(|text| caller.notice(&format!("Note: {text}")));
    let mut objects = Vec::new();
    for source in &sources {
        let loaded = manifest::load(std::slice::from_ref(source), &options).unwrap_or_default();
        objects.extend(loaded.objects.into_iter().map(|object| (source.name.clone(), object)));
    }
    Ok(objects)
}

/// Keeps those with the labels of `-l`.
pub fn retain<T>(
    objects: &mut Vec<T>,
    object: impl Fn(&T) -> &Object,
    selector: Option<&str>,
    verb: &str,
) -> Result<(), Failure> {
    let Some(selector) = selector.filter(|selector| !selector.is_empty()) else { return Ok(()) };
    let selector = Selector::parse(Kind::Pod, Some(selector), None)?;
    objects.retain(|one| {
        let labels = object(one).metadata().labels.clone().unwrap_or_default();
        selector.matches(&labels, || &serde_json::Value::Null)
    });
    match objects.is_empty() {
        true => Err(Failure::Error(format!("no objects passed to {verb}"))),
        false => Ok(()),
    }
}

/// What is refused, as the API server says it; without places, for objects that stand in no file of the user's.
pub fn refusal(rejected: &Rejected) -> Failure {
    let status = &rejected.status;
    let message = status.message.clone().unwrap_or_default();
    let details = status.details.as_ref();
    let causes = details.and_then(|details| details.causes.as_ref()).filter(|causes| !causes.is_empty());
    match causes {
        None => Failure::bad_request(message),
        Some(causes) => {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let kind = details.map(|details| text(&details.kind)).unwrap_or_default();
            let name = details.map(|details| text(&details.name)).unwrap_or_default();
            let causes: Vec<String> =
                causes.iter().map(|cause| format!("{}: {}", text(&cause.field), text(&cause.message))).collect();
            Failure::Text(match causes.as_slice() {
                [one] => format!("The {kind} {name:?} is invalid: {one}"),
                several => format!("The {kind} {name:?} is invalid: \n* {}", several.join("\n* ")),
            })
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

/// The most that is fetched from an address.
const MOST_FETCHED: u64 = 4 << 20;

/// Files, directories, `-` for standard input, and https addresses, in their order.
fn read(filenames: &Filenames) -> Result<Vec<Source>, Failure> {
    let names = &filenames.names;
    let address = |name: &PathBuf| name.to_str().filter(|name| is_address(name)).map(str::to_owned);
    let missing = |name: &&PathBuf| address(name).is_none() && name.as_os_str() != "-" && !name.exists();
    if let Some(missing) = names.iter().find(missing) {
        return Err(Failure::Error(format!("the path {:?} does not exist", missing.display().to_string())));
    }
    let mut sources = Vec::new();
    for name in names {
        match address(name) {
            Some(address) => sources.push(fetch(&address)?),
            None => {
                let deep = filenames.recursive && name.is_dir();
                let files = if deep { manifest::files_beneath(name) } else { Ok(vec![name.clone()]) };
                let read = files.and_then(|files| manifest::read_sources(&files));
                sources.extend(read.map_err(|error| Failure::Error(error.to_string()))?);
            }
        }
    }
    Ok(sources)
}

fn is_address(name: &str) -> bool {
    name.starts_with("https://") || name.starts_with("http://")
}

/// A manifest decides what runs as root here: it comes from whom it names, or not at all.
fn fetch(address: &str) -> Result<Source, Failure> {
    let parsed = http::Address::parse(address).map_err(|why| Failure::Error(format!("{address}: {why}")))?;
    if !parsed.is_https() && !parsed.is_loopback() {
        return Err(Failure::Error(format!(
            "podlet fetches manifests by https only, and this is http; if you trust the way to it: \
             curl -fsSL {address} | podlet apply -f -"
        )));
    }
    match http::fetch(address, MOST_FETCHED) {
        Ok(bytes) => Ok(Source { name: parsed.shown(), bytes }),
        Err(error) => Err(Failure::Error(format!("unable to read URL {:?}: {error}", parsed.shown()))),
    }
}

/// Kinds, namespaces and names of the objects in manifests, for `delete -f`. What podlet does not carry out is no reason
/// not to delete.
pub fn names(
    names: &Filenames,
    everywhere: &Everywhere,
    caller: &mut Caller<'_>,
) -> Result<Vec<(Kind, String, String)>, Failure> {
    let sources = read(names)?;
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
