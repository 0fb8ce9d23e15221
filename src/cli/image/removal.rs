//! `podlet image rm`. An image that a pod uses stays.

use clap::Args;

use super::super::ask::kept_failure;
use super::super::{Caller, Failure};
use super::records_of;
use crate::image::{Reference, Store};
use crate::paths::Paths;
use crate::supervisor::kept;

/// The words of `image rm`.
#[derive(Args, Debug)]
pub struct Words {
    /// Names or IDs; an ID means all its names.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Removes them; what cannot be removed is told, and the others are removed all the same.
pub fn run(words: &Words, store: &Store, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let mut failed = false;
    for word in &words.images {
        let in_use = images_in_use(&caller.paths, store)?;
        let mut names: Vec<String> = records_of(word, store)?.into_iter().map(|record| record.name).collect();
        if names.is_empty() {
            // A name that is none, or that is not there: the store says which.
            names.push(word.clone());
        }
        for name in names {
            match store.remove(&name, &in_use) {
                Ok(removed) => {
                    let and = removed.deleted.map(|id| format!(", with its files ({id})")).unwrap_or_default();
                    caller.print(&format!("{} removed{and}\n", removed.name))?;
                }
                Err(error) => {
                    caller.notice(&format!("error: {error}"));
                    failed = true;
                }
            }
        }
    }
    if failed { Err(Failure::Told) } else { Ok(0) }
}

/// IDs of the images of all pods that have not ended: those that their status names, and those that a container yet to be
/// started will find under the names in the manifest.
pub fn images_in_use(paths: &Paths, store: &Store) -> Result<Vec<String>, Failure> {
    let records = store.list().map_err(|error| Failure::Error(error.to_string()))?;
    let mut ids = Vec::new();
    for claim in kept::list(paths, None).map_err(|error| kept_failure(&error))? {
        let Some(seen) = kept::see(paths, &claim.uid).map_err(|error| kept_failure(&error))? else { continue };
        if seen.standing == kept::Standing::Ended {
            continue;
        }
        let status = seen.pod.status.iter();
        let containers =
            status.flat_map(|status| status.init_container_statuses.iter().chain(&status.container_statuses).flatten());
        ids.extend(containers.map(|container| container.image_id.clone()).filter(|id| !id.is_empty()));
        let spec = seen.pod.spec.iter();
        let containers = spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
        for image in containers.filter_map(|container| container.image.as_deref()) {
            let Ok(reference) = Reference::parse(image) else { continue };
            let name = reference.to_string();
            ids.extend(records.iter().filter(|record| record.name == name).map(|record| record.id.to_string()));
        }
    }
    Ok(ids)
}
