//! The words of the command line as clap knows them: one declaration gives parsing, `--help` and completions. Each verb's
//! words and examples stand in the verb's own file.

use clap::{Parser, Subcommand};

use super::everywhere::Everywhere;
use super::{
    apply, bug_report, completion, config, delete, describe, doctor, events, exec, get, image, logs, plan, running, up,
    version,
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
    /// End pods and remove objects.
    Delete(delete::Words),
    /// Set pods going again after a reboot or a stop.
    Start(running::Start),
    /// Stop pods, to be set going again.
    Stop(running::Stop),
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
    /// Gather in one file what somebody else needs to find a fault.
    BugReport(bug_report::Words),
    /// Show the machine's settings and where each comes from.
    #[command(subcommand)]
    Config(config::Words),
    /// Print a completion script for a shell.
    Completion(completion::Words),
}
