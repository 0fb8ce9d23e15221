//! `podlet image pull`: from registries into the store, with bars on a terminal. Ctrl-C ends it, and nothing half is left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{ArgAction, Args};
use nix::sys::signal::Signal;

use super::super::check_output;
use super::super::signals::Told;
use super::super::{Caller, Failure, print};
use super::bars::Bars;
use crate::config::Images;
use crate::http::Environment;
use crate::image::{How, ImageError, Keyring, Progress, Pulled, Store};

/// The words of `image pull`.
#[derive(Args, Debug)]
pub struct Words {
    /// Names of images, read as Kubernetes reads them: busybox is docker.io/library/busybox:latest.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// A file of credentials, as podman login and docker login write it; REGISTRY_AUTH_FILE names one as well.
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Whether registries must speak TLS, with a certificate to be believed.
    #[arg(long, value_name = "true|false", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    tls_verify: bool,
    /// Prints nothing but the image's ID.
    #[arg(short, long)]
    quiet: bool,
    /// Prints the stored record: json, yaml or name.
    #[arg(short, long, value_name = "json|name|yaml")]
    output: Option<String>,
}

/// How often the bars are drawn anew, and Ctrl-C is looked for.
const FRAME: Duration = Duration::from_millis(100);

/// Pulls them, one after another.
pub fn run(words: Words, store: &Store, images: &Images, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = words.output.as_deref().unwrap_or_default();
    check_output(output, &["json", "name", "yaml"])?;
    let how = How {
        environment: Environment::of_process(),
        keyring: Keyring { authfile: words.authfile, ..Keyring::default() },
        insecure: !words.tls_verify,
        limits: images.limits(),
        patience: images.stall_timeout.value,
    };
    let ends = [Signal::SIGINT, Signal::SIGTERM].map(|signal| Told::new(signal as i32));
    let mut failed = false;
    for name in &words.images {
        let began = Instant::now();
        let (result, signal) = pull(name, &how, store, &ends, words.quiet, caller);
        if let Some(signal) = signal {
            caller.notice(&format!("{name}: ended; nothing of it is left"));
            return Ok(128u8.saturating_add(u8::try_from(signal).unwrap_or_default()));
        }
        match result {
            Ok(pulled) => {
                pulled.notes.iter().for_each(|note| caller.notice(&format!("Note: {note}")));
                show(&pulled, began.elapsed(), words.quiet, output, caller)?;
            }
            Err(error) => {
                caller.notice(&format!("error: {error}"));
                failed = true;
            }
        }
    }
    if failed { Err(Failure::Told) } else { Ok(0) }
}

/// In a thread of its own, while this one draws. With a signal that came meanwhile.
fn pull(
    name: &str,
    how: &How,
    store: &Store,
    ends: &[std::io::Result<Told>],
    quiet: bool,
    caller: &mut Caller<'_>,
) -> (Result<Pulled, ImageError>, Option<i32>) {
    let progress = Progress::default();
    let mut bars = Bars::new(caller.err_terminal && !quiet, name);
    let mut signal = None;
    let result = std::thread::scope(|scope| {
        let pulling = scope.spawn(|| store.pull(name, how, &progress));
        while !pulling.is_finished() {
            let came = ends.iter().flatten().find(|told| told.take() > 0);
            if let Some(told) = came {
                signal = Some(told.signal);
                progress.end();
            }
            bars.draw(&progress, caller);
            // Short pulls are not held up by a whole frame.
            for _ in 0..10 {
                if !pulling.is_finished() {
                    std::thread::sleep(FRAME / 10);
                }
            }
        }
        pulling.join()
    });
    bars.clear(caller);
    let panicked = || Err(ImageError::Pull("the thread that pulled has panicked".to_owned()));
    (result.unwrap_or_else(|_| panicked()), signal)
}

fn show(pulled: &Pulled, time: Duration, quiet: bool, output: &str, caller: &mut Caller<'_>) -> Result<(), Failure> {
    let record = &pulled.record;
    match output {
        "json" => print::json(&serde_json::to_value(record).unwrap_or_default(), caller.out)?,
        "yaml" => print::yaml(&serde_json::to_value(record).unwrap_or_default(), caller.out)?,
        "name" => caller.print(&format!("{}\n", record.name))?,
        _ if quiet => caller.print(&format!("{}\n", record.id))?,
        _ if pulled.up_to_date => caller.print(&format!("{} is up to date\n", record.name))?,
        _ => {
            let (size, seconds) = (super::listing::size(record.size), time.as_secs_f64());
            caller.print(&format!("{} pulled ({size} unpacked, {seconds:.1} s)\n", record.name))?;
        }
    }
    Ok(())
}
