//! Each recorded case with real processes: the manifest as it was applied to the API server, all pods at once, and what was done
//! to them done again once they are where they were then.
//!
//! A pod that is started over and over is watched up to its third wait; the rest, minutes of it, is for virtual time.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, Pod};
use nix::sys::signal::Signal;
use podlet::image::Store;
use serde_json::Value;

use super::common::kills::{self, Part};
use super::common::podlet::{Podlet, text};
use super::comparer::Reach;
use super::images::import_busybox;
use super::recorded::{Interference, interferences, unexpected};
use super::recording::{Case, Sight, State, Story};

/// How long all of them may stay where they are.
const PATIENCE: Duration = Duration::from_secs(180);
/// After so many restarts a loop is known.
const ROUNDS: i64 = 3;

/// What is told of pods and their events.
enum News {
    Pod(&'static str, Value),
    Event(Value),
}

/// A case on its way.
struct Course {
    case: Case,
    story: Story,
    reach: Reach,
    /// What is still to be done, each when the pod looks like this and what is ready there has become so as often.
    steps: Vec<(Sight, usize, Option<Interference>)>,
    events: Vec<Event>,
    gone: bool,
    uid: String,
}

impl Course {
    fn new(mut case: Case) -> Course {
        let mut interferences = interferences(&case);
        // How the recorder got rid of a pod that runs for ever is for virtual time: here its events go with it.
        let over = ["Succeeded", "Failed"].contains(&case.story.last().phase.as_str());
        if interferences.pop_if(|(_, step)| matches!(step, Interference::Delete(0))).is_some() && !over {
            while case.story.events.pop_if(|event| event[1] == "Killing").is_some() {}
        }
        let loops = |sight: &Sight| {
            sight.states().any(|state| state.reason == "CrashLoopBackOff" && state.restart_count == ROUNDS)
        };
        let known = case.story.sights.iter().position(loops);
        case.story.sights.truncate(known.map_or(usize::MAX, |index| index + 1));
        let sights = &case.story.sights;
        let before = |at: f64| sights.iter().rfind(|sight| sight.t < at).unwrap().clone();
        let with_count = |(sight, step): (Sight, Option<Interference>)| {
            let until = sights.iter().take_while(|other| other.t <= sight.t);
            (sight.clone(), if step.is_some() { times_ready(&sight, until) } else { 0 }, step)
        };
        let (reach, steps) = match known.and_then(|index| sights.get(index)) {
            Some(sight) => (Reach::SeenInPart, vec![with_count((sight.clone(), None))]),
            None => {
                let steps = interferences.into_iter();
                let mut steps: Vec<_> = steps.map(|(at, step)| (before(at), Some(step))).collect();
                steps.push((case.story.last().clone(), None));
                (Reach::Seen, steps.into_iter().map(with_count).collect())
            }
        };
        Course { case, story: Story::default(), reach, steps, events: Vec::new(), gone: false, uid: String::new() }
    }

    /// Whether it is where the recording was before the next step.
    fn arrived(&self) -> bool {
        let Some(((wanted, ready, _), now)) = self.steps.first().zip(self.story.sights.last()) else { return false };
        let outline = |state: &State| {
            let reason = state.reason.replace("ContainerStatusUnknown", "Completed");
            (state.name.clone(), state.state.clone(), reason, state.restart_count, state.ready)
        };
        // The last thing that is told of a pod is what was stopped.
        let told = |event: &[String; 4]| {
            event[1] != "Killing" || self.events.iter().any(|known| known.message.as_ref() == Some(&event[2]))
        };
        let all_told =
            self.steps.len() > 1 || self.reach == Reach::SeenInPart || self.case.story.events.iter().all(told);
        times_ready(wanted, self.story.sights.iter()) >= *ready
            && wanted.phase == now.phase
            && wanted.states().map(outline).eq(now.states().map(outline))
            && all_told
    }

    /// A container runs from its exec on, and sets up only then what it does when it is told to stop.
    fn wait_for_handlers(&self) {
        let spec = self.case.pod().spec.unwrap();
        let now = self.story.sights.last().unwrap();
        for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
            let words = container.command.iter().flatten().cloned().collect::<String>();
            let runs = now.states().any(|state| state.name == container.name && state.state == "running");
            if runs && words.contains("trap \"echo") {
                kills::hears(kills::program(&self.uid, &container.name), Signal::SIGTERM);
            }
        }
    }

    /// Does what is to be done at this place.
    fn go_on(&mut self, podlet: &Podlet) {
        while self.arrived() {
            let (.., step) = self.steps.remove(0);
            if let Some(interference) = step {
                self.wait_for_handlers();
                interfere(podlet, &self.case.name, &self.uid, interference);
            }
        }
    }
}

/// How often those have become ready that are ready in the end. What runs for a moment only need not be seen ready.
fn times_ready<'a>(end: &Sight, sights: impl Iterator<Item = &'a Sight>) -> usize {
    let stays = |name: &str| end.states().any(|state| state.name == name && state.ready);
    let mut before: BTreeMap<&str, bool> = BTreeMap::new();
    let states = sights.flat_map(Sight::states).filter(|state| stays(&state.name));
    states.filter(|state| !before.insert(&state.name, state.ready).unwrap_or_default() && state.ready).count()
}

