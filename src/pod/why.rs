//! What holds of a pod and of each of its containers now, by which rule, and what comes next and when. Read from the state
//! alone; nothing is decided here. `podlet why` shows it beside what has happened.

use super::backoff::{CrashVerdict, crash_backoff, go_duration};
use super::container::{Container, Ended, Kind, Step, Stop, Waiting, WaitingReason};
use super::decide::wants_start;
use super::hook::StartHook;
use super::machine::{Course, Machine, hash_json, pod_policy};
use super::probe::{ProbeKind, Verdict, is_started};
use super::restart::restart_decision;
use super::rules::{self, Rule};
use super::sandbox::SandboxState;
use super::termination::has_no_work_left;
use super::time::BootTime;
use crate::manifest::containers::find_container;

/// What holds of one thing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The container; empty for the pod.
    pub about: String,
    /// In a few words: `waiting: CrashLoopBackOff`.
    pub state: String,
    /// The rule by which it is so; none where it is so by an earlier decision (a start).
    pub rule: Option<&'static Rule>,
    /// What the rule saw, a sentence each.
    pub because: Vec<String>,
    /// What follows, soonest first.
    pub next: Vec<Next>,
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// What: `it is started again`.
    pub what: String,
    /// When; none where that is for others to say.
    pub at: Option<BootTime>,
    /// By which rule.
    pub rule: Option<&'static Rule>,
}

fn next(what: impl Into<String>, at: Option<BootTime>, rule: &'static Rule) -> Next {
    Next { what: what.into(), at, rule: Some(rule) }
}

impl Machine {
    /// Of the pod, then of its containers in the status' order.
    pub fn standings(&self) -> Vec<Standing> {
        let containers = (0..self.state.containers.len()).filter_map(|index| self.of_container(index));
        std::iter::once(self.of_pod()).chain(containers).collect()
    }

    fn of_pod(&self) -> Standing {
        let state = &self.state;
        let phase = state.published.phase;
        let mut standing = Standing { state: phase.word().to_owned(), ..Standing::default() };
        let running: Vec<&str> =
            state.containers.iter().filter(|c| c.may_have_process()).map(|c| c.name.as_str()).collect();
        match state.course {
            Course::Serving => self.of_serving_pod(&mut standing),
            Course::Replacing => {
                standing.rule = Some(rules::R_9_2_B);
                standing.because.push("its sandbox is gone; what runs is stopped first".to_owned());
                standing.next.push(next("a new sandbox is made when all have ended", None, rules::R_9_2_B));
            }
            Course::Resetting | Course::Restarting => {
                let asked = state.course == Course::Restarting;
                let (rule, then) =
                    if asked { (rules::R_4_6_C, rules::R_4_6_D) } else { (rules::R_4_6_A, rules::R_4_6_B) };
                standing.rule = Some(rule);
                standing.state += ", all containers are restarted";
                standing.next.push(next("everything begins anew when all have ended", None, then));
            }
            Course::Ending => {
                self.why_it_ends(&mut standing);
                if running.is_empty() {
                    standing.next.push(next("its sandbox is stopped", None, rules::R_8_2_C));
                } else {
                    let what = format!("its sandbox is stopped when {} ended", have(&running));
                    standing.next.push(next(what, None, rules::R_8_2_C));
                }
            }
            Course::TearingDown => {
                self.why_it_ends(&mut standing);
                standing.next.push(next("mounts and cgroups are removed", None, rules::R_8_3_A));
            }
            Course::TornDown if self.is_stopped() => {
                self.why_it_ends(&mut standing);
                standing.next.push(next("it waits to be set going again: podlet start", None, rules::R_9_4_B));
            }
            Course::TornDown => {
                self.why_it_ends(&mut standing);
                if phase.is_terminal() {
                    standing.because.push(format!("{} is for good (R-1.1-b)", phase.word()));
                }
            }
            Course::Removed => standing.state += ", removed",
        }
        if let Some(deletion) = &state.deletion {
            standing.state = "Terminating".to_owned();
            standing.because.push(format!("deleted with a grace period of {}s", deletion.grace_seconds));
        }
        if let Some(deadline) = state.deadline(&self.pod) {
            standing.next.push(next("it fails: activeDeadlineSeconds are over", Some(deadline), rules::R_9_1_A));
        }
        standing
    }

