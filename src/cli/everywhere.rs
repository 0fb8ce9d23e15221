//! The flags that every verb takes. Apart from the verbs, which all need them, so that [`super::line`] alone knows both.

use clap::Args;

use crate::event_lines::EventLines;

/// Flags that every verb takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Everywhere {
    /// The namespace of the objects; `default` when absent.
    #[arg(short, long, global = true, value_name = "NAMESPACE", help_heading = "Everywhere")]
    pub namespace: Option<String>,
    /// Says on stderr what podlet does; -v=1 to -v=9 for more. PODLET_LOG sets the same by word: warn, info, debug, trace.
    #[arg(
        short = 'v',
        alias = "v",
        global = true,
        value_name = "LEVEL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "4",
        value_parser = clap::value_parser!(u8).range(0..=10),
        help_heading = "Everywhere"
    )]
    pub verbosity: Option<u8>,
}

impl Everywhere {
    /// The namespace that is meant.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or("default")
    }

    /// The level of podlet's own messages: as `-v` says, else `PODLET_LOG`; none when neither does.
    pub fn level(&self) -> Option<tracing::Level> {
        match self.verbosity {
            Some(0) => None,
            Some(1..=3) => Some(tracing::Level::INFO),
            Some(4..=5) => Some(tracing::Level::DEBUG),
            Some(_) => Some(tracing::Level::TRACE),
            None => std::env::var("PODLET_LOG").ok()?.trim().parse().ok(),
        }
    }

    /// The same as a kubelet's `-v`, and whether a flag says so; none when neither flag nor `PODLET_LOG` does.
    pub fn level_number(&self) -> Option<(u8, bool)> {
        if let Some(verbosity) = self.verbosity {
            return Some((verbosity, true));
        }
        let number = match self.level()? {
            tracing::Level::TRACE => 6,
            tracing::Level::DEBUG => 4,
            _ => 0,
        };
        Some((number, false))
    }

    /// Sends podlet's own messages to stderr at the level that is asked for; without one nothing is set up.
    pub fn start_tracing(&self) {
        if let Some(level) = self.level() {
            EventLines::begin(level.into(), std::io::stderr());
        }
    }
}
