//! The small words of a scenario: durations, bounds, texts, and the fixed words with their meaning in the machine.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::duration;
use crate::pod::input::{ImageFailure, StartStage};

/// A duration: `1m30s`, `250ms`; a number is seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// Reads one as it stands in a file.
    pub fn read(text: &str) -> Result<Span, String> {
        match text.parse::<f64>() {
            Ok(seconds) => {
                Duration::try_from_secs_f64(seconds).map(Span).map_err(|_| format!("{text} is no number of seconds"))
            }
            Err(_) => duration::parse(text).map(Span),
        }
    }
}

/// As Go writes it: `1m30s`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::pod::backoff::go_duration(self.0))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 1m30s")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                Span::read(text).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Span, E> {
                Ok(Span(Duration::from_secs(seconds)))
            }
            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Span, E> {
                Span::read(&seconds.to_string()).map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Span, E> {
                Span::read(&seconds.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: `1m30s`, `250ms`; a number is seconds.",
            "type": ["string", "number"],
            "format": "duration",
            "pattern": r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)((ns|us|µs|μs|ms|s|m|h)([0-9]*\.?[0-9]+(ns|us|µs|μs|ms|s|m|h))*)?$",
            "minimum": 0,
        })
    }
}

/// A whole number, or bounds of one: `3`, `{ge: 3, le: 5}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Number {
    /// Exactly this.
    Exactly(i64),
    /// Between these.
    Bounds(NumberBounds),
}

/// Bounds of a whole number; all of them hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct NumberBounds {
    /// Equal.
    pub eq: Option<i64>,
    /// Not equal.
    pub ne: Option<i64>,
    /// At least.
    pub ge: Option<i64>,
    /// At most.
    pub le: Option<i64>,
    /// More than.
    pub gt: Option<i64>,
    /// Less than.
    pub lt: Option<i64>,
    /// One of these.
    #[serde(rename = "in")]
    pub among: Option<Vec<i64>>,
}

impl Number {
    /// Whether this number is meant.
    pub fn holds(&self, found: i64) -> bool {
        match self {
            Number::Exactly(wanted) => *wanted == found,
            Number::Bounds(NumberBounds { eq, ne, ge, le, gt, lt, among }) => {
                eq.is_none_or(|bound| found == bound)
                    && ne.is_none_or(|bound| found != bound)
                    && ge.is_none_or(|bound| found >= bound)
                    && le.is_none_or(|bound| found <= bound)
                    && gt.is_none_or(|bound| found > bound)
                    && lt.is_none_or(|bound| found < bound)
                    && among.as_ref().is_none_or(|list| list.contains(&found))
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Exactly(wanted) => write!(f, "{wanted}"),
            Number::Bounds(bounds) => f.write_str(&bounds_words(bounds)),
        }
    }
}

/// Bounds as words: `at least 3, at most 5`.
pub fn bounds_words(bounds: &impl Serialize) -> String {
    let value = serde_json::to_value(bounds).unwrap_or_default();
    let words = |key: &str| match key {
        "eq" => "exactly",
        "ne" => "not",
        "ge" => "at least",
        "le" => "at most",
        "gt" => "more than",
        "lt" => "less than",
        _ => "one of",
    };
    let texts = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{} {text}", words(key))
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// A text: exactly, or what it must contain or match; several of a list are alternatives.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Text {
    /// Exactly this.
    Exactly(String),
    /// One of these.
    Among(Vec<String>),
    /// So.
    Bounds(TextBounds),
}

/// What a text must be like; all of it holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct TextBounds {
    /// Contains this.
    pub contains: Option<String>,
    /// Matches this regular expression somewhere.
    pub matches: Option<String>,
    /// Is not this.
    pub not: Option<String>,
}

