//! Files, flags and environment against what holds.

#![allow(clippy::unwrap_used)]

use super::*;

const HEAD: &str = "kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\n";

fn load(text: &str, overrides: &Overrides) -> Result<Config, Vec<String>> {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("podlet-config-{}-{number}.yaml", std::process::id()));
    std::fs::write(&path, format!("{HEAD}{text}")).unwrap();
    let loaded = Config::load(&Place { path: path.clone(), named: true }, overrides);
    std::fs::remove_file(&path).unwrap();
    loaded.map_err(|error| match error {
        Error::Wrong(told) => told.iter().map(|one| format!("{}: {}: {}", one.line, one.path, one.text)).collect(),
        Error::Unreadable { source, .. } => vec![source.to_string()],
    })
}

#[test]
fn without_a_file_the_defaults_hold_and_a_named_one_must_be_there() {
    let nowhere = |named| Place { path: "/nonexistent/podlet.yaml".into(), named };
    let config = Config::load(&nowhere(false), &Overrides::default()).unwrap();
    assert_eq!(config.rotation(), Rotation::default());
    assert_eq!(config.pod_pids_limit(), None);
    assert!(config.rows().iter().all(|row| row.origin == Origin::Default));
    assert!(matches!(Config::load(&nowhere(true), &Overrides::default()), Err(Error::Unreadable { .. })));
}

#[test]
fn each_value_says_where_it_comes_from() {
    let text = "seccompDefault: false\ncontainerLogMaxSize: 64Ki\ncontainerLogMaxFiles: 3\npodPidsLimit: 100\n\
                crashLoopBackOff:\n  maxContainerRestartPeriod: 90s\nlogging: {verbosity: 4}\n\
                shutdownGracePeriod: 30s\nshutdownGracePeriodCriticalPods: 10s\nmaxPods: 7\npodLogsDir: /var/log/pods\n\
                podlet: {images: {ignoreVolumes: true, maxBytes: 1Gi, maxFiles: 5, maxLayers: 6, maxRatio: 7, stallTimeout: 90s}}\n";
    let config = load(text, &Overrides::default()).unwrap();
    let rows: Vec<(&str, String, u32)> = config
        .rows()
        .into_iter()
        .filter(|row| row.path != "shutdownGracePeriodByPodPriority")
        .map(|row| {
            let Origin::File { line, .. } = row.origin else { panic!("{row:?}") };
            (row.path, row.value.to_string(), line)
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("seccompDefault", "false".to_owned(), 3),
            ("containerLogMaxSize", "\"64Ki\"".to_owned(), 4),
            ("containerLogMaxFiles", "3".to_owned(), 5),
            ("podLogsDir", "\"/var/log/pods\"".to_owned(), 13),
            ("maxPods", "7".to_owned(), 12),
            ("podPidsLimit", "100".to_owned(), 6),
            ("crashLoopBackOff.maxContainerRestartPeriod", "\"1m30s\"".to_owned(), 8),
            ("logging.verbosity", "4".to_owned(), 9),
            ("shutdownGracePeriod", "\"30s\"".to_owned(), 10),
            ("shutdownGracePeriodCriticalPods", "\"10s\"".to_owned(), 11),
            ("podlet.images.ignoreVolumes", "true".to_owned(), 14),
            ("podlet.images.maxBytes", "\"1Gi\"".to_owned(), 14),
            ("podlet.images.maxFiles", "5".to_owned(), 14),
            ("podlet.images.maxLayers", "6".to_owned(), 14),
            ("podlet.images.maxRatio", "7".to_owned(), 14),
            ("podlet.images.stallTimeout", "\"1m30s\"".to_owned(), 14),
        ]
    );
    assert_eq!(config.shutdown_periods(), [(0, 20), (2_000_000_000, 10)]);
    assert_eq!(config.log_level(), tracing::Level::DEBUG);
    assert_eq!(config.rotation(), Rotation { size: 65536, files: 3 });
    let overrides = Overrides { seccomp_default: Some(SeccompDefault::RuntimeDefault), verbosity: Some((9, false)) };
    let config = load(text, &overrides).unwrap();
    assert_eq!(config.seccomp_default, Set { value: true, origin: Origin::Flag("--seccomp-default") });
    assert_eq!(config.verbosity, Set { value: 9, origin: Origin::Environment("PODLET_LOG") });
}

