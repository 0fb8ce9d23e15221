//! The API's schema as k8s-openapi has it, and which values a field may have as the field table's types tell.

use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Secret};
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::super::resource::Kind;
use crate::manifest::fields::{Row, Struct, Type};

/// The schema of one kind.
pub struct Schema {
    root: Value,
}

/// A field, or the object itself.
#[derive(Clone, Copy)]
pub struct Field<'s> {
    value: &'s Value,
}

impl Schema {
    /// Of a kind.
    pub fn of(kind: Kind) -> Schema {
        let generator = SchemaSettings::draft2020_12().into_generator();
        let schema = match kind {
            Kind::Pod => generator.into_root_schema_for::<Pod>(),
            Kind::ConfigMap => generator.into_root_schema_for::<ConfigMap>(),
            Kind::Secret => generator.into_root_schema_for::<Secret>(),
            Kind::Event => generator.into_root_schema_for::<Event>(),
        };
        Schema { root: schema.to_value() }
    }

    /// The object.
    pub fn root(&self) -> Field<'_> {
        Field { value: &self.root }
    }

    fn definition<'s>(&'s self, field: &Field<'s>) -> Option<(&'s str, &'s Value)> {
        let name = field.value.get("$ref")?.as_str()?.rsplit('/').next()?;
        let found = self.root.get("$defs")?.get(name)?;
        Some((name.rsplit('.').next().unwrap_or(name), found))
    }

    /// What a field consists of, through lists and maps; none for a simple value.
    pub fn inside<'s>(&'s self, field: &Field<'s>) -> Option<Field<'s>> {
        let value = self.definition(field).map_or(field.value, |(_, value)| value);
        if value.get("properties").is_some() {
            return Some(Field { value });
        }
        let within = value.get("items").or_else(|| value.get("additionalProperties"))?;
        self.inside(&Field { value: within })
    }

    /// The names of its fields, in the order of the alphabet.
    pub fn names<'s>(&'s self, field: &Field<'s>) -> Vec<&'s str> {
        let properties = field.value.get("properties").and_then(Value::as_object);
        let mut names: Vec<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// One of them.
    pub fn property<'s>(&'s self, field: &Field<'s>, name: &str) -> Option<Field<'s>> {
        field.value.get("properties")?.get(name).map(|value| Field { value })
    }

    /// Whether it must be there.
    pub fn is_required(&self, field: &Field<'_>, name: &str) -> bool {
        let required = field.value.get("required").and_then(Value::as_array);
        // k8s-openapi wants metadata of every object; the API does not say so.
        name != "metadata" && required.into_iter().flatten().any(|required| required == name)
    }

    /// `string`, `[]Container`, `map[string]Quantity`.
    pub fn type_of(&self, field: &Field<'_>) -> String {
        if let Some(items) = field.value.get("items") {
            return format!("[]{}", self.type_of(&Field { value: items }));
        }
        if let Some(values) = field.value.get("additionalProperties") {
            return format!("map[string]{}", self.type_of(&Field { value: values }));
        }
        if let Some((name, definition)) = self.definition(field) {
            return match name {
                "Time" | "MicroTime" => "string".to_owned(),
                "Quantity" | "IntOrString" | "FieldsV1" => name.to_owned(),
                name => match definition.get("type").and_then(Value::as_str) {
                    None | Some("object") => name.to_owned(),
                    Some(simple) => simple.to_owned(),
                },
            };
        }
        match field.value.get("type").and_then(Value::as_str) {
            None | Some("object") => "Object".to_owned(),
            Some(simple) => simple.to_owned(),
        }
    }

    /// What the API says of a field, and of what it consists of.
    pub fn description(&self, field: &Field<'_>) -> String {
        let mut text = String::new();
        let own = field.value.get("description").and_then(Value::as_str);
        let value = self.definition(field).map_or(field.value, |(_, value)| value);
        let of_type = value.get("description").and_then(Value::as_str).filter(|_| !std::ptr::eq(value, field.value));
        for part in own.into_iter().chain(of_type) {
            text.push_str(part);
            text.push('\n');
        }
        if let Some(within) = value.get("items").or_else(|| value.get("additionalProperties")) {
            text.push_str(&self.description(&Field { value: within }));
        }
        text
    }

    /// The field's own words alone.
    pub fn own_description<'s>(&self, field: &Field<'s>) -> Option<&'s str> {
        field.value.get("description").and_then(Value::as_str)
    }

    /// The values that a field may have, if they are few.
    pub fn values_of(&self, row: Option<&Row>) -> &'static [&'static str] {
        match row.map(|row| row.kind) {
            Some(Type::Text(name)) => {
                VALUES.iter().find(|(known, _)| *known == name).map_or(&[], |(_, values)| *values)
            }
            _ => &[],
        }
    }
}

/// The struct within a type, through lists and maps.
pub fn object_of(kind: &Type) -> Option<&'static Struct> {
    match kind {
        Type::Object(object) => Some(object),
        Type::List(item) | Type::Map(_, item) => object_of(item),
        _ => None,
    }
}

/// The API's types with few values (`+enum` in Kubernetes' core/v1), in the order of the alphabet.
const VALUES: &[(&str, &[&str])] = &[
    ("v1.AppArmorProfileType", &["Localhost", "RuntimeDefault", "Unconfined"]),
    ("v1.AzureDataDiskCachingMode", &["None", "ReadOnly", "ReadWrite"]),
    ("v1.AzureDataDiskKind", &["Dedicated", "Managed", "Shared"]),
    ("v1.DNSPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    (
        "v1.HostPathType",
        &["\"\"", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"],
    ),
    ("v1.MountPropagationMode", &["Bidirectional", "HostToContainer", "None"]),
    ("v1.NodeInclusionPolicy", &["Honor", "Ignore"]),
    ("v1.NodeSelectorOperator", &["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"]),
    ("v1.PodFSGroupChangePolicy", &["Always", "OnRootMismatch"]),
    ("v1.PodPhase", &["Failed", "Pending", "Running", "Succeeded", "Unknown"]),
    ("v1.PodQOSClass", &["BestEffort", "Burstable", "Guaranteed"]),
    ("v1.PreemptionPolicy", &["Never", "PreemptLowerPriority"]),
    ("v1.ProcMountType", &["Default", "Unmasked"]),
    ("v1.Protocol", &["SCTP", "TCP", "UDP"]),
    ("v1.PullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("v1.RestartPolicy", &["Always", "Never", "OnFailure"]),
    ("v1.SeccompProfileType", &["Localhost", "RuntimeDefault", "Unconfined"]),
    ("v1.SupplementalGroupsPolicy", &["Merge", "Strict"]),
    ("v1.TaintEffect", &["NoExecute", "NoSchedule", "PreferNoSchedule"]),
    ("v1.TerminationMessagePolicy", &["FallbackToLogsOnError", "File"]),
    ("v1.URIScheme", &["HTTP", "HTTPS"]),
    ("v1.UnsatisfiableConstraintAction", &["DoNotSchedule", "ScheduleAnyway"]),
];
