//! What must be so, from the words of a file to what the judge holds against each moment.

use std::time::Duration;

use super::condition::{Demand, Faults};
use super::format::{Assert, Claim, Condition, Count, RuleAssert, RuleBound, Times};
use super::judge::{Stretch, Strictness, Wish};
use super::properties::Property;
use super::words::{Number, NumberBounds, Span};
use crate::manifest::suggest;
use crate::pod::rules;
use crate::simulation::story::Pattern;

/// The latest time that an assertion names.
pub fn latest(assert: &Assert) -> Duration {
    let at = |times: &Times| match times {
        Times::One(time) => time.0,
        Times::Many(times) => longest(times),
    };
    let within = assert.within.map(|within| within.0).unwrap_or_default();
    let from = assert.from.map(|from| from.0).unwrap_or_default();
    let named = [
        assert.at.as_ref().map(at),
        assert.by.map(|by| by.0),
        assert.to.map(|to| to.0),
        assert.starts_at.as_deref().map(longest),
        assert.count.as_ref().and_then(|count| count.at.as_deref()).map(longest),
    ];
    named.into_iter().flatten().max().unwrap_or_default().max(from) + within
}

fn longest(times: &[Span]) -> Duration {
    times.iter().map(|time| time.0).max().unwrap_or_default()
}

/// Whether it has no end of its own: what it is about may come at any time.
pub fn is_open(assert: &Assert) -> bool {
    let soon = assert.eventually.is_some() && assert.within.is_some() && assert.after.is_none();
    !soon && assert.at.is_none() && assert.by.is_none() && assert.to.is_none()
}

/// What an assertion demands.
pub fn wish(assert: &Assert, end: Duration, path: &str, faults: &mut Faults<'_>) -> Option<Wish> {
    let inside = |field: &str| format!("{path}.{field}");
    let said = [
        ("at", assert.at.is_some()),
        ("by", assert.by.is_some()),
        ("always", assert.always.is_some()),
        ("never", assert.never.is_some()),
        ("eventually", assert.eventually.is_some()),
        ("sequence", assert.sequence.is_some()),
        ("startsAt", assert.starts_at.is_some()),
        ("count", assert.count.is_some()),
        ("cause", assert.cause.is_some()),
        ("rule", assert.rule.is_some()),
        ("property", assert.property.is_some()),
    ];
    let names: Vec<&str> = said.iter().filter(|(_, said)| *said).map(|(name, _)| *name).collect();
    let what = match names.as_slice() {
        [one] => *one,
        [] => {
            let all: Vec<&str> = said.iter().map(|(name, _)| *name).collect();
            faults.add(path, format!("says not when: add one of {}", all.join(", ")));
            return None;
        }
        [first, second, ..] => {
            faults.add(&inside(second), format!("there is {first} already: make this an assertion of its own"));
            return None;
        }
    };
    misplaced(assert, what, path, faults);
    let stretch = Stretch {
        from: assert.from.map(|from| from.0).unwrap_or_default(),
        to: assert.to.map_or(Duration::MAX, |to| to.0),
    };
    if stretch.from > stretch.to {
        faults.add(&inside("to"), "comes before `from`");
    }
    let claim = |claim: &Claim, field: &str, faults: &mut Faults<'_>| {
        let mut demand = Demand::of_claim(claim, &inside(field), faults);
        if let Some(guard) = &assert.condition.holding {
            demand.holding = Some(Box::new(Demand::new(guard, &inside("while"), faults)));
        }
        demand
    };
    let within = assert.within.map(|within| within.0);
    if let Some(times) = &assert.at {
        let times: Vec<Duration> = match times {
            Times::One(time) => vec![time.0],
            Times::Many(times) => times.iter().map(|time| time.0).collect(),
        };
        if times.iter().any(|time| *time > end) {
            faults.add(&inside("at"), "comes after the end of the scenario (spec.duration)");
        }
        return Some(Wish::At(times, Demand::new(&assert.condition, path, faults)));
    }
    if let Some(by) = assert.by {
        return Some(Wish::By(by.0, Demand::new(&assert.condition, path, faults)));
    }
    if let Some(always) = &assert.always {
        return Some(Wish::Always(claim(always, "always", faults), stretch));
    }
    if let Some(never) = &assert.never {
        return Some(Wish::Never(claim(never, "never", faults), stretch));
    }
    if let Some(eventually) = &assert.eventually {
        let demand = claim(eventually, "eventually", faults);
        let after = assert.after.as_ref().and_then(|after| pattern(after, &inside("after"), faults));
        return Some(Wish::Eventually { demand, within, from: stretch.from, after });
    }
    if let Some(sequence) = &assert.sequence {
        let read = |(at, text): (usize, &String)| pattern(text, &inside(&format!("sequence[{at}]")), faults);
        let patterns: Vec<Pattern> = sequence.iter().enumerate().filter_map(read).collect();
        if sequence.is_empty() {
            faults.add(&inside("sequence"), "says nothing: name what happens, one after another");
        }
        let strictness = if assert.strict { Strictness::Strict } else { Strictness::Loose };
        return Some(Wish::Sequence(patterns, stretch, strictness));
    }
    if let Some(times) = &assert.starts_at {
        let container = faults.container(assert.condition.container.as_deref().unwrap_or_default(), path);
        let pattern = Pattern::read(&format!("{container}.Started"), &faults.containers).ok()?;
        let times = Some(times.iter().map(|time| time.0).collect());
        let within = within.unwrap_or_default();
        return Some(Wish::Count {
            pattern,
            number: None,
            times,
            within,
            late: Duration::ZERO,
            exactly: assert.exactly,
            stretch,
        });
    }
    if let Some(Count { of, is, at }) = &assert.count {
        if is.is_none() && at.is_none() {
            faults.add(&inside("count"), "says nothing: add `is` (how often) or `at` (when)");
        }
        let pattern = pattern(of, &inside("count.of"), faults)?;
        let times = at.as_ref().map(|times| times.iter().map(|time| time.0).collect());
        let within = within.unwrap_or_default();
        return Some(Wish::Count {
            pattern,
            number: is.clone(),
            times,
            within,
            late: Duration::ZERO,
            exactly: assert.exactly,
            stretch,
        });
    }
    if let Some(cause) = &assert.cause {
        let container = faults.container(&cause.container, &inside("cause.container"));
        for (field, rule) in [("startedBy", &cause.started_by), ("stoppedBy", &cause.stopped_by)] {
            known_rule(rule.as_deref(), &inside(&format!("cause.{field}")), faults);
        }
        if cause.is.is_none() && cause.started_by.is_none() && cause.stopped_by.is_none() {
            faults.add(&inside("cause"), "says nothing: add is, startedBy or stoppedBy");
        }
        if cause.instance == Some(0) {
            faults.add(&inside("cause.instance"), "instances are counted from 1");
        }
        return Some(Wish::Cause {
            container,
            instance: cause.instance.unwrap_or(1),
            is: cause.is.clone(),
            started_by: cause.started_by.clone(),
            stopped_by: cause.stopped_by.clone(),
        });
    }
    if let Some(property) = assert.property {
        if within.is_some() && property != Property::ReadyAgain {
            faults.add(&inside("within"), "of the properties only ready-again takes a time");
        }
        return Some(Wish::Property(property, within));
    }
    let rule = match assert.rule.as_ref()? {
        RuleAssert::Name(name) => RuleBound { name: name.clone(), ..RuleBound::default() },
        RuleAssert::Full(full) => full.clone(),
    };
    known_rule(Some(&rule.name), &inside("rule"), faults);
    let container = rule.container.as_ref().map(|name| faults.container(name, &inside("rule.container")));
    let least = Number::Bounds(NumberBounds { ge: Some(1), ..NumberBounds::default() });
    Some(Wish::Rule(rule.name, container, rule.is.unwrap_or(least)))
}

