//! How containers behave, from the words of a file to the script that the driver plays.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Container;

use super::condition::Faults;
use super::format::{
    Actor, Exit as ExitWords, ExitFull, ImageError, ImageErrorFull, Instance, Reaction, ReactionEnd, ReactionWord,
    SignalName, StartError, StartErrorFull,
};
use super::words::{ImageReason, Span, StartReason};
use super::{probes, signal_name, signal_number};
use crate::pod::input::{Exit, ImageFacts, Pulled, TerminationMessage};
use crate::simulation::script::{End, ImageOutcome, OnSignal, Run, Start};

/// More instances that are told apart than anybody writes down.
const MOST: u32 = 10_000;

/// The instances of a container, one after another.
pub fn runs(actor: &Actor, spec: &Container, path: &str, faults: &mut Faults<'_>) -> Vec<Run> {
    if actor.instances.is_empty() {
        return vec![run(&actor.each, spec, path, faults)];
    }
    let mut runs = Vec::new();
    for (index, instance) in actor.instances.iter().enumerate() {
        let path = format!("{path}.instances[{index}]");
        let times = instance.times.unwrap_or(1);
        if times == 0 || times > MOST {
            faults.add(&format!("{path}.times"), format!("must be from 1 to {MOST}"));
        }
        let run = run(&merged(instance, &actor.each), spec, &path, faults);
        runs.extend(std::iter::repeat_n(run, times.min(MOST) as usize));
    }
    runs
}

/// What an instance does not say, the actor says for all.
fn merged(own: &Instance, each: &Instance) -> Instance {
    let ends = own.exit.is_some() || own.oom.is_some() || own.run.is_some();
    let fails = own.start_error.is_some() || own.image_error.is_some();
    let either = |own: bool| if own { None } else { Some(each) };
    let (end, failure) = (either(ends), either(fails || ends));
    Instance {
        times: own.times,
        exit: own.exit.clone().or_else(|| end?.exit.clone()),
        oom: own.oom.clone().or_else(|| end?.oom.clone()),
        run: own.run.or_else(|| end?.run),
        start_error: own.start_error.clone().or_else(|| failure?.start_error.clone()),
        image_error: own.image_error.clone().or_else(|| failure?.image_error.clone()),
        start_delay: own.start_delay.or(each.start_delay),
        ready_after: own.ready_after.or(each.ready_after),
        ignore_signals: own.ignore_signals.clone().or_else(|| each.ignore_signals.clone()),
        on_signal: own.on_signal.clone().or_else(|| each.on_signal.clone()),
        pull: own.pull.or(each.pull),
        termination_message: own.termination_message.clone().or_else(|| each.termination_message.clone()),
        log: own.log.clone().or_else(|| each.log.clone()),
        probes: own.probes.clone().or_else(|| each.probes.clone()),
        post_start: own.post_start.clone().or_else(|| each.post_start.clone()),
        pre_stop: own.pre_stop.clone().or_else(|| each.pre_stop.clone()),
    }
}

fn run(instance: &Instance, spec: &Container, path: &str, faults: &mut Faults<'_>) -> Run {
    let image = spec.image.as_deref().unwrap_or_default();
    let inside = |field: &str| format!("{path}.{field}");
    let mut run = Run::forever();
    let ends = [
        ("exit", instance.exit.is_some()),
        ("oom", instance.oom.is_some()),
        ("run", instance.run.is_some()),
        ("startError", instance.start_error.is_some()),
        ("imageError", instance.image_error.is_some()),
    ];
    let said: Vec<&str> = ends.iter().filter(|(_, said)| *said).map(|(field, _)| *field).collect();
    if let [first, second, ..] = said.as_slice() {
        faults.add(&inside(second), format!("there is {first} already, and an instance ends in one way"));
    }
    let mut message = instance.termination_message.clone().unwrap_or_default();
    if let Some(exit) = &instance.exit {
        let full = exit_full(exit, &inside("exit"), faults);
        message = full.message.clone().unwrap_or(message);
        let exit = ended(full.code, full.signal.as_ref(), &inside("exit"), faults);
        run.end = Some(End { after: full.after.0, exit });
    }
    if let Some(oom) = &instance.oom {
        run.end = Some(End { after: oom.after.0, exit: oom.code.map_or(Exit::Signal(9), Exit::Code) });
        run.oom_killed = true;
    }
    if let Some(error) = &instance.start_error {
        let full = match error {
            StartError::Reason(reason) => StartErrorFull { reason: *reason, message: None },
            StartError::Full(full) => full.clone(),
        };
        run.start = start_failure(full.reason, full.message);
    }
    let pulled = instance.pull.map(|pull| {
        let milliseconds = u64::try_from(pull.0.as_millis()).unwrap_or(u64::MAX);
        ImageOutcome::Pulled(
            image_facts(image),
            Pulled { milliseconds, with_waiting_milliseconds: milliseconds, size: 0 },
        )
    });
    run.image = match &instance.image_error {
        Some(ImageError::Reason(reason)) => Some(image_failure(*reason, None, image)),
        Some(ImageError::Full(ImageErrorFull { reason, message })) => {
            Some(image_failure(*reason, message.clone(), image))
        }
        None => pulled,
    };
    run.start_delay = instance.start_delay.unwrap_or_default().0;
    run.message = TerminationMessage { file: message, log_tail: instance.log.clone().unwrap_or_default(), error: None };
    run.signals = signals(instance, &inside, faults);
    run.answers = probes::answers(instance, spec, path, faults);
    run.hooks = probes::hooks(instance, spec, path, faults);
    run
}

