//! Conditions of a scenario, made ready and held against a moment.

use std::time::Duration;

use super::expression::Expression;
use super::format::{Claim, Condition, ConditionValue, EventBound, SpanBound, SpanBounds};
use super::moment::{ContainerSeen, Seen};
use super::words::{Number, Text};
use crate::cli::print::pod_row::pod_columns;
use crate::manifest::suggest;

/// A condition that can be held against moments.
#[derive(Debug)]
pub struct Demand {
    condition: Condition,
    /// The container that is meant.
    pub container: Option<String>,
    expressions: Vec<Expression>,
    columns: Vec<String>,
    not: Option<Box<Demand>>,
    any: Vec<Demand>,
    all: Vec<Demand>,
    /// Without this nothing is demanded.
    pub holding: Option<Box<Demand>>,
}

/// Why a condition does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// What is so instead.
    pub found: String,
    /// It could not be found out.
    pub unclear: bool,
}

fn miss(found: impl Into<String>) -> Result<(), Miss> {
    Err(Miss { found: found.into(), unclear: false })
}

/// What is wrong in a file: at which path, and what.
pub struct Faults<'f> {
    /// The names of the pod's containers, and behind them those that are added by a fault.
    pub containers: Vec<&'f str>,
    /// How many are the pod's own.
    pub own: usize,
    /// What was found.
    pub found: Vec<(String, String)>,
}

impl Faults<'_> {
    /// One more.
    pub fn add(&mut self, path: &str, text: impl Into<String>) {
        self.found.push((path.to_owned(), text.into()));
    }

    /// A container's name, or the only one there is.
    pub fn container(&mut self, name: &str, path: &str) -> String {
        if name.is_empty() {
            match self.containers.get(..self.own).unwrap_or_default() {
                [only] => return (*only).to_owned(),
                all => {
                    let all = all.join(", ");
                    self.add(path, format!("name the container: the pod has several ({all})"));
                }
            }
        } else if !self.containers.contains(&name) {
            let hint = suggest::nearest(name, self.containers.iter().copied());
            let hint = hint.map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
            let all = self.containers.join(", ");
            self.add(path, format!("the pod has no container {name:?}{hint}; there are {all}"));
        }
        name.to_owned()
    }

    fn text(&mut self, text: Option<&Text>, path: &str) {
        if let Some(fault) = text.and_then(Text::fault) {
            self.add(path, fault);
        }
    }
}

impl Demand {
    /// A claim made ready.
    pub fn of_claim(claim: &Claim, path: &str, faults: &mut Faults<'_>) -> Demand {
        match claim {
            Claim::Expression(text) => {
                let condition = Condition { expression: Some(text.clone()), ..Condition::default() };
                let mut demand = Demand::empty(condition);
                demand.add_expression(text, path, faults);
                demand
            }
            Claim::Condition(condition) => Demand::new(condition, path, faults),
        }
    }

    fn empty(condition: Condition) -> Demand {
        Demand {
            condition,
            container: None,
            expressions: Vec::new(),
            columns: Vec::new(),
            not: None,
            any: Vec::new(),
            all: Vec::new(),
            holding: None,
        }
    }

    fn add_expression(&mut self, text: &str, path: &str, faults: &mut Faults<'_>) {
        match Expression::read(text) {
            Ok(expression) => self.expressions.push(expression),
            Err(error) => faults.add(path, error),
        }
    }

