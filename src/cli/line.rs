//! The words of the command line as clap knows them: one declaration gives parsing, `--help` and completions. Each verb's
//! words and examples stand in the verb's own file.

pub mod kubectl;
pub mod truths;

use std::ffi::OsString;

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::everywhere::Everywhere;
use super::{
    api_resources, apply, attach, bug_report, completion, config, cp, create, debug, delete, describe, diff, doctor,
    edit, events, exec, explain, explore, get, image, install, lint, logs, mark, patch, plan, port_forward, record,
    replace, replay, restart, run, running, set, simulate, system, test, timeline, top, up, upgrade, version, wait,
    what_if, why,
};

/// Runs a Kubernetes Pod on one Linux machine, and shows how.
#[derive(Parser, Debug)]
#[command(
    name = "podlet",
    version,
    infer_long_args = false,
    // Of a flag that is given twice the last counts, as for kubectl.
    args_override_self = true,
    after_help = "\
Examples:
  podlet up pod.yaml               run a pod in the foreground; Ctrl-C ends it
  podlet apply pod.yaml            run it in the background
  podlet get pods                  what runs
  podlet logs -f web -c app        what a container says
  podlet exec -it web -- sh        a shell in it
  podlet delete pod web            end it
  podlet plan pod.yaml             every system call, before it is made"
)]
pub struct Line {
    /// Flags that every verb takes.
    #[command(flatten)]
    pub everywhere: Everywhere,
    /// What is to be done.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Set pods going, or change them; store ConfigMaps and Secrets.
    Apply(apply::Words),
    /// Run pods in the foreground with their logs; Ctrl-C ends them.
    Up(up::Words),
    /// List objects.
    Get(get::Words),
    /// Show an object in detail, with its events.
    Describe(describe::Words),
    /// Print what containers have written.
    Logs(logs::Words),
    /// Run a command in a container.
    Exec(exec::Words),
    /// See what a container writes as it comes, and type into it.
    Attach(attach::Words),
    /// Copy files into and out of a container.
    Cp(cp::Words),
    /// Lead ports of this machine into a pod.
    PortForward(port_forward::Words),
    /// Look at a pod with a container of your own beside its containers, or in place of one that crashes.
    Debug(debug::Words),
    /// End pods and remove objects.
    Delete(delete::Words),
    /// Set pods going again after a reboot or a stop.
    Start(running::Start),
    /// Stop pods, to be set going again.
    Stop(running::Stop),
    /// Stop a pod's containers, or one, and start them anew in place.
    Restart(restart::Words),
    /// Put running pods on this podlet; their containers hear nothing of it.
    Upgrade(upgrade::Words),
    /// Show what pods use of processors and memory.
    #[command(subcommand)]
    Top(top::Words),
    /// List events.
    Events(events::Words),
    /// Say what a field means, in Kubernetes' words.
    Explain(explain::Words),
    /// List the kinds of objects that podlet keeps.
    ApiResources(api_resources::Words),
    /// Wait until objects are as wished, or until it is known that they never will be.
    Wait(wait::Words),
    /// Run an image in a pod of its own, in the background or attached.
    Run(run::Words),
    /// Make objects that are not there yet.
    Create(create::Words),
    /// Put objects in the place of those that are there.
    Replace(replace::Replace),
    /// Change objects in an editor.
    Edit(edit::Words),
    /// Change fields of objects.
    Patch(patch::Words),
    /// Show what apply would change.
    Diff(diff::Words),
    /// Change labels.
    Label(mark::Label),
    /// Change annotations.
    Annotate(mark::Annotate),
    /// Change images, cpu and memory, and say what else can be changed how.
    #[command(subcommand)]
    Set(set::Words),
    /// Show what would be done, system call by system call.
    Plan(plan::Words),
    /// Say of a manifest how long start, death and deletion may take, and what in it will surprise.
    Lint(lint::Words),
    /// Show in virtual time what a pod does when its containers behave so.
    Simulate(simulate::Words),
    /// Say of each container what state it is in, by which rule, and what comes next and when.
    Why(why::Words),
    /// Draw what happened to a pod, or happens in a scenario, a lane a container.
    Timeline(timeline::Words),
    /// Put the journal of a real run through the machine of rules again: it must decide as it did.
    Replay(replay::Words),
    /// Make a scenario of a real run, which `podlet test` plays.
    Record(record::Words),
    /// Say what a recorded run would have been under a changed manifest.
    WhatIf(what_if::Words),
    /// Play scenarios: tests of a pod's lifecycle, in virtual time.
    Test(test::Words),
    /// Try random faults on a pod in virtual time, and shrink what breaks a property to a scenario.
    Explore(explore::Words),
    /// Say what this machine can and cannot do, and what to do about it.
    Doctor(doctor::Words),
    /// Print podlet's version.
    Version(version::Words),
    /// Fill and look at the image store.
    #[command(subcommand)]
    Image(image::Words),
    /// Gather in one file what somebody else needs to find a fault.
    BugReport(bug_report::Words),
    /// Show the machine's settings and where each comes from.
    #[command(subcommand)]
    Config(config::Words),
    /// Show what podlet takes on disk, and remove what nobody needs.
    #[command(subcommand)]
    System(system::Words),
    /// Install podlet on this machine, with start and stop of pods.
    Install(install::Install),
    /// Take an installation back.
    Uninstall(install::Uninstall),
    /// Print a completion script for a shell.
    Completion(completion::Words),
}

