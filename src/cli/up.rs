//! `podlet up`: applies, stays, shows the logs of all containers, and ends the pods: when they have ended by themselves, or
//! on Ctrl-C.

mod status;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use clap::Args;
use nix::sys::signal::Signal;

use super::apply::{self, Applied};
use super::choices::{ChoiceWords, choices};
use super::ending::{self, Way};
use super::everywhere::Everywhere;
use super::files::FileWords;
use super::live_line::LiveLine;
use super::logs::follow::{Followed, Follower};
use super::logs::in_order_of_start;
use super::logs::lines::{Lines, Shape, Share};
use super::notices::Notices;
use super::outlook;
use super::output::Output;
use super::signals::Told;
use super::{Caller, Failure, ask, config};

/// After Ctrl-C.
const INTERRUPTED: u8 = 130;

/// The words of `up`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet up pod.yaml                  run it here; Ctrl-C ends it, twice at once
  podlet up pod.yaml --timestamps     with the time of each line

Exit code: 0 when the pod succeeded, else the code of the first container that failed (128 + n by signal n), 1 when it \
never started, 130 after Ctrl-C.")]
pub struct Words {
    /// Which manifests.
    #[command(flatten)]
    pub files: FileWords,
    /// Ends a pod whose change cannot be made in place, and sets the new one going.
    #[arg(long)]
    pub replace: bool,
    /// Puts its time before each line.
    #[arg(long)]
    pub timestamps: bool,
    /// Leaves the objects there at the end, for get, describe and logs.
    #[arg(long)]
    pub keep: bool,
    /// For the pod's whole life.
    #[command(flatten)]
    pub choices: ChoiceWords,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Nobody asked.
    Not,
    /// With grace.
    InOrder,
    /// At once.
    Forced,
}

/// Runs pods in the foreground.
pub fn run(words: Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let loaded = words.files.load(everywhere, false, caller)?;
    let config = config::load(words.files.seccomp_default(), everywhere, caller)?;
    let choices = choices(&words.choices, &config, false, everywhere);
    // From here on Ctrl-C ends pods and not this process.
    let told = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().map(|signal| Told::new(signal as i32));
    let untold = |error| Failure::Error(format!("could not take up signals: {error}"));
    let told: Vec<Told> = told.collect::<std::io::Result<_>>().map_err(untold)?;
    let resized = Told::new(Signal::SIGWINCH as i32).map_err(untold)?;
    let mut notices = Notices::default();
    let pods = apply::all(&loaded.objects, words.replace, &choices, &Output::Table, &mut notices, caller)?;
    let mut status = status::line(caller);
    let outcome = stay(&pods, &words, (&told, &resized), &mut status, &mut notices, caller);
    status.clear(caller);
    if outcome.is_err() {
        // Whatever went wrong here, nothing goes on running behind a terminal that does not show it.
        for pod in &pods {
            let _ = ending::ask(&caller.paths, &pod.claim(), Way::default());
        }
    }
    outcome
}

/// Shows logs until all pods have ended and are removed.
fn stay(
    pods: &[Applied],
    words: &Words,
    (told, resized): (&[Told], &Told),
    status: &mut LiveLine,
    notices: &mut Notices,
    caller: &mut Caller<'_>,
) -> Result<u8, Failure> {
    let mut follower = Follower::new(&caller.paths, Lines::new(Shape { timestamps: words.timestamps, since: None }))?;
    let mut colours = colours(caller);
    for applied in pods {
        let Some(seen) = ask::find_pod(&caller.paths, &applied.namespace, &applied.name)? else { continue };
        let containers = in_order_of_start(&seen.pod);
        let number = follower.add_pod(seen.pod);
        let widest = containers.iter().map(String::len).max().unwrap_or(0);
        for container in containers {
            let (begin, end) = colours.next().unwrap_or_default();
            let pod = if pods.len() > 1 { format!("{}/", applied.name) } else { String::new() };
            let prefix = format!("{begin}{pod}{container:widest$} |{end} ");
            follower.add(number, &container, 0, None, Share { prefix, left: None });
        }
    }
    let mut ending = Ending::Not;
    let mut asked = vec![false; follower.pods.len()];
    loop {
        status.clear(caller);
        follower.print(caller)?;
        follower.pods.iter().for_each(|followed| notices.tell(&followed.pod, caller));
        let over: Vec<bool> = follower.pods.iter().map(|pod| ended(pod, ending)).collect();
        if over.iter().all(|over| *over) {
            break;
        }
        status::show(status, &follower, ending != Ending::Not, caller);
        let descriptors: Vec<BorrowedFd<'_>> = told.iter().chain([resized]).map(AsFd::as_fd).collect();
        follower.wait(&descriptors, Duration::MAX)?;
        // Shown anew in any case, as wide as there is room for it now.
        resized.take();
        let signals: usize = told.iter().map(Told::take).sum();
        if signals > 0 {
            status.clear(caller);
            // Two at once are two: the second was typed, too.
            ending = if ending == Ending::Not && signals == 1 { Ending::InOrder } else { Ending::Forced };
            let way = Way { grace_seconds: (ending == Ending::Forced).then_some(0), force: ending == Ending::Forced };
            caller.notice(match ending {
                Ending::Forced => "Ending the pods at once.",
                _ => "Ending the pods in order; Ctrl-C again ends them at once.",
            });
            for (pod, asked) in pods.iter().zip(&mut asked) {
                ending::ask(&caller.paths, &pod.claim(), way)?;
                *asked = true;
            }
        }
    }
    status.clear(caller);
    follower.lines.finish(caller)?;
    caller.out.flush()?;
    let code = code(&follower, ending);
    if !words.keep || ending != Ending::Not {
        for (pod, asked) in pods.iter().zip(asked) {
            if !asked {
                ending::ask(&caller.paths, &pod.claim(), Way::default())?;
            }
            ending::wait_gone(&pod.claim(), None, caller)?;
        }
    }
    Ok(code)
}

/// Whether there is nothing more to wait for: it has ended, or, when its end was asked for, is gone.
fn ended(pod: &Followed, ending: Ending) -> bool {
    let phase = pod.pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.gone || pod.over || (ending == Ending::Not && matches!(phase, Some("Succeeded" | "Failed")))
}

fn code(follower: &Follower, ending: Ending) -> u8 {
    if ending != Ending::Not {
        return INTERRUPTED;
    }
    let failed = follower
        .pods
        .iter()
        .find(|pod| pod.pod.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Succeeded"));
    failed.map_or(0, |pod| outlook::exit_code(&pod.pod))
}

/// A colour a container, over and over; none where nobody sees them.
fn colours(caller: &Caller<'_>) -> Box<dyn Iterator<Item = (&'static str, &'static str)>> {
    const COLOURS: [&str; 6] = ["\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[31m"];
    if caller.colour && caller.out_terminal {
        Box::new(COLOURS.into_iter().cycle().map(|colour| (colour, "\x1b[0m")))
    } else {
        Box::new(std::iter::repeat(("", "")))
    }
}
