//! Back-off as the kubelet reckons it: of restarts (lifecycle 4.4) and of image pulls (4.5). Small values with no clock;
//! `decide` asks them and keeps them in the state.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rules::{self, Rule};
use super::time::BootTime;

/// First and largest waiting time, and the run after which a back-off is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The first waiting time.
    pub initial: Duration,
    /// The largest.
    pub maximum: Duration,
    /// An entry not used for longer than this is forgotten.
    pub reset: Duration,
}

impl Limits {
    /// The initial waiting time; a maximum below it lowers it (`crashLoopBackOff.maxContainerRestartPeriod: 2s`).
    fn first(&self) -> Duration {
        self.initial.min(self.maximum)
    }

    fn doubled(&self, wait: Duration) -> Duration {
        wait.saturating_mul(2).min(self.maximum)
    }
}

/// The entry that a start or a failed pull leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Which subject it belongs to: another one begins anew.
    pub key: u64,
    /// How long the next waiting time is, in milliseconds.
    pub milliseconds: u64,
    /// When it was last used.
    pub updated: BootTime,
}

/// Whether a container may be started now (lifecycle 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrashVerdict {
    /// It may; this is the entry to keep, with the rule that allows it. No entry for a container that never exited.
    Start {
        /// What to remember.
        entry: Option<Backoff>,
        /// The rule.
        rule: &'static Rule,
    },
    /// Not before `until`.
    Wait {
        /// The back-off in force.
        backoff: Duration,
        /// When it is over.
        until: BootTime,
    },
}

/// Decides on a start of a container whose newest exited record ended at `exited`.
pub fn crash_backoff(
    entry: Option<Backoff>,
    key: u64,
    exited: Option<BootTime>,
    now: BootTime,
    limits: Limits,
) -> CrashVerdict {
    let Some(exited) = exited else {
        return CrashVerdict::Start { entry, rule: rules::R_4_4_F };
    };
    let anew = |rule| CrashVerdict::Start { entry: Some(Backoff::begin(key, limits, now)), rule };
    match entry {
        None => anew(rules::R_4_4_A),
        Some(entry) if entry.key != key => anew(rules::R_4_4_E),
        Some(entry) if exited.since(entry.updated) > limits.reset => anew(rules::R_4_4_D),
        // A changed maximum must hold at once for entries made under a larger one.
        Some(entry) => {
            let backoff = entry.wait().min(limits.maximum);
            if now.since(exited) < backoff {
                return CrashVerdict::Wait { backoff, until: exited.after(backoff) };
            }
            CrashVerdict::Start { entry: Some(entry.next(limits, now)), rule: rules::R_4_4_C }
        }
    }
}

impl Backoff {
    fn begin(key: u64, limits: Limits, now: BootTime) -> Backoff {
        Backoff { key, milliseconds: whole_milliseconds(limits.first()), updated: now }
    }

    fn next(self, limits: Limits, now: BootTime) -> Backoff {
        Backoff { milliseconds: whole_milliseconds(limits.doubled(self.wait())), updated: now, ..self }
    }

    /// The waiting time.
    pub fn wait(&self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }

    /// The waiting time as Go writes it.
    pub fn words(&self) -> String {
        go_duration(self.wait())
    }

    /// After a failed pull at `now`: begun, doubled, or begun anew when the last failure is long past.
    pub fn after_failed_pull(entry: Option<Backoff>, key: u64, now: BootTime, limits: Limits) -> Backoff {
        match entry {
            Some(entry) if entry.key == key && now.since(entry.updated) <= limits.reset => entry.next(limits, now),
            _ => Backoff::begin(key, limits, now),
        }
    }

    /// When the next pull may be tried.
    pub fn over_at(&self) -> BootTime {
        self.updated.after(self.wait())
    }
}

fn whole_milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as Go writes it: `10s`, `1m20s`, `5m0s`, `1.5s`, `500ms`; what `back-off 1m20s restarting …` shows.
pub fn go_duration(wait: Duration) -> String {
    let milliseconds = wait.as_millis();
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    if milliseconds < 1000 {
        return format!("{milliseconds}ms");
    }
    let (hours, minutes) = (milliseconds / 3_600_000, milliseconds / 60_000 % 60);
    let (seconds, rest) = (milliseconds / 1000 % 60, milliseconds % 1000);
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:03}").trim_end_matches('0').to_owned() };
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}
