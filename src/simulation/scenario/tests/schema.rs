//! `scenario.schema.json` is what the types say; `PODLET_WRITE_DOCS=1` writes it.

use super::*;

/// The schema of the types, closed against unknown fields.
fn made() -> Json {
    let mut schema = serde_json::to_value(schemars::schema_for!(Scenario)).unwrap();
    schema["$id"] = json!("https://podlet.dev/schemas/scenario.v1alpha1.json");
    tidy(&mut schema);
    schema
}

fn tidy(schema: &mut Json) {
    match schema {
        Json::Object(fields) => {
            fields.remove("default");
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
                fields.remove("unevaluatedProperties");
            }
            if let Some(Json::String(text)) = fields.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            for (name, inner) in fields.iter_mut() {
                // A field may be called `default` or `properties`; none of ours is.
                let _ = name;
                tidy(inner);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

#[test]
fn the_schema_is_what_the_types_say() {
    let made = serde_json::to_string_pretty(&made()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/simulation/scenario/scenario.schema.json");
    if std::env::var_os("PODLET_WRITE_DOCS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        made,
        "write it anew: PODLET_WRITE_DOCS=1 cargo test --lib schema"
    );
}