    /// A condition made ready.
    pub fn new(condition: &Condition, path: &str, faults: &mut Faults<'_>) -> Demand {
        let inside = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
        let mut demand = Demand::empty(condition.clone());
        let c = condition;
        let of_container = c.state.is_some()
            || c.exit_code.is_some()
            || c.last_reason.is_some()
            || c.last_exit_code.is_some()
            || c.last_message.is_some()
            || c.started.is_some()
            || c.backoff.is_some();
        let of_pod = c.phase.is_some()
            || c.status.is_some()
            || c.conditions.is_some()
            || c.deleted.is_some()
            || c.terminating.is_some()
            || c.event.is_some()
            || c.expression.is_some()
            || c.cel.is_some()
            || c.get.is_some()
            || c.not.is_some()
            || c.any.is_some()
            || c.all.is_some();
        let of_either = c.reason.is_some() || c.message.is_some() || c.ready.is_some() || c.restarts.is_some();
        if let Some(name) = &c.container {
            demand.container = Some(faults.container(name, &inside("container")));
            if !of_container && !of_either {
                faults.add(
                    &inside("container"),
                    "says nothing of the container: add state, reason, restarts, ready or the like",
                );
            }
        } else if of_container {
            demand.container = Some(faults.container("", path));
        } else if !of_pod && !of_either {
            faults.add(path, "says nothing: name what must hold (container and state, phase, status, an expression …)");
        }
        for text in [&c.expression, &c.cel].into_iter().flatten() {
            let field = if c.cel.as_ref() == Some(text) { "cel" } else { "expression" };
            demand.add_expression(text, &inside(field), faults);
        }
        let texts = [
            (&c.reason, "reason"),
            (&c.message, "message"),
            (&c.last_reason, "lastReason"),
            (&c.last_message, "lastMessage"),
            (&c.phase, "phase"),
            (&c.status, "status"),
        ];
        texts.into_iter().for_each(|(text, field)| faults.text(text.as_ref(), &inside(field)));
        if let Some(Text::Exactly(phase)) = &c.phase {
            const PHASES: [&str; 5] = ["Pending", "Running", "Succeeded", "Failed", "Unknown"];
            if !PHASES.contains(&phase.as_str()) {
                faults.add(&inside("phase"), format!("{phase:?} is no phase: there are {}", PHASES.join(", ")));
            }
        }
        if let Some(EventBound { kind, reason, message, container, .. }) = &c.event {
            [(kind, "type"), (reason, "reason"), (message, "message")]
                .into_iter()
                .for_each(|(text, field)| faults.text(text.as_ref(), &inside(&format!("event.{field}"))));
            if let Some(name) = container {
                faults.container(name, &inside("event.container"));
            }
        }
        for (kind, value) in c.conditions.iter().flatten() {
            if let ConditionValue::Words(words) = value {
                let status = words.split('/').next().unwrap_or_default();
                if !["True", "False", "Unknown"].contains(&status) {
                    let text = format!("{words:?} is no status of a condition: True, False, Unknown, or False/Reason");
                    faults.add(&inside(&format!("conditions.{kind}")), text);
                }
            }
        }
        match (&c.get, &c.equals) {
            (Some(columns), Some(_)) => demand.columns = read_columns(columns, &inside("get"), faults),
            (Some(_), None) => faults.add(&inside("get"), "equals is missing: what the columns must show"),
            (None, Some(_)) => faults.add(&inside("equals"), "get is missing: the columns that are meant"),
            (None, None) => {}
        }
        let each = |list: &Option<Vec<Condition>>, field: &str, faults: &mut Faults<'_>| {
            let one = |(at, one): (usize, &Condition)| Demand::new(one, &inside(&format!("{field}[{at}]")), faults);
            list.iter().flatten().enumerate().map(one).collect::<Vec<Demand>>()
        };
        demand.any = each(&c.any, "any", faults);
        demand.all = each(&c.all, "all", faults);
        demand.not = c.not.as_ref().map(|inner| Box::new(Demand::new(inner, &inside("not"), faults)));
        demand.holding = c.holding.as_ref().map(|inner| Box::new(Demand::new(inner, &inside("while"), faults)));
        demand
    }

    /// Whether it may change although a user sees no change of the pod.
    pub fn watches_time(&self) -> bool {
        self.condition.event.is_some()
            || self.columns.iter().any(|column| column == "AGE" || column == "RESTARTS")
            || self.expressions.iter().any(Expression::watches_time)
            || self.inner().any(Demand::watches_time)
    }

    /// Whether it speaks of a pod that is gone.
    pub fn knows_deletion(&self) -> bool {
        self.condition.deleted.is_some()
            || self.expressions.iter().any(Expression::knows_deletion)
            || self.inner().any(Demand::knows_deletion)
    }

    fn inner(&self) -> impl Iterator<Item = &Demand> {
        self.not.as_deref().into_iter().chain(&self.any).chain(&self.all).chain(self.holding.as_deref())
    }

    /// Whether it holds; `while` beside it is for its owner to ask.
    pub fn holds(&self, seen: &Seen<'_>) -> Result<(), Miss> {
        let c = &self.condition;
        if let Some(wanted) = c.deleted
            && wanted != seen.gone
        {
            return miss(if seen.gone { "the pod is gone" } else { "the pod is still there" });
        }
        if seen.gone && !self.knows_deletion() {
            return miss("the pod is gone");
        }
        match &self.container {
            Some(name) => match seen.container(name) {
                Some(container) => self.of_container(container)?,
                None => return miss(format!("{name} has no status")),
            },
            None => self.of_pod(seen)?,
        }
        self.of_status(seen)?;
        for expression in &self.expressions {
            match expression.holds(seen) {
                Ok(true) => {}
                Ok(false) => return miss(format!("{expression} is false")),
                Err(error) => return Err(Miss { found: format!("{expression}: {error}"), unclear: true }),
            }
        }
        if let Some(not) = &self.not {
            match not.holds(seen) {
                Ok(()) => return miss("what must not hold does"),
                Err(Miss { unclear: true, found }) => return Err(Miss { found, unclear: true }),
                Err(_) => {}
            }
        }
        for all in &self.all {
            all.holds(seen)?;
        }
        if !self.any.is_empty() {
            let misses: Result<(), Vec<Miss>> = self
                .any
                .iter()
                .try_fold(Vec::new(), |mut misses, one| match one.holds(seen) {
                    Ok(()) => Err(()),
                    Err(miss) => {
                        misses.push(miss);
                        Ok(misses)
                    }
                })
                .map_or(Ok(()), Err);
            if let Err(misses) = misses {
                let found: Vec<String> = misses.iter().map(|miss| miss.found.clone()).collect();
                return Err(Miss { found: found.join("; "), unclear: misses.iter().all(|miss| miss.unclear) });
            }
        }
        Ok(())
    }

    fn of_container(&self, found: &ContainerSeen) -> Result<(), Miss> {
        let c = &self.condition;
        let name = &found.name;
        let state = container_words(found);
        if c.state.is_some_and(|wanted| wanted != found.state) {
            return miss(format!("{name} is {state}"));
        }
        let texts = [
            ("reason", &c.reason, &found.reason),
            ("message", &c.message, &found.message),
            ("lastReason", &c.last_reason, &found.last_reason),
            ("lastMessage", &c.last_message, &found.last_message),
        ];
        for (field, wanted, found) in texts {
            let found = found.clone().unwrap_or_default();
            if wanted.as_ref().is_some_and(|wanted| !wanted.holds(&found)) {
                return miss(format!("{name} is {state}, {field} {found:?}"));
            }
        }
        let numbers = [
            ("exitCode", &c.exit_code, found.exit_code),
            ("lastExitCode", &c.last_exit_code, found.last_exit_code),
            ("restarts", &c.restarts, Some(found.restarts)),
        ];
        for (field, wanted, found) in numbers {
            let words = found.map_or("none".to_owned(), |found| found.to_string());
            if wanted.as_ref().is_some_and(|wanted| found.is_none_or(|found| !wanted.holds(i64::from(found)))) {
                return miss(format!("{name} is {state}, {field} {words}"));
            }
        }
        for (field, wanted, found) in [("ready", c.ready, found.ready), ("started", c.started, found.started)] {
            if wanted.is_some_and(|wanted| wanted != found) {
                return miss(format!("{name} is {state}, {field} {found}"));
            }
        }
        match &c.backoff {
            Some(bound) if !span_holds(bound, found.backoff) => {
                miss(format!("{name} is {state}, backoff {}", crate::pod::backoff::go_duration(found.backoff)))
            }
            _ => Ok(()),
        }
    }

    /// The fields that speak of the pod where no container is named.
    fn of_pod(&self, seen: &Seen<'_>) -> Result<(), Miss> {
        let c = &self.condition;
        let status = seen.pod.status.as_ref();
        let texts = [
            ("reason", &c.reason, status.and_then(|status| status.reason.clone())),
            ("message", &c.message, status.and_then(|status| status.message.clone())),
        ];
        for (field, wanted, found) in texts {
            let found = found.unwrap_or_default();
            if wanted.as_ref().is_none_or(|wanted| wanted.holds(&found)) {
                continue;
            }
            let words = pod_words(seen);
            return miss(match found.as_str() {
                "" => format!("{words}; the pod has no {field}, and `container: NAME` asks for a container's"),
                found => format!("{words}, {field} {found:?}"),
            });
        }
        let ready = seen.condition("Ready").is_some_and(|(status, _)| status == "True");
        if c.ready.is_some_and(|wanted| wanted != ready) {
            return miss(format!("{}, Ready is {}", pod_words(seen), if ready { "True" } else { "False" }));
        }
        if let Some(wanted) = &c.restarts {
            let restarts = seen.summary().restarts;
            if !wanted.holds(i64::from(restarts)) {
                return miss(format!("{restarts} restarts"));
            }
        }
        Ok(())
    }

    fn of_status(&self, seen: &Seen<'_>) -> Result<(), Miss> {
        let c = &self.condition;
        if let Some(wanted) = &c.phase {
            let phase = seen.pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
            if !wanted.holds(&phase) {
                return miss(pod_words(seen));
            }
        }
        if let Some(wanted) = &c.status {
            let ready = seen.condition("Ready").is_some_and(|(status, _)| status == "True");
            let asks_ready = matches!(wanted, Text::Exactly(word) if word == "Ready");
            let word = seen.summary().reason;
            if !(asks_ready && ready || wanted.holds(&word)) {
                return miss(format!("STATUS is {word}"));
            }
        }
        for (kind, wanted) in c.conditions.iter().flatten() {
            let Some((status, reason)) = seen.condition(kind) else {
                return miss(format!("there is no condition {kind}"));
            };
            let found = match reason {
                Some(reason) => format!("{status}/{reason}"),
                None => status.to_owned(),
            };
            let holds = match wanted {
                ConditionValue::Plain(wanted) => (status == "True") == *wanted,
                ConditionValue::Words(words) if words.contains('/') => *words == found,
                ConditionValue::Words(words) => words == status,
            };
            if !holds {
                return miss(format!("condition {kind} is {found}"));
            }
        }
        if let Some(wanted) = c.terminating {
            let is = seen.pod.metadata.deletion_timestamp.is_some() && !seen.gone;
            if wanted != is {
                return miss(if is { "the pod is terminating" } else { "the pod is not terminating" });
            }
        }
        if let Some(wanted) = &c.event {
            event_holds(wanted, seen)?;
        }
        if let Some(wanted) = c.equals.as_ref().filter(|_| !self.columns.is_empty()) {
            let found = squeezed(&seen.columns(&self.columns).join(" "));
            if found != squeezed(wanted) {
                return miss(format!("get shows {found:?}"));
            }
        }
        Ok(())
    }
}

