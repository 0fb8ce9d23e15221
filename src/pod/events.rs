//! Events, merged, counted and limited as a kubelet's recorder does before the API server sees them (lifecycle 10,
//! `client-go/tools/record/events_cache.go`). The log is bounded: the same event is counted, many alike become one, and the
//! oldest are dropped beyond a bound (all these numbers are in [`Numbers`]).

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::input::Fact;
use super::machine::{Settings, Turn};
use super::numbers::Numbers;
use super::status::rfc3339;
use super::time::{BootTime, Moment, WallTime};
use crate::manifest::containers;

/// `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventType {
    /// All is well.
    Normal,
    /// Something is not.
    Warning,
}

/// What the recorder remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventLog {
    entries: Vec<Entry>,
    similar: Vec<Similar>,
    normal: SpamFilter,
    warning: SpamFilter,
    /// How many different events there ever were; names them apart.
    serial: u64,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    serial: u64,
    reporter: Reporter,
    container: Option<String>,
    kind: EventType,
    reason: String,
    message: String,
    /// How often it happened; what is shown lags behind it while the spam filter holds it back.
    count: u32,
    /// The count that was let through last; 0 for an event never shown.
    shown: u32,
    first: WallTime,
    last: WallTime,
}

/// `source.component`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Reporter {
    Scheduler,
    Kubelet,
}

/// An event that has just happened.
struct News<'a> {
    reporter: Reporter,
    container: Option<&'a str>,
    kind: EventType,
    reason: &'a str,
    message: String,
}

/// How many different texts of one type and reason there were lately.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Similar {
    kind: EventType,
    reason: String,
    /// Hashes of the texts, at most as many as are shown apart.
    texts: Vec<u64>,
    last: BootTime,
}

/// A bucket of tokens that gains one each so often.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct SpamFilter {
    /// Tokens times the refill time, in milliseconds.
    level: u64,
    updated: BootTime,
}

impl SpamFilter {
    fn full(numbers: &Numbers) -> SpamFilter {
        let level = numbers.events_burst.saturating_mul(numbers.events_refill_milliseconds);
        SpamFilter { level, updated: BootTime(0) }
    }

    fn lets_through(&mut self, now: BootTime, numbers: &Numbers) -> bool {
        let refill = numbers.events_refill_milliseconds;
        let gained = u64::try_from(now.since(self.updated).as_millis()).unwrap_or(u64::MAX);
        self.level = self.level.saturating_add(gained).min(SpamFilter::full(numbers).level);
        self.updated = now;
        let through = self.level >= refill;
        if through {
            self.level -= refill;
        }
        through
    }
}

impl Turn<'_> {
    /// Records an event of the pod or of a container.
    pub(super) fn event(&mut self, container: Option<&str>, kind: EventType, reason: &str, message: String) {
        let (at, numbers) = (self.state.clock, self.numbers());
        let news = News { reporter: Reporter::Kubelet, container, kind, reason, message };
        self.state.events.record(news, at, &numbers);
    }

    /// Records what is told for its event only.
    pub(super) fn record_trouble(&mut self, fact: &Fact) {
        let (container, reason, text) = match fact {
            Fact::LogDropping { container, message } => {
                let text = format!("The log cannot be written, output is dropped until it can: {message}");
                (container, "LogDropping", text)
            }
            Fact::LogResumed { container, dropped } => {
                let text = format!("The log is written again, {dropped} bytes of output are missing in it");
                (container, "LogResumed", text)
            }
            Fact::LogLost { container, lost, message } => {
                let text = format!("The end of the log could not be written, {lost} bytes are lost: {message}");
                (container, "LogLost", text)
            }
            Fact::KillStuck { container, message } => {
                let text = format!("error killing pod: {message}: it ends when the kernel lets go of it");
                (container, "FailedKillPod", text)
            }
            _ => return,
        };
        self.event(Some(container), EventType::Warning, reason, text);
    }

    /// See [`EventLog::record_scheduled`].
    pub(super) fn record_scheduled(&mut self) {
        self.state.events.record_scheduled(&self.pod.metadata, &self.state.settings, self.state.clock);
    }
}

