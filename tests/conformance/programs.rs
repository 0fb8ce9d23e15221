//! What the programs of the recorded cases' manifests do, as scripts of the simulation: read off their command lines.

use std::time::Duration;

use k8s_openapi::api::core::v1::Container;
use podlet::pod::hook::HookKind;
use podlet::pod::input::{Exit, ImageFailure, ProbeOutcome, StartStage, TerminationMessage};
use podlet::pod::probe::ProbeKind::{Liveness, Readiness, Startup};
use podlet::simulation::{End, ImageOutcome, Run, Script};

use super::recording::Case;

/// Everything that the pod's programs do; a runtime's own words are the recording's.
pub fn script(case: &Case) -> Script {
    let spec = case.pod().spec.unwrap();
    let mut script = Script { latency: Duration::from_millis(10), ..Script::default() };
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        let name = &container.name;
        script = match case.number() {
            "f04" => script.container(name, [Run::fails(StartStage::Run, &told(case))]),
            "f08" | "f10" => script.container(name, [Run::fails(StartStage::Config, &told(case))]),
            "f06" => script.image(name, [ImageOutcome::Missing(ImageFailure::ErrImageNeverPull, told(case))]),
            _ => script.container(name, runs(container)),
        };
    }
    script
}

/// The first message that the recording has of a container.
fn told(case: &Case) -> String {
    let states = case.story.sights.iter().flat_map(|sight| sight.states());
    states.map(|state| state.message.clone()).find(|message| !message.is_empty()).unwrap()
}

fn runs(container: &Container) -> Vec<Run> {
    let command = container.command.clone().unwrap();
    let program = command.last().unwrap().as_str();
    let fails = |text: &str| ProbeOutcome::Failure(text.to_owned());
    let leaves = |message| vec![Run { message, ..Run::exits(1, 100) }];
    let mut runs = match program {
        // PID 1 hears no signal that it has no handler for.
        "sleep 3600" => vec![Run::forever().deaf()],
        "trap \"\" TERM; while :; do sleep 1; done" => vec![Run::forever().deaf()],
        "trap \"echo got-term; exit 0\" TERM; sleep 3600 & wait" => vec![Run::forever()],
        "echo hello > /dev/termination-log; exit 1" => {
            leaves(TerminationMessage { file: "hello\n".to_owned(), ..TerminationMessage::default() })
        }
        "echo from-log; exit 1" => {
            leaves(TerminationMessage { log_tail: "from-log\n".to_owned(), ..TerminationMessage::default() })
        }
        "exec tail /dev/zero" => {
            let end = Some(End { after: Duration::from_millis(500), exit: Exit::Signal(9) });
            vec![Run { oom_killed: true, end, ..Run::forever() }]
        }
        "touch /tmp/h; sleep 6; rm /tmp/h; sleep 3600" => {
            let gone = fails("cat: can't open '/tmp/h': No such file or directory\n");
            vec![Run::forever().deaf().probe(Liveness, 6_500, gone)]
        }
        _ if program.starts_with("sleep 3; touch /tmp/r; sleep 5; rm /tmp/r; trap") => {
            let none = || fails("cat: can't open '/tmp/r': No such file or directory\n");
            let run = Run::forever().probe(Readiness, 0, none());
            vec![run.probe(Readiness, 3_000, ProbeOutcome::Success).probe(Readiness, 8_000, none())]
        }
        _ if program.contains("httpd -f -p 8080") => {
            let refused = fails("dial tcp 127.0.0.1:8080: connect: connection refused");
            let run = Run::forever().deaf().probe(Readiness, 0, refused);
            vec![run.probe(Readiness, 1_500, ProbeOutcome::Success)]
        }
        _ if program.contains("[ $n -ge 3 ] && exit 0; exit 42") => {
            vec![Run::exits(42, 100), Run::exits(42, 100), Run::exits(0, 100)]
        }
        _ => vec![exits(program)],
    };
    if container.startup_probe.is_some() {
        runs = runs.into_iter().map(|run| run.probe(Startup, 0, fails(""))).collect();
    }
    let hooks = container.lifecycle.iter();
    let hooks =
        hooks.flat_map(|hooks| [(HookKind::PostStart, &hooks.post_start), (HookKind::PreStop, &hooks.pre_stop)]);
    for (kind, _) in hooks.filter(|(_, hook)| hook.is_some()) {
        // All recorded hooks are `sleep 2`.
        runs = runs.into_iter().map(|run| run.hook(kind, Some(2_000), None)).collect();
    }
    runs
}

/// A program that sleeps, perhaps, does something of no consequence, and exits.
fn exits(program: &str) -> Run {
    let number = |word: &str| {
        let words = program.split(';').filter_map(|part| part.trim().strip_prefix(word));
        words.filter_map(|rest| rest.trim().parse::<u64>().ok()).next_back().unwrap_or_default()
    };
    Run::exits(i32::try_from(number("exit ")).unwrap(), (number("sleep ") * 1000).max(100))
}
