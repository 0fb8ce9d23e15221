//! The table against the schema of `k8s-openapi`: each field has its row, each row its field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{CONFIG_MAP, POD, SECRET, Struct, Type};

/// Whether a schema's property has the kind that the row says.
fn fits(kind: &Type, schema: &Value, definitions: &Value) -> bool {
    let reference = schema.get("$ref").and_then(Value::as_str);
    let resolved = reference.and_then(|r| definitions.get(r.rsplit('/').next().unwrap_or("")));
    let schema = resolved.unwrap_or(schema);
    let is = |word: &str| match &schema["type"] {
        Value::String(kind) => kind == word,
        Value::Array(kinds) => kinds.iter().any(|kind| kind == word),
        _ => false,
    };
    match kind {
        Type::Bool => is("boolean"),
        Type::Int32 => is("integer") && schema["format"] == "int32",
        Type::Int64 => is("integer") && schema["format"] == "int64",
        Type::Text(_) => is("string"),
        Type::Bytes => is("string") && schema["format"] == "byte",
        Type::Time => is("string") && schema["format"] == "date-time",
        Type::Quantity | Type::IntOrString | Type::Raw => true,
        Type::Object(_) => is("object"),
        Type::List(_) => is("array"),
        Type::Map(..) => is("object") && schema.get("additionalProperties").is_some(),
    }
}

fn walk(
    row: &'static Struct,
    schema: &Value,
    definitions: &Value,
    seen: &mut BTreeSet<&'static str>,
    faults: &mut Vec<String>,
) {
    if !seen.insert(row.name) {
        return;
    }
    let reference = schema.get("$ref").and_then(Value::as_str);
    let schema = reference.and_then(|r| definitions.get(r.rsplit('/').next().unwrap_or(""))).unwrap_or(schema);
    let properties: BTreeMap<&str, &Value> =
        schema["properties"].as_object().into_iter().flatten().map(|(k, v)| (k.as_str(), v)).collect();
    for (name, property) in &properties {
        match row.row(name) {
            None => faults.push(format!("{}.{name} has no row", row.name)),
            Some(found) if !fits(&found.kind, property, definitions) => {
                faults.push(format!("{}.{name} is not {:?}: {property}", row.name, found.kind));
            }
            Some(_) => {}
        }
    }
    let mut names = BTreeSet::new();
    for found in row.rows {
        if !names.insert(found.name) {
            faults.push(format!("{}.{} has two rows", row.name, found.name));
        }
        let Some(property) = properties.get(found.name) else {
            faults.push(format!("{}.{} is not in the schema", row.name, found.name));
            continue;
        };
        let (mut kind, mut schema) = (&found.kind, *property);
        loop {
            match kind {
                Type::List(item) => (kind, schema) = (item, &schema["items"]),
                Type::Map(_, item) => (kind, schema) = (item, &schema["additionalProperties"]),
                Type::Object(inner) => {
                    walk(inner, schema, definitions, seen, faults);
                    break;
                }
                _ => break,
            }
        }
    }
}

fn faults_of<T: schemars::JsonSchema>(root: &'static Struct) -> (usize, Vec<String>) {
    let schema = schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let schema = schema.as_value();
    let (mut seen, mut faults) = (BTreeSet::new(), Vec::new());
    walk(root, schema, &schema["$defs"], &mut seen, &mut faults);
    (seen.len(), faults)
}

#[test]
fn every_field_has_exactly_one_row() {
    let (structs, faults) = faults_of::<k8s_openapi::api::core::v1::Pod>(&POD);
    assert_eq!(faults, Vec::<String>::new());
    assert!(structs > 120, "only {structs} structs were walked");
    assert_eq!(faults_of::<k8s_openapi::api::core::v1::ConfigMap>(&CONFIG_MAP).1, Vec::<String>::new());
    assert_eq!(faults_of::<k8s_openapi::api::core::v1::Secret>(&SECRET).1, Vec::<String>::new());
}
