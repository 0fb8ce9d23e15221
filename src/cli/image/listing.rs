//! `podlet image ls` and `podlet image inspect`.

use clap::Args;
use serde_json::{Value, json};

use super::super::output::{Output, TemplateWords};
use super::super::print::table::{Row, Shape, Table, columns};
use super::super::{Caller, Failure, print};
use super::records_of;
use crate::image::{ImageError, Record, Store};

/// The words of `image ls`.
#[derive(Args, Debug)]
pub struct Ls {
    /// wide, json, yaml, name or jsonpath=TEMPLATE.
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// Names only.
    #[arg(short, long, conflicts_with = "output")]
    quiet: bool,
    /// Without the line of headings.
    #[arg(long)]
    no_headers: bool,
}

/// The words of `image inspect`.
#[derive(Args, Debug)]
pub struct Inspect {
    /// Names or IDs.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// json, yaml, jsonpath=TEMPLATE or jsonpath-as-json=TEMPLATE.
    #[arg(short, long, value_name = "FORMAT", default_value = "json")]
    output: String,
    /// A Go template, as podman and Docker have it: podlet names what takes its place.
    #[arg(short, long, value_name = "TEMPLATE", hide = true)]
    format: Option<String>,
}

fn failure(error: &ImageError) -> Failure {
    Failure::Error(error.to_string())
}

/// Lists.
pub fn list(words: &Ls, store: &Store, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let formats = ["json", "jsonpath", "jsonpath-as-json", "name", "wide", "yaml"];
    let word = if words.quiet { "name" } else { words.output.as_deref().unwrap_or_default() };
    let output = read_output(word, &formats)?;
    let records = store.list().map_err(|error| failure(&error))?;
    match &output {
        Output::Json | Output::Yaml | Output::JsonPath(..) => show(&json!({ "images": records }), &output, caller)?,
        Output::Name => records.iter().try_for_each(|record| caller.print(&format!("{}\n", record.name)))?,
        _ if records.is_empty() => caller.notice("No images in the store."),
        _ => {
            let rows = records.iter().map(|record| row(record, caller)).collect();
            let table = Table { columns: columns(&["IMAGE", "TAG", "IMAGE ID", "AGE", "SIZE"], &["SOURCE"]), rows };
            let shape = Shape { wide: output == Output::Wide, no_headers: words.no_headers, ..Shape::default() };
            caller.print(&table.print(&shape))?;
        }
    }
    Ok(0)
}

fn row(record: &Record, caller: &Caller<'_>) -> Row {
    /// As many digits of an ID as tell images apart, as crictl shows them.
    const DIGITS: usize = 13;
    let (repository, tag) = match record.reference() {
        Ok(reference) => (reference.repository(), reference.tag.or(reference.digest).unwrap_or_default()),
        Err(_) => (record.name.clone(), String::new()),
    };
    let age = match record.imported.parse::<jiff::Timestamp>() {
        Ok(imported) => print::age::human(caller.now().duration_since(imported).as_secs()),
        Err(_) => "<unknown>".to_owned(),
    };
    let id = record.id.hex().get(..DIGITS).unwrap_or_default().to_owned();
    Row { cells: vec![repository, tag, id, age, size(record.size), record.source.clone()], ..Row::default() }
}

/// Three digits and a decimal unit: `4.27MB`, as container tools print sizes.
pub fn size(bytes: u64) -> String {
    let mut unit = "B";
    let mut worth = 1u64;
    for (next, scale) in [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)] {
        if bytes >= scale {
            (unit, worth) = (next, scale);
        }
    }
    let whole = bytes / worth;
    let hundredths = bytes % worth * 100 / worth;
    match whole {
        _ if worth == 1 => format!("{bytes}B"),
        0..=9 => format!("{whole}.{hundredths:02}{unit}"),
        10..=99 => format!("{whole}.{}{unit}", hundredths / 10),
        _ => format!("{whole}{unit}"),
    }
}

/// Shows all that is known. A built-in image is made for it when it was not used before.
pub fn inspect(words: &Inspect, store: &Store, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    if words.format.is_some() {
        return Err(Failure::Error(
            "podlet has no Go templates; -o jsonpath='{.configuration.config.Labels}' prints a part of what \
             `podlet image inspect` shows"
                .to_owned(),
        ));
    }
    let output = read_output(&words.output, &["json", "jsonpath", "jsonpath-as-json", "yaml"])?;
    let mut shown = Vec::new();
    let mut failed = Vec::new();
    for word in &words.images {
        let name = records_of(word, store)?.first().map_or_else(|| word.clone(), |record| record.name.clone());
        match store.inspect(&name) {
            Ok(inspection) => shown.push(serde_json::to_value(&inspection).unwrap_or_default()),
            Err(error) => failed.push(error),
        }
    }
    if let (1, Some(one)) = (words.images.len(), shown.first()) {
        show(one, &output, caller)?;
    } else if !shown.is_empty() {
        show(&json!({ "images": shown }), &output, caller)?;
    }
    failed.iter().for_each(|error| caller.notice(&format!("error: {error}")));
    if failed.is_empty() { Ok(0) } else { Err(Failure::Told) }
}

fn show(value: &Value, output: &Output, caller: &mut Caller<'_>) -> Result<(), Failure> {
    match output {
        Output::Yaml => print::own_yaml(value, caller.out)?,
        Output::JsonPath(template, form) => template.print(value, *form, caller.out)?.map_err(Failure::Error)?,
        _ => print::json(value, caller.out)?,
    }
    Ok(())
}

/// One of these, which are not all that `get` has.
fn read_output(word: &str, formats: &[&str]) -> Result<Output, Failure> {
    let format = word.split('=').next().unwrap_or_default().to_lowercase();
    if !format.is_empty() && !formats.contains(&format.as_str()) {
        return Err(Failure::no_printer(word, formats));
    }
    Output::parse(Some(word), &TemplateWords::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1_000, "1.00kB"),
            (4_278_000, "4.27MB"),
            (42_780_000, "42.7MB"),
            (427_800_000, "427MB"),
            (1_999_999_999, "1.99GB"),
            (u64::MAX, "18446744TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
