//! `podlet wait`: until objects are as wished; kubectl's words and texts. Of a pod it also knows when a wish has become
//! impossible, and does not wait for the time to be up.

use std::time::{Duration, Instant};

use clap::Args;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::ask::{self, Object, Typed};
use super::changes::{Change, Changes};
use super::everywhere::Everywhere;
use super::outlook::{self, Judge, Outlook};
use super::output::{Output, TemplateWords};
use super::print::jsonpath::{self, Template};
use super::targets::{Target, TargetWords, Targets};
use super::watching::left;
use super::{Caller, Failure, duration};
use crate::pod::restart::RestartPolicy;

/// What a negative timeout stands for.
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often what is not there yet is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// The words of `wait`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet wait --for=condition=Ready pod/web
  podlet wait --for=condition=Ready pods --all --timeout=2m
  podlet wait --for=jsonpath='{.status.phase}'=Succeeded pod/job
  podlet wait --for=create --for=condition=Ready pod/web
                                            also before it is there
  podlet wait --for=delete pod/web --timeout=60s

A pod that can never be as wished (it has ended, its image has no valid name, it keeps crashing …) is told of at once, with \
the reason.")]
pub struct Words {
    /// What is waited for.
    #[command(flatten)]
    pub targets: TargetWords,
    /// condition=NAME[=VALUE], jsonpath=EXPRESSION[=VALUE], create or delete; several, one after the other.
    #[arg(long = "for", value_name = "CONDITION")]
    pub wishes: Vec<String>,
    /// How long to wait; 0 looks once, a negative one waits for a week.
    #[arg(long, value_name = "DURATION", default_value = "30s", allow_hyphen_values = true, value_parser = timeout)]
    pub timeout: Duration,
    /// json, yaml, name or jsonpath=TEMPLATE, in place of the sentence.
    #[arg(short, long, value_name = "json|kyaml|name|yaml")]
    pub output: Option<String>,
    /// And its template.
    #[command(flatten)]
    pub template: TemplateWords,
}

fn timeout(text: &str) -> Result<Duration, String> {
    match text.strip_prefix('-') {
        Some(rest) => duration::parse(rest).map(|_| A_WEEK),
        None => duration::parse(text),
    }
}

/// How an object is to be.
#[derive(Debug)]
enum Wish {
    /// There.
    Created,
    /// No longer there.
    Deleted,
    /// With this condition, of this status.
    Condition { name: String, status: String },
    /// With something found by an expression: this value, or any.
    Found { template: Template, expression: String, value: Option<String> },
}

/// Waits.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = Output::of_change(words.output.as_deref(), &words.template)?;
    let wishes = words.wishes.iter().map(|word| Wish::parse(word)).collect::<Result<Vec<_>, _>>()?;
    if wishes.is_empty() {
        return Err(Failure::error("unrecognized condition: []"));
    }
    let wait = Wait { words, output, everywhere, deadline: Instant::now().checked_add(words.timeout) };
    if wishes.iter().any(|wish| matches!(wish, Wish::Created)) {
        wait.until_created(caller)?;
    }
    let for_delete = wishes.iter().any(|wish| matches!(wish, Wish::Deleted));
    let (targets, named) = match words.targets.find("wait", everywhere, caller)? {
        Targets::Named(targets) => (targets, true),
        Targets::Found(targets) => (targets, false),
    };
    let (mut met, mut failures) = (0, Vec::new());
    for target in &targets {
        match ask::find(&caller.paths, target.kind, &target.namespace, &target.name)? {
            Some(object) => {
                met += 1;
                failures.extend(wishes.iter().try_for_each(|wish| wait.until(wish, target, &object, caller)).err());
            }
            // What is to be gone may be.
            None if for_delete => {}
            None if named => failures.push(Failure::not_found(target.kind.plural(), &target.name)),
            None => {}
        }
    }
    if failures.is_empty() && met == 0 && !for_delete {
        return Err(Failure::error("no matching resources found"));
    }
    let Some(last) = failures.pop() else { return Ok(0) };
    failures.iter().filter_map(Failure::text).for_each(|text| caller.notice(&text));
    Err(last)
}

