//! What the API server's encoder leaves out: fields whose value says nothing (`""`, `0`, `false`, `[]`, `{}`) and that
//! cannot say "given but empty" either.
//!
//! Defaulting starts here, so that `image: ""` and no image are one case, as they are for the server; fields where
//! the server tells the two apart (pointers in its types: `runAsUser: 0`, `hostUsers: false`) are not in the rows.
//! The rows follow core/v1 `types.go` of Kubernetes 1.36.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::*;

/// Has fields that say nothing when they hold their type's zero value.
pub trait DropZero {
    /// Empties them, here and below.
    fn drop_zero(&mut self);
}

impl<T: DropZero> DropZero for Option<T> {
    fn drop_zero(&mut self) {
        if let Some(inner) = self {
            inner.drop_zero();
        }
    }
}

impl<T: DropZero> DropZero for Vec<T> {
    fn drop_zero(&mut self) {
        self.iter_mut().for_each(DropZero::drop_zero);
    }
}

trait Zero {
    fn is_zero(&self) -> bool;
}

impl Zero for String {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
}

impl Zero for bool {
    fn is_zero(&self) -> bool {
        !self
    }
}

impl Zero for i32 {
    fn is_zero(&self) -> bool {
        *self == 0
    }
}

impl<T> Zero for Vec<T> {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Zero for BTreeMap<K, V> {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
}

fn drop_if_zero<T: Zero>(field: &mut Option<T>) {
    if field.as_ref().is_some_and(Zero::is_zero) {
        *field = None;
    }
}

macro_rules! rows {
    ($($type:ident { drop [$($zero:ident),*] within [$($inner:ident),*] })*) => {
        $(impl DropZero for $type {
            fn drop_zero(&mut self) {
                $(drop_if_zero(&mut self.$zero);)*
                $(self.$inner.drop_zero();)*
            }
        })*
    };
}

rows! {
    PodSpec { drop [volumes, init_containers, ephemeral_containers, restart_policy, dns_policy, node_selector, service_account_name, service_account, node_name, host_network, host_pid, host_ipc, image_pull_secrets, hostname, subdomain, scheduler_name, tolerations, host_aliases, priority_class_name, readiness_gates, overhead, topology_spread_constraints, scheduling_gates, resource_claims] within [volumes, init_containers, containers, ephemeral_containers, security_context, affinity, tolerations, host_aliases, dns_config, topology_spread_constraints, resources] }
    Volume { drop [] within [empty_dir, gce_persistent_disk, aws_elastic_block_store, git_repo, secret, nfs, iscsi, glusterfs, persistent_volume_claim, rbd, flex_volume, cinder, cephfs, flocker, downward_api, fc, azure_file, config_map, vsphere_volume, quobyte, photon_persistent_disk, projected, portworx_volume, scale_io, storageos, csi, ephemeral, image] }
    EmptyDirVolumeSource { drop [medium] within [] }
    GCEPersistentDiskVolumeSource { drop [fs_type, partition, read_only] within [] }
    AWSElasticBlockStoreVolumeSource { drop [fs_type, partition, read_only] within [] }
    GitRepoVolumeSource { drop [revision, directory] within [] }
    SecretVolumeSource { drop [secret_name, items] within [] }
    NFSVolumeSource { drop [read_only] within [] }
    ISCSIVolumeSource { drop [iscsi_interface, fs_type, read_only, portals, chap_auth_discovery, chap_auth_session] within [] }
    GlusterfsVolumeSource { drop [read_only] within [] }
    PersistentVolumeClaimVolumeSource { drop [read_only] within [] }
    RBDVolumeSource { drop [fs_type, pool, user, keyring, read_only] within [] }
    FlexVolumeSource { drop [fs_type, read_only, options] within [] }
    CinderVolumeSource { drop [fs_type, read_only] within [] }
    CephFSVolumeSource { drop [path, user, secret_file, read_only] within [] }
    FlockerVolumeSource { drop [dataset_name, dataset_uuid] within [] }
    DownwardAPIVolumeSource { drop [items] within [items] }
    DownwardAPIVolumeFile { drop [] within [field_ref, resource_field_ref] }
    ObjectFieldSelector { drop [api_version] within [] }
    ResourceFieldSelector { drop [container_name] within [] }
    FCVolumeSource { drop [target_wwns, fs_type, read_only, wwids] within [] }
    AzureFileVolumeSource { drop [read_only] within [] }
    ConfigMapVolumeSource { drop [items] within [] }
    VsphereVirtualDiskVolumeSource { drop [fs_type, storage_policy_name, storage_policy_id] within [] }
    QuobyteVolumeSource { drop [read_only, user, group, tenant] within [] }
    PhotonPersistentDiskVolumeSource { drop [fs_type] within [] }
    ProjectedVolumeSource { drop [] within [sources] }
    VolumeProjection { drop [] within [secret, downward_api, config_map, service_account_token, pod_certificate] }
    SecretProjection { drop [items] within [] }
    DownwardAPIProjection { drop [items] within [items] }
    ConfigMapProjection { drop [items] within [] }
    ServiceAccountTokenProjection { drop [audience] within [] }
    PodCertificateProjection { drop [credential_bundle_path, key_path, certificate_chain_path, user_annotations] within [] }
    PortworxVolumeSource { drop [fs_type, read_only] within [] }
    ScaleIOVolumeSource { drop [ssl_enabled, protection_domain, storage_pool, storage_mode, volume_name, fs_type, read_only] within [] }
    StorageOSVolumeSource { drop [volume_name, volume_namespace, fs_type, read_only] within [] }
    CSIVolumeSource { drop [volume_attributes] within [] }
    EphemeralVolumeSource { drop [] within [volume_claim_template] }
    PersistentVolumeClaimTemplate { drop [] within [spec] }
    PersistentVolumeClaimSpec { drop [access_modes, volume_name] within [resources] }
    VolumeResourceRequirements { drop [limits, requests] within [] }
    ImageVolumeSource { drop [reference, pull_policy] within [] }
    Container { drop [image, command, args, working_dir, ports, env_from, env, resize_policy, restart_policy_rules, volume_mounts, volume_devices, termination_message_path, termination_message_policy, image_pull_policy, stdin, stdin_once, tty] within [ports, env_from, env, resources, restart_policy_rules, volume_mounts, liveness_probe, readiness_probe, startup_probe, lifecycle, security_context] }
    ContainerPort { drop [name, host_port, protocol, host_ip] within [] }
    EnvFromSource { drop [prefix] within [] }
    EnvVar { drop [value] within [value_from] }
    EnvVarSource { drop [] within [field_ref, resource_field_ref] }
    ResourceRequirements { drop [limits, requests, claims] within [claims] }
    ResourceClaim { drop [request] within [] }
    ContainerRestartRule { drop [] within [exit_codes] }
    ContainerRestartRuleOnExitCodes { drop [values] within [] }
    VolumeMount { drop [read_only, sub_path, sub_path_expr] within [] }
    Probe { drop [initial_delay_seconds, timeout_seconds, period_seconds, success_threshold, failure_threshold] within [exec, http_get, tcp_socket] }
    ExecAction { drop [command] within [] }
    HTTPGetAction { drop [path, host, scheme, http_headers] within [] }
    TCPSocketAction { drop [host] within [] }
    Lifecycle { drop [] within [post_start, pre_stop] }
    LifecycleHandler { drop [] within [exec, http_get, tcp_socket] }
    SecurityContext { drop [] within [capabilities, se_linux_options] }
    Capabilities { drop [add, drop] within [] }
    SELinuxOptions { drop [user, role, type_, level] within [] }
    EphemeralContainer { drop [image, command, args, working_dir, ports, env_from, env, resize_policy, restart_policy_rules, volume_mounts, volume_devices, termination_message_path, termination_message_policy, image_pull_policy, stdin, stdin_once, tty, target_container_name] within [ports, env_from, env, resources, restart_policy_rules, volume_mounts, liveness_probe, readiness_probe, startup_probe, lifecycle, security_context] }
    PodSecurityContext { drop [supplemental_groups, sysctls] within [se_linux_options] }
    Affinity { drop [] within [node_affinity, pod_affinity, pod_anti_affinity] }
    NodeAffinity { drop [preferred_during_scheduling_ignored_during_execution] within [required_during_scheduling_ignored_during_execution, preferred_during_scheduling_ignored_during_execution] }
    NodeSelector { drop [] within [node_selector_terms] }
    NodeSelectorTerm { drop [match_expressions, match_fields] within [match_expressions, match_fields] }
    NodeSelectorRequirement { drop [values] within [] }
    PreferredSchedulingTerm { drop [] within [preference] }
    PodAffinity { drop [required_during_scheduling_ignored_during_execution, preferred_during_scheduling_ignored_during_execution] within [required_during_scheduling_ignored_during_execution, preferred_during_scheduling_ignored_during_execution] }
    PodAffinityTerm { drop [namespaces, match_label_keys, mismatch_label_keys] within [] }
    WeightedPodAffinityTerm { drop [] within [pod_affinity_term] }
    PodAntiAffinity { drop [required_during_scheduling_ignored_during_execution, preferred_during_scheduling_ignored_during_execution] within [required_during_scheduling_ignored_during_execution, preferred_during_scheduling_ignored_during_execution] }
    Toleration { drop [key, operator, value, effect] within [] }
    HostAlias { drop [hostnames] within [] }
    PodDNSConfig { drop [nameservers, searches, options] within [options] }
    PodDNSConfigOption { drop [name] within [] }
    TopologySpreadConstraint { drop [match_label_keys] within [] }
}
