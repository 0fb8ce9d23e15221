//! Rows of what only a scheduler reads.

use k8s_openapi::api::core::v1;

use super::Keep::{Always, OmitEmpty, Pointer};
use super::Treatment::Supported;
use super::Type::{Int32, Int64, List, Object, Text};
use super::object::LABEL_SELECTOR;
use super::{STRING, Struct, row};

/// `Affinity`.
pub static AFFINITY: Struct = Struct {
    name: "Affinity",
    size: size_of::<v1::Affinity>(),
    rows: &[
        row("nodeAffinity", Object(&NODE_AFFINITY), Pointer, Supported),
        row("podAffinity", Object(&POD_AFFINITY), Pointer, Supported),
        row("podAntiAffinity", Object(&POD_ANTI_AFFINITY), Pointer, Supported),
    ],
};

/// `Toleration`.
pub static TOLERATION: Struct = Struct {
    name: "Toleration",
    size: size_of::<v1::Toleration>(),
    rows: &[
        row("key", STRING, OmitEmpty, Supported),
        row("operator", Text("v1.TolerationOperator"), OmitEmpty, Supported),
        row("value", STRING, OmitEmpty, Supported),
        row("effect", Text("v1.TaintEffect"), OmitEmpty, Supported),
        row("tolerationSeconds", Int64, Pointer, Supported),
    ],
};

/// `TopologySpreadConstraint`.
pub static TOPOLOGY_SPREAD_CONSTRAINT: Struct = Struct {
    name: "TopologySpreadConstraint",
    size: size_of::<v1::TopologySpreadConstraint>(),
    rows: &[
        row("maxSkew", Int32, Always, Supported),
        row("topologyKey", STRING, Always, Supported),
        row("whenUnsatisfiable", Text("v1.UnsatisfiableConstraintAction"), Always, Supported),
        row("labelSelector", Object(&LABEL_SELECTOR), Pointer, Supported),
        row("minDomains", Int32, Pointer, Supported),
        row("nodeAffinityPolicy", Text("v1.NodeInclusionPolicy"), Pointer, Supported),
        row("nodeTaintsPolicy", Text("v1.NodeInclusionPolicy"), Pointer, Supported),
        row("matchLabelKeys", List(&STRING), OmitEmpty, Supported),
    ],
};

/// `NodeAffinity`.
pub static NODE_AFFINITY: Struct = Struct {
    name: "NodeAffinity",
    size: size_of::<v1::NodeAffinity>(),
    rows: &[
        row("requiredDuringSchedulingIgnoredDuringExecution", Object(&NODE_SELECTOR), Pointer, Supported),
        row(
            "preferredDuringSchedulingIgnoredDuringExecution",
            List(&Object(&PREFERRED_SCHEDULING_TERM)),
            OmitEmpty,
            Supported,
        ),
    ],
};

/// `PodAffinity`.
pub static POD_AFFINITY: Struct = Struct {
    name: "PodAffinity",
    size: size_of::<v1::PodAffinity>(),
    rows: &[
        row("requiredDuringSchedulingIgnoredDuringExecution", List(&Object(&POD_AFFINITY_TERM)), OmitEmpty, Supported),
        row(
            "preferredDuringSchedulingIgnoredDuringExecution",
            List(&Object(&WEIGHTED_POD_AFFINITY_TERM)),
            OmitEmpty,
            Supported,
        ),
    ],
};

/// `PodAntiAffinity`.
pub static POD_ANTI_AFFINITY: Struct = Struct {
    name: "PodAntiAffinity",
    size: size_of::<v1::PodAntiAffinity>(),
    rows: &[
        row("requiredDuringSchedulingIgnoredDuringExecution", List(&Object(&POD_AFFINITY_TERM)), OmitEmpty, Supported),
        row(
            "preferredDuringSchedulingIgnoredDuringExecution",
            List(&Object(&WEIGHTED_POD_AFFINITY_TERM)),
            OmitEmpty,
            Supported,
        ),
    ],
};

/// `NodeSelector`.
pub static NODE_SELECTOR: Struct = Struct {
    name: "NodeSelector",
    size: size_of::<v1::NodeSelector>(),
    rows: &[row("nodeSelectorTerms", List(&Object(&NODE_SELECTOR_TERM)), Always, Supported)],
};

/// `PreferredSchedulingTerm`.
pub static PREFERRED_SCHEDULING_TERM: Struct = Struct {
    name: "PreferredSchedulingTerm",
    size: size_of::<v1::PreferredSchedulingTerm>(),
    rows: &[row("weight", Int32, Always, Supported), row("preference", Object(&NODE_SELECTOR_TERM), Always, Supported)],
};

/// `PodAffinityTerm`.
pub static POD_AFFINITY_TERM: Struct = Struct {
    name: "PodAffinityTerm",
    size: size_of::<v1::PodAffinityTerm>(),
    rows: &[
        row("labelSelector", Object(&LABEL_SELECTOR), Pointer, Supported),
        row("namespaces", List(&STRING), OmitEmpty, Supported),
        row("topologyKey", STRING, Always, Supported),
        row("namespaceSelector", Object(&LABEL_SELECTOR), Pointer, Supported),
        row("matchLabelKeys", List(&STRING), OmitEmpty, Supported),
        row("mismatchLabelKeys", List(&STRING), OmitEmpty, Supported),
    ],
};

/// `WeightedPodAffinityTerm`.
pub static WEIGHTED_POD_AFFINITY_TERM: Struct = Struct {
    name: "WeightedPodAffinityTerm",
    size: size_of::<v1::WeightedPodAffinityTerm>(),
    rows: &[
        row("weight", Int32, Always, Supported),
        row("podAffinityTerm", Object(&POD_AFFINITY_TERM), Always, Supported),
    ],
};

/// `NodeSelectorTerm`.
pub static NODE_SELECTOR_TERM: Struct = Struct {
    name: "NodeSelectorTerm",
    size: size_of::<v1::NodeSelectorTerm>(),
    rows: &[
        row("matchExpressions", List(&Object(&NODE_SELECTOR_REQUIREMENT)), OmitEmpty, Supported),
        row("matchFields", List(&Object(&NODE_SELECTOR_REQUIREMENT)), OmitEmpty, Supported),
    ],
};

/// `NodeSelectorRequirement`.
pub static NODE_SELECTOR_REQUIREMENT: Struct = Struct {
    name: "NodeSelectorRequirement",
    size: size_of::<v1::NodeSelectorRequirement>(),
    rows: &[
        row("key", STRING, Always, Supported),
        row("operator", Text("v1.NodeSelectorOperator"), Always, Supported),
        row("values", List(&STRING), OmitEmpty, Supported),
    ],
};
