//! `docs/fields.md`, made from the field table (`src/manifest/fields/`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

use podlet::manifest::fields::{CONFIG_MAP, POD, Row, SECRET, Struct, Treatment, Type};

const HEAD: &str = "\
# Fields

<!-- Made from src/manifest/fields/ by `PODLET_WRITE_DOCS=1 cargo test --test docs`. Change it there. -->

Every field of a Pod, a ConfigMap and a Secret of Kubernetes 1.36, and what podlet does with it. No field is passed over in
silence. A manifest is checked whole before anything starts.

| word | meaning |
|---|---|
| carried out | podlet does what Kubernetes documents, as far as the fields beneath it say |
| on one machine | carried out with the meaning that it can have on one machine |
| no meaning | accepted and kept, shown by `get -o yaml`; it means nothing on one machine. All such fields of a pod make one notice |
| passed over, with a notice | accepted; a notice says that it has no effect here |
| not to be set | Kubernetes forbids it at this place; `apply` and `debug` refuse it with Kubernetes' words |
| refused for now | podlet does not carry it out yet; `apply` refuses the manifest and names the field |
| refused | one machine cannot honour it; `apply` refuses the manifest and names the field |

A refused field can be passed over aloud: `podlet apply pod.yaml --allow-unsupported=hostUsers` runs the pod without it.
Only values that say something are refused: an empty list, an empty string or 0 is the same as no field.
";

/// Whether the fields beneath one of this treatment are looked at one by one.
fn is_opened(treatment: Treatment) -> bool {
    !matches!(
        treatment,
        Treatment::NoMeaning | Treatment::Warned | Treatment::Told(_) | Treatment::Later | Treatment::Refused
    )
}

fn listed(values: &[&str]) -> String {
    values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
}

fn in_words(treatment: Treatment) -> String {
    match treatment {
        Treatment::Supported => "carried out".into(),
        Treatment::OneMachine => "on one machine".into(),
        Treatment::NoMeaning => "no meaning".into(),
        Treatment::Warned => "passed over, with a notice".into(),
        Treatment::Told(instead) => format!("passed over, with a notice: {instead}"),
        Treatment::ToldFor(values, instead) => {
            format!("carried out; {} passed over, with a notice: {instead}", listed(values))
        }
        Treatment::Later => "refused for now".into(),
        Treatment::Forbidden => "not to be set".into(),
        Treatment::LaterFor(values) => format!("carried out; {} refused for now", listed(values)),
        Treatment::LaterUnless(values) => format!("refused for now, but for {}", listed(values)),
        Treatment::LaterUnlessHostNetwork => "with `hostNetwork: true` a word only; else refused for now".into(),
        Treatment::Refused => "refused".into(),
        Treatment::RefusedFor(values) => format!("carried out; {} refused", listed(values)),
        Treatment::RefusedUnless(values) => format!("refused, but for {}", listed(values)),
        Treatment::ResourceNames => {
            "`cpu` and `memory` carried out; `ephemeral-storage` as a limit, as a request passed over with a notice; others refused".into()
        }
    }
}

/// The struct that a field's value is made of, if it is one.
fn inner(kind: &'static Type) -> Option<&'static Struct> {
    match kind {
        Type::Object(object) => Some(object),
        Type::List(item) | Type::Map(_, item) => inner(item),
        _ => None,
    }
}

fn type_in_words(kind: &'static Type, linked: &BTreeSet<&str>) -> String {
    match kind {
        Type::Bool => "bool".into(),
        Type::Int32 | Type::Int64 => "integer".into(),
        Type::Text(_) => "string".into(),
        Type::Bytes => "base64".into(),
        Type::Quantity => "quantity".into(),
        Type::IntOrString => "integer or string".into(),
        Type::Time => "time".into(),
        Type::Raw => "anything".into(),
        Type::Object(object) if linked.contains(object.name) => {
            format!("[{}](#{})", object.name, object.name.to_lowercase())
        }
        Type::Object(object) => object.name.into(),
        Type::List(item) => format!("list of {}", type_in_words(item, linked)),
        Type::Map(_, item) => format!("map to {}", type_in_words(item, linked)),
    }
}

/// All structs below the roots, breadth first; `follow` says beneath which rows to look.
fn reached(roots: &[&'static Struct], follow: impl Fn(&Row) -> bool) -> Vec<&'static Struct> {
    let mut seen: BTreeSet<&str> = roots.iter().map(|root| root.name).collect();
    let (mut queue, mut found): (VecDeque<_>, Vec<_>) = (roots.iter().copied().collect(), Vec::new());
    while let Some(here) = queue.pop_front() {
        found.push(here);
        for row in here.rows.iter().filter(|row| follow(row)) {
            if let Some(next) = inner(&row.kind).filter(|next| seen.insert(next.name)) {
                queue.push_back(next);
            }
        }
    }
    found
}

pub fn page() -> String {
    let roots = [&POD, &CONFIG_MAP, &SECRET];
    let opened = reached(&roots, |row| is_opened(row.treatment));
    let linked: BTreeSet<&str> = opened.iter().map(|object| object.name).collect();
    let mut page = HEAD.to_owned();
    for object in &opened {
        write!(page, "\n## {}\n\n| field | type | what podlet does |\n|---|---|---|\n", object.name).unwrap();
        for row in object.rows {
            let kind = type_in_words(&row.kind, &linked);
            writeln!(page, "| `{}` | {kind} | {} |", row.name, in_words(row.treatment)).unwrap();
        }
    }
    closed(&mut page, &opened);
    page
}

/// Structs that are only found beneath fields which are taken or refused as a whole.
fn closed(page: &mut String, opened: &[&'static Struct]) {
    let mut by_head: BTreeMap<String, Vec<&'static Struct>> = BTreeMap::new();
    let mut seen: BTreeSet<&str> = opened.iter().map(|object| object.name).collect();
    for object in opened {
        for row in object.rows.iter().filter(|row| !is_opened(row.treatment)) {
            let Some(first) = inner(&row.kind).filter(|first| !seen.contains(first.name)) else { continue };
            let head = format!("`{}` of {}: {}", row.name, object.name, in_words(row.treatment));
            for below in reached(&[first], |_| true) {
                if seen.insert(below.name) {
                    by_head.entry(head.clone()).or_default().push(below);
                }
            }
        }
    }
    page.push_str("\n## Beneath fields that are taken or refused as a whole\n");
    page.push_str("\nA struct that several such fields have in common is named at the first of them.\n");
    for (head, objects) in by_head {
        write!(page, "\n{head}\n\n").unwrap();
        for object in objects {
            let names: Vec<String> = object.rows.iter().map(|row| format!("`{}`", row.name)).collect();
            writeln!(page, "- {}: {}", object.name, names.join(", ")).unwrap();
        }
    }
}

#[test]
fn every_struct_of_the_table_is_on_the_page() {
    let page = page();
    for object in reached(&[&POD, &CONFIG_MAP, &SECRET], |_| true) {
        let heading = page.contains(&format!("\n## {}\n", object.name));
        let item = page.contains(&format!("\n- {}: ", object.name));
        assert!(heading != item, "{} is on the page {} times", object.name, usize::from(heading) + usize::from(item));
    }
}
