//! Defaulting as the API server does it: what a decoded object holds once the server has read it.
//!
//! `load` calls it between decoding and validation. Beside the defaults of core/v1 (`SetDefaults_*`) it does what the
//! server's conversion, its pod strategy and the admission plugins that every cluster runs (Priority,
//! DefaultTolerationSeconds) write, so that `apply --dry-run=server` shows what a cluster would. It never refuses
//! anything and never invents what needs a clock or chance (uid, creationTimestamp, generated names).

mod label_keys;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    AppArmorProfile, ConfigMap, Container, EnvVar, EphemeralContainer, HTTPGetAction, ObjectFieldSelector, Pod,
    PodCondition, PodSpec, PodStatus, Probe, ResourceFieldSelector, ResourceRequirements, Secret, Toleration, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use label_keys::{add_label_keys, merge_label_keys};

use super::image_tag::pulls_always;
use super::quantity::Quantity;
use super::resources::{self, ResourceList};

/// Files of configMap, secret, downwardAPI and projected volumes: 0644.
const FILE_MODE: i32 = 0o644;
/// How long a pod stays on a node that is lost; admission writes it.
const TOLERATION_SECONDS: i64 = 300;
/// Annotations that once carried init containers; the server's conversion takes them out.
const INIT_CONTAINER_ANNOTATIONS: [&str; 4] = [
    "pod.beta.kubernetes.io/init-containers",
    "pod.alpha.kubernetes.io/init-containers",
    "pod.beta.kubernetes.io/init-container-statuses",
    "pod.alpha.kubernetes.io/init-container-statuses",
];

/// Fills a decoded pod with the API server's defaults.
pub fn pod(pod: &mut Pod) {
    metadata(&mut pod.metadata);
    if let Some(annotations) = &mut pod.metadata.annotations {
        annotations.retain(|key, _| !INIT_CONTAINER_ANNOTATIONS.contains(&key.as_str()));
    }
    pod.metadata.generation = Some(1);
    let spec = pod.spec.get_or_insert_default();
    pod_spec(spec);
    drop_disabled(spec);
    if let Some(affinity) = &mut spec.affinity {
        merge_label_keys(affinity, pod.metadata.labels.as_ref());
    }
    for constraint in spec.topology_spread_constraints.iter_mut().flatten() {
        let keys = constraint.match_label_keys.clone();
        add_label_keys(&mut constraint.label_selector, keys.as_deref(), "In", pod.metadata.labels.as_ref());
    }
    if let Some(annotations) = &pod.metadata.annotations {
        apparmor_from_annotations(spec, annotations);
    }
    pod.status = Some(PodStatus {
        phase: Some("Pending".into()),
        qos_class: Some(resources::qos_class(spec).into()),
        conditions: spec.scheduling_gates.is_some().then(|| vec![scheduling_gated()]),
        ..PodStatus::default()
    });
}

/// Fills a decoded ConfigMap.
pub fn config_map(map: &mut ConfigMap) {
    metadata(&mut map.metadata);
    map.data.take_if(|data| data.is_empty());
    map.binary_data.take_if(|data| data.is_empty());
}

/// Fills a decoded Secret: type, `stringData` merged into `data`.
pub fn secret(secret: &mut Secret) {
    metadata(&mut secret.metadata);
    for (key, value) in secret.string_data.take().unwrap_or_default() {
        secret.data.get_or_insert_default().insert(key, k8s_openapi::ByteString(value.into_bytes()));
    }
    secret.data.take_if(|data| data.is_empty());
    fill(&mut secret.type_, "Opaque");
}

/// Fields of features that are off in a server as it comes (ClusterTrustBundleProjection, PodCertificateRequest,
/// GenericWorkload) are taken out unread. `stopSignal` stays, for podlet carries it out.
fn drop_disabled(spec: &mut PodSpec) {
    spec.scheduling_group = None;
    let projected = spec.volumes.iter_mut().flatten().filter_map(|volume| volume.projected.as_mut());
    for source in projected.flat_map(|projected| projected.sources.iter_mut().flatten()) {
        source.cluster_trust_bundle = None;
        source.pod_certificate = None;
    }
}

