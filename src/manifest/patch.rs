//! Patches of objects by the API's strategic merge, as `kubectl patch` and a scenario's overlays are: maps field by field, the
//! lists that Kubernetes knows by their keys item by item, all others whole. Values keep their positions.

use super::node::{Entry, Node, Value};

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

/// Merges; what the patch sets wins, `null` takes out.
pub fn strategic(base: Node, overlay: &Node) -> Node {
    merge_field("", base, overlay)
}

fn merge_field(field: &str, base: Node, overlay: &Node) -> Node {
    match (base.value, &overlay.value) {
        (Value::Map(entries), Value::Map(changes)) => {
            match directive(overlay) {
                Some("replace") => return without_directives(overlay),
                Some("delete") => return Node { position: base.position, value: Value::Map(Vec::new()) },
                _ => {}
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
    for change in changes {
        let named = |node: &Node, text: &str| match &node.value {
            Value::List(items) => items.iter().any(|item| item.as_str() == Some(text)),
            _ => false,
        };
        if &*change.key == "$retainKeys" {
            entries.retain(|entry| named(&change.value, &entry.key));
        } else if let Some(field) = change.key.strip_prefix("$deleteFromPrimitiveList/")
            && let Some(entry) = entries.iter_mut().find(|entry| &*entry.key == field)
            && let (Value::List(items), Value::List(gone)) = (&mut entry.value.value, &change.value.value)
        {
            items.retain(|item| !gone.iter().any(|gone| gone.value == item.value));
        }
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::manifest::node::Position;
    use crate::manifest::tree;

    #[test]
    fn maps_and_known_lists_are_merged() {
        let at = Position::default();
        let base = json!({"spec": {"restartPolicy": "Always", "hostname": "h", "containers": [
            {"name": "a", "image": "x:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["1", "2"]},
            {"name": "b", "image": "y"}, {"name": "c", "image": "z"}]}});
        let overlay = json!({"spec": {"restartPolicy": "Never", "hostname": null, "containers": [
            {"name": "a", "image": "x:2", "env": [{"name": "B", "value": "3"}], "args": ["3"]},
            {"name": "b", "$patch": "delete"}, {"name": "d", "image": "w", "command": null}]}});
        let merged = tree::json(&strategic(tree::node(&base, at), &tree::node(&overlay, at)));
        assert_eq!(
            merged,
            json!({"spec": {"restartPolicy": "Never", "containers": [
                {"name": "a", "image": "x:2", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}], "args": ["3"]},
                {"name": "c", "image": "z"}, {"name": "d", "image": "w"}]}})
        );
    }

    #[test]
    fn directives_take_out() {
        let at = Position::default();
        let base = json!({"metadata": {"finalizers": ["a", "b"]}, "spec": {"x": {"a": 1, "b": 2}, "y": {"c": 3}}});
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["b"]},
            "spec": {"x": {"$retainKeys": ["b"], "b": 4}, "y": {"$patch": "delete"}}});
        assert_eq!(
            tree::json(&strategic(tree::node(&base, at), &tree::node(&patch, at))),
            json!({"metadata": {"finalizers": ["b"]}, "spec": {"x": {"b": 4}, "y": {}}})
        );
    }
}