fn event_holds(wanted: &EventBound, seen: &Seen<'_>) -> Result<(), Miss> {
    let fits = |text: &Option<Text>, found: &Option<String>| {
        text.as_ref().is_none_or(|text| text.holds(found.as_deref().unwrap_or_default()))
    };
    let events = seen.events().iter().filter(|event| {
        let container = event.involved_object.field_path.as_deref().unwrap_or_default();
        fits(&wanted.kind, &event.type_)
            && fits(&wanted.reason, &event.reason)
            && fits(&wanted.message, &event.message)
            && wanted.container.as_ref().is_none_or(|name| container.ends_with(&format!("{{{name}}}")))
    });
    let count: i64 = events.map(|event| i64::from(event.count.unwrap_or(1))).sum();
    let least = Number::Bounds(super::words::NumberBounds { ge: Some(1), ..Default::default() });
    if wanted.count.as_ref().unwrap_or(&least).holds(count) {
        return Ok(());
    }
    miss(format!("there were {count} such events"))
}

fn read_columns(text: &str, path: &str, faults: &mut Faults<'_>) -> Vec<String> {
    let known: Vec<&str> = pod_columns().iter().map(|column| column.heading).collect();
    let mut rest = text.trim().to_ascii_uppercase();
    let mut columns = Vec::new();
    while !rest.is_empty() {
        // `NOMINATED NODE` before `NODE`: the longest heading that fits.
        let fit = known.iter().filter(|heading| rest.starts_with(**heading)).max_by_key(|heading| heading.len());
        match fit {
            Some(heading) => {
                columns.push((*heading).to_owned());
                rest = rest.get(heading.len()..).unwrap_or_default().trim_start_matches([' ', ',']).to_owned();
            }
            None => {
                let word = rest.split([' ', ',']).next().unwrap_or_default();
                faults.add(path, format!("get pods has no column {word}: there are {}", known.join(", ")));
                return columns;
            }
        }
    }
    columns
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a duration is within its bounds.
pub fn span_holds(bound: &SpanBound, found: Duration) -> bool {
    match bound {
        SpanBound::Exactly(wanted) => wanted.0 == found,
        SpanBound::Bounds(SpanBounds { eq, ne, ge, le, gt, lt }) => {
            eq.is_none_or(|bound| found == bound.0)
                && ne.is_none_or(|bound| found != bound.0)
                && ge.is_none_or(|bound| found >= bound.0)
                && le.is_none_or(|bound| found <= bound.0)
                && gt.is_none_or(|bound| found > bound.0)
                && lt.is_none_or(|bound| found < bound.0)
        }
    }
}

/// `Waiting (CrashLoopBackOff)`, `Terminated (Error, 1)`.
pub fn container_words(found: &ContainerSeen) -> String {
    let reason = found.reason.clone().unwrap_or_default();
    let more = match found.exit_code {
        Some(code) if reason.is_empty() => format!("exit code {code}"),
        Some(code) => format!("{reason}, {code}"),
        None => reason,
    };
    if more.is_empty() { found.state.word().to_owned() } else { format!("{} ({more})", found.state.word()) }
}

/// `phase Running, STATUS CrashLoopBackOff`.
fn pod_words(seen: &Seen<'_>) -> String {
    let phase = seen.pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
    let word = seen.summary().reason;
    if phase == word { format!("phase {phase}") } else { format!("phase {phase}, STATUS {word}") }
}
