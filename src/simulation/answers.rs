//! What probes find in a simulation where that is told attempt by attempt, or forced from outside.

use std::time::Duration;

use super::driver::Driver;
use crate::pod::input::ProbeOutcome;
use crate::pod::probe::ProbeKind;

/// Some answers alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// What is found.
    pub outcome: ProbeOutcome,
    /// How long it takes to find it.
    pub takes: Duration,
    /// How many of them there are.
    pub length: Length,
}

/// How many answers are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many attempts.
    Times(u32),
    /// All attempts of so long.
    For(Duration),
}

/// How far an instance is in a list of answers, of which the last repeats.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    piece: usize,
    /// Attempts that got this piece's answer.
    used: u32,
    /// The age of the instance at which this piece began.
    since: Duration,
}

impl Answered {
    /// What is found by an attempt at this age, and how long that takes.
    pub fn next(&mut self, list: &[Answers], age: Duration) -> (ProbeOutcome, Duration) {
        while let Some(piece) = list.get(self.piece) {
            let over = match piece.length {
                Length::Times(times) => self.used >= times,
                Length::For(time) => age >= self.since + time,
            };
            if !over || self.piece + 1 == list.len() {
                self.used = self.used.saturating_add(1);
                return (piece.outcome.clone(), piece.takes);
            }
            self.since = match piece.length {
                Length::Times(_) => age,
                Length::For(time) => self.since + time,
            };
            self.piece += 1;
            self.used = 0;
        }
        (ProbeOutcome::Success, Duration::ZERO)
    }
}

/// What a probe finds whatever its instance would answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Forced {
    /// What is found.
    pub outcome: ProbeOutcome,
    /// How long it takes to find it.
    pub takes: Duration,
    /// So many attempts; all where it is absent.
    pub left: Option<u32>,
    /// No longer than this, in virtual time.
    pub until: Option<Duration>,
}

impl Driver {
    /// The forced answer that is due, which is used up by it.
    pub(super) fn forced_answer(&mut self, name: &str, kind: ProbeKind) -> Option<(ProbeOutcome, Duration)> {
        let now = self.now();
        let list = self.forced.get_mut(&(name.to_owned(), kind))?;
        list.retain(|forced| forced.left != Some(0) && forced.until.is_none_or(|until| now < until));
        let forced = list.first_mut()?;
        forced.left = forced.left.map(|left| left.saturating_sub(1));
        Some((forced.outcome.clone(), forced.takes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_last_their_attempts_or_their_time_and_the_last_repeats() {
        let fail = || ProbeOutcome::Failure("no".to_owned());
        let piece = |outcome, length| Answers { outcome, takes: Duration::ZERO, length };
        let list = [
            piece(fail(), Length::For(Duration::from_secs(3))),
            piece(ProbeOutcome::Success, Length::Times(2)),
            piece(fail(), Length::Times(1)),
        ];
        let mut answered = Answered::default();
        let found: Vec<bool> =
            (1..9).map(|age| answered.next(&list, Duration::from_secs(age)).0 == ProbeOutcome::Success).collect();
        assert_eq!(found, [false, false, true, true, false, false, false, false]);
    }
}
