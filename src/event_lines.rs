//! What `tracing` is told, as lines of a writer: `2026-11-29T15:44:19.123456Z  INFO asleep deadline=None`. For podlet's own
//! messages on stderr and each supervisor's log. Spans, which nobody here makes, are passed over: tracing-subscriber, which
//! knows them, keeps 40 kB of every process for that, a tenth of what a supervisor has in all.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes each event of a level, and of those above it.
pub struct EventLines<W> {
    level: LevelFilter,
    writer: Mutex<W>,
}

impl<W: Write + Send + 'static> EventLines<W> {
    /// Sends all events of this process there from here on. Where that was done before, in a test, nothing is changed.
    pub fn begin(level: LevelFilter, writer: W) {
        let _ = tracing::subscriber::set_global_default(EventLines { level, writer: Mutex::new(writer) });
    }
}

impl<W: Write + Send + 'static> Subscriber for EventLines<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line { message: String::new(), fields: String::new() };
        event.record(&mut line);
        let text =
            format!("{:.6} {:>5} {}{}\n", jiff::Timestamp::now(), event.metadata().level(), line.message, line.fields);
        // As a whole, so that two processes' lines in one file do not mix. A full disk stops nothing, and is told nowhere: print
        // macros panic when stderr is full, and a panic is told here.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer.write_all(text.as_bytes());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event's message, and its fields behind it.
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail; a value's own error leaves out what is left of it.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_a_line_with_its_fields() {
        let written = Written::default();
        let lines = EventLines { level: LevelFilter::INFO, writer: Mutex::new(written.clone()) };
        tracing::subscriber::with_default(lines, || {
            let why = "no room";
            tracing::warn!(container = "web", bytes = 3, at = ?Some(1), "not written: {why}");
            tracing::debug!("not asked for");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.len() == "2026-11-29T15:44:19.123456Z".len(), "{time}");
        assert_eq!(rest, " WARN not written: no room container=\"web\" bytes=3 at=Some(1)\n");
    }
}
