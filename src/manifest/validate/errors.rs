//! The list that validation adds to, with one short method for each kind of field error.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use std::collections::BTreeMap;

use super::names::{self, Messages};
use crate::manifest::field::{FieldError, FieldPath, Shown};

/// How much text the errors of one object may hold; nobody reads more, and an object made to hurt could ask for
/// gigabytes (a whole list is shown for each of its bad entries).
const TEXT_MAX: usize = 1024 * 1024;

/// Errors in the order in which the API server finds them.
#[derive(Debug, Default)]
pub struct Errors {
    list: Vec<FieldError>,
    text: usize,
    /// How many were found, those that are not told any more among them.
    found: usize,
}

impl Errors {
    /// How many were found; lets a caller see whether a part added any.
    pub fn count(&self) -> usize {
        self.found
    }

    /// One more; it is not even made when it will not be told.
    pub fn add(&mut self, error: impl FnOnce() -> FieldError) {
        self.found += 1;
        if !self.is_full() {
            let error = error();
            self.text += error.size();
            self.list.push(error);
        }
    }

    /// Whether no more are told; asked before what is costly to say.
    pub fn is_full(&self) -> bool {
        self.text >= TEXT_MAX
    }

    /// All that are told.
    pub fn into_list(self) -> Vec<FieldError> {
        self.list
    }

    /// A value is missing.
    pub fn required(&mut self, path: &FieldPath, detail: &str) {
        self.add(|| FieldError::required(path, detail));
    }

    /// A text that must not be empty; says whether it is there.
    pub fn require_text(&mut self, path: &FieldPath, text: &str) -> bool {
        if text.is_empty() {
            self.required(path, "");
        }
        !text.is_empty()
    }

    /// A value is malformed or out of range.
    pub fn invalid(&mut self, path: &FieldPath, value: impl Into<Shown>, detail: impl Into<String>) {
        self.add(|| FieldError::invalid(path, value, detail));
    }

    /// Each of the messages about a text.
    pub fn each(&mut self, path: &FieldPath, value: &str, messages: Messages) {
        for message in messages {
            self.invalid(path, value, message);
        }
    }

    /// Each of the messages about a number.
    pub fn each_number(&mut self, path: &FieldPath, value: i64, messages: Messages) {
        for message in messages {
            self.invalid(path, value, message);
        }
    }

    /// A value may not be given here.
    pub fn forbidden(&mut self, path: &FieldPath, detail: impl Into<String>) {
        self.add(|| FieldError::forbidden(path, detail));
    }

    /// A value that must be unique is not.
    pub fn duplicate(&mut self, path: &FieldPath, value: impl Into<Shown>) {
        self.add(|| FieldError::duplicate(path, value));
    }

    /// A name that refers to nothing.
    pub fn not_found(&mut self, path: &FieldPath, value: impl Into<Shown>) {
        self.add(|| FieldError::not_found(path, value));
    }

    /// A value of an enumeration (a named string type in the API, so shown as JSON) that is not in the list.
    pub fn one_of(&mut self, path: &FieldPath, value: &str, supported: &[&str]) {
        if !supported.contains(&value) {
            self.add(|| FieldError::not_supported(path, Shown::json(&value), supported));
        }
    }

    /// The same, where nothing at all is a missing value.
    pub fn required_one_of(&mut self, path: &FieldPath, value: Option<&str>, supported: &[&str]) {
        match value.unwrap_or_default() {
            "" => self.required(path, ""),
            value => self.one_of(path, value, supported),
        }
    }

    /// A plain text that is not in the list.
    pub fn text_not_supported(&mut self, path: &FieldPath, value: &str, supported: &[&str]) {
        self.add(|| FieldError::not_supported(path, value, supported));
    }

    /// A value is too long.
    pub fn too_long(&mut self, path: &FieldPath, max: usize) {
        self.add(|| FieldError::too_long(path, max));
    }

    /// A list has too many entries.
    pub fn too_many(&mut self, path: &FieldPath, actual: usize, max: usize) {
        self.add(|| FieldError::too_many(path, actual, max));
    }

    /// A number that must not be negative.
    pub fn not_negative(&mut self, path: &FieldPath, value: i64) {
        if value < 0 {
            self.invalid(path, value, "must be greater than or equal to 0");
        }
    }

    /// A file mode.
    pub fn mode(&mut self, path: &FieldPath, mode: Option<i32>) {
        if let Some(mode) = mode
            && !(0..=0o777).contains(&mode)
        {
            self.invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive");
        }
    }

    /// Labels: keys and values, all at one path.
    pub fn labels(&mut self, path: &FieldPath, labels: Option<&BTreeMap<String, String>>) {
        for (key, value) in labels.into_iter().flatten() {
            self.each(path, key, names::qualified_name(key));
            self.each(path, value, names::label_value(value));
        }
    }

    /// A label selector (`metav1.LabelSelector`).
    pub fn label_selector(&mut self, path: &FieldPath, selector: Option<&LabelSelector>) {
        let Some(selector) = selector else { return };
        self.labels(&path.child("matchLabels"), selector.match_labels.as_ref());
        let expressions = path.child("matchExpressions");
        for (i, requirement) in selector.match_expressions.iter().flatten().enumerate() {
            let path = expressions.index(i);
            let values = requirement.values.as_deref().unwrap_or_default();
            match requirement.operator.as_str() {
                "In" | "NotIn" if values.is_empty() => {
                    self.required(&path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
                }
                "Exists" | "DoesNotExist" if !values.is_empty() => self.forbidden(
                    &path.child("values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ),
                "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
                other => {
                    self.invalid(&path.child("operator"), Shown::json(&other), "not a valid selector operator");
                }
            }
            self.each(&path.child("key"), &requirement.key, names::qualified_name(&requirement.key));
            self.label_values(&path.child("values"), values);
        }
    }

    /// Label values in a list, each at its index.
    pub fn label_values(&mut self, path: &FieldPath, values: &[String]) {
        for (i, value) in values.iter().enumerate() {
            self.each(&path.index(i), value, names::label_value(value));
        }
    }
}
