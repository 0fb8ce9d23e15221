//! `podlet completion`: scripts that complete podlet's words in bash, zsh and fish.
//!
//! A script asks podlet itself at each TAB, by an environment variable, so that pods, containers and images are those that
//! are there at that moment ([`answer`]). What a word may be follows from the name that the word has in the verb's own
//! declaration: one table here serves all verbs.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgMatches, Args, Command, ValueHint};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::Shells;

use k8s_openapi::api::core::v1::PodSpec;

use super::resource::Kind;
use super::stored;
use super::{Caller, Failure, ask, output};
use crate::image::Store;
use crate::paths::Paths;

/// By this variable a script asks; its value is the shell's name.
const VARIABLE: &str = "PODLET_COMPLETE";

/// The shells that there is a script for.
pub const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// zsh loads a file of its `fpath` at the first TAB, as the function that is to answer it.
const AUTOLOADED: &str = "\
if [[ $funcstack[1] == _podlet ]]; then
    _clap_dynamic_completer_podlet \"$@\"
fi
";

/// The words of `completion`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  source <(podlet completion bash)
  podlet completion zsh > \"${fpath[1]}/_podlet\"
  podlet completion fish > ~/.config/fish/completions/podlet.fish

Names of pods, containers, ConfigMaps, Secrets, namespaces and images are completed as they are at that moment, where the \
user may see them.")]
pub struct Words {
    /// bash, zsh or fish.
    #[arg(value_name = "SHELL")]
    pub shell: Option<String>,
}

/// Prints the script.
pub fn run(words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let Some(shell) = &words.shell else {
        let text = "Shell not specified.\nSee 'podlet completion -h' for help and examples";
        return Err(Failure::error(text));
    };
    if !SHELLS.contains(&shell.as_str()) {
        return Err(Failure::Error(format!("Unsupported shell type {shell:?}: expected bash, zsh or fish")));
    }
    caller.out.write_all(&script(shell, &typed_program()))?;
    Ok(0)
}

/// The script for one of [`SHELLS`], which asks this program.
pub fn script(shell: &str, program: &str) -> Vec<u8> {
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(shell) {
        // Into memory: nothing can fail, and half a script is none.
        let _ = shell.write_registration(VARIABLE, "podlet", "podlet", program, &mut script);
    }
    if shell == "zsh" {
        script.extend_from_slice(AUTOLOADED.as_bytes());
    }
    script
}

/// As it was called: a path is made absolute, since a script is used in other directories; a name is looked up again.
fn typed_program() -> String {
    let typed = std::env::args_os().next().unwrap_or_else(|| "podlet".into());
    let typed = std::path::PathBuf::from(typed);
    let path = if typed.components().count() > 1 { std::path::absolute(&typed).unwrap_or(typed) } else { typed };
    path.to_string_lossy().into_owned()
}

/// Answers a script, if it is one that asks: prints what the word at the cursor of this command line may become, and says
/// that it did.
pub fn answer(line: fn() -> Command) -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let question = Question::asked(line());
    let command = || question.offer(line());
    let here = std::env::current_dir().ok();
    let answers = CompleteEnv::with_factory(command).var(VARIABLE);
    let answered = answers.try_complete(std::env::args_os(), here.as_deref());
    // A shell that is answered with an error prints it into the line that is being typed: nothing is better.
    answered.unwrap_or(true)
}

/// A line that is being typed.
struct Question {
    /// The words before the one at the cursor, as clap reads them.
    before: ArgMatches,
    /// Whether the word at the cursor begins as a flag does.
    flag: bool,
}

impl Question {
    /// The scripts hand over the line behind `--`, and which of its words the cursor is at.
    fn asked(line: Command) -> Question {
        let mut words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
        let cursor = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
        let cursor = cursor.unwrap_or(words.len().saturating_sub(1));
        let flag = words.get(cursor).is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"));
        words.truncate(cursor);
        let before = line.ignore_errors(true).try_get_matches_from(words).unwrap_or_default();
        Question { before, flag }
    }

