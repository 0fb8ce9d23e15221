//! `podlet api-resources`: the kinds of objects that podlet keeps, in kubectl's table.

use clap::Args;

use super::print::table::{Row, Shape, Table, columns};
use super::resource::Kind;
use super::{Caller, Failure};

/// The words of `api-resources`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet api-resources
  podlet api-resources -o name")]
pub struct Words {
    /// name or wide.
    #[arg(short, long, value_name = "name|wide")]
    pub output: Option<String>,
    /// Without the line of headings.
    #[arg(long)]
    pub no_headers: bool,
    /// name or kind.
    #[arg(long, value_name = "FIELD")]
    pub sort_by: Option<String>,
    /// Those that have all of these verbs.
    #[arg(long, value_name = "VERB", value_delimiter = ',')]
    pub verbs: Vec<String>,
    /// Those of all of these categories.
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',')]
    pub categories: Vec<String>,
    /// Those of this group; all are of the one without a name.
    #[arg(long, value_name = "GROUP")]
    pub api_group: Option<String>,
    /// Those that belong to a namespace, which all do; with =false those that do not.
    #[arg(long, value_name = "TRUTH", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub namespaced: Option<bool>,
}

/// What can be done with objects of a kind.
fn verbs(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "get,list,watch",
        Kind::ConfigMap | Kind::Pod | Kind::Secret => "create,delete,get,list,patch,update,watch",
    }
}

fn categories(kind: Kind) -> &'static str {
    if kind == Kind::Pod { "all" } else { "" }
}

impl Words {
    fn takes(&self, kind: Kind) -> bool {
        let has = |list: &str, wanted: &[String]| wanted.iter().all(|word| list.split(',').any(|one| one == word));
        has(verbs(kind), &self.verbs)
            && has(categories(kind), &self.categories)
            && self.api_group.as_deref().is_none_or(str::is_empty)
            && self.namespaced != Some(false)
    }
}

/// Lists.
pub fn run(words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = words.output.as_deref().unwrap_or_default();
    if !matches!(output, "" | "name" | "wide") {
        return Err(Failure::Error(format!("--output {output} is not available")));
    }
    let mut kinds = vec![Kind::ConfigMap, Kind::Event, Kind::Pod, Kind::Secret];
    kinds.retain(|kind| words.takes(*kind));
    match words.sort_by.as_deref().unwrap_or_default() {
        "" | "name" => {}
        "kind" => kinds.sort_by_key(|kind| kind.name()),
        _ => return Err(Failure::error("--sort-by accepts only name or kind")),
    }
    if output == "name" {
        for kind in kinds {
            caller.print(&format!("{}\n", kind.plural()))?;
        }
        return Ok(0);
    }
    let row = |kind: &Kind| {
        let cells = [kind.plural(), kind.short(), "v1", "true", kind.name(), verbs(*kind), categories(*kind)];
        Row { cells: cells.iter().map(|cell| (*cell).to_owned()).collect(), ..Row::default() }
    };
    let table = Table {
        columns: columns(&["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"], &["VERBS", "CATEGORIES"]),
        rows: kinds.iter().map(row).collect(),
    };
    let shape = Shape { wide: output == "wide", no_headers: words.no_headers, ..Shape::default() };
    caller.print(&table.print(&shape))?;
    Ok(0)
}
