//! Sources to objects: every document of every source judged, everything wrong told at once.
//!
//! `cli` calls it for every verb that takes manifests. The API's verdict comes first; then podlet's own treatment of
//! fields, the namespace of the command line, and names that occur twice.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::budget::{Budget, MAX_FAULTS};
use super::diagnostic::{Diagnostic, Lines};
use super::document::{self, Document};
use super::field::FieldError;
use super::foreign::{self, Fate};
use super::node::{Entry, Node, Value};
use super::verdict::{self, Finding, Kind, Verdict};
use super::yaml::{self, Duplicate, Parsed};
use super::yaml_error::Problem;
use super::{Loaded, Options, Rejected, Source, status, treatment};

/// The most that one file may hold; many documents fit.
const MAX_SOURCE_BYTES: u64 = 32 * 1024 * 1024;

/// Reads all documents of all sources; nothing is accepted unless everything is good.
pub fn load(sources: &[Source], options: &Options) -> Result<Loaded, Rejected> {
    let mut gathered = Gathered::new(options);
    for source in sources {
        gathered.source(source);
    }
    gathered.finish()
}

/// The API server's verdict alone, for `apply --dry-run=server`: what would be stored, podlet's own refusals left out.
pub fn dry_run(sources: &[Source], options: &Options) -> Result<Loaded, Rejected> {
    let mut gathered = Gathered { server_only: true, ..Gathered::new(options) };
    for source in sources {
        gathered.source(source);
    }
    gathered.finish()
}

/// What has been read so far.
struct Gathered<'o> {
    options: &'o Options,
    server_only: bool,
    loaded: Loaded,
    diagnostics: Vec<Diagnostic>,
    status: Option<Box<super::Status>>,
    meaningless: BTreeSet<String>,
    /// One for all documents: a file of ten thousand small ones is as hostile as one large one.
    budget: Budget,
    /// How many diagnostics there were beyond those that are told, as far as was looked: at some point nobody looks on.
    untold: usize,
    /// Where an object was read first, by kind, namespace and name.
    seen: HashMap<(&'static str, String, String), String>,
}

impl<'o> Gathered<'o> {
    fn new(options: &'o Options) -> Self {
        Self {
            options,
            server_only: false,
            loaded: Loaded::default(),
            diagnostics: Vec::new(),
            status: None,
            meaningless: BTreeSet::new(),
            budget: Budget::default(),
            untold: 0,
            seen: HashMap::new(),
        }
    }

    fn finish(mut self) -> Result<Loaded, Rejected> {
        if let (Some(last), true) = (self.diagnostics.last_mut(), self.untold > 0) {
            last.text.push_str(&format!(" (and at least {} more after this one)", self.untold));
        }
        if let Some(status) = self.status {
            return Err(Rejected { diagnostics: self.diagnostics, status, warnings: self.loaded.warnings });
        }
        if !self.meaningless.is_empty() {
            let fields: Vec<_> = self.meaningless.into_iter().collect();
            self.loaded.notices.insert(0, format!("without meaning on one machine: {}", fields.join(", ")));
        }
        Ok(self.loaded)
    }

    fn source(&mut self, source: &Source) {
        let text = match document::text_of(&source.bytes) {
            Ok(text) => text,
            Err(problem) => {
                let lossy = String::from_utf8_lossy(&source.bytes);
                let verdict = verdict::unrecognized(&problem, Kind::Pod, &source.bytes);
                return self.refuse(source, &Lines::new(&lossy), verdict);
            }
        };
        let lines = Lines::new(text);
        for document in document::split(text) {
            // Enough is enough: nobody reads more, and nothing is accepted any more.
            if self.untold > 0 {
                break;
            }
            // Empty documents, and those that hold only comments, are passed over, as kubectl does.
            if !document.is_empty() {
                self.document(source, &lines, document);
            }
        }
    }

