//! A table as the API server would send it, and how kubectl prints it: columns, those of `-o wide`, labels, namespace, kind.

use std::collections::BTreeMap;

use super::columns::{self, TABLE, Widths, align_after, escape};

/// A table of objects of one kind.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Headings; those that only `-o wide` shows are marked.
    pub columns: Vec<Column>,
    /// A row an object.
    pub rows: Vec<Row>,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// As printed.
    pub heading: &'static str,
    /// Only with `-o wide`.
    pub wide: bool,
}

/// One object's row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// A text a column.
    pub cells: Vec<String>,
}

/// What of the table is printed.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// What has become of the objects, in a column of its own (`--output-watch-events`).
    pub event: Option<&'static str>,
    /// `-o wide`.
    pub wide: bool,
    /// Without headings.
    pub no_headers: bool,
    /// `-A`.
    pub namespace: bool,
    /// `pod/` before names, when several kinds are listed.
    pub kind: Option<&'static str>,
    /// `-L`.
    pub label_columns: Vec<String>,
    /// `--show-labels`.
    pub show_labels: bool,
}

/// Columns from their headings; those from `wide` on are for `-o wide`.
pub fn columns(narrow: &[&'static str], wide: &[&'static str]) -> Vec<Column> {
    let column = |wide| move |heading: &&'static str| Column { heading, wide };
    narrow.iter().map(column(false)).chain(wide.iter().map(column(true))).collect()
}

impl Table {
    /// The table as text; nothing when it has no rows.
    pub fn print(&self, shape: &Shape) -> String {
        self.print_after(shape, &mut Widths::new())
    }

    /// A further piece of a table (`get -w`).
    pub fn print_after(&self, shape: &Shape, earlier: &mut Widths) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut text = String::new();
        if !shape.no_headers {
            let mut cells: Vec<String> = Vec::new();
            cells.extend(shape.event.map(|_| "EVENT".to_owned()));
            cells.extend(shape.namespace.then(|| "NAMESPACE".to_owned()));
            cells.extend(self.columns.iter().filter(|c| shape.wide || !c.wide).map(|c| c.heading.to_owned()));
            // kubectl's heading of a label column is the label's last part.
            let last_part = |label: &String| label.rsplit('/').next().unwrap_or_default().to_uppercase();
            cells.extend(shape.label_columns.iter().map(last_part));
            cells.extend(shape.show_labels.then(|| "LABELS".to_owned()));
            text.push_str(&cells.join("\t"));
            text.push('\n');
        }
        for row in &self.rows {
            text.push_str(&row.cells_of(&self.columns, shape).join("\t"));
            text.push('\n');
        }
        align_after(&text, TABLE, earlier)
    }
}

impl Row {
    fn cells_of(&self, columns: &[Column], shape: &Shape) -> Vec<String> {
        let mut cells = Vec::new();
        cells.extend(shape.event.map(str::to_owned));
        cells.extend(shape.namespace.then(|| self.namespace.clone()));
        for (column, cell) in columns.iter().zip(&self.cells).filter(|(column, _)| shape.wide || !column.wide) {
            let prefix = shape.kind.filter(|_| column.heading == "NAME").map(|kind| format!("{kind}/"));
            cells.push(prefix.unwrap_or_default() + &first_line(cell));
        }
        for label in &shape.label_columns {
            cells.push(self.labels.get(label).cloned().unwrap_or_default());
        }
        if shape.show_labels {
            cells.push(labels(&self.labels));
        }
        cells
    }
}

/// `a=b,c=d`, or `<none>`.
pub fn labels(labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return "<none>".to_owned();
    }
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// A cell is one line: what follows is cut off.
fn first_line(cell: &str) -> String {
    match cell.find(['\u{c}', '\n', '\r']) {
        Some(end) => format!("{}...", escape(cell.get(..end).unwrap_or_default())),
        None => columns::escape(cell),
    }
}
