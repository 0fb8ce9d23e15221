//! Compares what podlet did with a pod with what a kubelet was recorded to do.
//!
//! Left out are, as `tests/data/golden/README.md` says: times; the order of conditions; addresses; what a runtime says before
//! `exec: "`; and states that only lag or are missed because a kubelet looks about once a second: it shows `terminated` until
//! its next look where podlet shows CrashLoopBackOff at once, and shows nothing of what is shorter than its look.

use std::collections::BTreeSet;
use std::fmt::Debug;

use super::recording::{Sight, State, Story};

/// What lasts no longer may be missed by a kubelet's look.
const LOOK: f64 = 2.5;

/// What podlet's story holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reach {
    /// Everything, to the end of the recording and as far beyond as one likes.
    Whole,
    /// What somebody saw who looked now and then, to the end of the recording.
    Seen,
    /// The same; it breaks off earlier.
    SeenInPart,
}

/// Everything in which the two disagree.
pub fn disagreements(theirs: &Story, mine: &Story, reach: Reach) -> Vec<String> {
    let mut found = Vec::new();
    if reach == Reach::Whole {
        compare_phases(theirs, mine, &mut found);
        compare_moments(theirs, mine, &mut found);
    } else {
        compare_seen_phases(theirs, mine, &mut found);
    }
    compare_containers(theirs, mine, reach, &mut found);
    compare_conditions(theirs, mine, reach, &mut found);
    compare_events(theirs, mine, reach, &mut found);
    same("QoS classes", &all(theirs, |sight| sight.qos.clone()), &all(mine, |sight| sight.qos.clone()), &mut found);
    let graces = |story: &Story| all(story, |sight| sight.grace.filter(|grace| *grace > 0));
    if reach != Reach::SeenInPart {
        same("grace periods", &graces(theirs), &graces(mine), &mut found);
        let last = |sight: &Sight| (sight.phase.clone(), sight.reason.clone(), sight.message.clone());
        same("phase at the end", &last(theirs.last()), &last(mine.last()), &mut found);
    }
    found
}

fn same<T: PartialEq + Debug>(what: &str, theirs: &T, mine: &T, found: &mut Vec<String>) {
    if theirs != mine {
        found.push(format!("{what}:\n      recorded {theirs:?}\n      podlet   {mine:?}"));
    }
}

fn all<T: Ord>(story: &Story, of: impl Fn(&Sight) -> T) -> BTreeSet<T> {
    story.sights.iter().map(of).collect()
}

/// One after the other, each with the pod's own reason and message.
fn phases(story: &Story) -> Vec<[String; 3]> {
    let words = |sight: &Sight| [&sight.phase, &sight.reason, &sight.message].map(String::clone);
    let mut phases: Vec<[String; 3]> = story.sights.iter().map(words).collect();
    phases.dedup();
    phases
}

fn compare_phases(theirs: &Story, mine: &Story, found: &mut Vec<String>) {
    same("phases", &phases(theirs), &phases(mine), found);
}

/// Some of the recorded ones, in their order.
fn compare_seen_phases(theirs: &Story, mine: &Story, found: &mut Vec<String>) {
    let (theirs, mine) = (phases(theirs), phases(mine));
    let mut left = theirs.iter();
    if !mine.iter().all(|phase| left.any(|recorded| recorded == phase)) {
        same("phases", &theirs, &mine, found);
    }
}

/// What is seen of a container or a condition under a phase, podlet must have shown under that phase, too; of the end, which a
/// kubelet publishes late, under the last one.
fn compare_moments(theirs: &Story, mine: &Story, found: &mut Vec<String>) {
    let mut shown: BTreeSet<(String, String)> = mine.sights.iter().flat_map(moments).collect();
    for name in mine.sights.iter().flat_map(Sight::states).map(|state| &state.name).collect::<BTreeSet<_>>() {
        for (at, state) in shown_later(states_of(mine, name)) {
            let sight = mine.sights.iter().rfind(|sight| sight.t <= at).unwrap();
            shown.extend(moments_of(&state, sight));
        }
    }
    let last = &mine.last().phase;
    for sight in theirs.sights.iter().filter(|sight| sight.grace != Some(0)) {
        let unknown = |(phase, what): &(String, String)| {
            !shown.contains(&(phase.clone(), what.clone())) && !shown.contains(&(last.clone(), what.clone()))
        };
        found.extend(
            moments(sight).into_iter().filter(unknown).map(|(phase, what)| {
                format!("phase {phase}: podlet never showed {what}, recorded at {:.2} s", sight.t)
            }),
        );
    }
}

