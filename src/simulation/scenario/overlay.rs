//! A piece of a Pod merged into a Pod, as `kubectl patch --type=strategic` merges it: maps field by field, the lists that
//! Kubernetes knows by their keys item by item, all others whole. Values keep their positions.

use crate::manifest::node::{Entry, Node, Value};

/// Lists that are merged by a key of their items (`patchStrategy: merge` and `patchMergeKey` in `core/v1`).
const KEYS: &[(&str, &str)] = &[
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("volumes", "name"),
    ("env", "name"),
    ("imagePullSecrets", "name"),
    ("resourceClaims", "name"),
    ("schedulingGates", "name"),
    ("ports", "containerPort"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
    ("ownerReferences", "uid"),
];

/// Merges; what the overlay sets wins, `null` takes out.
pub fn merge(base: Node, overlay: &Node) -> Node {
    merge_field("", base, overlay)
}

fn merge_field(field: &str, base: Node, overlay: &Node) -> Node {
    match (base.value, &overlay.value) {
        (Value::Map(entries), Value::Map(changes)) => {
            if directive(overlay) == Some("replace") {
                return without_directives(overlay);
            }
            Node { position: base.position, value: Value::Map(merge_map(entries, changes)) }
        }
        (Value::List(items), Value::List(changes)) => {
            let Some((_, key)) = KEYS.iter().find(|(name, _)| *name == field) else { return overlay.clone() };
            Node { position: base.position, value: Value::List(merge_list(items, changes, key)) }
        }
        _ => without_directives(overlay),
    }
}

fn merge_map(mut entries: Vec<Entry>, changes: &[Entry]) -> Vec<Entry> {
    for change in changes.iter().filter(|change| !change.key.starts_with('$')) {
        let at = entries.iter().position(|entry| entry.key == change.key);
        match at {
            _ if change.value.is_null() => entries.retain(|entry| entry.key != change.key),
            Some(at) => {
                let Entry { key, position, value } = entries.remove(at);
                let value = merge_field(&key, value, &change.value);
                entries.insert(at, Entry { key, position, value });
            }
            None => entries.push(Entry { value: without_directives(&change.value), ..change.clone() }),
        }
    }
    entries
}

fn merge_list(mut items: Vec<Node>, changes: &[Node], key: &str) -> Vec<Node> {
    if changes.iter().any(|change| directive(change) == Some("replace")) {
        return changes.iter().filter(|change| directive(change).is_none()).cloned().collect();
    }
    for change in changes {
        let name = change.get(key).map(|node| &node.value);
        let at = items.iter().position(|item| name.is_some() && item.get(key).map(|node| &node.value) == name);
        match (at, directive(change)) {
            (Some(at), Some("delete")) => drop(items.remove(at)),
            (None, Some("delete")) => {}
            (Some(at), _) => {
                let item = items.remove(at);
                items.insert(at, merge_field("", item, change));
            }
            (None, _) => items.push(without_directives(change)),
        }
    }
    items
}

fn directive(node: &Node) -> Option<&str> {
    node.get("$patch").and_then(Node::as_str)
}

fn without_directives(node: &Node) -> Node {
    let value = match &node.value {
        Value::Map(entries) => {
            let kept = entries.iter().filter(|entry| !entry.key.starts_with('$') && !entry.value.is_null());
            Value::Map(kept.map(|entry| Entry { value: without_directives(&entry.value), ..entry.clone() }).collect())
        }
        Value::List(items) => Value::List(items.iter().map(without_directives).collect()),
        other => other.clone(),
    };
    Node { position: node.position, value }
}

/// Sets the value at a path such as `spec.containers[0].image` or `spec.containers[app].image` (an item by its name); says
/// what is not there.
pub fn set(root: &mut Node, path: &str, value: Node) -> Result<(), String> {
    let mut node = root;
    let mut rest = path;
    loop {
        let (step, after) = step(rest)?;
        node = match step {
            Step::Field(name) => {
                if node.is_null() {
                    node.value = Value::Map(Vec::new());
                }
                let Value::Map(entries) = &mut node.value else {
                    return Err(format!("{name} is no field of what is there"));
                };
                if !entries.iter().any(|entry| &*entry.key == name) {
                    let empty = Node { position: value.position, value: Value::Null };
                    entries.push(Entry { key: name.into(), position: value.position, value: empty });
                }
                match entries.iter_mut().find(|entry| &*entry.key == name) {
                    Some(entry) => &mut entry.value,
                    None => return Err(format!("there is no {name}")),
                }
            }
            Step::Item(which) => {
                let Value::List(items) = &mut node.value else { return Err(format!("[{which}]: there is no list")) };
                let named = |item: &Node| item.get("name").and_then(Node::as_str) == Some(which);
                let at = which.parse().ok().or_else(|| items.iter().position(named));
                match at.and_then(|at: usize| items.get_mut(at)) {
                    Some(item) => item,
                    None => return Err(format!("[{which}]: the list has no such item")),
                }
            }
        };
        rest = after;
        if rest.is_empty() {
            *node = value;
            return Ok(());
        }
    }
}

enum Step<'p> {
    Field(&'p str),
    Item(&'p str),
}

fn step(path: &str) -> Result<(Step<'_>, &str), String> {
    if let Some(inner) = path.strip_prefix('[') {
        let (which, after) = inner.split_once(']').ok_or_else(|| format!("{path}: a ] is missing"))?;
        return Ok((Step::Item(which), after));
    }
    let path = path.strip_prefix('.').unwrap_or(path);
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, after) = path.split_at(end);
    if name.is_empty() { Err("a field's name is missing".to_owned()) } else { Ok((Step::Field(name), after)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::manifest::node::Position;
    use crate::manifest::tree;

    #[test]
    fn an_overlay_is_merged_as_a_strategic_patch() {
        let at = Position::default();
        let base = json!({"spec": {"restartPolicy": "Always", "hostname": "h", "containers": [
            {"name": "a", "image": "x:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["1", "2"]},
            {"name": "b", "image": "y"}, {"name": "c", "image": "z"}]}});
        let overlay = json!({"spec": {"restartPolicy": "Never", "hostname": null, "containers": [
            {"name": "a", "image": "x:2", "env": [{"name": "B", "value": "3"}], "args": ["3"]},
            {"name": "b", "$patch": "delete"}, {"name": "d", "image": "w", "command": null}]}});
        let merged = tree::json(&merge(tree::node(&base, at), &tree::node(&overlay, at)));
        assert_eq!(
            merged,
            json!({"spec": {"restartPolicy": "Never", "containers": [
                {"name": "a", "image": "x:2", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}], "args": ["3"]},
                {"name": "c", "image": "z"}, {"name": "d", "image": "w"}]}})
        );
    }

    #[test]
    fn a_value_is_set_at_a_path() {
        let at = Position::default();
        let mut root = tree::node(&json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}), at);
        set(&mut root, "spec.containers[b].image", tree::node(&json!("x"), at)).unwrap();
        set(&mut root, "spec.containers[0].livenessProbe.periodSeconds", tree::node(&json!(5), at)).unwrap();
        set(&mut root, "spec.restartPolicy", tree::node(&json!("Never"), at)).unwrap();
        let containers = json!([{"name": "a", "livenessProbe": {"periodSeconds": 5}}, {"name": "b", "image": "x"}]);
        assert_eq!(tree::json(&root), json!({"spec": {"containers": containers, "restartPolicy": "Never"}}));
        assert!(
            set(&mut root, "spec.containers[z].image", tree::node(&json!(1), at)).unwrap_err().contains("no such item")
        );
        assert!(set(&mut root, "spec.containers.image", tree::node(&json!(1), at)).is_err());
        assert!(set(&mut root, "", tree::node(&json!(1), at)).is_err());
    }
}