impl EventLog {
    /// Of a pod of which nothing is known yet.
    pub(super) fn new(numbers: &Numbers) -> EventLog {
        let filter = SpamFilter::full(numbers);
        EventLog { entries: Vec::new(), similar: Vec::new(), normal: filter, warning: filter, serial: 0 }
    }

    /// What a scheduler would say; podlet says it for it, with the host as the node.
    pub(super) fn record_scheduled(&mut self, pod: &ObjectMeta, settings: &Settings, at: Moment) {
        let word = |field: &Option<String>| field.clone().unwrap_or_default();
        let (namespace, name) = (word(&pod.namespace), word(&pod.name));
        let message = format!("Successfully assigned {namespace}/{name} to {}", settings.node_name);
        let (kind, reason) = (EventType::Normal, "Scheduled");
        let news = News { reporter: Reporter::Scheduler, container: None, kind, reason, message };
        self.record(news, at, &settings.numbers);
    }

    /// Why a pod is not admitted.
    pub(super) fn record_rejection(&mut self, reason: &str, message: String, settings: &Settings, at: Moment) {
        let (reporter, kind) = (Reporter::Kubelet, EventType::Warning);
        self.record(News { reporter, container: None, kind, reason, message }, at, &settings.numbers);
    }

    fn record(&mut self, news: News<'_>, at: Moment, numbers: &Numbers) {
        let News { reporter, container, kind, reason, message } = news;
        let message = match self.too_many_alike(kind, reason, &message, at.boot, numbers) {
            true => format!("(combined from similar events): {message}"),
            false => message,
        };
        let filter = match kind {
            EventType::Normal => &mut self.normal,
            EventType::Warning => &mut self.warning,
        };
        // Each source has a filter of its own; a scheduler says one thing.
        let through = reporter == Reporter::Scheduler || filter.lets_through(at.boot, numbers);
        let same = |entry: &Entry| {
            // Combined ones are of no single container any more.
            let one = both_combined(&entry.message, &message)
                || entry.message == message && entry.container.as_deref() == container;
            one && entry.kind == kind && entry.reason == reason
        };
        if let Some(index) = self.entries.iter().position(same) {
            let mut entry = self.entries.remove(index);
            entry.count = entry.count.saturating_add(1);
            entry.message = message;
            if through {
                (entry.shown, entry.last) = (entry.count, at.wall);
            }
            self.entries.push(entry);
            return;
        }
        self.serial = self.serial.saturating_add(1);
        self.entries.push(Entry {
            serial: self.serial,
            reporter,
            container: container.map(str::to_owned),
            kind,
            reason: reason.to_owned(),
            message,
            count: 1,
            shown: u32::from(through),
            first: at.wall,
            last: at.wall,
        });
        if self.entries.len() as u64 > numbers.events_most {
            self.entries.remove(0);
        }
    }

    /// Whether there were too many different texts of this type and reason without a pause of ten minutes.
    fn too_many_alike(
        &mut self,
        kind: EventType,
        reason: &str,
        message: &str,
        now: BootTime,
        numbers: &Numbers,
    ) -> bool {
        let text = super::machine::hash_json(&message);
        let index = self.similar.iter().position(|similar| similar.kind == kind && similar.reason == reason);
        let mut similar = match index {
            Some(index) => self.similar.remove(index),
            None => Similar { kind, reason: reason.to_owned(), texts: Vec::new(), last: now },
        };
        if now.since(similar.last) > Duration::from_millis(numbers.events_similar_milliseconds) {
            similar.texts.clear();
        }
        similar.last = now;
        let known = similar.texts.contains(&text);
        let full = similar.texts.len() as u64 + 1 >= numbers.events_similar;
        if !known && !full {
            similar.texts.push(text);
        }
        self.similar.push(similar);
        full && !known
    }