    /// The command with what each of its words may be.
    fn offer(&self, command: Command) -> Command {
        let verb = command.get_name().to_owned();
        let command = command.mut_args(|arg| {
            // Flags are many, and meant by whoever has begun one; else they are offered where nothing else can stand.
            let hidden = arg.is_hide_set() || !(arg.is_positional() || self.flag);
            let arg = arg.hide(hidden);
            let Some(name) = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string) else {
                return arg;
            };
            let choose: fn(&Typed, &str) -> Vec<String> = match name.as_str() {
                "FILE" | "SOURCE" => return arg.value_hint(ValueHint::AnyPath),
                "PLACE" => return self.offer_places(arg),
                "POD" if verb == "logs" => |typed, _| typed.pod_or_container(),
                "POD" if matches!(verb.as_str(), "exec" | "attach" | "debug") => |typed, _| typed.pod(),
                "POD" if verb == "port-forward" => |typed, _| typed.pod_or_port(),
                "POD" => |typed, _| typed.names(Kind::Pod),
                "POD|FILE" => return arg.add(ArgValueCompleter::new(pods_or_paths(&self.before))),
                "TYPE[/NAME]" | "TYPE/NAME" => Typed::objects,
                "CONTAINER" => |typed, _| typed.containers(),
                "NAMESPACE" => |typed, _| typed.namespaces(),
                "IMAGE" => |_, _| images(),
                "SHELL" => return offer_words(arg, &SHELLS),
                "FORMAT" => return offer_words(arg, &output::FORMATS),
                // `--output <json|yaml>` says it itself.
                words if words.contains('|') || words == "json" || words == "name" => {
                    let words: Vec<&str> = words.split('|').collect();
                    return offer_words(arg, &words);
                }
                _ => return arg,
            };
            let before = self.before.clone();
            arg.add(ArgValueCompleter::new(move |current: &OsStr| {
                let Some(word) = current.to_str() else { return Vec::new() };
                beginning(&choose(&Typed::new(&before), word), current)
            }))
        });
        command.disable_help_flag(!self.flag).mut_subcommands(|verb| self.offer(verb))
    }

    /// A file here, or a pod that one is in.
    fn offer_places(&self, arg: Arg) -> Arg {
        let before = self.before.clone();
        arg.add(ArgValueCompleter::new(move |current: &OsStr| {
            let pods = Typed::new(&before).names(Kind::Pod).into_iter().map(|name| format!("{name}:"));
            let mut places = beginning(&pods.collect::<Vec<_>>(), current);
            places.extend(PathCompleter::any().complete(current));
            places
        }))
    }
}

fn beginning(words: &[String], current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.as_encoded_bytes();
    words.iter().filter(|word| word.as_bytes().starts_with(current)).map(CompletionCandidate::new).collect()
}

fn offer_words(arg: Arg, words: &[&str]) -> Arg {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    arg.add(ArgValueCompleter::new(move |current: &OsStr| beginning(&words, current)))
}

/// Pods first; what lies in the directory is completed, too.
fn pods_or_paths(line: &ArgMatches) -> impl Fn(&OsStr) -> Vec<CompletionCandidate> + Send + Sync + 'static {
    let typed = Typed::new(line);
    move |current| {
        let mut all = beginning(&typed.names(Kind::Pod), current);
        all.extend(PathCompleter::any().complete(current));
        all
    }
}

fn images() -> Vec<String> {
    let store = Store::open(&Paths::from_environment().images());
    store.list().unwrap_or_default().into_iter().map(|record| record.name).collect()
}

/// What stands in the line before the cursor, as far as it decides what may follow.
struct Typed {
    paths: Paths,
    namespace: String,
    /// The words of the verb that are not flags.
    words: Vec<String>,
}

