//! Rows of the object envelope: Pod, ConfigMap, Secret and their metadata.

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use super::Keep::{Always, OmitEmpty, Pointer};
use super::Treatment::{NoMeaning, Supported};
use super::Type::{Bool, Bytes, Int64, List, Map, Object, Raw, Text, Time};
use super::pod::POD_SPEC;
use super::status::POD_STATUS;
use super::{STRING, Struct, embedded, row};

/// `Pod`.
pub static POD: Struct = Struct {
    name: "Pod",
    size: size_of::<v1::Pod>(),
    rows: &[
        embedded("TypeMeta", "kind", STRING, OmitEmpty, Supported),
        embedded("TypeMeta", "apiVersion", STRING, OmitEmpty, Supported),
        row("metadata", Object(&OBJECT_META), OmitEmpty, Supported),
        row("spec", Object(&POD_SPEC), OmitEmpty, Supported),
        row("status", Object(&POD_STATUS), OmitEmpty, NoMeaning),
    ],
};

/// `ConfigMap`.
pub static CONFIG_MAP: Struct = Struct {
    name: "ConfigMap",
    size: size_of::<v1::ConfigMap>(),
    rows: &[
        embedded("TypeMeta", "kind", STRING, OmitEmpty, Supported),
        embedded("TypeMeta", "apiVersion", STRING, OmitEmpty, Supported),
        row("metadata", Object(&OBJECT_META), OmitEmpty, Supported),
        row("immutable", Bool, Pointer, Supported),
        row("data", Map("", &STRING), OmitEmpty, Supported),
        row("binaryData", Map("", &Bytes), OmitEmpty, Supported),
    ],
};

/// `Secret`.
pub static SECRET: Struct = Struct {
    name: "Secret",
    size: size_of::<v1::Secret>(),
    rows: &[
        embedded("TypeMeta", "kind", STRING, OmitEmpty, Supported),
        embedded("TypeMeta", "apiVersion", STRING, OmitEmpty, Supported),
        row("metadata", Object(&OBJECT_META), OmitEmpty, Supported),
        row("immutable", Bool, Pointer, Supported),
        row("data", Map("", &Bytes), OmitEmpty, Supported),
        row("stringData", Map("", &STRING), OmitEmpty, Supported),
        row("type", Text("v1.SecretType"), OmitEmpty, Supported),
    ],
};

/// `ObjectMeta`.
pub static OBJECT_META: Struct = Struct {
    name: "ObjectMeta",
    size: size_of::<meta::ObjectMeta>(),
    rows: &[
        row("name", STRING, OmitEmpty, Supported),
        row("generateName", STRING, OmitEmpty, Supported),
        row("namespace", STRING, OmitEmpty, Supported),
        row("selfLink", STRING, OmitEmpty, NoMeaning),
        row("uid", Text("types.UID"), OmitEmpty, NoMeaning),
        row("resourceVersion", STRING, OmitEmpty, NoMeaning),
        row("generation", Int64, OmitEmpty, NoMeaning),
        row("creationTimestamp", Time, OmitEmpty, NoMeaning),
        row("deletionTimestamp", Time, Pointer, NoMeaning),
        row("deletionGracePeriodSeconds", Int64, Pointer, NoMeaning),
        row("labels", Map("", &STRING), OmitEmpty, Supported),
        row("annotations", Map("", &STRING), OmitEmpty, Supported),
        row("ownerReferences", List(&Object(&OWNER_REFERENCE)), OmitEmpty, NoMeaning),
        row("finalizers", List(&STRING), OmitEmpty, NoMeaning),
        row("managedFields", List(&Object(&MANAGED_FIELDS_ENTRY)), OmitEmpty, NoMeaning),
    ],
};

/// `OwnerReference`.
pub static OWNER_REFERENCE: Struct = Struct {
    name: "OwnerReference",
    size: size_of::<meta::OwnerReference>(),
    rows: &[
        row("apiVersion", STRING, Always, Supported),
        row("kind", STRING, Always, Supported),
        row("name", STRING, Always, Supported),
        row("uid", Text("types.UID"), Always, Supported),
        row("controller", Bool, Pointer, Supported),
        row("blockOwnerDeletion", Bool, Pointer, Supported),
    ],
};

/// `ManagedFieldsEntry`.
pub static MANAGED_FIELDS_ENTRY: Struct = Struct {
    name: "ManagedFieldsEntry",
    size: size_of::<meta::ManagedFieldsEntry>(),
    rows: &[
        row("manager", STRING, OmitEmpty, Supported),
        row("operation", Text("v1.ManagedFieldsOperationType"), OmitEmpty, Supported),
        row("apiVersion", STRING, OmitEmpty, Supported),
        row("time", Time, Pointer, Supported),
        row("fieldsType", STRING, OmitEmpty, Supported),
        row("fieldsV1", Raw, Pointer, Supported),
        row("subresource", STRING, OmitEmpty, Supported),
    ],
};

/// `LabelSelector`.
pub static LABEL_SELECTOR: Struct = Struct {
    name: "LabelSelector",
    size: size_of::<meta::LabelSelector>(),
    rows: &[
        row("matchLabels", Map("", &STRING), OmitEmpty, Supported),
        row("matchExpressions", List(&Object(&LABEL_SELECTOR_REQUIREMENT)), OmitEmpty, Supported),
    ],
};

/// `LabelSelectorRequirement`.
pub static LABEL_SELECTOR_REQUIREMENT: Struct = Struct {
    name: "LabelSelectorRequirement",
    size: size_of::<meta::LabelSelectorRequirement>(),
    rows: &[
        row("key", STRING, Always, Supported),
        row("operator", Text("v1.LabelSelectorOperator"), Always, Supported),
        row("values", List(&STRING), OmitEmpty, Supported),
    ],
};
