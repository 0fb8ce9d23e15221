//! A description as it is written: lines at a level, labels and values with a tab between them, put in columns at the end.

use std::collections::BTreeMap;
use std::fmt::Display;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::cli::print::columns::{DESCRIPTION, align, escape};

/// Longer annotations are cut.
const LONGEST_ANNOTATION: usize = 140;
/// What `kubectl apply` keeps for itself is not shown.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The description so far.
pub struct Page {
    text: String,
}

impl Page {
    /// An empty one.
    pub fn new() -> Page {
        Page { text: String::new() }
    }

    /// The text in columns.
    pub fn finish(self) -> String {
        align(&self.text, DESCRIPTION)
    }

    /// A line (or several) whose first begins two blanks a level from the left.
    pub fn line(&mut self, level: usize, text: impl Display) {
        let text = escape(&text.to_string());
        self.text.extend(std::iter::repeat_n("  ", level));
        self.text.push_str(&text);
        self.text.push('\n');
    }

    /// `Label:<tab>value`.
    pub fn field(&mut self, level: usize, label: &str, value: impl Display) {
        self.line(level, format_args!("{label}:\t{value}"));
    }

    /// The same, left out when there is no value.
    pub fn field_if(&mut self, level: usize, label: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            self.field(level, label, value);
        }
    }

    /// `Label:<tab>value`, and further values beneath the first. kubectl indents each piece by the level, the value within
    /// its line, too.
    pub fn list(&mut self, level: usize, label: &str, values: impl Iterator<Item = String>) {
        let indent = "  ".repeat(level);
        let mut head = format!("{label}:\t");
        let mut empty = true;
        for value in values {
            self.line(level, format_args!("{head}{indent}{value}"));
            head = format!("{indent}\t");
            empty = false;
        }
        if empty {
            self.line(level, format_args!("{head}<none>"));
        }
    }

    /// Labels or selectors, `key=value` each on its line.
    pub fn map(&mut self, level: usize, label: &str, map: Option<&BTreeMap<String, String>>) {
        self.list(level, label, map.into_iter().flatten().map(|(key, value)| format!("{key}={value}")));
    }

    /// Annotations: `key: value`; what is long or has several lines stands beneath its key, cut to a length.
    pub fn annotations(&mut self, level: usize, annotations: Option<&BTreeMap<String, String>>) {
        let indent = "  ".repeat(level);
        let mut head = "Annotations:\t".to_owned();
        let mut empty = true;
        for (key, value) in annotations.into_iter().flatten().filter(|(key, _)| *key != LAST_APPLIED) {
            let value = value.strip_suffix('\n').unwrap_or(value);
            if value.len() + key.len() + 2 <= LONGEST_ANNOTATION && !value.contains('\n') {
                self.line(level, format_args!("{head}{indent}{key}: {value}"));
            } else {
                self.line(level, format_args!("{head}{indent}{key}:"));
                for line in value.split('\n') {
                    self.line(level, format_args!("\t  {}", shorten(line, LONGEST_ANNOTATION - 2)));
                }
            }
            "\t".clone_into(&mut head);
            empty = false;
        }
        if empty {
            self.line(level, format_args!("{head}<none>"));
        }
    }
}

/// At most so many bytes, with dots when something was cut. kubectl cuts within characters; here the cut is before one.
pub fn shorten(text: &str, length: usize) -> String {
    if text.len() <= length {
        return text.to_owned();
    }
    let cut = (0..=length).rev().find_map(|end| text.get(..end));
    format!("{}...", cut.unwrap_or_default())
}

/// A label selector in its written form.
pub fn selector(selector: &LabelSelector) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (key, value) in selector.match_labels.iter().flatten() {
        parts.push(format!("{key}={value}"));
    }
    for expression in selector.match_expressions.iter().flatten() {
        let values = || {
            let mut values = expression.values.clone().unwrap_or_default();
            values.sort();
            values.join(",")
        };
        let key = &expression.key;
        parts.push(match expression.operator.as_str() {
            "In" => format!("{key} in ({})", values()),
            "NotIn" => format!("{key} notin ({})", values()),
            "Exists" => key.clone(),
            "DoesNotExist" => format!("!{key}"),
            _ => "<error>".to_owned(),
        });
    }
    // The written form is in the order of keys.
    parts.sort_by(|a, b| key_of(a).cmp(key_of(b)));
    if parts.is_empty() { "<none>".to_owned() } else { parts.join(",") }
}

fn key_of(requirement: &str) -> &str {
    requirement.trim_start_matches('!').split(['=', ' ']).next().unwrap_or_default()
}