    fn document(&mut self, source: &Source, lines: &Lines<'_>, document: Document<'_>) {
        let body = document.text.as_bytes();
        let read =
            document.check_size().and_then(|()| yaml::parse(document.text, document.first_line, &mut self.budget));
        let parsed = match read {
            Ok(parsed) => parsed,
            Err(problem) => return self.refuse(source, lines, verdict::unrecognized(&problem, Kind::Pod, body)),
        };
        if let Some(position) = parsed.more {
            let problem = Problem {
                position,
                text: "another document begins here, after `...`; begin it with a `---` line".into(),
                server: "yaml: did not find expected <document start>".into(),
            };
            return self.refuse(source, lines, verdict::unrecognized(&problem, Kind::Pod, body));
        }
        match (&parsed.root.value, list_of(&parsed.root)) {
            (Value::Null, _) => {}
            (_, Some(item_kind)) => self.list(source, lines, document, parsed, item_kind),
            _ => self.object(source, lines, document, &parsed, None),
        }
    }

    /// A `List`: its items are documents of their own.
    fn list(
        &mut self,
        source: &Source,
        lines: &Lines<'_>,
        document: Document<'_>,
        parsed: Parsed,
        item_kind: Option<Kind>,
    ) {
        let Parsed { root, duplicates, .. } = parsed;
        let Value::Map(entries) = root.value else { return };
        for Entry { key, position, value } in entries {
            match (&*key, value.value) {
                ("apiVersion" | "kind" | "metadata", _) | ("items", Value::Null) => {}
                ("items", Value::List(items)) => {
                    // Lists within are taken apart behind what stands beside them, as kubectl does.
                    let mut lists = Vec::new();
                    for (index, item) in items.into_iter().enumerate() {
                        let inside = format!("items[{index}]");
                        let duplicates = duplicates.iter().filter_map(|duplicate| {
                            let path = beneath(&duplicate.path, &inside)?.to_string();
                            Some(Duplicate { path, ..duplicate.clone() })
                        });
                        let parsed = Parsed { root: item, duplicates: duplicates.collect(), more: None };
                        match list_of(&parsed.root) {
                            Some(inner) => lists.push((parsed, inner)),
                            None => self.object(source, lines, document, &parsed, item_kind),
                        }
                    }
                    for (parsed, inner) in lists {
                        self.list(source, lines, document, parsed, inner);
                    }
                }
                ("items", _) => {
                    let text = "expected a list of objects";
                    let status = status::bad_request("items: expected a list".into());
                    self.refuse(source, lines, Verdict::refused(position, "items", text, status));
                }
                (other, _) => {
                    let status = status::bad_request(format!("strict decoding error: unknown field {other:?}"));
                    self.refuse(source, lines, Verdict::refused(position, other, "unknown field of a List", status));
                }
            }
        }
    }

    /// An object, or what becomes of another of a cluster's.
    fn object(
        &mut self,
        source: &Source,
        lines: &Lines<'_>,
        document: Document<'_>,
        parsed: &Parsed,
        expected: Option<Kind>,
    ) {
        match foreign::fate(&parsed.root) {
            Fate::Pod { root, prefix, notices } => {
                self.loaded.notices.extend(notices.into_iter().map(|text| format!("{}: {text}", source.name)));
                let duplicates = parsed.duplicates.iter().filter_map(|duplicate| {
                    let path = if prefix.is_empty() { &duplicate.path } else { beneath(&duplicate.path, prefix)? };
                    Some(Duplicate { path: path.to_owned(), ..duplicate.clone() })
                });
                let parsed = Parsed { root, duplicates: duplicates.collect(), more: None };
                self.own_object(source, lines, document, &parsed, expected, prefix);
            }
            Fate::Passed { why } if !self.options.strict => {
                let word = |path: &[&str]| {
                    let found = path.iter().try_fold(&parsed.root, |node, field| node.get(field));
                    found.and_then(Node::as_str).unwrap_or_default().to_owned()
                };
                let (kind, name) = (word(&["kind"]), word(&["metadata", "name"]));
                self.loaded.notices.push(format!("{}: {kind} {name:?} is passed over: {why}", source.name));
            }
            Fate::Refused { position, error } => {
                let name = parsed.root.get("metadata").and_then(|metadata| metadata.get("name"));
                let name = name.and_then(Node::as_str).unwrap_or_default();
                let kind = parsed.root.get("kind").and_then(Node::as_str).unwrap_or_default();
                let status = status::invalid(kind, name, std::slice::from_ref(&error));
                self.refuse(source, lines, Verdict::refused(position, &error.path, error.body(), status));
            }
            Fate::Own | Fate::Passed { .. } => self.own_object(source, lines, document, parsed, expected, ""),
        }
    }