/// A container's AppArmor annotation becomes its field where there is none, unless the pod's profile says the same.
fn apparmor_from_annotations(spec: &mut PodSpec, annotations: &BTreeMap<String, String>) {
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return;
    }
    let of_pod = spec.security_context.as_ref().and_then(|sc| sc.app_armor_profile.clone());
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        let key = format!("container.apparmor.security.beta.kubernetes.io/{}", container.name);
        let Some(profile) = annotations.get(&key).and_then(|text| apparmor_profile(text)) else { continue };
        let own = container.security_context.as_ref().and_then(|sc| sc.app_armor_profile.as_ref());
        if own.is_none() && of_pod.as_ref() != Some(&profile) {
            container.security_context.get_or_insert_default().app_armor_profile = Some(profile);
        }
    }
}

/// The profile that an AppArmor annotation means, if it means one.
pub fn apparmor_profile(annotation: &str) -> Option<AppArmorProfile> {
    const NAME_MAX: usize = 4095;
    let (kind, file) = match annotation {
        "runtime/default" => ("RuntimeDefault", None),
        "unconfined" => ("Unconfined", None),
        _ => {
            let name = annotation.strip_prefix("localhost/")?;
            if name.is_empty() || name.trim() != name || name.len() > NAME_MAX {
                return None;
            }
            ("Localhost", Some(name.to_string()))
        }
    };
    Some(AppArmorProfile { type_: kind.into(), localhost_profile: file })
}

/// What only a server writes is taken out; what says nothing, too.
fn metadata(meta: &mut ObjectMeta) {
    meta.deletion_timestamp = None;
    meta.deletion_grace_period_seconds = None;
    meta.self_link = None;
    fill(&mut meta.namespace, "default");
    meta.generate_name.take_if(|name| name.is_empty());
    meta.name.take_if(|name| name.is_empty());
    meta.labels.take_if(|labels| labels.is_empty());
    meta.annotations.take_if(|annotations| annotations.is_empty());
    meta.finalizers.take_if(|list| list.is_empty());
    meta.owner_references.take_if(|list| list.is_empty());
}

/// Writes `value` where nothing, or an empty text, stands.
fn fill(field: &mut Option<String>, value: &str) {
    if field.as_ref().is_none_or(|text| text.is_empty()) {
        *field = Some(value.into());
    }
}

fn pod_spec(spec: &mut PodSpec) {
    // Negative grace periods count as one second (conversion of a Pod, since 1.31).
    spec.termination_grace_period_seconds =
        spec.termination_grace_period_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds }).or(Some(30));
    // `serviceAccount` is the old name; both are always shown.
    if spec.service_account_name.is_none() {
        spec.service_account_name = spec.service_account.take();
    }
    spec.service_account.clone_from(&spec.service_account_name);

    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        requests_from_limits(container.resources.get_or_insert_default());
    }
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        container_defaults(container);
    }
    for container in spec.ephemeral_containers.iter_mut().flatten() {
        ephemeral_container(container);
    }
    pod_level_resources(spec);
    round_list(&mut spec.overhead);
    spec.volumes.iter_mut().flatten().for_each(volume);

    spec.enable_service_links.get_or_insert(true);
    fill(&mut spec.dns_policy, "ClusterFirst");
    fill(&mut spec.restart_policy, "Always");
    fill(&mut spec.scheduler_name, "default-scheduler");
    spec.security_context.get_or_insert_default();
    if spec.host_network == Some(true) {
        for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
            for port in container.ports.iter_mut().flatten() {
                if port.host_port.is_none() && port.container_port != 0 {
                    port.host_port = Some(port.container_port);
                }
            }
        }
    }
    admission(spec);
}

/// What the plugins Priority and DefaultTolerationSeconds write.
fn admission(spec: &mut PodSpec) {
    let class = match spec.priority_class_name.as_deref() {
        Some("system-cluster-critical") => 2_000_000_000,
        Some("system-node-critical") => 2_000_001_000,
        // Other classes are objects that one machine does not have.
        _ => 0,
    };
    spec.priority.get_or_insert(class);
    spec.preemption_policy.get_or_insert_with(|| "PreemptLowerPriority".into());

    let tolerations = spec.tolerations.get_or_insert_default();
    let missing: Vec<&str> = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
        .into_iter()
        .filter(|taint| {
            !tolerations.iter().any(|t| {
                t.key.as_deref().is_none_or(|key| key == *taint) && t.effect.as_deref().is_none_or(|e| e == "NoExecute")
            })
        })
        .collect();
    tolerations.extend(missing.into_iter().map(|taint| Toleration {
        key: Some(taint.into()),
        operator: Some("Exists".into()),
        effect: Some("NoExecute".into()),
        toleration_seconds: Some(TOLERATION_SECONDS),
        value: None,
    }));
}

