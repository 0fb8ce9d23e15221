//! A pod's plans as a page for people: what podlet makes ready, then each process from the clone to its program, step by
//! step, each with the system calls that it is. Text in, text out; reads nothing but what it is given.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::Pod;

use crate::linux::call::Call;
use crate::linux::cgroup::Cgroup;
use crate::paths::Paths;
use crate::plan::resources::{self, Limits};
use crate::plan::{FIRST_DESCRIPTOR, Plan};
use crate::volume;

/// Whether the system calls stand below their steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// They do.
    Shown,
    /// Steps only.
    Hidden,
}

/// How wide the sentences below headings may be.
const WIDTH: usize = 100;

/// The page. The error is a plan that cannot be lowered.
pub fn page(pod: &Pod, plans: &[Plan], paths: &Paths, calls: Calls) -> Result<String, String> {
    let mut text = String::new();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let _ = writeln!(text, "pod {namespace}/{name}");
    before(pod, paths, &mut text);
    for plan in plans {
        text.push('\n');
        process(plan, calls, &mut text)?;
    }
    Ok(text)
}

/// What podlet itself makes, before the first process.
fn before(pod: &Pod, paths: &Paths, text: &mut String) {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    sentence("podlet makes these ready; a process of the pod gets them as open descriptors or joins them:", text);
    limits("cgroup of the pod", &Cgroup::of_pod(uid), &resources::of_pod(pod), text);
    let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    for container in init.chain(pod.spec.iter().flat_map(|spec| &spec.containers)) {
        let what = format!("cgroup of {}", container.name);
        limits(&what, &Cgroup::of_container(uid, &container.name), &resources::of_container(pod, container), text);
    }
    for planned in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        let place = match volume::source(paths, uid, planned) {
            Ok(source) => format!("{}{}", source.path.display(), if source.read_only { " (read-only)" } else { "" }),
            Err(reason) => reason,
        };
        let _ = writeln!(text, "  volume {}: {place}", planned.name);
    }
}

fn limits(what: &str, cgroup: &Cgroup, limits: &Limits, text: &mut String) {
    let places: Vec<String> = cgroup
        .hierarchies()
        .iter()
        .filter_map(|hierarchy| Some(format!("{hierarchy} {}", cgroup.directory(hierarchy)?.display())))
        .collect();
    if places.is_empty() {
        let _ = writeln!(text, "  {what}: none, this machine has no cgroups mounted");
        return;
    }
    let mut bounds = vec![format!("CPU weight {} (shares {})", limits.cpu_weight(), limits.cpu_shares)];
    bounds.extend(limits.cpu_quota.map(|quota| format!("CPU at most {quota} us in each {} us", resources::CPU_PERIOD)));
    bounds.extend(limits.memory.map(|bytes| format!("memory at most {bytes} bytes")));
    let _ = writeln!(text, "  {what}: {}", bounds.join(", "));
    for place in places {
        let _ = writeln!(text, "    {place}");
    }
}

/// One process.
fn process(plan: &Plan, shown: Calls, text: &mut String) -> Result<(), String> {
    let calls = plan.calls().map_err(|error| error.to_string())?;
    let _ = writeln!(text, "{}", plan.title);
    let namespaces: Vec<String> = plan.new_namespaces.iter().map(ToString::to_string).collect();
    let mut into = plan.into_cgroup.then(|| "its unified cgroup".to_owned()).into_iter().collect::<Vec<_>>();
    match namespaces.as_slice() {
        [] => {}
        [one] => into.push(format!("a new {one} namespace")),
        several => into.push(format!("new namespaces ({})", several.join(", "))),
    }
    let into = if into.is_empty() { String::new() } else { format!(" into {}", into.join(" and ")) };
    let told = format!("The keeper clones a process (clone3){into}; it begins as the stage, which makes these calls:");
    sentence(&told, text);
    for (number, held) in (FIRST_DESCRIPTOR..).zip(&plan.descriptors) {
        let _ = writeln!(text, "  descriptor {number}: {} - {}", held.name, held.about);
    }
    let mut chapter = None;
    for (index, step) in plan.steps.iter().enumerate() {
        if let Some(next) = step.chapter().filter(|next| chapter != Some(*next)) {
            // The sentence only the first time: the parts of a start can be entered again.
            let (heading, why) = next.heading();
            let told = plan.steps.iter().take(index).any(|earlier| earlier.chapter() == Some(next));
            let _ = writeln!(text, "\n  {heading}");
            if !told {
                sentence(why, text);
            }
            chapter = Some(next);
        }
        let _ = writeln!(text, "  {:>3}  {step}", index + 1);
        if shown == Calls::Shown {
            let calls: Vec<&Call> = calls.iter().filter(|call| call.step == index).collect();
            write_calls(&calls, text);
        }
    }
    Ok(())
}

/// The calls of a step. Of many alike (a bounding set has forty) the first and the last are shown; `-o json` has all.
fn write_calls(calls: &[&Call], text: &mut String) {
    const ALIKE: usize = 5;
    match calls {
        [first, .., last] if calls.len() > ALIKE && calls.iter().all(|call| call.name == first.name) => {
            let _ = writeln!(text, "         {first}");
            let _ = writeln!(text, "         … {} more of {}", calls.len() - 2, first.name);
            let _ = writeln!(text, "         {last}");
        }
        _ => {
            for call in calls {
                let _ = writeln!(text, "         {call}");
            }
        }
    }
}

/// Prose, broken at blanks.
fn sentence(words: &str, text: &mut String) {
    let mut line = String::from(" ");
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_broken_at_blanks() {
        let mut text = String::new();
        sentence(&"word ".repeat(40), &mut text);
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| line.len() <= WIDTH && line.starts_with("  word")));
    }
}