/// Phase, and what is seen with it.
fn moments(sight: &Sight) -> Vec<(String, String)> {
    let conditions = sight.conditions.iter().map(|(kind, word)| (sight.phase.clone(), format!("{kind} {word}")));
    sight.states().flat_map(|state| moments_of(&comparable(state), sight)).chain(conditions).collect()
}

fn moments_of(state: &State, sight: &Sight) -> [(String, String); 2] {
    let ready = sight.conditions.get("ContainersReady");
    [format!("{state:?}"), format!("{} ready {} with {ready:?}", state.name, state.ready)]
        .map(|what| (sight.phase.clone(), what))
}

fn compare_containers(theirs: &Story, mine: &Story, reach: Reach, found: &mut Vec<String>) {
    let names = |sight: &Sight| {
        let of = |states: &[State]| states.iter().map(|state| state.name.clone()).collect::<Vec<_>>();
        (of(&sight.init), of(&sight.containers))
    };
    same("containers", &all(theirs, names), &all(mine, names), found);
    let Some(first) = mine.sights.first() else { return };
    for name in first.states().map(|state| &state.name) {
        if reach == Reach::Whole {
            compare_states(&states_of(theirs, name), &shown_later(states_of(mine, name)), found);
        } else {
            compare_seen_states(&states_of(theirs, name), &states_of(mine, name), reach, found);
        }
    }
}

/// Each different state of a container, with its time.
fn states_of(story: &Story, name: &str) -> Vec<(f64, State)> {
    let mut states: Vec<(f64, State)> = Vec::new();
    for sight in &story.sights {
        for state in sight.states().filter(|state| state.name == name) {
            let state = comparable(state);
            if states.last().is_none_or(|(_, last)| *last != state) {
                states.push((sight.t, state));
            }
        }
    }
    states
}

fn comparable(state: &State) -> State {
    let mut state = state.clone();
    state.message = message(&state.message);
    if let Some(last) = &mut state.last {
        last.message = message(&last.message);
    }
    state
}

/// A message without what differs from machine to machine.
fn message(text: &str) -> String {
    let text = text.find("exec: \"").map_or(text, |begin| &text[begin..]);
    let Some((before, address)) = text.split_once("dial tcp ") else { return text.to_owned() };
    let Some(port) = address.find(": ").and_then(|end| address[..end].rfind(':')) else { return text.to_owned() };
    format!("{before}dial tcp POD{}", &address[port..])
}

/// podlet shows CrashLoopBackOff at once: the end before it is put where a kubelet shows it until its next look.
fn shown_later(states: Vec<(f64, State)>) -> Vec<(f64, State)> {
    let mut all: Vec<(f64, State)> = Vec::new();
    for (at, state) in states {
        if let (Some(end), Some((_, before))) = (state.end().filter(|_| state.state == "waiting"), all.last())
            && before.state == "running"
        {
            let last = before.last.clone();
            let (reason, message, exit_code) = (end.reason, end.message, Some(end.exit_code));
            all.push((at, State { state: "terminated".to_owned(), reason, message, exit_code, last, ..state.clone() }));
        }
        all.push((at, state));
    }
    all
}

/// Each recorded state must be podlet's next one, but for those of podlet's that a kubelet's look may miss.
fn compare_states(theirs: &[(f64, State)], mine: &[(f64, State)], found: &mut Vec<String>) {
    let mut wanted = theirs.iter().map(|(_, state)| state).peekable();
    for (index, (at, state)) in mine.iter().enumerate() {
        if wanted.next_if(|wanted| *wanted == state).is_some() {
            continue;
        }
        let next = mine.get(index + 1);
        let ended = |state: &State| state.end().is_some();
        let missed = match next {
            // Shorter than a look.
            Some((after, next)) if after - at < LOOK => {
                state.state == "running" || (ended(state) && next.state != "terminated")
            }
            // The recording ends, or the pod is deleted, before a look.
            Some((_, next)) => ended(state) && ended(next) && next.restart_count == state.restart_count,
            None => state.reason == "CrashLoopBackOff",
        };
        // podlet is on time, a kubelet late: at one time podlet may have restarted once more.
        let ahead = wanted.peek().is_none() && theirs.last().is_some_and(|(_, last)| ahead(state, last));
        if !missed && !ahead {
            let wanted = wanted.peek();
            found.push(format!("{} at {at:.2} s:\n      recorded {wanted:?}\n      podlet   {state:?}", state.name));
        }
    }
    found.extend(wanted.map(|missing| format!("{}: podlet never showed {missing:?}", missing.name)));
}

