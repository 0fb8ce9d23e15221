//! Files of one volume that lie at the same place, or one within another.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use k8s_openapi::api::core::v1::{KeyToPath, ProjectedVolumeSource, Volume, VolumeProjection};

use super::Warnings;
use crate::manifest::field::quote;

/// How many pairs of one volume are looked for; more than that are told by nobody.
const PAIRS_MAX: usize = 10_000;

/// The warnings about one volume.
pub fn overlapping_paths(warnings: &mut Warnings, volume: &Volume) {
    let keys = |items: &Option<Vec<KeyToPath>>| -> Vec<Item> {
        items.iter().flatten().map(|item| Item::new(&item.path, "")).collect()
    };
    let mut lists = Vec::new();
    if let Some(map) = &volume.config_map {
        lists.push((format!("ConfigMap {}", quote(&map.name)), keys(&map.items)));
    }
    if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        lists.push((format!("Secret {}", quote(name)), keys(&secret.items)));
    }
    if let Some(downward) = &volume.downward_api {
        let items = downward.items.iter().flatten().map(|file| Item::new(&file.path, "")).collect();
        lists.push(("DownwardAPI".into(), items));
    }
    for (description, items) in lists {
        let pairs = overlaps(&items);
        (0..items.len()).for_each(|index| told(warnings, &volume.name, &description, &items, &pairs, index));
    }
    if let Some(projected) = &volume.projected {
        projected_paths(warnings, &volume.name, projected);
    }
}

/// A file of a volume and, in projected ones, where it comes from.
struct Item {
    path: String,
    source: String,
}

impl Item {
    fn new(path: &str, source: &str) -> Self {
        Self { path: path.trim_end_matches('/').into(), source: source.into() }
    }

    /// Whether it is `other`, or `other` lies within it.
    fn holds(&self, other: &Item) -> bool {
        other.path.strip_prefix(&*self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.path))?;
        if self.source.is_empty() { Ok(()) } else { write!(f, " ({})", self.source) }
    }
}

/// For each item the earlier ones that it clashes with, both by index.
///
/// In the order of their parts, whatever lies within a path comes right behind it; so one walk with the paths that are
/// open at each place finds all pairs, where comparing each with each would take the square of the time.
fn overlaps(items: &[Item]) -> BTreeMap<usize, Vec<usize>> {
    let mut order: Vec<usize> = (0..items.len()).filter(|index| !items[*index].path.is_empty()).collect();
    // A slash sorts before all that can stand in its place.
    let parts = |index: &usize| items[*index].path.bytes().map(|byte| if byte == b'/' { 0 } else { byte });
    order.sort_by(|a, b| parts(a).cmp(parts(b)).then(a.cmp(b)));
    let mut pairs: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let (mut open, mut count): (Vec<usize>, usize) = (Vec::new(), 0);
    for index in order {
        while open.last().is_some_and(|last| !items[*last].holds(&items[index])) {
            open.pop();
        }
        for &other in open.iter().take(PAIRS_MAX - count) {
            pairs.entry(index.max(other)).or_default().push(index.min(other));
            count += 1;
        }
        open.push(index);
    }
    pairs.values_mut().for_each(|earlier| earlier.sort_unstable());
    pairs
}

fn told(
    warnings: &mut Warnings,
    volume: &str,
    description: &str,
    items: &[Item],
    pairs: &BTreeMap<usize, Vec<usize>>,
    index: usize,
) {
    for other in pairs.get(&index).into_iter().flatten() {
        let (item, other, volume) = (&items[index], &items[*other], quote(volume));
        warnings.add(format!("volume {volume} ({description}): overlapping paths: {item} with {other}"));
    }
}

fn projected_paths(warnings: &mut Warnings, volume: &str, projected: &ProjectedVolumeSource) {
    let (mut items, mut ends) = (Vec::new(), Vec::new());
    for source in projected.sources.iter().flatten() {
        items.extend(projection_items(source));
        ends.push((items.len(), *source == VolumeProjection::default()));
    }
    let pairs = overlaps(&items);
    let mut begin = 0;
    for (end, empty) in ends {
        if empty {
            warnings.add(format!("volume {} (Projected) has no sources provided", quote(volume)));
        }
        (begin..end).for_each(|index| told(warnings, volume, "Projected", &items, &pairs, index));
        begin = end;
    }
}

/// The files of one source; of several in one entry, which is an error, the first that has any.
fn projection_items(source: &VolumeProjection) -> Vec<Item> {
    let keys = |items: &[KeyToPath], of: String| items.iter().map(|item| Item::new(&item.path, &of)).collect();
    if let Some((map, items)) = source.config_map.as_ref().and_then(|map| Some((map, map.items.as_ref()?))) {
        return keys(items, format!("ConfigMap {}", quote(&map.name)));
    }
    if let Some((secret, items)) = source.secret.as_ref().and_then(|secret| Some((secret, secret.items.as_ref()?))) {
        return keys(items, format!("Secret {}", quote(&secret.name)));
    }
    if let Some(items) = source.downward_api.as_ref().and_then(|downward| downward.items.as_ref()) {
        return items.iter().map(|file| Item::new(&file.path, "DownwardAPI")).collect();
    }
    source.service_account_token.iter().map(|token| Item::new(&token.path, "ServiceAccountToken")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_comparing_each_with_each_finds(paths in prop::collection::vec("[ab/.]{0,6}", 0..12)) {
            let items: Vec<Item> = paths.iter().map(|path| Item::new(path, "")).collect();
            let mut expected: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for (later, item) in items.iter().enumerate() {
                for (earlier, other) in items.iter().enumerate().take(later) {
                    if !item.path.is_empty() && !other.path.is_empty() && (item.holds(other) || other.holds(item)) {
                        expected.entry(later).or_default().push(earlier);
                    }
                }
            }
            prop_assert_eq!(overlaps(&items), expected);
        }
    }
}