    fn of_serving_pod(&self, standing: &mut Standing) {
        let sandbox = &self.state.sandbox;
        let attempt = sandbox.attempt;
        match sandbox.state {
            SandboxState::Wanted { not_before } => {
                let (rule, why) = match (sandbox.mounts_failed, sandbox.tries) {
                    (0, 0) if attempt == 0 => (rules::R_9_2_A, "it has no sandbox yet".to_owned()),
                    (0, 0) => (rules::R_9_2_F, "its sandbox is gone".to_owned()),
                    (0, tries) => (rules::R_9_2_E, format!("its sandbox could not be made, {} so far", times(tries))),
                    (failed, _) => {
                        (rules::R_0_6_A, format!("its volumes could not be set up, {} in a row", times(failed)))
                    }
                };
                standing.rule = Some(rule);
                standing.because.push(why);
                standing.next.push(next("it is tried again", Some(not_before), rule));
            }
            SandboxState::Starting => {
                standing.rule = Some(if attempt == 0 { rules::R_9_2_A } else { rules::R_9_2_B });
                standing.because.push("volumes and sandbox are being made".to_owned());
                standing.next.push(Next { what: "containers start when it stands".to_owned(), at: None, rule: None });
            }
            SandboxState::Ready | SandboxState::Stopping | SandboxState::Gone => {
                let conditions = self.pod().status.and_then(|status| status.conditions).unwrap_or_default();
                let Some(ready) = conditions.into_iter().find(|condition| condition.type_ == "Ready") else { return };
                if ready.status == "True" {
                    standing.state += ", Ready";
                    return;
                }
                standing.state += ", not Ready";
                let words = [ready.reason, ready.message].into_iter().flatten().collect::<Vec<_>>();
                standing.because.push(words.join(": "));
            }
        }
    }

    fn why_it_ends(&self, standing: &mut Standing) {
        let state = &self.state;
        let (rule, why) = if state.deletion.is_some() {
            (rules::R_8_1_A, None)
        } else if let Some(failure) = &state.failure {
            (failure.rule(), Some(failure.message().trim_end().to_owned()))
        } else if state.halt.is_some() && self.is_stopped() {
            (rules::R_9_4_B, Some("it was stopped".to_owned()))
        } else if let Some((init, ended)) = state.failed_init(&self.pod) {
            (rules::R_5_1_C, Some(format!("init container {} ended with {}", init.name, ended.exit_code)))
        } else if has_no_work_left(&self.pod, state) {
            (rules::R_1_1_A, None)
        } else {
            (rules::R_9_2_C, None)
        };
        standing.rule = Some(rule);
        standing.because.extend(why);
    }

    fn of_container(&self, index: usize) -> Option<Standing> {
        let container = self.state.containers.get(index)?;
        let mut standing = Standing { about: container.name.clone(), ..Standing::default() };
        if let Some(stop) = container.stop() {
            self.of_stopping(container, stop, &mut standing);
        } else if container.running() {
            self.of_running(container, &mut standing);
        } else if container.step != Step::Idle {
            let (state, what) = match &container.step {
                Step::Image { .. } => ("starting: its image is seen to", "it is created and started"),
                _ => ("starting: it is created", "its program runs"),
            };
            standing.state = state.to_owned();
            standing.rule = Some(rules::R_0_5_A);
            standing.next.push(next(what, None, rules::R_0_5_A));
        } else if let Some(waiting) = &container.waiting {
            self.of_waiting(index, container, waiting, &mut standing);
        } else if let Some(ended) = container.exited() {
            self.of_ended(index, container, ended, &mut standing);
        } else {
            self.of_unstarted(index, container, &mut standing);
        }
        Some(standing)
    }