impl Wish {
    fn parse(word: &str) -> Result<Wish, Failure> {
        if word.eq_ignore_ascii_case("delete") {
            return Ok(Wish::Deleted);
        }
        if word.eq_ignore_ascii_case("create") {
            return Ok(Wish::Created);
        }
        if let Some(condition) = word.strip_prefix("condition=") {
            let (name, status) = condition.split_once('=').unwrap_or((condition, "true"));
            return Ok(Wish::Condition { name: name.to_owned(), status: status.to_owned() });
        }
        let Some(input) = word.strip_prefix("jsonpath=") else {
            return Err(Failure::Error(format!("unrecognized condition: {word:?}")));
        };
        let mut parts = at_single_equals(input);
        if parts.len() > 2 {
            return Err(Failure::error(
                "jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or \
                 --for=jsonpath='{.status.readyReplicas}'",
            ));
        }
        let value = (parts.len() == 2).then(|| parts.pop().unwrap_or_default());
        let value = value.map(|value| value.trim_matches(['\'', '"']).to_owned());
        if value.as_deref() == Some("") {
            return Err(Failure::error(
                "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3",
            ));
        }
        let expression = jsonpath::relaxed(&parts.concat()).map_err(Failure::Error)?;
        if expression.is_empty() {
            return Err(Failure::error("jsonpath expression cannot be empty"));
        }
        let template = Template::parse(&expression).map_err(Failure::Error)?;
        Ok(Wish::Found { template, expression, value })
    }

    /// Whether the object is so.
    fn is_met(&self, object: &Value) -> Result<bool, Failure> {
        match self {
            Wish::Created => Ok(true),
            Wish::Deleted => Ok(false),
            Wish::Condition { name, status } => {
                let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
                let named = |condition: &&Value| {
                    condition["type"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(name))
                };
                let Some(condition) = conditions.into_iter().flatten().find(named) else { return Ok(false) };
                // A status of an older generation says nothing of this one.
                let observed = condition.get("observedGeneration").or(object.pointer("/status/observedGeneration"));
                let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
                let outdated = observed.and_then(Value::as_i64).zip(generation).is_some_and(|(seen, now)| seen < now);
                let is_so = condition["status"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(status));
                Ok(is_so && !outdated)
            }
            Wish::Found { template, value, .. } => {
                let found = template.find(object).map_err(Failure::Error)?;
                let first = match found.as_slice() {
                    [] => return Ok(false),
                    [part] => part,
                    _ => return Err(Failure::error("given jsonpath expression matches more than one list")),
                };
                let found = match first.as_slice() {
                    [] => return Ok(false),
                    [found] => found,
                    _ => return Err(Failure::error("given jsonpath expression matches more than one value")),
                };
                let Some(value) = value else { return Ok(true) };
                if matches!(found.json(), Value::Object(_) | Value::Array(_)) {
                    return Err(Failure::error("jsonpath leads to a nested object or list which is not supported"));
                }
                Ok(found.plain().trim() == value.trim())
            }
        }
    }

    /// Why a pod will never be so, if that is known.
    fn is_hopeless(&self, pod: &Pod, judge: &mut Judge) -> Option<String> {
        let outlook = judge.look(pod);
        let phase = outlook::phase(pod);
        match self {
            Wish::Condition { name, status } => {
                let of_readiness = name.eq_ignore_ascii_case("Ready") || name.eq_ignore_ascii_case("ContainersReady");
                if !of_readiness || !status.eq_ignore_ascii_case("true") {
                    return None;
                }
                match outlook? {
                    Outlook::Ready => None,
                    Outlook::Succeeded => Some("it has succeeded".to_owned()),
                    Outlook::Never(why, _) => Some(why),
                }
            }
            Wish::Found { expression, value: Some(value), .. } if expression == "{.status.phase}" => {
                const PHASES: [&str; 5] = ["Pending", "Running", "Succeeded", "Failed", "Unknown"];
                let policy = RestartPolicy::read(pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()));
                if !PHASES.contains(&value.as_str()) {
                    return Some(format!("a pod has no phase {value:?}; there are {}", PHASES.join(", ")));
                }
                if matches!(phase, "Succeeded" | "Failed") {
                    return Some(format!("its phase is {phase}, for good"));
                }
                let never = value == "Succeeded" && policy == RestartPolicy::Always;
                never.then(|| "with restartPolicy Always it is never over".to_owned())
            }
            _ => None,
        }
    }
}

/// Splits at each `=`; `==` is part of an expression. No word of a command line holds a NUL.
fn at_single_equals(input: &str) -> Vec<String> {
    input.replace("==", "\0").split('=').map(|part| part.replace('\0', "==")).collect()
}

struct Wait<'w> {
    words: &'w Words,
    output: Output,
    everywhere: &'w Everywhere,
    deadline: Option<Instant>,
}

