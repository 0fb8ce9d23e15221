//! The command line: one file a verb; parses words, asks, prints; decides nothing.
//!
//! `main.rs` calls [`main`]; tests call [`run`] with a [`Caller`] of their own, so that what they see is what a terminal
//! shows. Words are parsed by `line` (clap), given meaning by the verb's file, and everything that is printed as kubectl
//! prints it is made in `print`. Exit codes are kubectl's: 0, and 1 for every error; `exec`, `up` and `apply --wait` pass
//! on what they ran.

mod api_resources;
mod apply;
mod ask;
mod attach;
mod bug_report;
mod caller;
mod changes;
mod choices;
mod completion;
mod config;
mod cp;
mod create;
mod debug;
mod delete;
mod describe;
mod diff;
mod directories;
mod doctor;
mod dry_run;
mod edit;
mod ending;
mod events;
mod everywhere;
mod exec;
mod explain;
mod explore;
mod failure;
mod files;
mod fingers;
mod get;
mod happenings;
mod image;
mod install;
mod last_words;
mod line;
mod lint;
mod live_line;
mod logs;
mod lookout;
mod mark;
mod notices;
mod outlook;
mod output;
mod pairs;
mod patch;
mod plan;
mod port_forward;
pub mod print;
mod raw;
mod record;
mod replace;
mod replay;
mod resource;
mod restart;
mod revision;
mod run;
mod running;
mod runs;
mod select;
mod session;
mod set;
mod signals;
mod simulate;
mod stored;
mod subresource;
mod supervise;
mod system;
mod targets;
mod test;
mod timeline;
mod top;
mod up;
mod upgrade;
mod usage;
mod version;
mod wait;
mod watching;
mod what_if;
mod why;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

pub use caller::{Caller, Clock};
pub use failure::{Failure, check_output};

use crate::duration;
use crate::linux::privilege::{self, Work};
use crate::paths::Paths;
use fingers::Finger;
use line::{Line, Verb};

/// The command line as clap knows it, for tests of the guide's transcripts.
pub fn command() -> clap::Command {
    <Line as clap::CommandFactory>::command()
}

/// Runs the verb that the process's words name.
pub fn main() -> ExitCode {
    if completion::answer(command) {
        return ExitCode::SUCCESS;
    }
    let mut out = io::BufWriter::new(io::stdout());
    let mut err = io::stderr();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    // A terminal that understands no escape codes, terminfo(5), is written to as a file is.
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let mut caller = Caller {
        paths: Paths::from_environment(),
        clock: Clock::System,
        out_terminal: io::stdout().is_terminal() && !dumb,
        err_terminal: io::stderr().is_terminal() && !dumb,
        colour: !plain,
        out: &mut out,
        err: &mut err,
    };
    ExitCode::from(run(std::env::args_os(), &mut caller))
}

/// Parses the words (the first is the program's name), carries the verb out, and says what went wrong. Answers the exit
/// code.
pub fn run(words: impl IntoIterator<Item = OsString>, caller: &mut Caller<'_>) -> u8 {
    let words: Vec<OsString> = words.into_iter().collect();
    if let Some(directory) = supervise::run_directory(&words) {
        return crate::supervisor::supervise(directory);
    }
    if let Some((directory, id)) = crate::supervisor::pull::words(&words) {
        return crate::supervisor::pull::work(&directory, &id);
    }
    let words = match fingers::translated(&words) {
        Some(Finger::Missing(what)) => {
            caller.notice(&format!("error: {what}"));
            return 1;
        }
        Some(Finger::Line(line, note)) => {
            if caller.err_terminal {
                caller.notice(&note);
            }
            line
        }
        None => words,
    };
    let outcome = match Line::read(&words) {
        Ok(line) => dispatch(line, caller),
        Err(error) => usage::explain(&error, &words, caller),
    };
    let outcome = outcome.and_then(|code| caller.out.flush().map(|()| code).map_err(Failure::from));
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            // What was printed before the failure is data, too; a reader that has gone is told nothing more.
            let _ = caller.out.flush();
            if let Some(text) = failure.text() {
                let _ = writeln!(caller.err, "{text}");
            }
            failure.code()
        }
    }
}

/// Says in one line what this user lacks for the work, before any file is made.
fn require(work: Work, caller: &Caller<'_>) -> Result<(), Failure> {
    match privilege::missing(work, &caller.paths) {
        None => Ok(()),
        Some(missing) => {
            let (words, environment) = privilege::typed();
            Err(Failure::Error(missing.line(&words, &environment)))
        }
    }
}