    /// A pod, ConfigMap or Secret; `prefix` is where it stands in its document.
    fn own_object(
        &mut self,
        source: &Source,
        lines: &Lines<'_>,
        document: Document<'_>,
        parsed: &Parsed,
        expected: Option<Kind>,
        prefix: &str,
    ) {
        let namespace = self.options.namespace.as_deref().unwrap_or("default");
        let body = document.text.as_bytes();
        let mut judged = verdict::of_tree(parsed, document, expected, body, namespace, &mut self.budget);
        let root = &parsed.root;
        let kind = root.get("kind").and_then(Node::as_str).and_then(Kind::named).or(expected);
        if let Some(kind) = kind {
            self.namespace(root, &mut judged);
            match self.server_only {
                true => self.foretell(source, root, kind),
                false => self.treat(source, root, kind, &mut judged),
            }
        }
        self.unique(source, root, &mut judged);
        if !prefix.is_empty() {
            judged.findings.iter_mut().for_each(|finding| finding.path.insert_str(0, &format!("{prefix}.")));
        }
        self.loaded.warnings.append(&mut judged.warnings);
        match judged.object.take() {
            Some(object) if judged.status.is_none() => self.loaded.objects.push(object),
            // A Secret's lines are not shown: they may hold what must not be on a screen.
            _ if kind == Some(Kind::Secret) => self.refuse(source, &Lines::hidden(), judged),
            _ => self.refuse(source, lines, judged),
        }
    }

    /// `-n` and the object must not contradict each other.
    fn namespace(&self, root: &Node, judged: &mut Verdict) {
        let written = root.get("metadata").and_then(|metadata| metadata.get("namespace"));
        let (Some(asked), Some(written)) = (&self.options.namespace, written) else { return };
        if let Some(name) = written.as_str().filter(|name| !name.is_empty() && name != asked) {
            let text = format!(
                "the namespace from the provided object \"{name}\" does not match the namespace \"{asked}\". You must \
                 pass '--namespace={name}' to perform this operation."
            );
            let position = written.position;
            judged.findings.push(Finding { position, path: "metadata.namespace".into(), text: text.clone() });
            judged.status.get_or_insert_with(|| Box::new(status::bad_request(text)));
        }
    }

    /// A server would take what podlet itself will refuse; whoever tries it out should know.
    fn foretell(&mut self, source: &Source, root: &Node, kind: Kind) {
        let review = treatment::review(root, kind.rows(), &self.options.allow_unsupported);
        if let [first, others @ ..] = review.refused.as_slice() {
            let more = match others.len() + review.untold {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let (name, path, text) = (&source.name, &first.path, &first.text);
            self.loaded.notices.push(format!("{name}: a server takes this, podlet will not: {path}: {text}{more}"));
        }
    }

    /// podlet's own treatment of what was written.
    fn treat(&mut self, source: &Source, root: &Node, kind: Kind, judged: &mut Verdict) {
        let review = treatment::review(root, kind.rows(), &self.options.allow_unsupported);
        self.meaningless.extend(review.meaningless);
        // Whatever it says, the pod runs here.
        let node = root.get("spec").and_then(|spec| spec.get("nodeName")).and_then(Node::as_str);
        if kind == Kind::Pod && node.is_some_and(|name| !name.is_empty()) {
            self.meaningless.insert("spec.nodeName".to_owned());
        }
        self.loaded.notices.extend(review.notices.into_iter().map(|text| format!("{}: {text}", source.name)));
        self.untold += review.untold;
        let mut refused = review.refused;
        // What has not even the right form is told of once.
        refused.retain(|refusal| judged.findings.iter().all(|finding| finding.path != refusal.path));
        if refused.is_empty() {
            return;
        }
        let errors: Vec<_> =
            refused.iter().map(|refusal| FieldError::forbidden(&refusal.path, refusal.text.clone())).collect();
        let name = root.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Node::as_str).unwrap_or("");
        judged.status.get_or_insert_with(|| verdict::refusal(kind, name, &errors));
        judged.findings.extend(refused.into_iter().map(|refusal| Finding {
            position: refusal.position,
            path: refusal.path,
            text: refusal.text,
        }));
        judged.findings.sort_by_key(|finding| finding.position);
    }

