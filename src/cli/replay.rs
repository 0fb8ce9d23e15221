//! `podlet replay`: the journal of a real run through the machine again, which must decide as it did.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::everywhere::Everywhere;
use super::runs;
use super::{Caller, Failure, print};
use crate::pod::effect::{Action, EffectId};
use crate::pod::input::Input;
use crate::pod::time::Moment;
use crate::recorded::replay::{self, Care, Difference, Outcome, What};

/// The words of `replay`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet replay web                 decides anew about all that happened to the
                                    pod web
  podlet replay --save web.run web  and keeps the run in a file, which replay,
                                    timeline, record and what-if read
  podlet replay web.run             that run, on any machine
  podlet replay web -o json

What the machine of rules asked for then is taken out of the journal and must come again, input by input: the same effects, \
and the same state behind them. Exit codes: 0 all is the same, 1 something is not, or cannot be replayed.")]
pub struct Words {
    /// A pod, or a file in which a run was saved; also a directory with a pod's journal.
    #[arg(value_name = "POD|FILE", required = true)]
    pods: Vec<String>,
    /// Puts the run into this file, too.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// As data.
    #[arg(short, long, value_name = "json")]
    output: Option<Format>,
}

/// As what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One object a run.
    Json,
}

/// Replays each.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    if words.save.is_some() && words.pods.len() > 1 {
        return Err(Failure::error("--save takes one run; name one pod"));
    }
    let mut same = true;
    for word in &words.pods {
        let recorded = runs::find(word, everywhere, caller)?;
        if let Some(path) = &words.save {
            let told = |error| Failure::Error(format!("could not write {}: {error}", path.display()));
            recorded.history.save(path).map_err(told)?;
        }
        let outcome = replay::go_over(&recorded.history, Care::Compare, &mut |_| {});
        let unread: usize = recorded.history.parts.iter().map(|part| part.unread).sum();
        let verdict = Verdict::of(&outcome, unread);
        same &= verdict == Verdict::Same;
        match words.output {
            Some(Format::Json) => print::json(&data(&recorded.title, &outcome, unread, verdict), caller.out)?,
            None => caller.print(&text(&recorded.title, &outcome, unread, verdict))?,
        }
    }
    Ok(u8::from(!same))
}

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Different,
    /// Nothing in it was decided by this machine.
    OtherMachine,
    /// Lines that are no records stand in it.
    Unread,
}

impl Verdict {
    fn of(outcome: &Outcome, unread: usize) -> Verdict {
        match outcome {
            Outcome { difference: Some(_), .. } => Verdict::Different,
            _ if unread > 0 => Verdict::Unread,
            Outcome { decided: 0, .. } => Verdict::OtherMachine,
            _ => Verdict::Same,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::Different => "different",
            Verdict::OtherMachine => "otherMachine",
            Verdict::Unread => "damaged",
        }
    }
}

fn text(title: &str, outcome: &Outcome, unread: usize, verdict: Verdict) -> String {
    let mut text = match verdict {
        Verdict::Same => format!("{title}: {} decided again, all the same\n", inputs(outcome.decided)),
        Verdict::Different => format!("{title}: the machine decides otherwise than the journal says\n"),
        Verdict::OtherMachine => {
            format!(
                "{title}: another version of the machine decided all of it; replay it with the podlet that ran it\n"
            )
        }
        Verdict::Unread => {
            format!("{title}: {unread} of the journal's lines are damaged, or no records of this version\n")
        }
    };
    if let Some(difference) = &outcome.difference {
        text.push_str(&first_difference(difference));
    }
    if outcome.assumed > 0 && outcome.difference.is_none() && verdict != Verdict::OtherMachine {
        let many = inputs(outcome.assumed);
        text.push_str(&format!("  {many} more were decided by another version of the machine and taken as they are\n"));
    }
    if let (Some(begun), false) = (outcome.begun, outcome.from_admission) {
        text.push_str(&format!("  known from {} on; what came before is not kept\n", wall(begun)));
    }
    for gap in &outcome.gaps {
        text.push_str(&format!("  nothing is known from {} to {}\n", wall(gap.from), wall(gap.to)));
    }
    text
}

fn inputs(number: usize) -> String {
    format!("{number} input{}", if number == 1 { "" } else { "s" })
}

fn first_difference(difference: &Difference) -> String {
    let Difference { segment, input, at, told, what } = difference;
    let mut text = format!("  first at input {input} of segment {segment}, {}: {}\n", wall(*at), fact(told.as_ref()));
    match what {
        What::Effects { recorded, decided } => {
            text.push_str(&format!("    then  {}\n    now   {}\n", effects(recorded), effects(decided)));
        }
        What::State { recorded, decided } => text.push_str(&format!(
            "    the same effects, but the input, or what the machine knows after it, is another one (digest {recorded:016x}, \
             now {decided:016x})\n"
        )),
        What::Snapshot => text.push_str("    the snapshot there is not the state to which the journal before it leads\n"),
    }
    text
}

fn fact(told: Option<&Input>) -> String {
    match told {
        Some(input) => {
            let json = serde_json::to_string(&input.fact).unwrap_or_default();
            match json.char_indices().nth(160) {
                Some((end, _)) => format!("{}…", json.get(..end).unwrap_or_default()),
                None => json,
            }
        }
        None => "the beginning".to_owned(),
    }
}

fn effects(effects: &[(EffectId, Action)]) -> String {
    let ids: Vec<&str> = effects.iter().map(|(id, _)| id.0.as_str()).collect();
    if ids.is_empty() { "nothing".to_owned() } else { ids.join(", ") }
}

fn wall(at: Moment) -> String {
    let instant = jiff::Timestamp::from_nanosecond(i128::from(at.wall.0)).unwrap_or_default();
    instant.to_zoned(jiff::tz::TimeZone::system()).strftime("%F %T").to_string()
}

fn data(title: &str, outcome: &Outcome, unread: usize, verdict: Verdict) -> Value {
    let ids = |effects: &[(EffectId, Action)]| effects.iter().map(|(id, _)| id.0.clone()).collect::<Vec<_>>();
    let difference = outcome.difference.as_ref().map(|difference| {
        let mut data = json!({
            "segment": difference.segment,
            "input": difference.input,
            "at": wall(difference.at),
            "fact": difference.told.as_ref().map(|input| &input.fact),
        });
        let what = match &difference.what {
            What::Effects { recorded, decided } => ("effects", json!({"then": ids(recorded), "now": ids(decided)})),
            What::State { recorded, decided } => {
                ("state", json!({"then": format!("{recorded:016x}"), "now": format!("{decided:016x}")}))
            }
            What::Snapshot => ("snapshot", json!({})),
        };
        if let Some(fields) = data.as_object_mut() {
            fields.insert(what.0.to_owned(), what.1);
        }
        data
    });
    json!({
        "apiVersion": "podlet.dev/v1alpha1",
        "kind": "Replay",
        "run": title,
        "verdict": verdict.word(),
        "decided": outcome.decided,
        "assumed": outcome.assumed,
        "unread": unread,
        "fromAdmission": outcome.from_admission,
        "begun": outcome.begun.map(wall),
        "gaps": outcome.gaps.iter().map(|gap| json!({"from": wall(gap.from), "to": wall(gap.to)})).collect::<Vec<_>>(),
        "difference": difference,
    })
}