/// Fields that mean nothing beside what is demanded.
fn misplaced(assert: &Assert, what: &str, path: &str, faults: &mut Faults<'_>) {
    let beside = [
        ("within", assert.within.is_some(), &["eventually", "startsAt", "count", "property"][..]),
        ("from", assert.from.is_some(), &["always", "never", "eventually", "sequence", "count", "startsAt"]),
        ("to", assert.to.is_some(), &["always", "never", "sequence", "count", "startsAt"]),
        ("after", assert.after.is_some(), &["eventually"]),
        ("strict", assert.strict, &["sequence"]),
        ("exactly", assert.exactly, &["startsAt", "count"]),
    ];
    for (field, said, with) in beside {
        if said && !with.contains(&what) {
            faults.add(
                &format!("{path}.{field}"),
                format!("means nothing beside `{what}`; it goes with {}", with.join(", ")),
            );
        }
    }
    if matches!(what, "at" | "by") {
        return;
    }
    let allowed = Condition {
        container: assert.condition.container.clone().filter(|_| what == "startsAt"),
        holding: assert.condition.holding.clone().filter(|_| matches!(what, "always" | "never" | "eventually")),
        ..Condition::default()
    };
    let shown = |condition: &Condition| serde_json::to_value(condition).unwrap_or_default();
    let (all, allowed) = (shown(&assert.condition), shown(&allowed));
    for (field, value) in all.as_object().into_iter().flatten() {
        if !value.is_null() && allowed.get(field).is_none_or(serde_json::Value::is_null) {
            let inside = if matches!(what, "always" | "never" | "eventually") { ": put it inside of it" } else { "" };
            faults.add(&format!("{path}.{field}"), format!("means nothing beside `{what}`{inside}"));
        }
    }
}

fn pattern(text: &str, path: &str, faults: &mut Faults<'_>) -> Option<Pattern> {
    match Pattern::read(text, &faults.containers) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            faults.add(path, error);
            None
        }
    }
}

fn known_rule(name: Option<&str>, path: &str, faults: &mut Faults<'_>) {
    let Some(name) = name.filter(|name| rules::find(name).is_none()) else { return };
    let near = suggest::nearest(name, rules::RULES.iter().map(|rule| rule.name));
    let hint = near.map_or("docs/rules.md lists them".to_owned(), |near| format!("did you mean {near:?}?"));
    faults.add(path, format!("there is no rule {name:?} ({hint})"));
}
