//! The same crashes under others' restart rules, for comparison: when each would start the program again. Nothing is
//! claimed beyond that; what a start itself takes is left out for all of them.

use std::time::Duration;

use super::script::Run;
use crate::pod::input::Exit;
use crate::pod::restart::RestartPolicy;

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// podman.
    Podman,
    /// The Docker engine.
    Docker,
    /// systemd.
    Systemd,
}

/// What is known of a peer's rules.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Its name.
    pub name: &'static str,
    /// Of which version.
    pub version: &'static str,
    /// Where they are written.
    pub source: &'static str,
    /// In words.
    pub text: &'static str,
}

/// When a program is started, and whether its supervisor gives up in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starts {
    /// Since the first one.
    pub at: Vec<Duration>,
    /// It is not started again although the policy says so.
    pub gave_up: bool,
}

/// A crash loop without any wait would have no end otherwise.
const MOST: usize = 100_000;

impl Peer {
    /// All of them.
    pub const ALL: [Peer; 3] = [Peer::Podman, Peer::Docker, Peer::Systemd];

    /// What is known.
    pub fn rules(self) -> Rules {
        match self {
            Peer::Podman => Rules {
                name: "podman",
                version: "4.3.1",
                source: "libpod/container_internal.go handleRestartPolicy; measured",
                text: "at once, without end",
            },
            Peer::Docker => Rules {
                name: "docker",
                version: "Engine 23",
                source: "moby restartmanager/restartmanager.go",
                text: "after 100 ms, doubling up to 1 min; anew after a run of 10 s",
            },
            Peer::Systemd => Rules {
                name: "systemd",
                version: "252",
                source: "systemd.service(5), systemd-system.conf(5): defaults",
                text: "after 100 ms; gives up at the sixth start within 10 s",
            },
        }
    }

    /// When the program is started up to a time, if its instances behave so (the last one repeats).
    pub fn starts(self, policy: RestartPolicy, runs: &[Run], until: Duration) -> Starts {
        let mut at = vec![Duration::ZERO];
        let mut wait = Duration::ZERO;
        while at.len() < MOST {
            let Some(begun) = at.last().copied() else { break };
            let run = runs.get(at.len() - 1).or(runs.last());
            let Some(end) = run.and_then(|run| run.end) else { break };
            let again = match policy {
                RestartPolicy::Always => true,
                RestartPolicy::OnFailure => end.exit != Exit::Code(0),
                RestartPolicy::Never => false,
            };
            if !again {
                break;
            }
            wait = self.wait(wait, end.after);
            let next = begun + end.after + wait;
            if next > until {
                break;
            }
            // StartLimitBurst=5 in StartLimitIntervalSec=10s.
            let recent =
                at.iter().rev().take_while(|start| next.saturating_sub(**start) < Duration::from_secs(10)).count();
            if self == Peer::Systemd && recent >= 5 {
                return Starts { at, gave_up: true };
            }
            at.push(next);
        }
        Starts { at, gave_up: false }
    }

    /// The wait after a run of that length, by the wait before it.
    fn wait(self, before: Duration, ran: Duration) -> Duration {
        const FIRST: Duration = Duration::from_millis(100);
        match self {
            Peer::Podman => Duration::ZERO,
            Peer::Systemd => FIRST,
            Peer::Docker if ran >= Duration::from_secs(10) || before.is_zero() => FIRST,
            Peer::Docker => (before * 2).min(Duration::from_secs(60)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(starts: &Starts) -> Vec<u128> {
        starts.at.iter().map(Duration::as_millis).collect()
    }

    #[test]
    fn each_peer_starts_a_crashing_program_by_its_own_rule() {
        let runs = [Run::exits(1, 1000)];
        let until = Duration::from_secs(8);
        let always = |peer: Peer| peer.starts(RestartPolicy::Always, &runs, until);
        assert_eq!(milliseconds(&always(Peer::Podman)), [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000]);
        assert_eq!(milliseconds(&always(Peer::Docker)), [0, 1100, 2300, 3700, 5500]);
        let systemd = always(Peer::Systemd);
        assert_eq!((milliseconds(&systemd), systemd.gave_up), (vec![0, 1100, 2200, 3300, 4400], true));
        // Runs of three seconds never come to six within ten.
        let slow = Peer::Systemd.starts(RestartPolicy::Always, &[Run::exits(1, 3000)], Duration::from_secs(60));
        assert!(!slow.gave_up && slow.at.len() == 20);
    }

    #[test]
    fn docker_begins_anew_after_a_run_of_ten_seconds_and_waits_a_minute_at_most() {
        let runs = [Run::exits(1, 0), Run::exits(1, 0), Run::exits(1, 10_000), Run::exits(1, 0)];
        let starts = Peer::Docker.starts(RestartPolicy::Always, &runs, Duration::from_secs(600));
        assert_eq!(milliseconds(&starts)[..5], [0, 100, 300, 10_400, 10_600]);
        let waits: Vec<u128> = milliseconds(&starts).windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits.last(), Some(&60_000));
    }

    #[test]
    fn policies_decide_whether_at_all() {
        let count =
            |policy, code| Peer::Podman.starts(policy, &[Run::exits(code, 1000)], Duration::from_secs(3)).at.len();
        assert_eq!(count(RestartPolicy::Never, 1), 1);
        assert_eq!(count(RestartPolicy::OnFailure, 0), 1);
        assert_eq!(count(RestartPolicy::OnFailure, 1), 4);
        assert_eq!(Peer::Docker.starts(RestartPolicy::Always, &[Run::forever()], Duration::MAX).at.len(), 1);
    }
}
