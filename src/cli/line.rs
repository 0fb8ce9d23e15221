//! The words of the command line as clap knows them: one declaration gives parsing, `--help` and completions. Each verb's
//! words and examples stand in the verb's own file.

use clap::{Args, Parser, Subcommand};

use super::{
    apply, completion, delete, describe, doctor, events, exec, get, image, logs, plan, supervise, up, version,
};

/// Runs a Kubernetes Pod on one Linux machine, and shows how.
#[derive(Parser, Debug)]
#[command(
    name = "podlet",
    version,
    disable_help_subcommand = true,
    infer_long_args = false,
    after_help = "\
Examples:
  podlet up pod.yaml               run a pod in the foreground; Ctrl-C ends it
  podlet apply pod.yaml            run it in the background
  podlet get pods                  what runs
  podlet logs -f web -c app        what a container says
  podlet exec -it web -- sh        a shell in it
  podlet delete pod web            end it
  podlet plan pod.yaml             what would be done, system call by system call"
)]
pub struct Line {
    /// Flags that every verb takes.
    #[command(flatten)]
    pub everywhere: Everywhere,
    /// What is to be done.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Everywhere {
    /// The namespace of the objects; `default` when absent.
    #[arg(short, long, global = true, value_name = "NAMESPACE", help_heading = "Everywhere")]
    pub namespace: Option<String>,
    /// Says on stderr what podlet does; -v=1 to -v=9 for more. PODLET_LOG sets the same by word: warn, info, debug, trace.
    #[arg(
        short = 'v',
        global = true,
        value_name = "LEVEL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "4",
        value_parser = clap::value_parser!(u8).range(0..=10),
        help_heading = "Everywhere"
    )]
    pub verbosity: Option<u8>,
}

impl Everywhere {
    /// The namespace that is meant.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or("default")
    }

    /// The level of podlet's own messages: as `-v` says, else `PODLET_LOG`; none when neither does.
    pub fn level(&self) -> Option<tracing::Level> {
        match self.verbosity {
            Some(0) => None,
            Some(1..=3) => Some(tracing::Level::INFO),
            Some(4..=5) => Some(tracing::Level::DEBUG),
            Some(_) => Some(tracing::Level::TRACE),
            None => std::env::var("PODLET_LOG").ok()?.trim().parse().ok(),
        }
    }

    /// Sends podlet's own messages to stderr at the level that is asked for; without one nothing is set up.
    pub fn start_tracing(&self) {
        if let Some(level) = self.level() {
            let subscriber =
                tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(false);
            // A test that runs several command lines in one process sets it up once.
            let _ = tracing::subscriber::set_global_default(subscriber.finish());
        }
    }
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
    /// End pods and remove objects.
    Delete(delete::Words),
    /// List events.
    Events(events::Words),
    /// Show what would be done, system call by system call.
    Plan(plan::Words),
    /// Say what this machine can and cannot do, and what to do about it.
    Doctor(doctor::Words),
    /// Print podlet's version.
    Version(version::Words),
    /// Fill and look at the image store.
    #[command(subcommand)]
    Image(image::Words),
    /// Print a completion script for a shell.
    Completion(completion::Words),
    /// Started by a pod's keeper, not by people.
    #[command(hide = true)]
    Supervise(supervise::Words),
}