fn exit_full(exit: &ExitWords, path: &str, faults: &mut Faults<'_>) -> ExitFull {
    match exit {
        ExitWords::Code(code) => ExitFull { code: Some(*code), ..ExitFull::default() },
        ExitWords::Full(full) => full.clone(),
        ExitWords::Words(words) => match exit_words(words) {
            Ok(full) => full,
            Err(text) => {
                faults.add(path, text);
                ExitFull::default()
            }
        },
    }
}

/// `1`, `1@2s`, `SEGV@1m`, `@2s`.
pub fn exit_words(words: &str) -> Result<ExitFull, String> {
    let (how, after) = words.split_once('@').unwrap_or((words, "0s"));
    let after = Span::read(after.trim()).map_err(|error| format!("{words:?}: {error}"))?;
    let how = how.trim();
    if how.is_empty() {
        return Ok(ExitFull { code: Some(0), after, ..ExitFull::default() });
    }
    match (how.parse(), signal_number(how)) {
        (Ok(code), _) => Ok(ExitFull { code: Some(code), after, ..ExitFull::default() }),
        (Err(_), Some(_)) => {
            Ok(ExitFull { signal: Some(SignalName::Name(how.to_owned())), after, ..ExitFull::default() })
        }
        (Err(_), None) => Err(format!("{words:?}: write a code or a signal and a time: 1@2s, SEGV@1m")),
    }
}

fn ended(code: Option<i32>, signal: Option<&SignalName>, path: &str, faults: &mut Faults<'_>) -> Exit {
    if code.is_some() && signal.is_some() {
        faults.add(path, "ends with a code or by a signal, not both");
    }
    if let Some(code) = code.filter(|code| !(0..=255).contains(code)) {
        faults.add(path, format!("{code} is no exit code: they go from 0 to 255"));
    }
    match signal {
        Some(signal) => Exit::Signal(signal_of(signal, path, faults)),
        None => Exit::Code(code.unwrap_or(0)),
    }
}

/// A signal's number.
pub fn signal_of(signal: &SignalName, path: &str, faults: &mut Faults<'_>) -> i32 {
    let (number, shown) = match signal {
        SignalName::Number(number) => (Some(*number).filter(|number| (1..=64).contains(number)), number.to_string()),
        SignalName::Name(name) => (signal_number(name), name.clone()),
    };
    number.unwrap_or_else(|| {
        faults.add(path, format!("{shown:?} is no signal: write TERM, SIGTERM or 15"));
        9
    })
}

fn signals(
    instance: &Instance,
    inside: &dyn Fn(&str) -> String,
    faults: &mut Faults<'_>,
) -> BTreeMap<String, OnSignal> {
    let mut signals = BTreeMap::new();
    let mut add =
        |name: &str, path: String, reaction: &dyn Fn(i32, &mut Faults<'_>) -> OnSignal, faults: &mut Faults<'_>| {
            let Some(number) = signal_number(name) else {
                return faults.add(&path, format!("{name:?} is no signal: write TERM, SIGTERM or 15"));
            };
            let known = signal_name(number).map_or_else(|| format!("SIGRTMIN+{}", number - 34), str::to_owned);
            let deaf = matches!(number, 9 | 19);
            if deaf {
                return faults.add(&path, format!("no process can react to {known}"));
            }
            signals.insert(known, reaction(number, faults));
        };
    for name in instance.ignore_signals.iter().flatten() {
        add(name, inside("ignoreSignals"), &|_, _| OnSignal::Ignores, faults);
    }
    for (name, reaction) in instance.on_signal.iter().flatten() {
        let path = inside(&format!("onSignal.{name}"));
        let made = |number: i32, faults: &mut Faults<'_>| match reaction {
            Reaction::Word(ReactionWord::Ignore) => OnSignal::Ignores,
            Reaction::Word(ReactionWord::Die) => {
                OnSignal::Ends(End { after: Duration::ZERO, exit: Exit::Signal(number) })
            }
            Reaction::Ends(ReactionEnd { exit, signal, after }) => {
                OnSignal::Ends(End { after: after.0, exit: ended(*exit, signal.as_ref(), &path, faults) })
            }
        };
        add(name, path.clone(), &made, faults);
    }
    signals
}

/// A start that fails.
pub fn start_failure(reason: StartReason, message: Option<String>) -> Start {
    let usual = match reason {
        StartReason::CreateContainerConfigError => "configmap \"config\" not found",
        StartReason::CreateContainerError => "the container could not be created",
        StartReason::RunContainerError => "exec: \"program\": executable file not found in $PATH",
    };
    Start::Fails(reason.stage(), message.unwrap_or_else(|| usual.to_owned()))
}

/// A look for an image that ends badly.
pub fn image_failure(reason: ImageReason, message: Option<String>, image: &str) -> ImageOutcome {
    let usual = match reason {
        ImageReason::ErrImagePull => format!("failed to resolve reference \"{image}\": not found"),
        ImageReason::ErrImageNeverPull => {
            format!("Container image \"{image}\" is not present with pull policy of Never")
        }
        ImageReason::InvalidImageName => {
            let error = format!("couldn't parse image name \"{image}\": invalid reference format");
            format!("Failed to apply default image tag \"{image}\": {error}")
        }
        ImageReason::ImageInspectError => format!("Failed to inspect image \"{image}\": it cannot be read"),
    };
    ImageOutcome::Missing(reason.failure(), message.unwrap_or(usual))
}

/// An image that is there.
fn image_facts(image: &str) -> ImageFacts {
    let image_id = format!("{image}@sha256:{}", "0".repeat(64));
    ImageFacts { image: image.to_owned(), image_id, stop_signal: None }
}
