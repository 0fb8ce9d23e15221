//! `podlet image`: fills and looks at the image store.

mod archive;
mod bars;
mod import;
pub mod listing;
mod names;
mod pull;
pub mod removal;

use clap::Subcommand;

use super::everywhere::Everywhere;
use super::{Caller, Failure, config};
use crate::config::Images;
use crate::image::{Record, Reference, Store};
use crate::linux::privilege::Work;

/// The words of `image`.
#[derive(Subcommand, Debug)]
pub enum Words {
    /// Fetch images from their registries into the store.
    #[command(after_help = "\
Examples:
  podlet image pull busybox:1.36
  podlet image pull registry.example:5000/team/app@sha256:… --authfile=auth.json
  podlet image pull --tls-verify=false 127.0.0.1:5000/app:1")]
    Pull(pull::Words),
    /// Take an image into the store from a directory, a tar file, an OCI layout or a docker save archive.
    #[command(after_help = "\
Examples:
  podlet image import busybox.tar localhost/busybox:1
  podlet image import ./rootfs localhost/mine:1 --entrypoint=/bin/app -u 1000
  docker save web:3 | podlet image import -
  podlet image import ./oci-layout")]
    Import(import::Words),
    /// Take all images of an archive or OCI layout into the store, under the names that they have there.
    #[command(after_help = "\
Examples:
  podlet image load -i images.tar
  docker save web:3 db:1 | podlet image load
  podlet image load ./oci-layout")]
    Load(archive::Load),
    /// Write images into an archive that podlet, podman and Docker load.
    #[command(after_help = "\
Examples:
  podlet image save -o images.tar busybox:1 localhost/mine:1
  podlet image save localhost/mine:1 | podman load
  podlet image save --format=oci-dir -o ./layout localhost/mine:1")]
    Save(archive::Save),
    /// Give an image further names.
    #[command(after_help = "Examples:\n  podlet image tag busybox:1 localhost/shell:stable")]
    Tag(names::Tag),
    /// Remove what no name leads to, or all images that no pod uses.
    #[command(after_help = "Examples:\n  podlet image prune\n  podlet image prune --all")]
    Prune(names::PruneWords),
    /// List the images of the store.
    #[command(visible_alias = "list", after_help = "Examples:\n  podlet image ls\n  podlet image ls -o json")]
    Ls(listing::Ls),
    /// Remove images from the store.
    #[command(visible_alias = "remove", after_help = "Examples:\n  podlet image rm localhost/busybox:1")]
    Rm(removal::Words),
    /// Show all that the store knows of an image.
    #[command(after_help = "\
Examples:
  podlet image inspect podlet.local/actor
  podlet image inspect busybox:1 -o jsonpath='{.repoDigest}'")]
    Inspect(listing::Inspect),
}

/// Does it.
pub fn run(words: Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let work = match &words {
        Words::Pull(_)
        | Words::Import(_)
        | Words::Load(_)
        | Words::Save(_)
        | Words::Tag(_)
        | Words::Prune(_)
        | Words::Rm(_) => Work::Images,
        Words::Ls(_) | Words::Inspect(_) => Work::State,
    };
    super::require(work, caller)?;
    let store = Store::open(&caller.paths.images());
    match words {
        Words::Pull(words) => pull::run(words, &store, &images(everywhere, caller)?, caller),
        Words::Import(words) => import::run(words, &store, &images(everywhere, caller)?, caller),
        Words::Load(words) => archive::load(words, &store, &images(everywhere, caller)?, caller),
        Words::Save(words) => archive::save(&words, &store, caller),
        Words::Tag(words) => names::tag(&words, &store, caller),
        Words::Prune(words) => names::prune(&words, &store, caller),
        Words::Ls(words) => listing::list(&words, &store, caller),
        Words::Rm(words) => removal::run(&words, &store, caller),
        Words::Inspect(words) => listing::inspect(&words, &store, caller),
    }
}

/// What the machine's settings say of images that come in.
fn images(everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<Images, Failure> {
    Ok(config::load(None, everywhere, caller)?.images)
}

/// The records that a word means: those of a name, else all names of the image with that ID or the beginning of one.
fn records_of(word: &str, store: &Store) -> Result<Vec<Record>, Failure> {
    let all = store.list().map_err(|error| Failure::Error(error.to_string()))?;
    if let Ok(reference) = Reference::parse(word) {
        let name = reference.to_string();
        let named: Vec<Record> = all.iter().filter(|record| record.name == name).cloned().collect();
        if !named.is_empty() {
            return Ok(named);
        }
    }
    let hex = word.strip_prefix("sha256:").unwrap_or(word);
    if hex.is_empty() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Vec::new());
    }
    let found: Vec<Record> = all.into_iter().filter(|record| record.id.hex().starts_with(hex)).collect();
    if found.windows(2).any(|pair| matches!(pair, [a, b] if a.id != b.id)) {
        return Err(Failure::Error(format!("{word:?} is the beginning of several image IDs; give more of it")));
    }
    Ok(found)
}