    /// One name, one object.
    fn unique(&mut self, source: &Source, root: &Node, judged: &mut Verdict) {
        let Some(object) = &judged.object else { return };
        let metadata = object.metadata();
        let name = metadata.name.clone().unwrap_or_default();
        let key = (object.kind(), metadata.namespace.clone().unwrap_or_default(), name.clone());
        let position = root.locate("metadata.name");
        let place = format!("{}:{}", source.name, position.line);
        if let Some(first) = self.seen.get(&key) {
            let text = format!("there are two of {} {name:?}; the first is at {first}", key.0);
            judged.findings.push(Finding { position, path: "metadata.name".into(), text });
            let error = FieldError::duplicate(&"metadata.name", name.as_str());
            judged.status = Some(Box::new(status::invalid(key.0, &name, &[error])));
        } else {
            self.seen.insert(key, place);
        }
    }

    fn refuse(&mut self, source: &Source, lines: &Lines<'_>, verdict: Verdict) {
        for finding in verdict.findings {
            if self.diagnostics.len() < MAX_FAULTS {
                let Finding { position, path, text } = finding;
                self.diagnostics.push(Diagnostic::new(&source.name, lines, position, &path, text));
            } else {
                self.untold += 1;
            }
        }
        if let Some(status) = verdict.status {
            self.status.get_or_insert(status);
        }
    }
}

/// The rest of a path that leads into `inside`.
fn beneath<'p>(path: &'p str, inside: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(inside)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
}

/// Whether a tree is a `List`, and the kind of items that its name tells (`PodList`).
pub(super) fn list_of(root: &Node) -> Option<Option<Kind>> {
    let kind = root.get("kind")?.as_str()?;
    root.get("apiVersion")?.as_str().filter(|version| *version == "v1")?;
    match kind.strip_suffix("List")? {
        "" => Some(None),
        item => Kind::named(item).map(Some),
    }
}

/// Reads files, directories (`*.yaml`, `*.yml`, `*.json`, in name order, not below) and `-` for standard input.
pub fn read_sources(names: &[PathBuf]) -> std::io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for name in names {
        if name.as_os_str() == "-" {
            sources.push(read(std::io::stdin().lock(), "<stdin>")?);
        } else if name.is_dir() {
            let mut files = Vec::new();
            for entry in std::fs::read_dir(name).map_err(|error| told(error, name))? {
                let path = entry.map_err(|error| told(error, name))?.path();
                if is_manifest(&path) && !path.is_dir() {
                    files.push(path);
                }
            }
            files.sort();
            for file in files {
                sources.push(read_file(&file)?);
            }
        } else {
            sources.push(read_file(name)?);
        }
    }
    Ok(sources)
}

/// The manifests in a directory and in all beneath it, in the order of their names. Links to directories are not followed.
pub fn files_beneath(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| told(error, directory))? {
        let entry = entry.map_err(|error| told(error, directory))?;
        let kind = entry.file_type().map_err(|error| told(error, &entry.path()))?;
        entries.push((entry.path(), kind.is_dir()));
    }
    entries.sort();
    let mut files = Vec::new();
    for (path, is_directory) in entries {
        match is_directory {
            true => files.extend(files_beneath(&path)?),
            false if is_manifest(&path) && !path.is_dir() => files.push(path),
            false => {}
        }
    }
    Ok(files)
}

/// By its name.
fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
}

fn read_file(path: &Path) -> std::io::Result<Source> {
    let file = std::fs::File::open(path).map_err(|error| told(error, path))?;
    read(file, &path.display().to_string())
}

fn read(reader: impl Read, name: &str) -> std::io::Result<Source> {
    let mut bytes = Vec::new();
    reader.take(MAX_SOURCE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| told(error, Path::new(name)))?;
    if bytes.len() as u64 > MAX_SOURCE_BYTES {
        let text = format!("{name}: larger than {MAX_SOURCE_BYTES} bytes; split it into several files");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, text));
    }
    Ok(Source { name: name.to_string(), bytes })
}

fn told(error: std::io::Error, path: &Path) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
