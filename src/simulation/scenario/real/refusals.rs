//! What a machine cannot be made to do, each with its path in the file and the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::ills;
use crate::manifest::quantity::{Format, Quantity};
use crate::pod::backoff::go_duration;
use crate::simulation::scenario::actors::{exit_words, signal_of};
use crate::simulation::scenario::condition::Faults;
use crate::simulation::scenario::faults::Deed;
use crate::simulation::scenario::format::{
    AnswerItem, Answers, Exit, Fault, Instance, Reaction, ReactionWord, SignalName, Spec, Target,
};
use crate::simulation::scenario::signal_name;
use crate::simulation::scenario::words::Answer;
use crate::simulation::script::Run;

/// The signals by which the first process of a container can end itself: those that a fault of its own raises.
const OWN_FAULTS: [i32; 4] = [4, 5, 8, 11];
/// So many codes can be asked of a process from outside: by SIGUSR1 and SIGUSR2.
const EXIT_CODES: usize = 2;
/// So many bytes are written into a volume.
const MOST_STORAGE: i64 = 64 << 20;

/// How long a user waits for real processes.
#[derive(Clone, Copy, Debug)]
pub struct Real {
    /// No scenario may last longer.
    pub patience: Duration,
    /// By so much everything may be late, and so what a scenario says of a machine's own pace is no matter up to there.
    pub tolerance: Duration,
}

/// What of a scenario that lasts so long, with so long a first back-off, cannot be done with real processes, by paths.
pub fn refusals(
    spec: &Spec,
    pod: &Pod,
    runs: &BTreeMap<String, Vec<Run>>,
    deeds: &[(Duration, Deed)],
    duration: Duration,
    backoff: Duration,
    real: Real,
) -> Vec<(String, String)> {
    let mut found = Faults { containers: Vec::new(), own: 0, found: Vec::new() };
    if duration > real.patience {
        let path = if spec.duration.is_some() { "spec.duration" } else { "spec" };
        let (lasts, most) = (go_duration(duration), go_duration(real.patience));
        let text = format!(
            "lasts {lasts}, and real time is waited for {most} at most: set spec.duration, or --patience {lasts}"
        );
        found.add(path, text);
    }
    let slow = format!("and only what is within --tolerance ({}) is passed over", go_duration(real.tolerance));
    if spec.latency.0 > real.tolerance {
        found.add("spec.latency", format!("a real machine answers as fast as it can, {slow}"));
    }
    if spec.pod_ips.is_some() {
        found.add("spec.podIPs", "the addresses of a real pod are not the scenario's to give");
    }
    for (name, actor) in &spec.actors {
        let path = format!("spec.actors.{name}");
        let instances = actor.instances.iter().enumerate();
        let instances = instances.map(|(index, one)| (one, format!("{path}.instances[{index}]")));
        for (one, path) in [(&actor.each, path.clone())].into_iter().chain(instances) {
            instance(one, &path, &mut found);
            if one.start_delay.is_some_and(|delay| delay.0 > real.tolerance) {
                let text = format!("a real start takes as long as it takes, {slow}");
                found.add(&format!("{path}.startDelay"), text);
            }
        }
    }
    for (index, one) in spec.faults.iter().enumerate() {
        fault(one, &format!("spec.faults[{index}]"), &mut found);
    }
    ills::refusals(pod, runs, deeds, backoff, &mut found);
    lost(pod, deeds, &mut found);
    too_many_codes(deeds, &mut found);
    unheard(deeds, &mut found);
    let volume_devices = pod.spec.iter().flat_map(|spec| &spec.containers).any(|one| one.volume_devices.is_some());
    if volume_devices {
        found.add("spec.pod", "a block device is no part of a test");
    }
    found.found
}

fn instance(one: &Instance, path: &str, found: &mut Faults<'_>) {
    let inside = |field: &str| format!("{path}.{field}");
    let signal = match &one.exit {
        Some(Exit::Full(full)) => full.signal.clone(),
        Some(Exit::Words(words)) => exit_words(words).ok().and_then(|full| full.signal),
        Some(Exit::Code(_)) | None => None,
    };
    if let Some(signal) = signal {
        let number = signal_of(&signal, &inside("exit"), found);
        if !OWN_FAULTS.contains(&number) {
            let name = signal_name(number).map_or_else(|| number.to_string(), str::to_owned);
            let text = format!(
                "the first process of a container cannot end itself by {name}, only by SEGV, ILL, FPE or TRAP; a fault \
                 `kill` ends it from outside"
            );
            found.add(&inside("exit"), text);
        }
    }
    if one.pull.is_some() {
        found.add(&inside("pull"), "podlet's own image is always there, and not pulled");
    }
    if one.oom.as_ref().is_some_and(|oom| oom.code.is_some_and(|code| code != 137)) {
        found.add(&inside("oom.code"), "the memory controller kills with SIGKILL: the code is 137");
    }
    for (name, reaction) in one.on_signal.iter().flatten() {
        let by_signal = match reaction {
            Reaction::Word(word) => matches!(word, ReactionWord::Die),
            Reaction::Ends(ends) => ends.signal.is_some(),
        };
        if by_signal {
            let text = "the first process of a container cannot end itself by a signal: write {exit: CODE}";
            found.add(&inside(&format!("onSignal.{name}")), text);
        }
    }
    let Some(probes) = &one.probes else { return };
    for (kind, said) in [("startup", &probes.startup), ("liveness", &probes.liveness), ("readiness", &probes.readiness)]
    {
        if let Some(said) = said {
            answers(said, &inside(&format!("probes.{kind}")), found);
        }
    }
}

