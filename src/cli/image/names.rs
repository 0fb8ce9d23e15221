//! `podlet image tag` and `podlet image prune`.

use clap::Args;

use super::super::{Caller, Failure};
use super::listing::size;
use super::records_of;
use super::removal::images_in_use;
use crate::image::{Prune, Store};

/// The words of `image tag`.
#[derive(Args, Debug)]
pub struct Tag {
    /// A name or an ID.
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Further names for it.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

/// The words of `image prune`.
#[derive(Args, Debug)]
pub struct PruneWords {
    /// All images that no pod uses, and not only what no name leads to.
    #[arg(short, long)]
    all: bool,
    /// Asks nothing; podlet never asks.
    #[arg(short, long, hide = true)]
    force: bool,
}

/// Gives further names.
pub fn tag(words: &Tag, store: &Store, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let found = records_of(&words.image, store)?;
    let image = found.first().map_or_else(|| words.image.clone(), |record| record.name.clone());
    for name in &words.names {
        let record = store.tag(&image, name).map_err(|error| Failure::Error(error.to_string()))?;
        caller.print(&format!("{} tagged\n", record.name))?;
    }
    Ok(0)
}

/// Removes what nobody needs.
pub fn prune(words: &PruneWords, store: &Store, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let in_use = images_in_use(&caller.paths, store)?;
    let which = if words.all { Prune::Unused } else { Prune::Nameless };
    let (names, bytes) = store.prune(which, &in_use).map_err(|error| Failure::Error(error.to_string()))?;
    for name in names {
        caller.print(&format!("{name} removed\n"))?;
    }
    caller.print(&format!("{} reclaimed\n", size(bytes)))?;
    Ok(0)
}
