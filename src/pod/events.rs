//! Events, merged, counted and limited as a kubelet's recorder does before the API server sees them (lifecycle 10,
//! `client-go/tools/record/events_cache.go`). The log is bounded: the same event is counted, many alike become one, and the
//! oldest are dropped beyond [`MOST`].

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::machine::Turn;
use super::status::rfc3339;
use super::time::{BootTime, Moment, WallTime};

/// Most different events kept of a pod; podlet's own bound (an API server forgets events after an hour).
pub const MOST: usize = 256;
/// More than so many similar events with different texts within [`SIMILAR_WITHIN`] become one.
const SIMILAR: u32 = 10;
const SIMILAR_WITHIN: Duration = Duration::from_secs(600);
/// So many events of one type may come at once; then one each [`REFILL_MILLISECONDS`].
const SPAM_BURST: u64 = 25;
const REFILL_MILLISECONDS: u64 = 300_000;

/// `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventType {
    /// All is well.
    Normal,
    /// Something is not.
    Warning,
}

/// What the recorder remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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

/// How many different texts of one type and reason there were lately.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Similar {
    kind: EventType,
    reason: String,
    /// Hashes of the texts, at most [`SIMILAR`] of them.
    texts: Vec<u64>,
    last: BootTime,
}

/// A bucket of [`SPAM_BURST`] tokens that gains one each [`REFILL_MILLISECONDS`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct SpamFilter {
    /// Tokens times the refill time, in milliseconds.
    level: u64,
    updated: BootTime,
}

impl Default for SpamFilter {
    fn default() -> SpamFilter {
        SpamFilter { level: SPAM_BURST * REFILL_MILLISECONDS, updated: BootTime(0) }
    }
}

impl SpamFilter {
    fn lets_through(&mut self, now: BootTime) -> bool {
        let gained = u64::try_from(now.since(self.updated).as_millis()).unwrap_or(u64::MAX);
        self.level = self.level.saturating_add(gained).min(SPAM_BURST * REFILL_MILLISECONDS);
        self.updated = now;
        let through = self.level >= REFILL_MILLISECONDS;
        if through {
            self.level -= REFILL_MILLISECONDS;
        }
        through
    }
}

impl Turn<'_> {
    /// Records an event of the pod or of a container.
    pub(super) fn event(&mut self, container: Option<&str>, kind: EventType, reason: &str, message: String) {
        let at = self.state.clock;
        self.state.events.record(Reporter::Kubelet, container, kind, reason, message, at);
    }

    /// What a scheduler would say; podlet says it for it, with the host as the node.
    pub(super) fn record_scheduled(&mut self) {
        let metadata = &self.pod.metadata;
        let word = |field: &Option<String>| field.clone().unwrap_or_default();
        let (namespace, name) = (word(&metadata.namespace), word(&metadata.name));
        let node = &self.state.settings.node_name;
        let message = format!("Successfully assigned {namespace}/{name} to {node}");
        let at = self.state.clock;
        self.state.events.record(Reporter::Scheduler, None, EventType::Normal, "Scheduled", message, at);
    }
}

impl EventLog {
    fn record(
        &mut self,
        reporter: Reporter,
        container: Option<&str>,
        kind: EventType,
        reason: &str,
        message: String,
        at: Moment,
    ) {
        let message = match self.too_many_alike(kind, reason, &message, at.boot) {
            true => format!("(combined from similar events): {message}"),
            false => message,
        };
        let filter = match kind {
            EventType::Normal => &mut self.normal,
            EventType::Warning => &mut self.warning,
        };
        let through = filter.lets_through(at.boot);
        let same = |entry: &Entry| {
            let one = entry.message == message || both_combined(&entry.message, &message);
            one && entry.container.as_deref() == container && entry.kind == kind && entry.reason == reason
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
        if self.entries.len() > MOST {
            self.entries.remove(0);
        }
    }

    /// Whether there were more than [`SIMILAR`] different texts of this type and reason without a pause of ten minutes.
    fn too_many_alike(&mut self, kind: EventType, reason: &str, message: &str, now: BootTime) -> bool {
        let text = super::machine::hash_json(&message);
        let index = self.similar.iter().position(|similar| similar.kind == kind && similar.reason == reason);
        let mut similar = match index {
            Some(index) => self.similar.remove(index),
            None => Similar { kind, reason: reason.to_owned(), texts: Vec::new(), last: now },
        };
        if now.since(similar.last) > SIMILAR_WITHIN {
            similar.texts.clear();
        }
        similar.last = now;
        let known = similar.texts.contains(&text);
        let full = similar.texts.len() >= SIMILAR as usize;
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

impl Entry {
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
                creation_timestamp: rfc3339(self.first),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: metadata.name.clone(),
                namespace: metadata.namespace.clone(),
                uid: metadata.uid.clone(),
                field_path: self.container.as_ref().map(|name| format!("spec.containers{{{name}}}")),
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