impl Text {
    /// Whether this text is meant.
    pub fn holds(&self, found: &str) -> bool {
        match self {
            Text::Exactly(wanted) => wanted == found,
            Text::Among(list) => list.iter().any(|wanted| wanted == found),
            Text::Bounds(TextBounds { contains, matches, not }) => {
                contains.as_ref().is_none_or(|part| found.contains(part.as_str()))
                    && not.as_ref().is_none_or(|other| found != other)
                    && matches
                        .as_ref()
                        .is_none_or(|pattern| regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(found)))
            }
        }
    }

    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<String> {
        let Text::Bounds(TextBounds { matches: Some(pattern), .. }) = self else { return None };
        let error = regex::Regex::new(pattern).err()?.to_string();
        Some(format!("not a regular expression: {}", error.lines().last().unwrap_or_default().trim()))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Text::Exactly(wanted) => write!(f, "{wanted:?}"),
            Text::Among(list) => write!(f, "one of {list:?}"),
            Text::Bounds(TextBounds { contains, matches, not }) => {
                let words = [("containing", contains), ("matching", matches), ("other than", not)];
                let words =
                    words.iter().filter_map(|(word, text)| text.as_ref().map(|text| format!("{word} {text:?}")));
                f.write_str(&words.collect::<Vec<_>>().join(" and "))
            }
        }
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[allow(clippy::enum_variant_names, reason = "Kubernetes' words end as they do")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(test, derive(JsonSchema))]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant),*
        }

        impl $name {
            /// The word in a file.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
        }
    };
}

words! {
    /// What a container's state is.
    StateWord {
        #[doc = "It waits."]
        #[default] Waiting = "Waiting",
        #[doc = "It runs."]
        Running = "Running",
        #[doc = "It has ended."]
        Terminated = "Terminated",
    }
}

words! {
    /// Which probe.
    Kind {
        #[doc = "The livenessProbe."]
        #[default] Liveness = "liveness",
        #[doc = "The readinessProbe."]
        Readiness = "readiness",
        #[doc = "The startupProbe."]
        Startup = "startup",
    }
}

words! {
    /// What a probe answers.
    Answer {
        #[doc = "It succeeds."]
        #[default] Ok = "ok",
        #[doc = "It fails."]
        Fail = "fail",
        #[doc = "It does not answer within its timeoutSeconds, and fails then."]
        Timeout = "timeout",
        #[doc = "It cannot be carried out; that counts neither way."]
        Error = "error",
    }
}

words! {
    /// Why a start fails.
    StartReason {
        #[doc = "Its configuration cannot be built."]
        CreateContainerConfigError = "CreateContainerConfigError",
        #[doc = "It cannot be created."]
        CreateContainerError = "CreateContainerError",
        #[doc = "Its program cannot be started."]
        #[default] RunContainerError = "RunContainerError",
    }
}

impl StartReason {
    /// The machine's word.
    pub fn stage(self) -> StartStage {
        match self {
            StartReason::CreateContainerConfigError => StartStage::Config,
            StartReason::CreateContainerError => StartStage::Create,
            StartReason::RunContainerError => StartStage::Run,
        }
    }
}

words! {
    /// Why an image cannot be had.
    ImageReason {
        #[doc = "The pull failed."]
        #[default] ErrImagePull = "ErrImagePull",
        #[doc = "Policy Never, and it is not present."]
        ErrImageNeverPull = "ErrImageNeverPull",
        #[doc = "The reference does not parse."]
        InvalidImageName = "InvalidImageName",
        #[doc = "It is present and cannot be read."]
        ImageInspectError = "ImageInspectError",
    }
}

impl ImageReason {
    /// The machine's word.
    pub fn failure(self) -> ImageFailure {
        match self {
            ImageReason::ErrImagePull => ImageFailure::ErrImagePull,
            ImageReason::ErrImageNeverPull => ImageFailure::ErrImageNeverPull,
            ImageReason::InvalidImageName => ImageFailure::InvalidImageName,
            ImageReason::ImageInspectError => ImageFailure::ImageInspectError,
        }
    }
}
