//! Fields of a Pod set by their paths, as a matrix names them.

use crate::manifest::node::{Entry, Node, Value};

/// Sets the value at a path such as `spec.containers[0].image` or `spec.containers[app].image` (an item by its name); says
/// what is not there.
pub fn set(root: &mut Node, path: &str, value: Node) -> Result<(), String> {
    let first = path.split(['.', '[']).next().unwrap_or_default();
    if !["spec", "metadata"].contains(&first) {
        return Err(format!("a path begins with spec or metadata: write spec.{path}"));
    }
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
        let error = set(&mut root, "containers[0].image", tree::node(&json!(1), at)).unwrap_err();
        assert!(error.contains("write spec.containers[0].image"), "{error}");
        assert!(set(&mut root, "spec.containers.image", tree::node(&json!(1), at)).is_err());
        assert!(set(&mut root, "", tree::node(&json!(1), at)).is_err());
    }
}