    fn of_running(&self, container: &Container, standing: &mut Standing) {
        let spec = find_container(&self.pod, &container.name);
        if let Some(hook) = &container.start_hook {
            standing.state = "started, its postStart hook runs".to_owned();
            standing.rule = Some(rules::R_7_A);
            let until = if let StartHook::Runs { until } = hook { *until } else { None };
            standing.next.push(next("it counts as running when the hook is over", until, rules::R_7_A));
            return;
        }
        let mut unproven = Vec::new();
        for kind in ProbeKind::ALL {
            let Some(probe) = spec.as_ref().and_then(|spec| kind.of(spec)) else { continue };
            let findings = container.probes.findings(kind);
            if findings.verdict() != Some(Verdict::Passed) && kind != ProbeKind::Liveness {
                unproven.push(kind);
            }
            let Some((last, times, needed)) = findings.tally(probe) else { continue };
            let tell = last == Verdict::Failed || unproven.contains(&kind);
            if tell && (kind == ProbeKind::Startup || is_started(&self.pod, container)) {
                let how = if last == Verdict::Failed { "failed" } else { "succeeded" };
                let threshold = if last == Verdict::Failed { "failureThreshold" } else { "successThreshold" };
                let so_often = if times == 0 { "often enough".to_owned() } else { self::times(times) };
                standing
                    .because
                    .push(format!("{} probe: {how} {so_often} in a row, {threshold} {needed}", kind.word()));
            }
        }
        let (state, rule) = match unproven.first() {
            Some(ProbeKind::Startup) => ("running, not started", Some(rules::R_6_2_D)),
            Some(_) => ("running, not ready", Some(rules::R_6_2_D)),
            None => ("running, ready", None),
        };
        standing.state = state.to_owned();
        standing.rule = rule;
        if let Some(kind) = unproven.first() {
            let then = if *kind == ProbeKind::Startup { "started" } else { "ready" };
            standing.next.push(next(
                format!("it is {then} when its {} probe succeeds", kind.word()),
                None,
                rules::R_6_2_D,
            ));
        }
        for kind in [ProbeKind::Startup, ProbeKind::Liveness] {
            let Some(probe) = spec.as_ref().and_then(|spec| kind.of(spec)) else { continue };
            let running = match kind {
                ProbeKind::Startup => !is_started(&self.pod, container),
                _ => is_started(&self.pod, container),
            };
            if let (Some((Verdict::Failed, times, needed)), true) =
                (container.probes.findings(kind).tally(probe), running)
            {
                let more = needed.saturating_sub(times);
                let rule = if kind == ProbeKind::Startup { rules::R_4_3_C } else { rules::R_4_3_B };
                standing.next.push(next(format!("it is stopped if that probe fails {more} more in a row"), None, rule));
            }
        }
        self.if_it_ended(container, standing);
    }

    /// What would follow if it ended now.
    fn if_it_ended(&self, container: &Container, standing: &mut Standing) {
        let Some(spec) = find_container(&self.pod, &container.name) else { return };
        if self.state.course != Course::Serving {
            return;
        }
        let decide = |code: i32| restart_decision(container.kind, &spec, pod_policy(&self.pod), code, "Error");
        let (well, badly) = (decide(0), decide(1));
        let wait = match self.verdict_after_exit(container) {
            CrashVerdict::Wait { backoff, .. } => format!("{} after that", go_duration(backoff)),
            CrashVerdict::Start { .. } => "at once".to_owned(),
        };
        let what = match (well.restart, badly.restart) {
            (true, true) => format!("if it ends it is started again, {wait}"),
            (false, true) => format!("if it fails it is started again, {wait}; with exit code 0 it is done"),
            (true, false) => format!("if it ends with exit code 0 it is started again, {wait}"),
            (false, false) => "if it ends it is not started again".to_owned(),
        };
        standing.next.push(next(what, None, badly.rule));
    }

    /// What the crash back-off would say of a start right after an exit now.
    fn verdict_after_exit(&self, container: &Container) -> CrashVerdict {
        let spec = find_container(&self.pod, &container.name);
        let key = hash_json(&spec.as_ref().map(|spec| (&spec.image, &spec.resources)));
        let now = self.state.clock.boot;
        crash_backoff(container.backoff, key, Some(now), now, self.state.settings.crash_limits())
    }