fn answers(said: &Answers, path: &str, found: &mut Faults<'_>) {
    let error = "a real probe can always be begun";
    match said {
        Answers::One(Answer::Error) => found.add(path, error),
        Answers::One(_) => {}
        Answers::Many(items) => {
            let mut counted = false;
            for (index, item) in items.iter().enumerate() {
                let (answer, lasts) = match item {
                    AnswerItem::One(answer) => (*answer, None),
                    AnswerItem::Full(full) => (full.answer, full.duration),
                };
                if answer == Answer::Error {
                    found.add(&format!("{path}[{index}]"), error);
                }
                match lasts {
                    None => counted = true,
                    Some(_) if counted => {
                        let text =
                            "comes after answers that are counted, so it is not known when it begins: count it, too";
                        found.add(&format!("{path}[{index}].for"), text);
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

fn fault(one: &Fault, path: &str, found: &mut Faults<'_>) {
    let inside = |field: &str| format!("{path}.{field}");
    for (field, said, why) in [
        ("node", one.node.is_some(), "a real machine has what it has, and other pods hold what they hold"),
        (
            "clock",
            one.clock.is_some(),
            "the wall clock is the whole machine's: Linux gives no pod one of its own (time_namespaces(7))",
        ),
    ] {
        if said {
            found.add(&inside(field), why);
        }
    }
    if let Some(Target::Full(kill)) = &one.kill
        && let Some(signal) = &kill.signal
        && signal_of(signal, &inside("kill.signal"), found) != 9
    {
        let shown = match signal {
            SignalName::Number(number) => number.to_string(),
            SignalName::Name(name) => name.clone(),
        };
        let text = format!("the first process of a container can be killed by SIGKILL alone, not by {shown}");
        found.add(&inside("kill.signal"), text);
    }
    if let Some(used) = &one.storage {
        let most = Quantity::from_value(MOST_STORAGE, Format::BinarySi);
        if Quantity::parse(&used.used.to_string()).is_ok_and(|used| used > most) {
            found.add(&inside("storage.used"), format!("no more than {most} of your disk is taken"));
        }
    }
    if one.probe.as_ref().is_some_and(|probe| {
        probe.answer == Some(Answer::Error) || probe.flap.iter().flatten().any(|answer| *answer == Answer::Error)
    }) {
        found.add(&inside("probe"), "a real probe can always be begun");
    }
}

/// With the keeper of such a pod its mounts go, and so all of it.
fn lost(pod: &Pod, deeds: &[(Duration, Deed)], found: &mut Faults<'_>) {
    let shares = pod.spec.as_ref().is_some_and(|spec| spec.share_process_namespace == Some(true));
    if shares && deeds.iter().any(|(_, deed)| matches!(deed, Deed::Lose(_))) {
        let text = "`lost` kills podlet's own processes, and with shareProcessNamespace all containers end by that, not the one";
        found.add("spec.faults", text);
    }
}

/// Requests of a user while the supervisor is away: nobody hears them, and in virtual time that is not waited for.
fn unheard(deeds: &[(Duration, Deed)], found: &mut Faults<'_>) {
    let away = deeds.iter().filter_map(|(time, deed)| match deed {
        Deed::KillSupervisor(away) if !away.is_zero() => Some((*time, time.saturating_add(*away))),
        _ => None,
    });
    for (from, to) in away {
        let asked = |(time, deed): &&(Duration, Deed)| {
            let asks =
                matches!(deed, Deed::Delete(..) | Deed::Stop(_) | Deed::Apply(_) | Deed::Restart(_) | Deed::Debug(..));
            asks && (from..=to).contains(time)
        };
        if let Some((time, _)) = deeds.iter().find(asked) {
            let text = format!(
                "at {} a user asks for something while the supervisor is away (downFor): a real one hears it when it is back",
                go_duration(*time)
            );
            found.add("spec.faults", text);
        }
    }
}

fn too_many_codes(deeds: &[(Duration, Deed)], found: &mut Faults<'_>) {
    let mut codes: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    for (_, deed) in deeds {
        if let Deed::End(container, crate::pod::input::Exit::Code(code), _) = deed {
            codes.entry(container).or_default().insert(*code);
        }
    }
    for (name, _) in codes.iter().filter(|(_, codes)| codes.len() > EXIT_CODES) {
        let text = format!("{name} is told to end with more than {EXIT_CODES} different codes");
        found.add("spec.faults", text);
    }
}
