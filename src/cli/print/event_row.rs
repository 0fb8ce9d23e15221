//! Events as `get events` and `events` list them.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

use super::age::{since, since_micro};
use super::columns::{TABLE, Widths, align_after, escape};
use super::order::sort_like_go;
use super::table::{Column, Row, columns};

/// The columns of `get events`; `-o wide` puts three of its own between the others.
pub fn event_columns() -> Vec<Column> {
    let narrow = |heading| Column { heading, wide: false };
    let mut all = columns(&["LAST SEEN", "TYPE", "REASON", "OBJECT"], &["SUBOBJECT", "SOURCE"]);
    all.push(narrow("MESSAGE"));
    all.extend(columns(&[], &["FIRST SEEN", "COUNT", "NAME"]));
    all
}

/// The row of `get events`.
pub fn event_row(event: &Event, now: Timestamp) -> Row {
    let first = match &event.first_timestamp {
        Some(time) => since(Some(time), now),
        None => since_micro(event.event_time.as_ref(), now),
    };
    let mut last = match &event.last_timestamp {
        Some(time) => since(Some(time), now),
        None => first.clone(),
    };
    let mut count = event.count.filter(|c| *c != 0).unwrap_or(1);
    if let Some(series) = &event.series {
        last = since_micro(series.last_observed_time.as_ref(), now);
        count = series.count.unwrap_or(0);
    }
    let object = &event.involved_object;
    let kind = object.kind.as_deref().unwrap_or_default().to_lowercase();
    let target = match object.name.as_deref().unwrap_or_default() {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    Row {
        namespace: event.metadata.namespace.clone().unwrap_or_default(),
        labels: event.metadata.labels.clone().unwrap_or_default(),
        cells: vec![
            last,
            event.type_.clone().unwrap_or_default(),
            event.reason.clone().unwrap_or_default(),
            target,
            object.field_path.clone().unwrap_or_default(),
            source(event),
            message(event).to_owned(),
            first,
            count.to_string(),
            event.metadata.name.clone().unwrap_or_default(),
        ],
    }
}

fn source(event: &Event) -> String {
    let source = event.source.as_ref();
    let either = |first: Option<&String>, second: Option<&String>| {
        first.filter(|t| !t.is_empty()).or(second).cloned().unwrap_or_default()
    };
    let component = either(source.and_then(|s| s.component.as_ref()), event.reporting_component.as_ref());
    let host = either(source.and_then(|s| s.host.as_ref()), event.reporting_instance.as_ref());
    if host.is_empty() { component } else { format!("{component}, {host}") }
}

/// Without blanks and newlines around it.
pub fn message(event: &Event) -> &str {
    event.message.as_deref().unwrap_or_default().trim()
}

/// `12s (x7 over 4m25s)`, or the age of a single one: as `events` and `describe` have it.
pub fn interval(event: &Event, now: Timestamp) -> String {
    let first = match &event.event_time {
        Some(time) => since_micro(Some(time), now),
        None => since(event.first_timestamp.as_ref(), now),
    };
    if let Some(series) = &event.series {
        let last = since_micro(series.last_observed_time.as_ref(), now);
        return format!("{last} (x{} over {first})", series.count.unwrap_or(0));
    }
    match event.count {
        Some(count) if count > 1 => format!("{} (x{count} over {first})", since(event.last_timestamp.as_ref(), now)),
        _ => first,
    }
}

/// The order of `events`: by the time when it was last seen, wherever that stands.
pub fn sort_by_last_seen(events: &mut [Event]) {
    let when = |event: &Event| match (&event.series, &event.last_timestamp) {
        (Some(series), _) => series.last_observed_time.as_ref().map(|t| t.0),
        (None, Some(time)) => Some(time.0),
        (None, None) => event.event_time.as_ref().map(|t| t.0),
    };
    sort_like_go(events, |a, b| when(a) < when(b));
}

/// What `events` prints of the list, with or without headings.
pub fn events_table(
    events: &[Event],
    headings: bool,
    namespaces: bool,
    now: Timestamp,
    earlier: &mut Widths,
) -> String {
    let mut text = String::new();
    if headings {
        text.push_str(if namespaces { "NAMESPACE\t" } else { "" });
        text.push_str("LAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n");
    }
    for event in events {
        if namespaces {
            text.push_str(event.metadata.namespace.as_deref().unwrap_or_default());
            text.push('\t');
        }
        let word = |text: &Option<String>| escape(text.as_deref().unwrap_or_default());
        text.push_str(&format!(
            "{}\t{}\t{}\t{}/{}\t{}\n",
            interval(event, now),
            word(&event.type_),
            word(&event.reason),
            word(&event.involved_object.kind),
            word(&event.involved_object.name),
            escape(message(event)),
        ));
    }
    align_after(&text, TABLE, earlier)
}