/// Reads `podlet WORDS…`, a document at a time.
fn follow(podlet: &Podlet, words: &[&str], sender: Sender<News>, news: fn(Value) -> News) -> Child {
    let mut child = podlet.command(words).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        let documents = serde_json::Deserializer::from_reader(output).into_iter::<Value>();
        for document in documents.map_while(Result::ok) {
            if sender.send(news(document)).is_err() {
                return;
            }
        }
    });
    child
}

fn pod_news(document: Value) -> News {
    let kind = if document["type"] == "DELETED" { "DELETED" } else { "CHANGED" };
    News::Pod(kind, document["object"].clone())
}

/// Does what the recorder did.
fn interfere(podlet: &Podlet, pod: &str, uid: &str, interference: Interference) {
    match interference {
        Interference::Delete(grace) => {
            podlet.succeed(&["delete", "pod", pod, &format!("--grace-period={grace}"), "--wait=false"]);
        }
        Interference::KillSandbox => kills::send(Part::Pause.wait(uid), Signal::SIGKILL),
        Interference::Kill(container) => kills::send(kills::program(uid, container), Signal::SIGKILL),
    }
}

/// Takes what is told until each pod is where its recording ends.
fn watch(podlet: &Podlet, courses: &mut BTreeMap<String, Course>, heard: &Receiver<News>) {
    let begin = Instant::now();
    let left = |courses: &BTreeMap<String, Course>| courses.values().map(|course| course.steps.len()).sum::<usize>();
    let mut patience = (left(courses), begin);
    while left(courses) > 0 {
        if left(courses) < patience.0 {
            patience = (left(courses), Instant::now());
        }
        let Ok(news) = heard.recv_timeout(PATIENCE.saturating_sub(patience.1.elapsed())) else {
            let waiting = courses.values().filter(|course| !course.steps.is_empty());
            let places = waiting.map(|course| {
                let left = course.steps.iter().map(|(sight, ready, step)| {
                    let seen = times_ready(sight, course.story.sights.iter());
                    format!("{step:?}, after what was ready became so {ready} times ({seen} were seen)")
                });
                let (left, last) = (left.collect::<Vec<_>>().join("; "), course.story.sights.last());
                format!("{}: left: {left}; seen last: {last:#?}", course.case.name)
            });
            panic!("these pods never came where they were recorded:\n{}", places.collect::<Vec<_>>().join("\n"));
        };
        match news {
            News::Event(event) => {
                let event: Event = serde_json::from_value(event).unwrap();
                let Some(course) = courses.get_mut(event.involved_object.name.as_deref().unwrap()) else { continue };
                if !course.events.iter().any(|known| known.metadata.name == event.metadata.name) {
                    course.events.push(event);
                }
                course.go_on(podlet);
            }
            News::Pod(kind, pod) => {
                let pod: Pod = serde_json::from_value(pod).unwrap();
                let course = courses.get_mut(pod.metadata.name.as_deref().unwrap()).unwrap();
                course.uid = pod.metadata.uid.clone().unwrap();
                course.gone |= kind == "DELETED";
                let sight = Sight::of(begin.elapsed().as_secs_f64(), &pod);
                if !course.gone && sight.grace != Some(0) && !course.steps.is_empty() {
                    course.story.see(sight);
                }
                course.go_on(podlet);
            }
        }
    }
}

#[test]
fn each_recorded_case_goes_as_it_went_with_real_processes() {
    let podlet = Podlet::new();
    import_busybox(&Store::open(&podlet.root.join("state/images")));
    let mut courses: BTreeMap<String, Course> =
        Case::all().into_iter().map(|case| (case.name.clone(), Course::new(case))).collect();
    let (sender, heard) = mpsc::channel();
    let pods = ["get", "pods", "-w", "-o", "json", "--output-watch-events"];
    let events = ["events", "-w", "-o", "json"];
    let mut followers =
        [follow(&podlet, &pods, sender.clone(), pod_news), follow(&podlet, &events, sender, News::Event)];
    for course in courses.values() {
        // One of them asks for the pod's address, and has none.
        let words = ["--seccomp-default=Unconfined", "--allow-unsupported=fieldPath"];
        let output = podlet.try_apply(&course.case.manifest, &words);
        assert!(output.status.success(), "{}: {}", course.case.name, text(&output.stderr));
    }
    watch(&podlet, &mut courses, &heard);
    for follower in &mut followers {
        follower.kill().unwrap();
        follower.wait().unwrap();
    }
    let mut faults = Vec::new();
    for (name, mut course) in courses {
        // An event is named by the nanosecond at which it first came.
        let nanosecond = |event: &Event| event.metadata.name.as_ref().unwrap().rsplit('.').next().unwrap().to_owned();
        course.events.sort_by_key(nanosecond);
        course.story.hear(course.events);
        let mut found = unexpected(&course.case, &course.story, course.reach);
        // podlet probes a second after the start, when this server answers already (R-6.2-a).
        found.retain(|said| name != "d05-http-probes" || !said.starts_with("events"));
        faults.extend(found.iter().map(|said| format!("{name}: {said}")));
    }
    podlet.finish();
    assert!(faults.is_empty(), "{} disagreements:\n  {}", faults.len(), faults.join("\n  "));
}
