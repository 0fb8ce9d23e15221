//! Rows of `KubeletConfiguration` (`kubelet.config.k8s.io/v1beta1` of Kubernetes 1.36): what podlet's settings file may hold
//! and what podlet does with it. Read by [`crate::manifest::settings`]; `docs/settings.md` is made from it.

use super::Keep::{OmitEmpty, Pointer};
use super::Treatment::{Later, LaterFor, LaterUnless, NoMeaning, Supported, Told, ToldFor, Warned};
use super::Type::{Bool, Int32, Int64, List, Map, Object, Quantity, Raw, Text};
use super::{STRING, Struct, Type, embedded, row};

/// `metav1.Duration`, as Go writes durations: `10s`, `1m30s`.
pub const DURATION: Type = Text("v1.Duration");

/// What holds instead of a field that real files have and podlet does not carry out. What a pod would be less protected
/// without, or what somebody has chosen for its speed, is refused.
const EVICTION: &str = "no pod is evicted because its machine runs short: where memory does, the kernel ends containers in the \
                        order of their pods' QoS classes; `podlet system df` shows what takes disk, `podlet system prune` \
                        gives back what nobody needs";
const RESERVED: &str = "nothing is kept back for the machine itself: pods take what their own limits allow";
const STATIC_PODS: &str = "no pod is started from there: `podlet apply` sets those of a directory or an address going, \
                           `podlet start --all` again after a boot";
const OWN_CGROUPS: &str = "podlet's processes are in cgroups of their own";

/// No typed object is made from these.
const SIZE: usize = 0;