impl Typed {
    fn new(line: &ArgMatches) -> Typed {
        let mut inner = line;
        while let Some((_, verb)) = inner.subcommand() {
            inner = verb;
        }
        let several = |id: &str| inner.try_get_many::<String>(id).ok().flatten().into_iter().flatten().cloned();
        let namespace = inner.try_get_one::<String>("namespace").ok().flatten();
        Typed {
            paths: Paths::from_environment(),
            namespace: namespace.cloned().unwrap_or_else(|| "default".to_owned()),
            words: several("resources")
                .chain(several("words"))
                .chain(several("pods"))
                .chain(several("pod"))
                .chain(several("names"))
                .chain(several("paths"))
                .collect(),
        }
    }

    fn namespaces(&self) -> Vec<String> {
        let mut all = vec!["default".to_owned()];
        all.extend(ask::claims(&self.paths, None).unwrap_or_default().into_iter().map(|claim| claim.namespace));
        all.sort();
        all.dedup();
        all
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        match kind {
            Kind::Pod => {
                let pods = ask::claims(&self.paths, Some(&self.namespace)).unwrap_or_default();
                pods.into_iter().map(|claim| claim.name).collect()
            }
            Kind::ConfigMap | Kind::Secret => stored::names(&self.paths, kind, &self.namespace).unwrap_or_default(),
            Kind::Event => Vec::new(),
        }
    }

    /// One and no more: what follows is a command in the container.
    fn pod(&self) -> Vec<String> {
        if self.words.is_empty() { self.names(Kind::Pod) } else { Vec::new() }
    }

    /// `logs web app` names a container after the pod.
    fn pod_or_container(&self) -> Vec<String> {
        if self.words.is_empty() { self.names(Kind::Pod) } else { self.containers() }
    }

    /// `port-forward web 80` names ports after the pod: those that it declares, by name or number.
    fn pod_or_port(&self) -> Vec<String> {
        if self.words.is_empty() {
            return self.names(Kind::Pod);
        }
        let containers = self.spec().into_iter().flat_map(|spec| spec.containers);
        let ports = containers.flat_map(|container| container.ports.into_iter().flatten());
        ports.map(|port| port.name.unwrap_or_else(|| port.container_port.to_string())).collect()
    }

    /// Of the pod that stands in the line: by itself, or before the path of a place.
    fn spec(&self) -> Option<PodSpec> {
        let word = self.words.iter().find(|word| word.contains(':')).or_else(|| self.words.first())?;
        let word = word.split(':').next().unwrap_or_default();
        let pod = word.trim_start_matches("pod/").trim_start_matches("pods/");
        ask::find_pod(&self.paths, &self.namespace, pod).ok().flatten()?.pod.spec
    }

    fn containers(&self) -> Vec<String> {
        let all = self.spec().into_iter().flat_map(|spec| {
            let init = spec.init_containers.into_iter().flatten();
            let ephemeral = spec.ephemeral_containers.into_iter().flatten().map(|container| container.name);
            spec.containers.into_iter().chain(init).map(|container| container.name).chain(ephemeral)
        });
        all.collect()
    }

    /// A kind, or a name of the kind that stands before, in the same word or in the one before.
    fn objects(&self, current: &str) -> Vec<String> {
        if let Some((kind, _)) = current.split_once('/') {
            let names = Kind::from_word(kind).map(|kind| self.names(kind)).unwrap_or_default();
            return names.into_iter().map(|name| format!("{kind}/{name}")).collect();
        }
        match self.words.first() {
            Some(kind) if !kind.contains('/') => {
                let mut names = Kind::from_word(kind).map(|kind| self.names(kind)).unwrap_or_default();
                names.retain(|name| !self.words.contains(name));
                names
            }
            _ => [Kind::Pod, Kind::ConfigMap, Kind::Secret, Kind::Event].map(|k| k.plural().to_owned()).to_vec(),
        }
    }
}