    fn of_stopping(&self, container: &Container, stop: &Stop, standing: &mut Standing) {
        let kill = if stop.raised { rules::R_8_2_B } else { rules::R_8_2_A };
        match (stop.held, stop.hook, stop.killed) {
            (Some(_), Some(_), _) => {
                standing.state = "stopping: its preStop hook runs".to_owned();
                standing.rule = Some(rules::R_7_C);
                let what = "the stop signal is sent when the hook is over, at the latest then";
                standing.next.push(next(what, Some(stop.next()), rules::R_7_D));
            }
            (Some(_), None, _) => {
                standing.state = "stopping: it waits for others to end first".to_owned();
                standing.rule = Some(rules::R_8_4_A);
                let what = "the stop signal is sent when they have ended, at the latest then";
                standing.next.push(next(what, Some(stop.kill_at), rules::R_8_4_C));
            }
            (None, _, false) => {
                standing.state = "stopping: the stop signal was sent".to_owned();
                standing.next.push(next("SIGKILL, unless it ends before", Some(stop.kill_at), kill));
            }
            (None, _, true) => {
                standing.state = "stopping: SIGKILL was sent".to_owned();
                standing.rule = Some(kill);
                let what = "its end, which the kernel has not told yet".to_owned();
                standing.next.push(Next { what, at: None, rule: None });
            }
        }
        if container.anew.is_some() {
            let what = "then it is started anew, whatever its restart policy".to_owned();
            standing.next.push(Next { what, at: None, rule: None });
        }
    }

    fn of_waiting(&self, index: usize, container: &Container, waiting: &Waiting, standing: &mut Standing) {
        standing.state = format!("waiting: {}", waiting.reason.word());
        let restarts = wants_start(&self.pod, container) && self.state.course == Course::Serving;
        let rule = match waiting.reason {
            WaitingReason::CrashLoopBackOff => rules::R_4_4_B,
            WaitingReason::CreateContainerConfigError | WaitingReason::CreateContainerError => rules::R_3_2_A,
            WaitingReason::RunContainerError => rules::R_3_2_C,
            WaitingReason::PostStartHookError => rules::R_7_B,
            WaitingReason::ErrImagePull => rules::R_4_5_A,
            WaitingReason::ImagePullBackOff => rules::R_4_5_B,
            WaitingReason::ErrImageNeverPull | WaitingReason::InvalidImageName | WaitingReason::ImageInspectError => {
                rules::R_3_2_B
            }
            WaitingReason::RestartingAllContainers => rules::R_4_6_B,
        };
        standing.rule = Some(rule);
        if waiting.reason == WaitingReason::CrashLoopBackOff {
            standing.because.extend(container.exited().map(|ended| self.how_it_ended(ended)));
        } else if !waiting.message.is_empty() {
            standing.because.push(waiting.message.clone());
        }
        if !restarts {
            return self.not_started(container, standing);
        }
        if !self.state.may_start(&self.pod, index) {
            return self.of_unstarted(index, container, standing);
        }
        let (what, then) = match waiting.reason {
            WaitingReason::CrashLoopBackOff => {
                let which = self.which_backoff(container).unwrap_or_default();
                (format!("it is started again: {which}"), rules::R_4_4_C)
            }
            WaitingReason::ErrImagePull | WaitingReason::ImagePullBackOff => {
                ("the image is pulled again".to_owned(), rules::R_4_5_C)
            }
            _ => ("it is tried again".to_owned(), rule),
        };
        standing.next.push(next(what, Some(waiting.until), then));
    }

    /// `the 5th back-off, of 160s`.
    fn which_backoff(&self, container: &Container) -> Option<String> {
        let limits = self.state.settings.crash_limits();
        let wait = container.backoff?.wait().min(limits.maximum);
        let mut number = 1_u32;
        let mut length = limits.initial.min(limits.maximum);
        while length < wait && number < 64 {
            length = length.saturating_mul(2).min(limits.maximum);
            number += 1;
        }
        let seconds = if wait.subsec_nanos() == 0 { format!("{}s", wait.as_secs()) } else { go_duration(wait) };
        Some(match wait == limits.maximum {
            true => format!("the longest back-off, of {seconds}"),
            false => format!("the {} back-off, of {seconds}", ordinal(number)),
        })
    }

    fn how_it_ended(&self, ended: &Ended) -> String {
        let code = match ended.exit_code {
            code @ 129..=192 => format!("{code} (signal {})", code - 128),
            code => code.to_string(),
        };
        format!("it ended with exit code {code}, {}", ended.reason.word())
    }