// Within `run` all that any verb needs of the stack would lie beneath a supervisor for its whole life.
#[inline(never)]
fn dispatch(line: Line, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    line.everywhere.start_tracing();
    if let Verb::Start(_) = line.verb {
        require(Work::Pods, caller)?;
    }
    if let Verb::Get(_)
    | Verb::Describe(_)
    | Verb::Logs(_)
    | Verb::Exec(_)
    | Verb::Attach(_)
    | Verb::Debug(_)
    | Verb::Delete(_)
    | Verb::Events(_)
    | Verb::Wait(_)
    | Verb::Label(_)
    | Verb::Annotate(_)
    | Verb::Set(_)
    | Verb::Edit(_)
    | Verb::Diff(_)
    | Verb::Patch(_)
    | Verb::Cp(_)
    | Verb::PortForward(_)
    | Verb::Top(_)
    | Verb::Replace(_)
    | Verb::Stop(_)
    | Verb::Restart(_)
    | Verb::Upgrade(_)
    | Verb::BugReport(_)
    | Verb::Why(_)
    | Verb::Plan(_) = line.verb
    {
        require(Work::State, caller)?;
    }
    let everywhere = &line.everywhere;
    match line.verb {
        Verb::Apply(words) => apply::run(words, everywhere, caller),
        Verb::Up(words) => up::run(words, everywhere, caller),
        Verb::Get(words) => get::run(&words, everywhere, caller),
        Verb::Describe(words) => describe::run(&words, everywhere, caller),
        Verb::Logs(words) => logs::run(&words, everywhere, caller),
        Verb::Exec(words) => exec::run(&words, everywhere, caller),
        Verb::Attach(words) => attach::run(&words, everywhere, caller),
        Verb::Debug(words) => debug::run(&words, everywhere, caller),
        Verb::Delete(words) => delete::run(&words, everywhere, caller),
        Verb::Events(words) => events::run(&words, everywhere, caller),
        Verb::Wait(words) => wait::run(&words, everywhere, caller),
        Verb::Run(words) => run::run(&words, everywhere, caller),
        Verb::Edit(words) => edit::run(&words, everywhere, caller),
        Verb::Diff(words) => diff::run(&words, everywhere, caller),
        Verb::ApiResources(words) => api_resources::run(&words, caller),
        Verb::Explain(words) => explain::run(&words, caller),
        Verb::Cp(words) => cp::run(&words, everywhere, caller),
        Verb::PortForward(words) => port_forward::run(&words, everywhere, caller),
        Verb::Patch(words) => patch::run(&words, everywhere, caller),
        Verb::Top(words) => top::run(&words, everywhere, caller),
        Verb::Create(words) => create::run(&words, everywhere, caller),
        Verb::Replace(words) => replace::replace(&words, everywhere, caller),
        Verb::Label(words) => mark::label(&words, everywhere, caller),
        Verb::Annotate(words) => mark::annotate(&words, everywhere, caller),
        Verb::Set(words) => set::run(words, everywhere, caller),
        Verb::Plan(words) => plan::run(words, everywhere, caller),
        Verb::Lint(words) => lint::run(&words, everywhere, caller),
        Verb::Simulate(words) => simulate::run(&words, everywhere, caller),
        Verb::Timeline(words) => timeline::run(&words, everywhere, caller),
        Verb::Why(words) => why::run(&words, everywhere, caller),
        Verb::Replay(words) => replay::run(&words, everywhere, caller),
        Verb::Record(words) => record::run(&words, everywhere, caller),
        Verb::WhatIf(words) => what_if::run(&words, everywhere, caller),
        Verb::Test(words) => test::run(&words, everywhere, caller),
        Verb::Explore(words) => explore::run(&words, everywhere, caller),
        Verb::Doctor(words) => doctor::run(&words, caller),
        Verb::Version(words) => version::run(&words, caller),
        Verb::Image(words) => image::run(words, everywhere, caller),
        Verb::Start(words) => running::start(&words, everywhere, caller),
        Verb::Stop(words) => running::stop(&words, everywhere, caller),
        Verb::Restart(words) => restart::run(&words, everywhere, caller),
        Verb::Upgrade(words) => upgrade::run(&words, everywhere, caller),
        Verb::BugReport(words) => bug_report::run(&words, everywhere, caller),
        Verb::Install(words) => install::install(&words, command(), caller),
        Verb::Uninstall(words) => install::uninstall(&words, caller),
        Verb::System(words) => system::run(words, caller),
        Verb::Config(words) => config::run(words, everywhere, caller),
        Verb::Completion(words) => completion::run(&words, caller),
    }
}