/// `KubeletConfiguration`.
pub static KUBELET_CONFIGURATION: Struct = Struct {
    name: "KubeletConfiguration",
    size: SIZE,
    rows: &[
        embedded("TypeMeta", "kind", STRING, OmitEmpty, Supported),
        embedded("TypeMeta", "apiVersion", STRING, OmitEmpty, Supported),
        row("podlet", Object(&PODLET_SETTINGS), Pointer, Supported),
        row("enableServer", Bool, Pointer, NoMeaning),
        row("staticPodPath", STRING, Pointer, Told(STATIC_PODS)),
        row("podLogsDir", STRING, Pointer, Supported),
        row("syncFrequency", DURATION, Pointer, NoMeaning),
        row("fileCheckFrequency", DURATION, Pointer, NoMeaning),
        row("httpCheckFrequency", DURATION, Pointer, NoMeaning),
        row("staticPodURL", STRING, Pointer, Told(STATIC_PODS)),
        row("staticPodURLHeader", Map("", &List(&STRING)), Pointer, Told(STATIC_PODS)),
        row("address", STRING, Pointer, NoMeaning),
        row("port", Int32, Pointer, NoMeaning),
        row("readOnlyPort", Int32, Pointer, NoMeaning),
        row("tlsCertFile", STRING, Pointer, NoMeaning),
        row("tlsPrivateKeyFile", STRING, Pointer, NoMeaning),
        row("tlsCipherSuites", List(&STRING), Pointer, NoMeaning),
        row("tlsCurvePreferences", List(&Int32), Pointer, NoMeaning),
        row("tlsMinVersion", STRING, Pointer, NoMeaning),
        row("rotateCertificates", Bool, Pointer, NoMeaning),
        row("serverTLSBootstrap", Bool, Pointer, NoMeaning),
        row("authentication", Object(&KUBELET_AUTHENTICATION), Pointer, NoMeaning),
        row("authorization", Object(&KUBELET_AUTHORIZATION), Pointer, NoMeaning),
        row("registryPullQPS", Int32, Pointer, Warned),
        row("registryBurst", Int32, Pointer, Warned),
        row(
            "imagePullCredentialsVerificationPolicy",
            Text("v1beta1.ImagePullCredentialsVerificationPolicy"),
            Pointer,
            LaterUnless(&["NeverVerify"]),
        ),
        row("preloadedImagesVerificationAllowlist", List(&STRING), Pointer, Later),
        row("eventRecordQPS", Int32, Pointer, NoMeaning),
        row("eventBurst", Int32, Pointer, NoMeaning),
        row("enableDebuggingHandlers", Bool, Pointer, NoMeaning),
        row("enableContentionProfiling", Bool, Pointer, NoMeaning),
        row("healthzPort", Int32, Pointer, NoMeaning),
        row("healthzBindAddress", STRING, Pointer, NoMeaning),
        row("oomScoreAdj", Int32, Pointer, Told("podlet's own processes keep the score that they were started with")),
        row("clusterDomain", STRING, Pointer, Warned),
        row("clusterDNS", List(&STRING), Pointer, Warned),
        row("streamingConnectionIdleTimeout", DURATION, Pointer, NoMeaning),
        row("nodeStatusUpdateFrequency", DURATION, Pointer, NoMeaning),
        row("nodeStatusReportFrequency", DURATION, Pointer, NoMeaning),
        row("nodeLeaseDurationSeconds", Int32, Pointer, NoMeaning),
        row("imageMinimumGCAge", DURATION, Pointer, Warned),
        row("imageMaximumGCAge", DURATION, Pointer, Warned),
        row("imageGCHighThresholdPercent", Int32, Pointer, Warned),
        row("imageGCLowThresholdPercent", Int32, Pointer, Warned),
        row("volumeStatsAggPeriod", DURATION, Pointer, NoMeaning),
        row("kubeletCgroups", STRING, Pointer, Told(OWN_CGROUPS)),
        row("systemCgroups", STRING, Pointer, Told(OWN_CGROUPS)),
        row("cgroupRoot", STRING, Pointer, LaterUnless(&["/"])),
        row("cgroupsPerQOS", Bool, Pointer, Warned),
        row("cgroupDriver", STRING, Pointer, NoMeaning),
        row("cpuManagerPolicy", STRING, Pointer, LaterFor(&["static"])),
        row("singleProcessOOMKill", Bool, Pointer, LaterFor(&["true"])),
        row("cpuManagerPolicyOptions", Map("", &STRING), Pointer, Later),
        row("cpuManagerReconcilePeriod", DURATION, Pointer, NoMeaning),
        row("memoryManagerPolicy", STRING, Pointer, LaterFor(&["Static"])),
        row("topologyManagerPolicy", STRING, Pointer, LaterFor(&["best-effort", "restricted", "single-numa-node"])),
        row("topologyManagerScope", STRING, Pointer, NoMeaning),
        row("topologyManagerPolicyOptions", Map("", &STRING), Pointer, Later),
        row("qosReserved", Map("", &STRING), Pointer, Told(RESERVED)),
        row("runtimeRequestTimeout", DURATION, Pointer, NoMeaning),
        row("hairpinMode", STRING, Pointer, NoMeaning),
        row("maxPods", Int32, Pointer, Supported),
        row("podCIDR", STRING, Pointer, Told("no pod has an address from it")),
        row("podPidsLimit", Int64, Pointer, Supported),
        row("resolvConf", STRING, Pointer, LaterUnless(&["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"])),
        row("runOnce", Bool, Pointer, LaterFor(&["true"])),
        row("cpuCFSQuota", Bool, Pointer, LaterFor(&["false"])),
        row("cpuCFSQuotaPeriod", DURATION, Pointer, LaterUnless(&["100ms"])),
        row("nodeStatusMaxImages", Int32, Pointer, NoMeaning),
        row("maxOpenFiles", Int64, Pointer, Warned),
        row("contentType", STRING, Pointer, NoMeaning),
        row("kubeAPIQPS", Int32, Pointer, NoMeaning),
        row("kubeAPIBurst", Int32, Pointer, NoMeaning),
        row("serializeImagePulls", Bool, Pointer, Warned),
        row("maxParallelImagePulls", Int32, Pointer, Warned),
        row("evictionHard", Map("", &STRING), Pointer, Told(EVICTION)),
        row("evictionSoft", Map("", &STRING), Pointer, Told(EVICTION)),
        row("evictionSoftGracePeriod", Map("", &STRING), Pointer, Told(EVICTION)),
        row("evictionPressureTransitionPeriod", DURATION, Pointer, NoMeaning),
        row("evictionMaxPodGracePeriod", Int32, Pointer, Told(EVICTION)),
        row("evictionMinimumReclaim", Map("", &STRING), Pointer, Told(EVICTION)),
        row("mergeDefaultEvictionSettings", Bool, Pointer, NoMeaning),
        row("podsPerCore", Int32, Pointer, Told("the number of processors bounds no number of pods; maxPods does")),
        row("enableControllerAttachDetach", Bool, Pointer, NoMeaning),
        row(
            "protectKernelDefaults",
            Bool,
            Pointer,
            ToldFor(&["true"], "podlet changes no setting of the kernel, and looks at none of them"),
        ),
        row("makeIPTablesUtilChains", Bool, Pointer, NoMeaning),
        row("iptablesMasqueradeBit", Int32, Pointer, NoMeaning),
        row("iptablesDropBit", Int32, Pointer, NoMeaning),
        row("featureGates", Map("", &Bool), Pointer, Warned),
        row("failSwapOn", Bool, Pointer, Supported),
        row("memorySwap", Object(&MEMORY_SWAP_CONFIGURATION), Pointer, Supported),
        row("containerLogMaxSize", STRING, Pointer, Supported),
        row("containerLogMaxFiles", Int32, Pointer, Supported),
        row("containerLogMaxWorkers", Int32, Pointer, NoMeaning),
        row("containerLogMonitorInterval", DURATION, Pointer, NoMeaning),
        row(
            "configMapAndSecretChangeDetectionStrategy",
            Text("v1beta1.ResourceChangeDetectionStrategy"),
            Pointer,
            NoMeaning,
        ),
        row("systemReserved", Map("", &STRING), Pointer, Told(RESERVED)),
        row("kubeReserved", Map("", &STRING), Pointer, Told(RESERVED)),
        row("reservedSystemCPUs", STRING, Pointer, Told(RESERVED)),
        row("showHiddenMetricsForVersion", STRING, Pointer, NoMeaning),
        row("systemReservedCgroup", STRING, Pointer, Told(RESERVED)),
        row("kubeReservedCgroup", STRING, Pointer, Told(RESERVED)),
        row("enforceNodeAllocatable", List(&STRING), Pointer, Told(RESERVED)),
        row(
            "allowedUnsafeSysctls",
            List(&STRING),
            Pointer,
            Told("a pod that sets a sysctl is refused, whatever stands here"),
        ),
        row("volumePluginDir", STRING, Pointer, NoMeaning),
        row("providerID", STRING, Pointer, NoMeaning),
        row("kernelMemcgNotification", Bool, Pointer, NoMeaning),
        row("logging", Object(&LOGGING_CONFIGURATION), Pointer, Supported),
        row("enableSystemLogHandler", Bool, Pointer, NoMeaning),
        row("enableSystemLogQuery", Bool, Pointer, NoMeaning),
        row("shutdownGracePeriod", DURATION, Pointer, Supported),
        row("shutdownGracePeriodCriticalPods", DURATION, Pointer, Supported),
        row(
            "shutdownGracePeriodByPodPriority",
            List(&Object(&SHUTDOWN_GRACE_PERIOD_BY_POD_PRIORITY)),
            Pointer,
            Supported,
        ),
        row("crashLoopBackOff", Object(&CRASH_LOOP_BACK_OFF_CONFIG), Pointer, Supported),
        row("reservedMemory", List(&Object(&MEMORY_RESERVATION)), Pointer, Told(RESERVED)),
        row("enableProfilingHandler", Bool, Pointer, NoMeaning),
        row("enableDebugFlagsHandler", Bool, Pointer, NoMeaning),
        row("seccompDefault", Bool, Pointer, Supported),
        row("memoryThrottlingFactor", Raw, Pointer, Told("no container is slowed down before its memory limit")),
        row(
            "memoryReservationPolicy",
            Text("v1beta1.MemoryReservationPolicy"),
            Pointer,
            LaterFor(&["TieredReservation"]),
        ),
        row("registerWithTaints", List(&Object(&TAINT)), Pointer, NoMeaning),
        row("registerNode", Bool, Pointer, NoMeaning),
        row("tracing", Object(&TRACING_CONFIGURATION), Pointer, Told("no trace is sent anywhere")),
        row("localStorageCapacityIsolation", Bool, Pointer, Warned),
        row("containerRuntimeEndpoint", STRING, Pointer, NoMeaning),
        row("imageServiceEndpoint", STRING, Pointer, NoMeaning),
        row("failCgroupV1", Bool, Pointer, ToldFor(&["true"], "pods run on cgroup version 1, too")),
        row("userNamespaces", Object(&USER_NAMESPACES), Pointer, Told("no pod has a user namespace of its own")),
    ],
};