impl Line {
    /// Parses the words; the first is the program's name.
    ///
    /// To build up all verbs takes as long as to read a manifest, so those that are counted in milliseconds are tried alone.
    /// Whatever one does not take, asked for help among it, is for the whole command line to answer.
    pub fn read(words: &[OsString]) -> Result<Line, clap::Error> {
        let levelled = kubectl::with_levels(words);
        let words = &*truths::plain(levelled.as_deref().unwrap_or(words), whole);
        if kubectl::are_typed(words) {
            return among_all(whole(), words);
        }
        let alone = match words.get(1).and_then(|verb| verb.to_str()) {
            Some("apply") => alone("apply", words, Verb::Apply),
            Some("delete") => alone("delete", words, Verb::Delete),
            Some("exec") => alone("exec", words, Verb::Exec),
            _ => None,
        };
        alone.map_or_else(|| among_all(Line::command(), words), Ok)
    }
}

/// The whole command line, with what it takes of kubectl's.
fn whole() -> Command {
    kubectl::known(Line::command(), "")
}

fn among_all(mut command: Command, words: &[OsString]) -> Result<Line, clap::Error> {
    let mut matches = command.try_get_matches_from_mut(words)?;
    Line::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The words as those of this verb, if it takes them all.
fn alone<W: Args>(name: &'static str, words: &[OsString], verb: fn(W) -> Verb) -> Option<Line> {
    let command = Everywhere::augment_args(Command::new("podlet")).subcommand(W::augment_args(Command::new(name)));
    let matches = command.args_override_self(true).try_get_matches_from(words).ok()?;
    let everywhere = Everywhere::from_arg_matches(&matches).ok()?;
    let words = W::from_arg_matches(matches.subcommand_matches(name)?).ok()?;
    Some(Line { everywhere, verb: verb(words) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_flag_may_be_given_a_truth() {
        let read = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            format!("{:?}", Line::read(&words).unwrap().verb)
        };
        assert_eq!(
            read("podlet get pods --watch=false -A=1 --no-headers=True"),
            read("podlet get pods -A --no-headers")
        );
        assert_eq!(read("podlet exec -it=false web -- x"), read("podlet exec -i web -- x"));
        assert_eq!(read("podlet exec -ti=1 web -- x"), read("podlet exec -t -i web -- x"));
        // A letter that takes a value takes the rest.
        assert_eq!(read("podlet get pods -oname=true"), read("podlet get pods --output name=true"));
        assert_eq!(read("podlet exec web -- x --stdin=true"), read("podlet exec web -- x --stdin=true"));
        assert!(read("podlet exec web -- x --stdin=true").contains("--stdin=true"));
    }

    /// A line that a terminal breaks is no longer one to be copied.
    #[test]
    fn examples_fit_eighty_columns() {
        fn examples(command: &Command, too_long: &mut Vec<String>, seen: &mut usize) {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in text.lines().filter(|line| line.starts_with("  ")) {
                *seen += 1;
                if line.chars().count() > 80 {
                    too_long.push(line.to_owned());
                }
            }
            command.get_subcommands().for_each(|verb| examples(verb, too_long, seen));
        }
        let (mut too_long, mut seen) = (Vec::new(), 0);
        examples(&Line::command(), &mut too_long, &mut seen);
        assert!(too_long.is_empty(), "{too_long:#?}");
        assert!(seen > 150, "{seen}");
    }

    /// Whether a verb is tried alone is not to be seen.
    #[test]
    fn a_verb_alone_takes_its_words_as_among_all() {
        for line in [
            "podlet apply pod.yaml",
            "podlet apply -f a -f b --wait --timeout 5s -n other -v=5 --dry-run=server -o json",
            "podlet apply a.yaml --namespace=x --replace --trace",
            "podlet delete pod web --grace-period=3 -n other --wait=false",
            "podlet delete pod --all -A --force",
            "podlet exec -it web -c app -n other -- sh -c 'x -n y' -v",
            "podlet exec web -- /actor --help",
            "podlet apply --help",
            "podlet apply --nonsense",
            "podlet delete pods --all=true -A=false --wait=false",
            "podlet delete",
            "podlet exec",
            "podlet",
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let plain = truths::plain(&words, whole).into_owned();
            match (Line::read(&words), among_all(whole(), &plain)) {
                (Ok(read), Ok(whole)) => assert_eq!(format!("{read:?}"), format!("{whole:?}")),
                (Err(read), Err(whole)) => assert_eq!(read.to_string(), whole.to_string()),
                (read, whole) => panic!("{line}: {read:?} is not {whole:?}"),
            }
        }
    }
}