fn scheduling_gated() -> PodCondition {
    PodCondition {
        type_: "PodScheduled".into(),
        status: "False".into(),
        reason: Some("SchedulingGated".into()),
        message: Some("Scheduling is blocked due to non-empty scheduling gates".into()),
        ..PodCondition::default()
    }
}

fn container_defaults(container: &mut Container) {
    if let Some(resources) = &mut container.resources {
        round_requirements(resources);
    }
    if container.image_pull_policy.is_none() {
        container.image_pull_policy = Some(pull_policy(container.image.as_deref()).into());
    }
    fill(&mut container.termination_message_path, "/dev/termination-log");
    fill(&mut container.termination_message_policy, "File");
    for port in container.ports.iter_mut().flatten() {
        fill(&mut port.protocol, "TCP");
    }
    container.env.iter_mut().flatten().for_each(env);
    [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe]
        .into_iter()
        .flatten()
        .for_each(probe);
    if let Some(lifecycle) = &mut container.lifecycle {
        for handler in [&mut lifecycle.post_start, &mut lifecycle.pre_stop].into_iter().flatten() {
            handler.http_get.iter_mut().for_each(http_get);
        }
    }
}

fn ephemeral_container(container: &mut EphemeralContainer) {
    round_requirements(container.resources.get_or_insert_default());
    if container.image_pull_policy.is_none() {
        container.image_pull_policy = Some(pull_policy(container.image.as_deref()).into());
    }
    fill(&mut container.termination_message_path, "/dev/termination-log");
    fill(&mut container.termination_message_policy, "File");
    container.env.iter_mut().flatten().for_each(env);
}

fn pull_policy(image: Option<&str>) -> &'static str {
    if pulls_always(image.unwrap_or_default()) { "Always" } else { "IfNotPresent" }
}

fn env(variable: &mut EnvVar) {
    let Some(source) = &mut variable.value_from else { return };
    source.field_ref.iter_mut().for_each(field_ref);
    source.resource_field_ref.iter_mut().for_each(resource_field_ref);
    if let Some(file) = &mut source.file_key_ref {
        file.optional.get_or_insert(false);
    }
}

fn field_ref(selector: &mut ObjectFieldSelector) {
    fill(&mut selector.api_version, "v1");
}

/// The divisor is no pointer in the server's types: it is always shown.
fn resource_field_ref(selector: &mut ResourceFieldSelector) {
    selector.divisor.get_or_insert_with(|| Written("0".into()));
    canonical(&mut selector.divisor);
}

