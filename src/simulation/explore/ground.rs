//! What is explored: a pod, how its containers behave when nothing goes wrong, and the properties that must hold.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value as Json, json};

use super::sketch::Sketch;
use crate::manifest::{Diagnostic, Source};
use crate::pod::container::Kind;
use crate::simulation::scenario::format::{Actor, Assert, Exit, Instance, Scenario};
use crate::simulation::scenario::{self, Case, Property, Reached, Verdict};

/// Why nothing can be explored.
#[derive(Debug)]
pub enum Refusal {
    /// The file is bad.
    File(Vec<Diagnostic>),
    /// What was stated is, or does not go with the pod.
    Words(String),
}

/// A pod and what is demanded of it.
#[derive(Debug)]
pub struct Ground {
    /// The scenario without any fault that is the explorer's.
    pub scenario: Scenario,
    /// Its pod.
    pub pod: Box<Pod>,
    /// The file is a Pod's manifest, not a scenario: what is found can name it.
    pub is_manifest: bool,
    #[cfg(test)]
    pub(super) mutant: Option<&'static super::mutants::Mutant>,
}

impl Ground {
    /// Of a source that holds one Pod, or one Scenario. `stated` are the demands: names of properties (`ready-again`,
    /// `ready-again=2m`) or assertions as a scenario has them; where there are none, those of the scenario, and where it has none
    /// either, all properties.
    pub fn read(source: &Source, stated: &[String], namespace: Option<&str>) -> Result<Ground, Refusal> {
        let (mut scenario, pod, is_manifest) = scenario::ground(source, namespace).map_err(Refusal::File)?;
        let mut asserts = Vec::new();
        for text in stated {
            asserts.push(demand(text).map_err(Refusal::Words)?);
        }
        if asserts.is_empty() {
            asserts = scenario.spec.asserts.drain(..).filter(is_for_all_times).collect();
        }
        if asserts.is_empty() {
            asserts = Property::ALL.iter().map(|(property, _)| of_property(*property)).collect();
        }
        scenario.spec.asserts = asserts;
        for spec in pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten()) {
            if Kind::of_init(spec) == Kind::Init {
                let ends = Instance { exit: Some(Exit::Words("0@1s".to_owned())), ..Instance::default() };
                let usual = Actor { each: ends, ..Actor::default() };
                scenario.spec.actors.entry(spec.name.clone()).or_insert(usual);
            }
        }
        let ground = Ground {
            scenario,
            pod,
            is_manifest,
            #[cfg(test)]
            mutant: None,
        };
        // What does not go with this pod is found out once.
        ground.case(&Sketch::default(), Duration::from_secs(600), None).map_err(Refusal::Words)?;
        Ok(ground)
    }

    /// The scenario with these faults; with one assertion alone, or all.
    pub(super) fn scenario(&self, sketch: &Sketch, duration: Duration, only: Option<usize>) -> Scenario {
        let mut scenario = self.scenario.clone();
        sketch.put_into(&mut scenario.spec);
        scenario.spec.duration = Some(scenario::Span(duration));
        if let Some(only) = only {
            scenario.spec.asserts = scenario.spec.asserts.get(only).cloned().into_iter().collect();
        }
        scenario
    }

    fn case(&self, sketch: &Sketch, duration: Duration, only: Option<usize>) -> Result<Case, String> {
        let case = scenario::case_of(&self.scenario(sketch, duration, only), &self.pod)?;
        #[cfg(test)]
        let case = case.with_mutant(self.mutant);
        Ok(case)
    }

    /// Plays these faults.
    pub(super) fn play(
        &self,
        sketch: &Sketch,
        duration: Duration,
        only: Option<usize>,
        reached: &mut Reached,
    ) -> Result<Vec<Verdict>, String> {
        Ok(self.case(sketch, duration, only)?.verdicts(reached))
    }
}

fn of_property(property: Property) -> Assert {
    Assert { property: Some(property), ..Assert::default() }
}

/// Whether an assertion is about all times, not about one at which a scenario's own faults have led to something.
fn is_for_all_times(assert: &Assert) -> bool {
    let answered = assert.eventually.is_some() && assert.after.is_some();
    assert.always.is_some() || assert.never.is_some() || assert.property.is_some() || answered
}

/// `ready-again=2m`, `{never: {phase: Failed}}`.
fn demand(text: &str) -> Result<Assert, String> {
    let text = text.trim();
    if text.starts_with('{') {
        return scenario::assertion(text);
    }
    let (name, within) = text.split_once('=').map_or((text, None), |(name, within)| (name, Some(within)));
    let names = || Property::ALL.iter().map(|(property, _)| property.word()).collect::<Vec<_>>();
    if Property::read(name).is_none() {
        let names = names();
        let near = crate::manifest::suggest::nearest(name, names.iter().map(String::as_str));
        let hint = near.map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
        return Err(format!(
            "{name:?} is no property{hint}; there are {}, or write an assertion, {{never: …}}",
            names.join(", ")
        ));
    }
    let mut words = json!({"property": name});
    if let (Some(within), Some(fields)) = (within, words.as_object_mut()) {
        fields.insert("within".to_owned(), Json::from(within));
    }
    scenario::assertion(&words.to_string())
}
