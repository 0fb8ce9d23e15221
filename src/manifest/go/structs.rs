//! The structs beneath a pod's spec as the API server has them: Go's name, JSON's name, what an absent field shows
//! (`null` for pointers, lists and maps), and the struct within. A list of facts, read only by `go`.

#![allow(non_upper_case_globals, reason = "a struct's name in Go is its constant's here")]

use super::{Absent, Row};

macro_rules! absent {
    (null) => {
        Absent::Null
    };
    (text) => {
        Absent::EmptyText
    };
    (no) => {
        Absent::False
    };
    (zero) => {
        Absent::Zero
    };
    (amount) => {
        Absent::ZeroQuantity
    };
    (object) => {
        Absent::EmptyStruct
    };
}

macro_rules! inner {
    () => {
        None
    };
    ($of:ident) => {
        Some($of)
    };
}

macro_rules! structs {
    ($($name:ident { $($go:ident: $json:ident $absent:ident $($of:ident)?),* })*) => {
        $(
            pub(super) const $name: &[Row] = &[$(Row {
                go: stringify!($go),
                json: stringify!($json),
                absent: absent!($absent),
                of: inner!($($of)?),
            }),*];
        )*
    };
}

structs! {
    PodSpec {
        Volumes: volumes null Volume, InitContainers: initContainers null Container, Containers: containers null
        Container, EphemeralContainers: ephemeralContainers null EphemeralContainer, RestartPolicy: restartPolicy
        text, TerminationGracePeriodSeconds: terminationGracePeriodSeconds null, ActiveDeadlineSeconds:
        activeDeadlineSeconds null, DNSPolicy: dnsPolicy text, NodeSelector: nodeSelector null, ServiceAccountName:
        serviceAccountName text, AutomountServiceAccountToken: automountServiceAccountToken null, NodeName: nodeName
        text, SecurityContext: securityContext null PodSecurityContext, ImagePullSecrets: imagePullSecrets null
        LocalObjectReference, Hostname: hostname text, Subdomain: subdomain text, SetHostnameAsFQDN:
        setHostnameAsFQDN null, Affinity: affinity null Affinity, SchedulerName: schedulerName text, Tolerations:
        tolerations null Toleration, HostAliases: hostAliases null HostAlias, PriorityClassName: priorityClassName
        text, Priority: priority null, PreemptionPolicy: preemptionPolicy null, DNSConfig: dnsConfig null
        PodDNSConfig, ReadinessGates: readinessGates null PodReadinessGate, RuntimeClassName: runtimeClassName null,
        Overhead: overhead null, EnableServiceLinks: enableServiceLinks null, TopologySpreadConstraints:
        topologySpreadConstraints null TopologySpreadConstraint, OS: os null PodOS, SchedulingGates: schedulingGates
        null PodSchedulingGate, ResourceClaims: resourceClaims null PodResourceClaim, Resources: resources null
        ResourceRequirements, HostnameOverride: hostnameOverride null, SchedulingGroup: schedulingGroup null
        PodSchedulingGroup
    }
    Volume {
        Name: name text, HostPath: hostPath null HostPathVolumeSource, EmptyDir: emptyDir null EmptyDirVolumeSource,
        GCEPersistentDisk: gcePersistentDisk null GCEPersistentDiskVolumeSource, AWSElasticBlockStore:
        awsElasticBlockStore null AWSElasticBlockStoreVolumeSource, GitRepo: gitRepo null GitRepoVolumeSource,
        Secret: secret null SecretVolumeSource, NFS: nfs null NFSVolumeSource, ISCSI: iscsi null ISCSIVolumeSource,
        Glusterfs: glusterfs null GlusterfsVolumeSource, PersistentVolumeClaim: persistentVolumeClaim null
        PersistentVolumeClaimVolumeSource, RBD: rbd null RBDVolumeSource, Quobyte: quobyte null
        QuobyteVolumeSource, FlexVolume: flexVolume null FlexVolumeSource, Cinder: cinder null CinderVolumeSource,
        CephFS: cephfs null CephFSVolumeSource, Flocker: flocker null FlockerVolumeSource, DownwardAPI: downwardAPI
        null DownwardAPIVolumeSource, FC: fc null FCVolumeSource, AzureFile: azureFile null AzureFileVolumeSource,
        ConfigMap: configMap null ConfigMapVolumeSource, VsphereVolume: vsphereVolume null
        VsphereVirtualDiskVolumeSource, AzureDisk: azureDisk null AzureDiskVolumeSource, PhotonPersistentDisk:
        photonPersistentDisk null PhotonPersistentDiskVolumeSource, Projected: projected null ProjectedVolumeSource,
        PortworxVolume: portworxVolume null PortworxVolumeSource, ScaleIO: scaleIO null ScaleIOVolumeSource,
        StorageOS: storageos null StorageOSVolumeSource, CSI: csi null CSIVolumeSource, Ephemeral: ephemeral null
        EphemeralVolumeSource, Image: image null ImageVolumeSource
    }
    HostPathVolumeSource {
        Path: path text, Type: type null
    }
    EmptyDirVolumeSource {
        Medium: medium text, SizeLimit: sizeLimit null
    }
    GCEPersistentDiskVolumeSource {
        PDName: pdName text, FSType: fsType text, Partition: partition zero, ReadOnly: readOnly no
    }
    AWSElasticBlockStoreVolumeSource {
        VolumeID: volumeID text, FSType: fsType text, Partition: partition zero, ReadOnly: readOnly no
    }
    GitRepoVolumeSource {
        Repository: repository text, Revision: revision text, Directory: directory text
    }
    SecretVolumeSource {
        SecretName: secretName text, Items: items null KeyToPath, DefaultMode: defaultMode null, Optional: optional
        null
    }
    KeyToPath {
        Key: key text, Path: path text, Mode: mode null
    }
    NFSVolumeSource {
        Server: server text, Path: path text, ReadOnly: readOnly no
    }
    ISCSIVolumeSource {
        TargetPortal: targetPortal text, IQN: iqn text, Lun: lun zero, ISCSIInterface: iscsiInterface text, FSType:
        fsType text, ReadOnly: readOnly no, Portals: portals null, DiscoveryCHAPAuth: chapAuthDiscovery no,
        SessionCHAPAuth: chapAuthSession no, SecretRef: secretRef null LocalObjectReference, InitiatorName:
        initiatorName null
    }
    LocalObjectReference {
        Name: name text
    }
    GlusterfsVolumeSource {
        EndpointsName: endpoints text, Path: path text, ReadOnly: readOnly no
    }
    PersistentVolumeClaimVolumeSource {
        ClaimName: claimName text, ReadOnly: readOnly no
    }
    RBDVolumeSource {
        CephMonitors: monitors null, RBDImage: image text, FSType: fsType text, RBDPool: pool text, RadosUser: user
        text, Keyring: keyring text, SecretRef: secretRef null LocalObjectReference, ReadOnly: readOnly no
    }
    QuobyteVolumeSource {
        Registry: registry text, Volume: volume text, ReadOnly: readOnly no, User: user text, Group: group text,
        Tenant: tenant text
    }
    FlexVolumeSource {
        Driver: driver text, FSType: fsType text, SecretRef: secretRef null LocalObjectReference, ReadOnly: readOnly
        no, Options: options null
    }
    CinderVolumeSource {
        VolumeID: volumeID text, FSType: fsType text, ReadOnly: readOnly no, SecretRef: secretRef null
        LocalObjectReference
    }
    CephFSVolumeSource {
        Monitors: monitors null, Path: path text, User: user text, SecretFile: secretFile text, SecretRef: secretRef
        null LocalObjectReference, ReadOnly: readOnly no
    }
    FlockerVolumeSource {
        DatasetName: datasetName text, DatasetUUID: datasetUUID text
    }
    DownwardAPIVolumeSource {
        Items: items null DownwardAPIVolumeFile, DefaultMode: defaultMode null
    }
    DownwardAPIVolumeFile {
        Path: path text, FieldRef: fieldRef null ObjectFieldSelector, ResourceFieldRef: resourceFieldRef null
        ResourceFieldSelector, Mode: mode null
    }
    ObjectFieldSelector {
        APIVersion: apiVersion text, FieldPath: fieldPath text
    }
    ResourceFieldSelector {
        ContainerName: containerName text, Resource: resource text, Divisor: divisor amount
    }
    FCVolumeSource {
        TargetWWNs: targetWWNs null, Lun: lun null, FSType: fsType text, ReadOnly: readOnly no, WWIDs: wwids null
    }
    AzureFileVolumeSource {
        SecretName: secretName text, ShareName: shareName text, ReadOnly: readOnly no
    }
    ConfigMapVolumeSource {
        Name: name text, Items: items null KeyToPath, DefaultMode: defaultMode null, Optional: optional null
    }
    VsphereVirtualDiskVolumeSource {
        VolumePath: volumePath text, FSType: fsType text, StoragePolicyName: storagePolicyName text, StoragePolicyID:
        storagePolicyID text
    }
    AzureDiskVolumeSource {
        DiskName: diskName text, DataDiskURI: diskURI text, CachingMode: cachingMode null, FSType: fsType null,
        ReadOnly: readOnly null, Kind: kind null
    }
    PhotonPersistentDiskVolumeSource {
        PdID: pdID text, FSType: fsType text
    }
    ProjectedVolumeSource {
        Sources: sources null VolumeProjection, DefaultMode: defaultMode null
    }
    VolumeProjection {
        Secret: secret null SecretProjection, DownwardAPI: downwardAPI null DownwardAPIProjection, ConfigMap:
        configMap null ConfigMapProjection, ServiceAccountToken: serviceAccountToken null
        ServiceAccountTokenProjection, ClusterTrustBundle: clusterTrustBundle null ClusterTrustBundleProjection,
        PodCertificate: podCertificate null PodCertificateProjection
    }
    SecretProjection {
        Name: name text, Items: items null KeyToPath, Optional: optional null
    }
    DownwardAPIProjection {
        Items: items null DownwardAPIVolumeFile
    }
    ConfigMapProjection {
        Name: name text, Items: items null KeyToPath, Optional: optional null
    }
    ServiceAccountTokenProjection {
        Audience: audience text, ExpirationSeconds: expirationSeconds zero, Path: path text
    }
    ClusterTrustBundleProjection {
        Name: name null, SignerName: signerName null, LabelSelector: labelSelector null, Optional: optional null,
        Path: path text
    }
    PodCertificateProjection {
        SignerName: signerName text, KeyType: keyType text, MaxExpirationSeconds: maxExpirationSeconds null,
        CredentialBundlePath: credentialBundlePath text, KeyPath: keyPath text, CertificateChainPath:
        certificateChainPath text, UserAnnotations: userAnnotations null
    }
    PortworxVolumeSource {
        VolumeID: volumeID text, FSType: fsType text, ReadOnly: readOnly no
    }
    ScaleIOVolumeSource {
        Gateway: gateway text, System: system text, SecretRef: secretRef null LocalObjectReference, SSLEnabled:
        sslEnabled no, ProtectionDomain: protectionDomain text, StoragePool: storagePool text, StorageMode:
        storageMode text, VolumeName: volumeName text, FSType: fsType text, ReadOnly: readOnly no
    }
    StorageOSVolumeSource {
        VolumeName: volumeName text, VolumeNamespace: volumeNamespace text, FSType: fsType text, ReadOnly: readOnly
        no, SecretRef: secretRef null LocalObjectReference
    }
    CSIVolumeSource {
        Driver: driver text, ReadOnly: readOnly null, FSType: fsType null, VolumeAttributes: volumeAttributes null,
        NodePublishSecretRef: nodePublishSecretRef null LocalObjectReference
    }
    EphemeralVolumeSource {
        VolumeClaimTemplate: volumeClaimTemplate null PersistentVolumeClaimTemplate
    }
    PersistentVolumeClaimTemplate {
        Spec: spec object PersistentVolumeClaimSpec
    }
    PersistentVolumeClaimSpec {
        AccessModes: accessModes null, Selector: selector null, Resources: resources object
        VolumeResourceRequirements, VolumeName: volumeName text, StorageClassName: storageClassName null, VolumeMode:
        volumeMode null, DataSource: dataSource null TypedLocalObjectReference, DataSourceRef: dataSourceRef null
        TypedObjectReference, VolumeAttributesClassName: volumeAttributesClassName null
    }
    VolumeResourceRequirements {
        Limits: limits null, Requests: requests null
    }
    TypedLocalObjectReference {
        APIGroup: apiGroup null, Kind: kind text, Name: name text
    }
    TypedObjectReference {
        APIGroup: apiGroup null, Kind: kind text, Name: name text, Namespace: namespace null
    }
    ImageVolumeSource {
        Reference: reference text, PullPolicy: pullPolicy text
    }
    Container {
        Name: name text, Image: image text, Command: command null, Args: args null, WorkingDir: workingDir text,
        Ports: ports null ContainerPort, EnvFrom: envFrom null EnvFromSource, Env: env null EnvVar, Resources:
        resources object ResourceRequirements, ResizePolicy: resizePolicy null ContainerResizePolicy, RestartPolicy:
        restartPolicy null, RestartPolicyRules: restartPolicyRules null ContainerRestartRule, VolumeMounts:
        volumeMounts null VolumeMount, VolumeDevices: volumeDevices null VolumeDevice, LivenessProbe: livenessProbe
        null Probe, ReadinessProbe: readinessProbe null Probe, StartupProbe: startupProbe null Probe, Lifecycle:
        lifecycle null Lifecycle, TerminationMessagePath: terminationMessagePath text, TerminationMessagePolicy:
        terminationMessagePolicy text, ImagePullPolicy: imagePullPolicy text, SecurityContext: securityContext null
        SecurityContext, Stdin: stdin no, StdinOnce: stdinOnce no, TTY: tty no
    }
    ContainerPort {
        Name: name text, HostPort: hostPort zero, ContainerPort: containerPort zero, Protocol: protocol text, HostIP:
        hostIP text
    }
    EnvFromSource {
        Prefix: prefix text, ConfigMapRef: configMapRef null ConfigMapEnvSource, SecretRef: secretRef null
        SecretEnvSource
    }
    ConfigMapEnvSource {
        Name: name text, Optional: optional null
    }
    SecretEnvSource {
        Name: name text, Optional: optional null
    }
    EnvVar {
        Name: name text, Value: value text, ValueFrom: valueFrom null EnvVarSource
    }
    EnvVarSource {
        FieldRef: fieldRef null ObjectFieldSelector, ResourceFieldRef: resourceFieldRef null ResourceFieldSelector,
        ConfigMapKeyRef: configMapKeyRef null ConfigMapKeySelector, SecretKeyRef: secretKeyRef null
        SecretKeySelector, FileKeyRef: fileKeyRef null FileKeySelector
    }
    ConfigMapKeySelector {
        Name: name text, Key: key text, Optional: optional null
    }
    SecretKeySelector {
        Name: name text, Key: key text, Optional: optional null
    }
    FileKeySelector {
        VolumeName: volumeName text, Path: path text, Key: key text, Optional: optional null
    }
    ResourceRequirements {
        Limits: limits null, Requests: requests null, Claims: claims null ResourceClaim
    }
    ResourceClaim {
        Name: name text, Request: request text
    }
    ContainerResizePolicy {
        ResourceName: resourceName text, RestartPolicy: restartPolicy text
    }
    ContainerRestartRule {
        Action: action text, ExitCodes: exitCodes null ContainerRestartRuleOnExitCodes
    }
    ContainerRestartRuleOnExitCodes {
        Operator: operator text, Values: values null
    }
    VolumeMount {
        Name: name text, ReadOnly: readOnly no, RecursiveReadOnly: recursiveReadOnly null, MountPath: mountPath text,
        SubPath: subPath text, MountPropagation: mountPropagation null, SubPathExpr: subPathExpr text
    }
    VolumeDevice {
        Name: name text, DevicePath: devicePath text
    }
    Probe {
        Exec: exec null ExecAction, HTTPGet: httpGet null HTTPGetAction, TCPSocket: tcpSocket null TCPSocketAction,
        GRPC: grpc null GRPCAction, InitialDelaySeconds: initialDelaySeconds zero, TimeoutSeconds: timeoutSeconds
        zero, PeriodSeconds: periodSeconds zero, SuccessThreshold: successThreshold zero, FailureThreshold:
        failureThreshold zero, TerminationGracePeriodSeconds: terminationGracePeriodSeconds null
    }
    ExecAction {
        Command: command null
    }
    HTTPGetAction {
        Path: path text, Port: port null, Host: host text, Scheme: scheme text, HTTPHeaders: httpHeaders null
        HTTPHeader
    }
    HTTPHeader {
        Name: name text, Value: value text
    }
    TCPSocketAction {
        Port: port null, Host: host text
    }
    GRPCAction {
        Port: port zero, Service: service null
    }
    Lifecycle {
        PostStart: postStart null LifecycleHandler, PreStop: preStop null LifecycleHandler, StopSignal: stopSignal
        null
    }
    LifecycleHandler {
        Exec: exec null ExecAction, HTTPGet: httpGet null HTTPGetAction, TCPSocket: tcpSocket null TCPSocketAction,
        Sleep: sleep null SleepAction
    }
    SleepAction {
        Seconds: seconds zero
    }
    SecurityContext {
        Capabilities: capabilities null Capabilities, Privileged: privileged null, SELinuxOptions: seLinuxOptions
        null SELinuxOptions, WindowsOptions: windowsOptions null WindowsSecurityContextOptions, RunAsUser: runAsUser
        null, RunAsGroup: runAsGroup null, RunAsNonRoot: runAsNonRoot null, ReadOnlyRootFilesystem:
        readOnlyRootFilesystem null, AllowPrivilegeEscalation: allowPrivilegeEscalation null, ProcMount: procMount
        null, SeccompProfile: seccompProfile null SeccompProfile, AppArmorProfile: appArmorProfile null
        AppArmorProfile
    }
    Capabilities {
        Add: add null, Drop: drop null
    }
    SELinuxOptions {
        User: user text, Role: role text, Type: type text, Level: level text
    }
    WindowsSecurityContextOptions {
        GMSACredentialSpecName: gmsaCredentialSpecName null, GMSACredentialSpec: gmsaCredentialSpec null,
        RunAsUserName: runAsUserName null, HostProcess: hostProcess null
    }
    SeccompProfile {
        Type: type text, LocalhostProfile: localhostProfile null
    }
    AppArmorProfile {
        Type: type text, LocalhostProfile: localhostProfile null
    }
    EphemeralContainer {
        Name: name text, Image: image text, Command: command null, Args: args null, WorkingDir: workingDir text,
        Ports: ports null ContainerPort, EnvFrom: envFrom null EnvFromSource, Env: env null EnvVar, Resources:
        resources object ResourceRequirements, ResizePolicy: resizePolicy null ContainerResizePolicy, RestartPolicy:
        restartPolicy null, RestartPolicyRules: restartPolicyRules null ContainerRestartRule, VolumeMounts:
        volumeMounts null VolumeMount, VolumeDevices: volumeDevices null VolumeDevice, LivenessProbe: livenessProbe
        null Probe, ReadinessProbe: readinessProbe null Probe, StartupProbe: startupProbe null Probe, Lifecycle:
        lifecycle null Lifecycle, TerminationMessagePath: terminationMessagePath text, TerminationMessagePolicy:
        terminationMessagePolicy text, ImagePullPolicy: imagePullPolicy text, SecurityContext: securityContext null
        SecurityContext, Stdin: stdin no, StdinOnce: stdinOnce no, TTY: tty no, TargetContainerName:
        targetContainerName text
    }
    PodSecurityContext {
        HostNetwork: hostNetwork no, HostPID: hostPID no, HostIPC: hostIPC no, ShareProcessNamespace:
        shareProcessNamespace null, HostUsers: hostUsers null, SELinuxOptions: seLinuxOptions null SELinuxOptions,
        WindowsOptions: windowsOptions null WindowsSecurityContextOptions, RunAsUser: runAsUser null, RunAsGroup:
        runAsGroup null, RunAsNonRoot: runAsNonRoot null, SupplementalGroups: supplementalGroups null,
        SupplementalGroupsPolicy: supplementalGroupsPolicy null, FSGroup: fsGroup null, FSGroupChangePolicy:
        fsGroupChangePolicy null, Sysctls: sysctls null Sysctl, SeccompProfile: seccompProfile null SeccompProfile,
        AppArmorProfile: appArmorProfile null AppArmorProfile, SELinuxChangePolicy: seLinuxChangePolicy null
    }
    Sysctl {
        Name: name text, Value: value text
    }
    Affinity {
        NodeAffinity: nodeAffinity null NodeAffinity, PodAffinity: podAffinity null PodAffinity, PodAntiAffinity:
        podAntiAffinity null PodAntiAffinity
    }
    NodeAffinity {
        RequiredDuringSchedulingIgnoredDuringExecution: requiredDuringSchedulingIgnoredDuringExecution null
        NodeSelector, PreferredDuringSchedulingIgnoredDuringExecution:
        preferredDuringSchedulingIgnoredDuringExecution null PreferredSchedulingTerm
    }
    NodeSelector {
        NodeSelectorTerms: nodeSelectorTerms null NodeSelectorTerm
    }
    NodeSelectorTerm {
        MatchExpressions: matchExpressions null NodeSelectorRequirement, MatchFields: matchFields null
        NodeSelectorRequirement
    }
    NodeSelectorRequirement {
        Key: key text, Operator: operator text, Values: values null
    }
    PreferredSchedulingTerm {
        Weight: weight zero, Preference: preference object NodeSelectorTerm
    }
    PodAffinity {
        RequiredDuringSchedulingIgnoredDuringExecution: requiredDuringSchedulingIgnoredDuringExecution null
        PodAffinityTerm, PreferredDuringSchedulingIgnoredDuringExecution:
        preferredDuringSchedulingIgnoredDuringExecution null WeightedPodAffinityTerm
    }
    PodAffinityTerm {
        LabelSelector: labelSelector null, Namespaces: namespaces null, TopologyKey: topologyKey text,
        NamespaceSelector: namespaceSelector null, MatchLabelKeys: matchLabelKeys null, MismatchLabelKeys:
        mismatchLabelKeys null
    }
    WeightedPodAffinityTerm {
        Weight: weight zero, PodAffinityTerm: podAffinityTerm object PodAffinityTerm
    }
    PodAntiAffinity {
        RequiredDuringSchedulingIgnoredDuringExecution: requiredDuringSchedulingIgnoredDuringExecution null
        PodAffinityTerm, PreferredDuringSchedulingIgnoredDuringExecution:
        preferredDuringSchedulingIgnoredDuringExecution null WeightedPodAffinityTerm
    }
    Toleration {
        Key: key text, Operator: operator text, Value: value text, Effect: effect text, TolerationSeconds:
        tolerationSeconds null
    }
    HostAlias {
        IP: ip text, Hostnames: hostnames null
    }
    PodDNSConfig {
        Nameservers: nameservers null, Searches: searches null, Options: options null PodDNSConfigOption
    }
    PodDNSConfigOption {
        Name: name text, Value: value null
    }
    PodReadinessGate {
        ConditionType: conditionType text
    }
    TopologySpreadConstraint {
        MaxSkew: maxSkew zero, TopologyKey: topologyKey text, WhenUnsatisfiable: whenUnsatisfiable text,
        LabelSelector: labelSelector null, MinDomains: minDomains null, NodeAffinityPolicy: nodeAffinityPolicy null,
        NodeTaintsPolicy: nodeTaintsPolicy null, MatchLabelKeys: matchLabelKeys null
    }
    PodOS {
        Name: name text
    }
    PodSchedulingGate {
        Name: name text
    }
    PodResourceClaim {
        Name: name text, ResourceClaimName: resourceClaimName null, ResourceClaimTemplateName:
        resourceClaimTemplateName null
    }
    PodSchedulingGroup {
        PodGroupName: podGroupName null
    }
}