fn probe(probe: &mut Probe) {
    for (field, value) in [
        (&mut probe.timeout_seconds, 1),
        (&mut probe.period_seconds, 10),
        (&mut probe.success_threshold, 1),
        (&mut probe.failure_threshold, 3),
    ] {
        field.get_or_insert(value);
    }
    probe.http_get.iter_mut().for_each(http_get);
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

fn http_get(action: &mut HTTPGetAction) {
    fill(&mut action.path, "/");
    fill(&mut action.scheme, "HTTP");
}

fn volume(volume: &mut Volume) {
    if !has_source(volume) {
        volume.empty_dir = Some(Default::default());
    }
    if let Some(empty) = &mut volume.empty_dir {
        canonical(&mut empty.size_limit);
    }
    if let Some(host) = &mut volume.host_path {
        host.type_.get_or_insert_default();
    }
    if let Some(secret) = &mut volume.secret {
        secret.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(map) = &mut volume.config_map {
        map.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(downward) = &mut volume.downward_api {
        downward.default_mode.get_or_insert(FILE_MODE);
        for file in downward.items.iter_mut().flatten() {
            file.field_ref.iter_mut().for_each(field_ref);
            file.resource_field_ref.iter_mut().for_each(resource_field_ref);
        }
    }
    if let Some(projected) = &mut volume.projected {
        projected.default_mode.get_or_insert(FILE_MODE);
        for source in projected.sources.iter_mut().flatten() {
            for file in source.downward_api.iter_mut().flat_map(|d| &mut d.items).flatten() {
                file.field_ref.iter_mut().for_each(field_ref);
                file.resource_field_ref.iter_mut().for_each(resource_field_ref);
            }
            if let Some(token) = &mut source.service_account_token {
                token.expiration_seconds.get_or_insert(3600);
            }
        }
    }
    if let Some(image) = &mut volume.image
        && image.pull_policy.is_none()
    {
        image.pull_policy = Some(pull_policy(image.reference.as_deref()).into());
    }
    if let Some(template) = volume.ephemeral.as_mut().and_then(|e| e.volume_claim_template.as_mut()) {
        template.spec.volume_mode.get_or_insert_with(|| "Filesystem".into());
        let resources = template.spec.resources.get_or_insert_default();
        round_list(&mut resources.limits);
        round_list(&mut resources.requests);
    }
    driver_defaults(volume);
}

/// Volumes of drivers that one machine lacks; defaulted all the same, for they are shown before they are refused.
fn driver_defaults(volume: &mut Volume) {
    if let Some(iscsi) = &mut volume.iscsi {
        fill(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut volume.rbd {
        fill(&mut rbd.pool, "rbd");
        fill(&mut rbd.user, "admin");
        fill(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    if let Some(disk) = &mut volume.azure_disk {
        disk.caching_mode.get_or_insert_with(|| "ReadWrite".into());
        disk.fs_type.get_or_insert_with(|| "ext4".into());
        disk.read_only.get_or_insert(false);
        disk.kind.get_or_insert_with(|| "Shared".into());
    }
    if let Some(scale_io) = &mut volume.scale_io {
        fill(&mut scale_io.storage_mode, "ThinProvisioned");
        fill(&mut scale_io.fs_type, "xfs");
    }
}

/// Whether any source is given; a volume of a bare name is an emptyDir.
fn has_source(volume: &Volume) -> bool {
    *volume != Volume { name: volume.name.clone(), ..Volume::default() }
}

/// Whatever is limited and not requested is requested in the amount of its limit.
fn requests_from_limits(resources: &mut ResourceRequirements) {
    let Some(limits) = &resources.limits else { return };
    let requests = resources.requests.get_or_insert_default();
    for (name, quantity) in limits {
        requests.entry(name.clone()).or_insert_with(|| quantity.clone());
    }
}

fn round_requirements(resources: &mut ResourceRequirements) {
    round_list(&mut resources.limits);
    round_list(&mut resources.requests);
}

/// Every quantity of a list is rounded up to thousandths and printed in its canonical form.
fn round_list(list: &mut Option<BTreeMap<String, Written>>) {
    for written in list.iter_mut().flat_map(|list| list.values_mut()) {
        if let Ok(mut quantity) = Quantity::parse(&written.0) {
            quantity.round_up_to_milli();
            written.0 = quantity.to_string();
        }
    }
}

fn canonical(written: &mut Option<Written>) {
    if let Some(written) = written
        && let Ok(quantity) = Quantity::parse(&written.0)
    {
        written.0 = quantity.to_string();
    }
}

/// Pod-level `resources`: huge page limits from the containers' sum, then requests from the containers' sum or, where
/// no container asks, from the pod's limits (feature PodLevelResources).
fn pod_level_resources(spec: &mut PodSpec) {
    let Some(mut level) = spec.resources.take() else { return };
    if level.limits.is_some() || level.requests.is_some() {
        let requests = level.requests.as_ref();
        let huge: ResourceList = resources::aggregate(spec, resources::Kind::Limits)
            .into_iter()
            .filter(|(name, _)| resources::is_huge_page(name) && !requests.is_some_and(|r| r.contains_key(name)))
            .collect();
        fill_list(&mut level.limits, huge);
    }
    if let Some(limits) = &level.limits {
        let asked = resources::aggregate(spec, resources::Kind::Requests);
        let supported = |name: &str| resources::is_pod_level(name);
        let limited = limits.iter().filter(|(name, _)| supported(name)).map(|(n, q)| (n.clone(), resources::worth(q)));
        let fallback: ResourceList = limited.collect();
        let asked = asked.into_iter().filter(|(n, _)| supported(n) && resources::overcommit_allowed(n)).collect();
        fill_list(&mut level.requests, asked);
        fill_list(&mut level.requests, fallback);
    }
    round_requirements(&mut level);
    spec.resources = Some(level);
}

fn fill_list(list: &mut Option<BTreeMap<String, Written>>, values: ResourceList) {
    for (name, quantity) in values {
        list.get_or_insert_default().entry(name).or_insert_with(|| Written(quantity.to_string()));
    }
}