/// `KubeletAuthentication`.
pub static KUBELET_AUTHENTICATION: Struct = Struct {
    name: "KubeletAuthentication",
    size: SIZE,
    rows: &[
        row("x509", Object(&KUBELET_X509_AUTHENTICATION), Pointer, NoMeaning),
        row("webhook", Object(&KUBELET_WEBHOOK_AUTHENTICATION), Pointer, NoMeaning),
        row("anonymous", Object(&KUBELET_ANONYMOUS_AUTHENTICATION), Pointer, NoMeaning),
    ],
};

/// `KubeletX509Authentication`.
pub static KUBELET_X509_AUTHENTICATION: Struct =
    Struct { name: "KubeletX509Authentication", size: SIZE, rows: &[row("clientCAFile", STRING, Pointer, NoMeaning)] };

/// `KubeletWebhookAuthentication`.
pub static KUBELET_WEBHOOK_AUTHENTICATION: Struct = Struct {
    name: "KubeletWebhookAuthentication",
    size: SIZE,
    rows: &[row("enabled", Bool, Pointer, NoMeaning), row("cacheTTL", DURATION, Pointer, NoMeaning)],
};

/// `KubeletAnonymousAuthentication`.
pub static KUBELET_ANONYMOUS_AUTHENTICATION: Struct =
    Struct { name: "KubeletAnonymousAuthentication", size: SIZE, rows: &[row("enabled", Bool, Pointer, NoMeaning)] };