    /// The spam filter's clock began again; what it had let through counts as just now.
    pub(super) fn restart_clock(&mut self) {
        self.normal.updated = BootTime(0);
        self.warning.updated = BootTime(0);
        for similar in &mut self.similar {
            similar.last = BootTime(0);
        }
    }

    /// All that was recorded, what the spam filter holds back too: each with its serial number, container, reason, text and
    /// count.
    pub(super) fn recorded(&self) -> impl Iterator<Item = (u64, Option<&str>, &str, &str, u32)> {
        self.entries.iter().map(|entry| {
            (entry.serial, entry.container.as_deref(), entry.reason.as_str(), entry.message.as_str(), entry.count)
        })
    }

    /// As `v1.Event`s, those of which something was let through, in the order in which they were seen first.
    pub(super) fn shown(&self, pod: &Pod, node: &str) -> Vec<Event> {
        let mut entries: Vec<&Entry> = self.entries.iter().filter(|entry| entry.shown > 0).collect();
        entries.sort_by_key(|entry| entry.serial);
        entries.into_iter().map(|entry| entry.event(pod, node)).collect()
    }
}

fn both_combined(one: &str, other: &str) -> bool {
    const COMBINED: &str = "(combined from similar events): ";
    one.starts_with(COMBINED) && other.starts_with(COMBINED)
}

/// In which list of the spec a container stands.
fn list_of(pod: &Pod, name: &str) -> &'static str {
    let mut init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    if init.any(|container| container.name == name) {
        "initContainers"
    } else if containers::ephemeral(pod).any(|container| container.name == name) {
        "ephemeralContainers"
    } else {
        "containers"
    }
}

impl Entry {
    /// The event's own uid, in the form of a random one, but made from what it is: the same whoever shows it.
    fn uid(&self, pod: &str) -> String {
        let half = |which: &str| super::machine::hash_json(&(pod, self.serial, which));
        let (high, low) = (half("high"), half("low"));
        // RFC 9562: version 4 and the variant's two bits.
        let (version, variant) = (high & 0xfff | 0x4000, low >> 48 & 0x3fff | 0x8000);
        let (first, second, last) = (high >> 32, high >> 16 & 0xffff, low & 0xffff_ffff_ffff);
        format!("{first:08x}-{second:04x}-{version:04x}-{variant:04x}-{last:012x}")
    }

    fn event(&self, pod: &Pod, node: &str) -> Event {
        let metadata = &pod.metadata;
        let pod_name = metadata.name.clone().unwrap_or_default();
        let component = match self.reporter {
            Reporter::Scheduler => "default-scheduler",
            Reporter::Kubelet => "kubelet",
        };
        // A recorder names an event by the pod and the nanosecond; the serial keeps two of one nanosecond apart.
        let stamp = self.first.0.cast_unsigned().wrapping_add(self.serial);
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{pod_name}.{stamp:x}")),
                namespace: metadata.namespace.clone(),
                uid: Some(self.uid(metadata.uid.as_deref().unwrap_or_default())),
                creation_timestamp: rfc3339(self.first),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: metadata.name.clone(),
                namespace: metadata.namespace.clone(),
                uid: metadata.uid.clone(),
                field_path: self.container.as_ref().map(|name| format!("spec.{}{{{name}}}", list_of(pod, name))),
                ..ObjectReference::default()
            },
            type_: Some(match self.kind {
                EventType::Normal => "Normal".to_owned(),
                EventType::Warning => "Warning".to_owned(),
            }),
            reason: Some(self.reason.clone()),
            message: Some(self.message.clone()),
            count: Some(i32::try_from(self.shown).unwrap_or(i32::MAX)),
            first_timestamp: rfc3339(self.first),
            last_timestamp: rfc3339(self.last),
            source: Some(EventSource {
                component: Some(component.to_owned()),
                host: matches!(self.reporter, Reporter::Kubelet).then(|| node.to_owned()),
            }),
            reporting_component: Some(component.to_owned()),
            reporting_instance: Some(match self.reporter {
                Reporter::Scheduler => String::new(),
                Reporter::Kubelet => node.to_owned(),
            }),
            ..Event::default()
        }
    }
}