#[test]
fn values_that_a_kubelet_refuses_are_refused() {
    for (text, told) in [
        ("podlet: {images: {maxFiles: 0}}", "3: podlet.images.maxFiles: must be greater than 0, found 0"),
        ("podlet: {images: {maxLayers: 500}}", "3: podlet.images.maxLayers: must be between 1 and 499, found 500"),
        ("podlet: {images: {stallTimeout: 10ms}}", "3: podlet.images.stallTimeout: must be at least 1s, found 10ms"),
        ("containerLogMaxFiles: 1", "3: containerLogMaxFiles: must be greater than 1, found 1"),
        (
            "containerLogMaxSize: 10mb",
            "3: containerLogMaxSize: expected a quantity such as 10Mi, found \"10mb\": quantities must match the \
             regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            "containerLogMaxSize: '0'",
            "3: containerLogMaxSize: expected more than 0 bytes, or a negative number for no rotation",
        ),
        ("maxPods: -1", "3: maxPods: must not be a negative number, found -1"),
        ("podLogsDir: logs", "3: podLogsDir: must be an absolute path, found \"logs\""),
        (
            "podLogsDir: /var/../log/",
            "3: podLogsDir: must be normalized (no `.`, `..`, double or last slash), found \"/var/../log/\"",
        ),
        ("podPidsLimit: 0", "3: podPidsLimit: expected a number above 0, or -1 for no limit"),
        (
            "crashLoopBackOff: {maxContainerRestartPeriod: 301s}",
            "3: crashLoopBackOff.maxContainerRestartPeriod: must be set between 1s and 300s, found 5m1s",
        ),
        (
            "shutdownGracePeriod: 500ms",
            "3: shutdownGracePeriod: must be either zero or otherwise >= 1 sec, found 500ms",
        ),
        (
            "shutdownGracePeriodCriticalPods: 2s",
            "3: shutdownGracePeriodCriticalPods: must be <= shutdownGracePeriod, which is 0s, found 2s",
        ),
        ("logging: {verbosity: -1}", "3: logging.verbosity: expected a number from 0 to 10, found -1"),
    ] {
        assert_eq!(load(text, &Overrides::default()).err(), Some(vec![told.to_owned()]), "{text}");
    }
    let never = load("containerLogMaxSize: '-1'\npodPidsLimit: -5", &Overrides::default()).unwrap();
    assert_eq!((never.rotation().size, never.pod_pids_limit()), (u64::MAX, None));
}

/// What kubeadm and providers write can be used as it is.
#[test]
fn files_of_real_nodes_are_taken_as_they_are() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kubelet-configurations").join(name);
        Config::load(&Place { path, named: true }, &Overrides::default())
            .unwrap_or_else(|why| panic!("{name}: {why:?}"))
    };
    let untouched = |notice: &String| notice.split_once(": ").map(|(_, text)| text.to_owned()).unwrap();
    let kubeadm: Vec<String> = read("kubeadm.yaml").notices.iter().map(untouched).collect();
    assert_eq!(
        kubeadm,
        [
            "without meaning for podlet: authentication, authorization, cgroupDriver, containerRuntimeEndpoint, \
             healthzBindAddress, healthzPort, logging.options, rotateCertificates",
            "clusterDNS has no effect here and is passed over",
            "clusterDomain has no effect here and is passed over",
            "staticPodPath: no pod is started from there: `podlet apply` sets those of a directory or an address going, \
             `podlet start --all` again after a boot",
        ]
    );
    let gke = read("gke.yaml");
    assert_eq!((gke.max_pods(), gke.pod_pids_limit()), (Some(110), Some(4_194_304)));
    let told = gke.notices.iter().find(|notice| notice.contains("evictionHard")).unwrap();
    assert!(
        told.contains("no pod is evicted because its machine runs short") && told.contains("system prune"),
        "{told}"
    );
    let k3s = read("k3s.yaml");
    assert!(k3s.notices.iter().any(|notice| notice.contains("evictionHard, evictionMinimumReclaim: ")), "{k3s:?}");
    let aks = read("aks.yaml");
    assert_eq!((aks.seccomp_default(), aks.pod_pids_limit()), (SeccompDefault::Unconfined, None));
    assert!(aks.notices.iter().any(|notice| notice.contains("kubeReserved, ") || notice.contains(", kubeReserved")));
    assert_eq!(read("openshift.yaml").max_pods(), Some(250));
}

/// What a pod would run with less by.
#[test]
fn what_a_pod_would_miss_is_refused() {
    for text in [
        "cpuManagerPolicy: static",
        "memoryManagerPolicy: Static",
        "topologyManagerPolicy: restricted",
        "cgroupRoot: /mine",
        "resolvConf: /mine/resolv.conf",
        "cpuCFSQuotaPeriod: 5ms",
        "imagePullCredentialsVerificationPolicy: AlwaysVerify",
        "memorySwap: {swapBehavior: LimitedSwap}",
    ] {
        let told = load(text, &Overrides::default()).unwrap_err();
        assert!(told.iter().all(|line| line.contains("is not carried out by podlet yet; take it out")), "{told:?}");
    }
    let harmless = "cpuManagerPolicy: none\ncgroupRoot: /\nresolvConf: /etc/resolv.conf\ncpuCFSQuotaPeriod: 100ms\n";
    assert_eq!(load(harmless, &Overrides::default()).unwrap().notices, [""; 0]);
}

#[test]
fn a_machine_that_swaps_is_found() {
    let headings = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
    assert_eq!(swap_area(headings), None);
    assert_eq!(swap_area(&format!("{headings}/dev/sda2   partition\t8388604\t\t0\t\t-2\n")), Some("/dev/sda2"));
    assert_eq!(swap_area(""), None);
}