/// `KubeletAuthorization`.
pub static KUBELET_AUTHORIZATION: Struct = Struct {
    name: "KubeletAuthorization",
    size: SIZE,
    rows: &[
        row("mode", Text("v1beta1.KubeletAuthorizationMode"), Pointer, NoMeaning),
        row("webhook", Object(&KUBELET_WEBHOOK_AUTHORIZATION), Pointer, NoMeaning),
    ],
};

/// `KubeletWebhookAuthorization`.
pub static KUBELET_WEBHOOK_AUTHORIZATION: Struct = Struct {
    name: "KubeletWebhookAuthorization",
    size: SIZE,
    rows: &[
        row("cacheAuthorizedTTL", DURATION, Pointer, NoMeaning),
        row("cacheUnauthorizedTTL", DURATION, Pointer, NoMeaning),
    ],
};

/// `MemorySwapConfiguration`.
pub static MEMORY_SWAP_CONFIGURATION: Struct = Struct {
    name: "MemorySwapConfiguration",
    size: SIZE,
    rows: &[row("swapBehavior", STRING, Pointer, LaterFor(&["LimitedSwap"]))],
};

/// `LoggingConfiguration`.
pub static LOGGING_CONFIGURATION: Struct = Struct {
    name: "LoggingConfiguration",
    size: SIZE,
    rows: &[
        row("format", STRING, Pointer, ToldFor(&["json"], "supervisors log lines of text")),
        row("flushFrequency", Raw, Pointer, NoMeaning),
        row("verbosity", Int64, Pointer, Supported),
        row("vmodule", Raw, Pointer, Told("logging.verbosity holds for all parts")),
        row("options", Raw, Pointer, NoMeaning),
    ],
};

/// `ShutdownGracePeriodByPodPriority`.
pub static SHUTDOWN_GRACE_PERIOD_BY_POD_PRIORITY: Struct = Struct {
    name: "ShutdownGracePeriodByPodPriority",
    size: SIZE,
    rows: &[row("priority", Int32, Pointer, Supported), row("shutdownGracePeriodSeconds", Int64, Pointer, Supported)],
};

/// `CrashLoopBackOffConfig`.
pub static CRASH_LOOP_BACK_OFF_CONFIG: Struct = Struct {
    name: "CrashLoopBackOffConfig",
    size: SIZE,
    rows: &[row("maxContainerRestartPeriod", DURATION, Pointer, Supported)],
};

/// `MemoryReservation`.
pub static MEMORY_RESERVATION: Struct = Struct {
    name: "MemoryReservation",
    size: SIZE,
    rows: &[row("numaNode", Int32, Pointer, NoMeaning), row("limits", Map("", &Quantity), Pointer, NoMeaning)],
};

/// `Taint`.
pub static TAINT: Struct = Struct {
    name: "Taint",
    size: SIZE,
    rows: &[
        row("key", STRING, Pointer, NoMeaning),
        row("value", STRING, Pointer, NoMeaning),
        row("effect", Text("v1beta1.TaintEffect"), Pointer, NoMeaning),
        row("timeAdded", Raw, Pointer, NoMeaning),
    ],
};

/// `TracingConfiguration`.
pub static TRACING_CONFIGURATION: Struct = Struct {
    name: "TracingConfiguration",
    size: SIZE,
    rows: &[row("endpoint", STRING, Pointer, NoMeaning), row("samplingRatePerMillion", Int32, Pointer, NoMeaning)],
};

/// `UserNamespaces`.
pub static USER_NAMESPACES: Struct =
    Struct { name: "UserNamespaces", size: SIZE, rows: &[row("idsPerPod", Int64, Pointer, NoMeaning)] };

/// What only podlet has, below the one name that no kubelet has.
pub static PODLET_SETTINGS: Struct =
    Struct { name: "PodletSettings", size: SIZE, rows: &[row("images", Object(&PODLET_IMAGES), Pointer, Supported)] };

/// What images may cost.
pub static PODLET_IMAGES: Struct = Struct {
    name: "PodletImages",
    size: SIZE,
    rows: &[
        row("ignoreVolumes", Bool, Pointer, Supported),
        row("maxBytes", Quantity, Pointer, Supported),
        row("maxFiles", Int64, Pointer, Supported),
        row("maxLayers", Int64, Pointer, Supported),
        row("maxRatio", Int64, Pointer, Supported),
        row("stallTimeout", DURATION, Pointer, Supported),
    ],
};