    fn of_ended(&self, index: usize, container: &Container, ended: &Ended, standing: &mut Standing) {
        standing.state = format!("ended: {}", ended.reason.word());
        standing.because.push(self.how_it_ended(ended));
        if self.state.course != Course::Serving || !wants_start(&self.pod, container) {
            return self.not_started(container, standing);
        }
        if self.state.may_start(&self.pod, index) {
            let others = "it is started in its turn: one container of a pod is started at a time";
            standing.next.push(next(others, None, rules::R_0_5_A));
        } else {
            self.of_unstarted(index, container, standing);
        }
    }

    /// Why what has ended stays so.
    fn not_started(&self, container: &Container, standing: &mut Standing) {
        let spec = find_container(&self.pod, &container.name);
        let course = self.state.course;
        if course >= Course::Ending {
            let decided = container.exited().filter(|_| !wants_start(&self.pod, container));
            if decided.is_none() {
                standing.next.push(Next { what: "nothing: the pod ends".to_owned(), at: None, rule: None });
            }
        } else if course != Course::Serving {
            standing.next.push(Next { what: "it is started anew with the others".to_owned(), at: None, rule: None });
        }
        if let (Some(ended), Some(spec)) = (container.exited(), spec) {
            let (code, reason) = (ended.exit_code, ended.reason.word());
            let verdict = restart_decision(container.kind, &spec, pod_policy(&self.pod), code, reason);
            if !verdict.restart && container.anew.is_none() {
                standing.rule = Some(verdict.rule);
                standing.because.push(format!("restartPolicy {}", verdict.policy.word()));
                standing.next.push(Next { what: "nothing: it stays ended".to_owned(), at: None, rule: None });
            }
        }
    }

    /// What has never run, or begins anew, and what it waits for.
    fn of_unstarted(&self, index: usize, container: &Container, standing: &mut Standing) {
        if standing.state.is_empty() {
            standing.state = "waiting: not started yet".to_owned();
        }
        if self.state.course >= Course::Ending {
            standing.next.push(Next { what: "nothing: the pod ends".to_owned(), at: None, rule: None });
            return;
        }
        if self.state.sandbox.state != SandboxState::Ready {
            standing.rule = standing.rule.or(Some(rules::R_9_2_A));
            standing.because.push("the pod has no sandbox".to_owned());
            return;
        }
        if let Some(holder) = self.state.holder_of(container) {
            standing.rule = Some(rules::R_9_6_C);
            let what = format!("it may start when the ephemeral container {} has ended", holder.name);
            standing.next.push(next(what, None, rules::R_9_6_C));
            return;
        }
        if self.state.may_start(&self.pod, index) {
            standing.rule = standing.rule.or(Some(rules::R_0_5_A));
            let before =
                self.state.containers.iter().find(|other| {
                    other.name != container.name && (other.step != Step::Idle || other.start_hook.is_some())
                });
            let what = match before {
                Some(other) => format!("it is started when {} is: one at a time", other.name),
                None => "it is started".to_owned(),
            };
            standing.next.push(next(what, None, rules::R_0_5_A));
            return;
        }
        let open = |other: &&Container| match other.kind {
            Kind::Init => !other.has_completed(),
            Kind::Sidecar => !is_started(&self.pod, other),
            Kind::Regular | Kind::Ephemeral => false,
        };
        let Some(other) = self.state.containers.iter().take(index).find(open) else { return };
        let (rule, what) = match other.kind {
            Kind::Sidecar => (rules::R_5_2_A, "is started"),
            _ => (rules::R_5_1_A, "has ended with exit code 0"),
        };
        standing.rule = Some(rule);
        standing.next.push(next(format!("it is started when {} {what}", other.name), None, rule));
    }
}

fn have(names: &[&str]) -> String {
    let has = if names.len() == 1 { "has" } else { "have" };
    format!("{} {has}", names.join(", "))
}

fn times(number: u32) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        number => format!("{number} times"),
    }
}

fn ordinal(number: u32) -> String {
    let end = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{end}")
}

#[cfg(test)]
mod tests {
    use super::ordinal;

    #[test]
    fn ordinal_numbers_end_as_they_are_spoken() {
        let spoken = [1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 101, 111, 112].map(ordinal).join(" ");
        assert_eq!(spoken, "1st 2nd 3rd 4th 11th 12th 13th 14th 21st 22nd 23rd 101st 111th 112th");
    }
}