impl Wait<'_> {
    /// Until all that is named is there, or anything that is selected. It is looked for again and again, as kubectl does:
    /// names that nobody has can be watched for only where their directories are there.
    fn until_created(&self, caller: &mut Caller<'_>) -> Result<(), Failure> {
        loop {
            let there = match self.words.targets.find("wait", self.everywhere, caller)? {
                Targets::Found(found) => !found.is_empty(),
                Targets::Named(named) => {
                    let find = |target: &Target| ask::find(&caller.paths, target.kind, &target.namespace, &target.name);
                    named.iter().map(find).collect::<Result<Vec<_>, _>>()?.iter().all(Option::is_some)
                }
            };
            if there {
                return Ok(());
            }
            let left = left(self.deadline);
            if left.is_zero() {
                return Err(Failure::error("timed out waiting for the condition"));
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// Until one object is as wished; says so.
    fn until(&self, wish: &Wish, target: &Target, object: &Object, caller: &mut Caller<'_>) -> Result<(), Failure> {
        let Target { kind, namespace, name } = target;
        let late = |text: &str| Failure::Error(format!("{text} {}/{name}", kind.plural()));
        if matches!(wish, Wish::Created) {
            return self.tell(object, caller);
        }
        let uid = |object: &Object| object.wire().pointer("/metadata/uid").cloned();
        let once = self.words.timeout.is_zero();
        let mut changes = Changes::of(*kind, Some(namespace), Some(name), &caller.paths)?;
        let mut judge = Judge::default();
        let mut last = object.clone();
        let mut first = true;
        loop {
            let Some(mut news) = changes.next_before(self.deadline)? else {
                return Err(late("timed out waiting for the condition on"));
            };
            news.retain(|change| change.object.name() == name);
            // A name may have gone to another object between two looks.
            let gone = |change: &Change| change.gone || uid(&change.object) != uid(object);
            let is_gone = news.iter().any(gone) || first && news.is_empty();
            if is_gone && matches!(wish, Wish::Deleted) {
                return self.tell(&last, caller);
            }
            if is_gone && news.iter().all(|change| change.gone) {
                return Err(Failure::not_found(kind.plural(), name));
            }
            for Change { object, .. } in news.into_iter().filter(|change| !change.gone) {
                if wish.is_met(object.wire())? {
                    return self.tell(&object, caller);
                }
                if let Typed::Pod(seen) = &object.typed
                    && let Some(why) = wish.is_hopeless(&seen.pod, &mut judge)
                {
                    return Err(Failure::Error(format!("the condition on pods/{name} will never be met: {why}")));
                }
                last = object;
            }
            if once {
                return Err(late("condition not met for"));
            }
            first = false;
        }
    }

    fn tell(&self, object: &Object, caller: &mut Caller<'_>) -> Result<(), Failure> {
        self.output.print_change(object.wire(), "condition met", caller)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn met(wish: &str, object: &Value) -> Result<bool, String> {
        let wish = Wish::parse(wish).map_err(|failure| failure.text().unwrap())?;
        wish.is_met(object).map_err(|failure| failure.text().unwrap())
    }

    #[test]
    fn wishes_are_kubectls() {
        let pod = json!({
            "metadata": {"name": "web", "generation": 2, "labels": {"a": "b"}},
            "status": {
                "phase": "Running", "observedGeneration": 2,
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "Old", "status": "True", "observedGeneration": 1},
                ],
                "containerStatuses": [{"restartCount": 0}, {"restartCount": 7}],
            },
        });
        for (wish, expected) in [
            ("condition=Ready", true),
            ("condition=ready=TRUE", true),
            ("condition=Ready=False", false),
            ("condition=Old", false),
            ("condition=Other", false),
            ("jsonpath={.status.phase}=Running", true),
            ("jsonpath={.status.phase}='Running'", true),
            ("jsonpath=.status.phase=Pending", false),
            ("jsonpath={.status.podIP}", false),
            ("jsonpath={.status.phase}", true),
            ("jsonpath={.status.conditions[?(@.type==\"Ready\")].status}=True", true),
            ("jsonpath={.status.containerStatuses[1].restartCount}=7", true),
            ("CREATE", true),
            ("delete", false),
        ] {
            assert_eq!(met(wish, &pod), Ok(expected), "{wish}");
        }
        for (wish, text) in [
            ("Ready", "unrecognized condition: \"Ready\""),
            ("jsonpath=", "jsonpath expression cannot be empty"),
            ("jsonpath='{.status.phase}'=Running", "unexpected path string, expected a 'name1.name2'"),
            ("jsonpath={.a}=", "jsonpath wait has to have a value after equal sign"),
            ("jsonpath={.a}=b=c", "jsonpath wait format must be"),
            ("jsonpath={.status.containerStatuses[*].restartCount}=0", "matches more than one value"),
            ("jsonpath={.metadata.labels}=b", "leads to a nested object or list"),
        ] {
            let said = met(wish, &pod).unwrap_err();
            assert!(said.contains(text), "{wish}: {said}");
        }
    }
}