/// What was seen is recorded, in this order; whoever looks now and then may miss the rest, but not the end.
fn compare_seen_states(theirs: &[(f64, State)], mine: &[(f64, State)], reach: Reach, found: &mut Vec<String>) {
    let mut left = theirs;
    for (index, (at, state)) in mine.iter().enumerate() {
        if let Some(place) = left.iter().position(|(_, recorded)| recorded == state) {
            left = left.get(place..).unwrap_or_default();
            continue;
        }
        // Shorter than a kubelet's look: a run, or what a next start put an end to.
        let last = mine.len() == index + 1;
        if last || state.state != "running" && state.end().is_none() {
            found.push(format!("{} at {at:.2} s:\n      recorded {left:?}\n      podlet   {state:?}", state.name));
        }
    }
    if reach == Reach::Seen && left.len() > 1 {
        found.push(format!("{}: podlet never showed {:?}", left[0].1.name, left[left.len() - 1].1));
    }
}

/// Whether it comes after the last of a container that is started over and over.
fn ahead(state: &State, last: &State) -> bool {
    let again = last.restart_count > 0 && state.restart_count >= last.restart_count;
    again && (state.restart_count > last.restart_count || state.end().is_some())
}

/// All that was ever said of each condition, and what is said in the end.
fn compare_conditions(theirs: &Story, mine: &Story, reach: Reach, found: &mut Vec<String>) {
    let said = |story: &Story, kind: &str, least: f64| {
        let mut said: BTreeSet<String> = BTreeSet::new();
        let mut since: Option<(&String, f64)> = None;
        for sight in &story.sights {
            let word = sight.conditions.get(kind);
            if since.map(|(word, _)| word) != word {
                since = word.map(|word| (word, sight.t));
            }
            let end = story.sights.iter().find(|later| later.t > sight.t).map_or(f64::INFINITY, |later| later.t);
            said.extend(since.filter(|(_, begin)| end - begin >= least).map(|(word, _)| word.clone()));
        }
        said
    };
    let kinds: BTreeSet<&String> =
        theirs.sights.iter().chain(&mine.sights).flat_map(|sight| sight.conditions.keys()).collect();
    for kind in kinds {
        let (told, all, lasting) = (said(theirs, kind, 0.0), said(mine, kind, 0.0), said(mine, kind, LOOK));
        let missing = reach == Reach::Whole && !told.is_subset(&all);
        // Of what is watched from later on, the beginning is unknown.
        let lasting = if reach == Reach::Whole { lasting } else { BTreeSet::new() };
        if missing || !lasting.is_subset(&told) {
            found.push(format!("condition {kind}:\n      recorded {told:?}\n      podlet   {all:?}"));
        }
    }
    if reach == Reach::SeenInPart {
        return;
    }
    let over = |sight: &Sight| ["Succeeded", "Failed"].contains(&sight.phase.as_str());
    // What is started over and over may be at another place of its round by then.
    if over(theirs.last()) || !theirs.last().states().any(|state| state.restart_count > 0) {
        same("conditions at the end", &theirs.last().conditions, &mine.last().conditions, found);
    }
}

/// Events in the order in which each first came. Containers that are stopped together are told of in any order.
fn compare_events(theirs: &Story, mine: &Story, reach: Reach, found: &mut Vec<String>) {
    let told = |story: &Story| {
        let words = |[kind, reason, text, path]: &[String; 4]| [kind, reason, &message(text), path].map(String::clone);
        let mut events: Vec<[String; 4]> = story.events.iter().map(words).collect();
        for stops in events.chunk_by_mut(|a, b| a[1] == "Killing" && b[1] == "Killing") {
            stops.sort();
        }
        events
    };
    let (mut theirs, mine) = (told(theirs), told(mine));
    if reach == Reach::SeenInPart {
        theirs.truncate(mine.len());
    }
    same("events", &theirs, &mine, found);
}
