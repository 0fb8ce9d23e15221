//! `podlet config view`: the machine's settings, each with where it comes from; and the settings as other verbs need them.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::everywhere::Everywhere;
use super::files::render;
use super::print::table::{self, Shape, Table, columns};
use super::{Caller, Failure, check_output, choices, print};
use crate::config::{Config, Error, Overrides, Place, Row};
use crate::linux::container::SeccompDefault;
use crate::manifest::settings::{API_VERSION, KIND};

/// The words of `config`.
#[derive(Subcommand, Debug)]
pub enum Words {
    /// Print the settings that hold, each with where it comes from.
    View(View),
}

/// The words of `config view`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet config view          each value: default, file:line, flag or
                              environment
  podlet config view -o yaml  a settings file with all of them
  podlet config view --seccomp-default=Unconfined

Settings are read from /etc/podlet/config.yaml (PODLET_CONFIG names another file), a KubeletConfiguration. A pod \
keeps those with which it was set going until the machine is started anew. --sleep-after is what apply and up \
do without that flag: after so long without anything to do a pod's supervisor ends, and the next event starts \
it again; nobody who follows the pod notices.")]
pub struct View {
    /// yaml or json.
    #[arg(short, long, value_name = "json|yaml")]
    pub output: Option<String>,
    /// As at apply and up.
    #[arg(long, value_name = "PROFILE")]
    pub seccomp_default: Option<SeccompDefault>,
}

/// The settings that hold for what is done now; what is wrong with the file is told.
pub fn load(
    seccomp_default: Option<SeccompDefault>,
    everywhere: &Everywhere,
    caller: &mut Caller<'_>,
) -> Result<Config, Failure> {
    let overrides = Overrides { seccomp_default, verbosity: everywhere.level_number() };
    match Config::load(&Place::from_environment(), &overrides) {
        Ok(config) => Ok(config),
        Err(Error::Unreadable { path, source }) => {
            Err(Failure::Error(format!("could not read the settings {}: {source}", path.display())))
        }
        Err(Error::Wrong(diagnostics)) => {
            let colour = caller.colour && caller.err_terminal;
            diagnostics.iter().for_each(|one| caller.notice(&render(one, colour)));
            Err(Failure::Told)
        }
    }
}

/// Shows them.
pub fn run(words: Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let Words::View(words) = words;
    let output = words.output.as_deref().unwrap_or_default();
    check_output(output, &["json", "yaml"])?;
    let config = load(words.seccomp_default, everywhere, caller)?;
    config.notices.iter().for_each(|text| caller.notice(&format!("Note: {text}")));
    let rows = config.rows();
    match output {
        "json" => {
            let origins: Map<String, Value> =
                rows.iter().map(|row| (row.path.to_owned(), json!(row.origin.to_string()))).collect();
            // The outer name is that of the kubelet's own answer, /configz.
            print::json(&json!({ "kubeletconfig": configuration(&rows), "origins": origins }), caller.out)?;
        }
        "yaml" => caller.print(&page(&rows)?)?,
        _ => {
            let cells = |row: &Row| vec![row.path.to_owned(), word(&row.value), row.origin.to_string()];
            // No setting of a kubelet's, so not in what it could read.
            let (after, origin) = choices::sleep_after();
            let sleep = vec!["--sleep-after".to_owned(), after, origin.to_owned()];
            let rows = rows.iter().map(cells).chain([sleep]);
            let rows = rows.map(|cells| table::Row { cells, ..table::Row::default() }).collect();
            let table = Table { columns: columns(&["SETTING", "VALUE", "ORIGIN"], &[]), rows };
            caller.print(&table.print(&Shape::default()))?;
        }
    }
    Ok(0)
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A KubeletConfiguration with these values.
fn configuration(rows: &[Row]) -> Value {
    let mut whole = Map::new();
    whole.insert("apiVersion".to_owned(), json!(API_VERSION));
    whole.insert("kind".to_owned(), json!(KIND));
    rows.iter().for_each(|row| put(&mut whole, row.path, &row.value));
    Value::Object(whole)
}

/// Puts a value at its path, making what leads there.
fn put(object: &mut Map<String, Value>, path: &str, value: &Value) {
    match path.split_once('.') {
        None => drop(object.insert(path.to_owned(), value.clone())),
        Some((name, rest)) => {
            if let Value::Object(inner) = object.entry(name).or_insert_with(|| json!({})) {
                put(inner, rest, value);
            }
        }
    }
}

/// The same as a file that podlet reads, with the origins as comments.
fn page(rows: &[Row]) -> Result<String, Failure> {
    let mut yaml = Vec::new();
    print::own_yaml(&configuration(rows), &mut yaml)?;
    let mut text = String::new();
    for line in String::from_utf8_lossy(&yaml).lines() {
        let name = line.trim_start().split(':').next().unwrap_or_default();
        let row = rows.iter().find(|row| row.path.rsplit('.').next() == Some(name));
        match row {
            Some(row) => text.push_str(&format!("{line} # {}\n", row.origin)),
            None => text.push_str(&format!("{line}\n")),
        }
    }
    Ok(text)
}
