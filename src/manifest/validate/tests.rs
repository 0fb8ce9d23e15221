//! A pod's part and what the server says to it, a row for each rule.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::manifest::{default, validate};

/// The errors of a pod with one container `m`, of a spec with these fields more.
fn with_spec(fields: Value) -> Vec<String> {
    let mut spec = json!({"containers": [{"name": "m", "image": "i"}]});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let mut pod = serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": spec})).unwrap();
    default::pod(&mut pod);
    validate::pod(&pod).iter().map(ToString::to_string).collect()
}

/// The same, of a container with these fields more; the pod has an emptyDir `v`.
fn with_container(fields: Value) -> Vec<String> {
    let mut container = json!({"name": "m", "image": "i"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    with_spec(json!({"containers": [container], "volumes": [{"name": "v"}]}))
}

#[track_caller]
fn container(fields: Value, expected: &[&str]) {
    let full: Vec<String> = expected.iter().map(|line| format!("spec.containers[0]{line}")).collect();
    assert_eq!(with_container(fields), full);
}

#[track_caller]
fn spec(fields: Value, expected: &[&str]) {
    let full: Vec<String> = expected.iter().map(|line| format!("spec.{line}")).collect();
    assert_eq!(with_spec(fields), full);
}

#[test]
fn containers_and_their_policies() {
    container(json!({}), &[]);
    container(json!({"name": ""}), &[".name: Required value"]);
    container(json!({"image": ""}), &[".image: Required value"]);
    container(
        json!({"terminationMessagePolicy": "X"}),
        &[r#".terminationMessagePolicy: Unsupported value: "X": supported values: "File", "FallbackToLogsOnError""#],
    );
    container(
        json!({"resizePolicy": [{"resourceName": "x", "restartPolicy": "y"}, {"resourceName": "x", "restartPolicy": "NotRequired"}]}),
        &[
            r#".resizePolicy: Unsupported value: "x": supported values: "cpu", "memory""#,
            r#".resizePolicy: Unsupported value: "y": supported values: "NotRequired", "RestartContainer""#,
            r#".resizePolicy[1]: Duplicate value: "x""#,
            r#".resizePolicy: Unsupported value: "x": supported values: "cpu", "memory""#,
        ],
    );
    container(
        json!({"restartPolicyRules": [{"action": "X"}]}),
        &[
            ".restartPolicy: Required value: must specify restartPolicy when restart rules are used",
            r#".restartPolicyRules[0].action: Unsupported value: "X": supported values: "Restart", "RestartAllContainers""#,
            ".restartPolicyRules[0].exitCodes: Required value: must be specified",
        ],
    );
}

#[test]
fn init_containers_and_static_pods() {
    spec(
        json!({"initContainers": [{"name": "i", "image": "i", "restartPolicyRules": [{"action": "X"}]}]}),
        &["initContainers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used"],
    );
    spec(
        json!({"initContainers": [{"name": "i", "image": "i", "restartPolicy": "Never", "restartPolicyRules": [{"action": "X", "exitCodes": {"operator": "In"}}]}]}),
        &[
            r#"initContainers[0].restartPolicyRules[0].action: Unsupported value: "X": supported values: "Restart", "RestartAllContainers""#,
        ],
    );
    let pod = json!({
        "metadata": {"name": "x", "annotations": {"kubernetes.io/config.mirror": "m"}},
        "spec": {"nodeName": "n", "containers": [{"name": "m", "image": "i"}], "resourceClaims": [{"name": "c"}]},
    });
    let mut pod = serde_json::from_value(pod).unwrap();
    default::pod(&mut pod);
    let errors: Vec<String> = validate::pod(&pod).iter().map(ToString::to_string).collect();
    assert_eq!(errors, [": Forbidden: static pods do not support resource claims"]);
}

#[test]
fn fields_of_features_that_are_off_are_not_looked_at() {
    spec(
        json!({
            "schedulingGroup": {"podGroupName": "X"},
            "volumes": [{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"path": "../x"}}, {"podCertificate": {"signerName": "", "keyType": "X"}}]}}],
        }),
        &[],
    );
}

#[test]
fn errors_without_end_are_cut_off() {
    let containers: Vec<Value> = (0..20_000).map(|_| json!({"name": "-", "image": ""})).collect();
    let told = with_spec(json!({"containers": containers}));
    assert!((1_000..20_000).contains(&told.len()), "{}", told.len());
    assert!(told.iter().map(String::len).sum::<usize>() < 2 * 1024 * 1024);
}

#[test]
fn environment() {
    container(
        json!({"env": [{"name": ""}, {"name": "a", "valueFrom": {}}, {"name": "b", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
        &[
            ".env[0].name: Required value",
            r#".env[1].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"#,
            r#".env[2].valueFrom: Invalid value: "": may not be specified when `value` is not empty"#,
        ],
    );
    container(
        json!({"env": [{"name": "a", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "3m"}}}]}),
        &[
            r#".env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource"#,
        ],
    );
    container(
        json!({"env": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}, {"name": "b", "valueFrom": {"fileKeyRef": {"volumeName": "w", "path": "p", "key": "k"}}}]}),
        &[
            r#".env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs""#,
            r#".env[1].valueFrom.fileKeyRef.volumeName: Not found: "w""#,
        ],
    );
    container(
        json!({"envFrom": [{}]}),
        &[r#".envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`"#],
    );
}

#[test]
fn mounts() {
    container(
        json!({"volumeMounts": [{"name": "w", "mountPath": ""}]}),
        &[r#".volumeMounts[0].name: Not found: "w""#, ".volumeMounts[0].mountPath: Required value"],
    );
    container(
        json!({"volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "/a", "subPathExpr": "b", "recursiveReadOnly": "Enabled"}]}),
        &[
            r#".volumeMounts.subPath: Invalid value: "/a": must be a relative path"#,
            r#".volumeMounts[0].subPathExpr: Invalid value: "b": subPathExpr and subPath are mutually exclusive"#,
            ".volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
        ],
    );
    container(
        json!({"volumeDevices": [{"name": "v", "devicePath": "/dev/../x"}]}),
        &[
            r#".volumeDevices[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"#,
            r#".volumeDevices[0].devicePath: Invalid value: "/dev/../x": can not contain backsteps ('..')"#,
        ],
    );
}

#[test]
fn probes_and_hooks() {
    container(json!({"livenessProbe": {}}), &[".livenessProbe: Required value: must specify a handler type"]);
    container(
        json!({"startupProbe": {"exec": {"command": ["a"]}, "successThreshold": 2, "terminationGracePeriodSeconds": 0}}),
        &[
            ".startupProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
            ".startupProbe.successThreshold: Invalid value: 2: must be 1",
        ],
    );
    container(
        json!({"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}}),
        &[
            ".lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
        ],
    );
    container(json!({"lifecycle": {"stopSignal": "SIGUSR1"}}), &[]);
    assert!(with_container(json!({"lifecycle": {"stopSignal": "USR1"}}))[0].contains(r#"Unsupported value: "USR1""#));
}

#[test]
fn resources() {
    container(
        json!({"resources": {"limits": {"hugepages-2Mi": "3Mi"}}}),
        &[
            r#".resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi"#,
            r#".resources.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi"#,
            ".resources: Forbidden: HugePages require cpu or memory",
        ],
    );
    container(
        json!({"resources": {"requests": {"example.com/gpu": "500m"}, "claims": [{"name": "c"}]}}),
        &[
            r#".resources.requests[example.com/gpu]: Invalid value: "500m": must be an integer"#,
            ".resources.limits: Required value: Limit must be set for non overcommitable resources",
            r#".resources.claims[0]: Not found: "c": must be one of the names in pod.spec.resourceClaims which is empty"#,
        ],
    );
    spec(
        json!({"containers": [{"name": "m", "image": "i", "resources": {"limits": {"cpu": "2"}}}], "resources": {"limits": {"cpu": "1"}}}),
        &[
            r#"resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1"#,
            r#"resources.containers[0][cpu].limits: Invalid value: "2": must be less than or equal to pod limits of 1"#,
        ],
    );
}

#[test]
fn security() {
    container(
        json!({"securityContext": {"runAsUser": -1, "procMount": "Unmasked", "seccompProfile": {"type": "RuntimeDefault", "localhostProfile": "p"}}}),
        &[
            ".securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            r#".securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`"#,
            r#".securityContext.seccompProfile.localhostProfile: Invalid value: {"Type":"RuntimeDefault","LocalhostProfile":"p"}: can only be set when seccomp type is Localhost"#,
        ],
    );
    spec(
        json!({"hostNetwork": true, "securityContext": {"sysctls": [{"name": "net/ipv4/ip_forward", "value": "1"}]}}),
        &[
            r#"securityContext.sysctls[0].name: Invalid value: "net/ipv4/ip_forward": may not be specified when 'hostNetwork' is true"#,
        ],
    );
    spec(
        json!({"hostUsers": false, "hostNetwork": true, "hostPID": true}),
        &["hostNetwork: Forbidden: when `hostUsers` is false", "HostPID: Forbidden: when `hostUsers` is false"],
    );
}

#[test]
fn volumes() {
    spec(
        json!({"volumes": [{"name": "v", "hostPath": {"path": "/a/.."}}, {"name": "", "secret": {}}]}),
        &[
            "volumes[0].hostPath.path: Invalid value: \"/a/..\": must not contain '..'",
            "volumes[1].secret.secretName: Required value",
            "volumes[1].name: Required value",
        ],
    );
    spec(
        json!({"volumes": [{"name": "v", "downwardAPI": {"items": [{"path": "..a"}]}}]}),
        &[
            "volumes[0].downwardAPI.path: Invalid value: \"..a\": must not start with '..'",
            "volumes[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
        ],
    );
    spec(
        json!({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "", "expirationSeconds": 1}}]}}]}),
        &[
            "volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes",
            "volumes[0].projected.path: Required value",
            "volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set",
        ],
    );
}

#[test]
fn names_dns_and_scheduling() {
    spec(
        json!({"dnsPolicy": "None"}),
        &["dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
    );
    spec(
        json!({"dnsConfig": {"nameservers": ["010.0.0.1", "::ffff:1.2.3.4"], "options": [{}]}}),
        &[
            r#"dnsConfig.nameservers[0]: Invalid value: "010.0.0.1": must not have leading 0s"#,
            r#"dnsConfig.nameservers[1]: Invalid value: "::ffff:1.2.3.4": must not be an IPv4-mapped IPv6 address"#,
            "dnsConfig.options[0]: Required value: must not be empty",
        ],
    );
    spec(
        json!({"hostnameOverride": "h", "setHostnameAsFQDN": true}),
        &["hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true"],
    );
    spec(
        json!({"activeDeadlineSeconds": 0, "os": {"name": "plan9"}}),
        &[
            "activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
            r#"os: Unsupported value: "plan9": supported values: "linux", "windows""#,
        ],
    );
    spec(
        json!({"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 1}]}),
        &[
            "topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
            "topologySpreadConstraints[0].minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
        ],
    );
    spec(
        json!({"nodeName": "n", "schedulingGates": [{"name": "g"}, {"name": "g"}]}),
        &[
            r#"schedulingGates[1]: Duplicate value: "g""#,
            "nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
        ],
    );
}

#[test]
fn config_maps_and_secrets() {
    let mut map = serde_json::from_value(
        json!({"metadata": {"name": "c"}, "data": {"a b": "1", "k": "2"}, "binaryData": {"k": "aGk="}}),
    )
    .unwrap();
    default::config_map(&mut map);
    let errors: Vec<String> = validate::config_map(&map).iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2);
    assert!(errors[0].starts_with(r#"data[a b]: Invalid value: "a b": a valid config key must consist of"#));
    assert_eq!(errors[1], r#"data[k]: Invalid value: "k": duplicate of key present in binaryData"#);

    let secret = |value: Value| -> Vec<String> {
        let mut secret = serde_json::from_value(value).unwrap();
        default::secret(&mut secret);
        validate::secret(&secret).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        secret(json!({"metadata": {"name": "s"}, "type": "kubernetes.io/tls", "stringData": {"tls.crt": "x"}})),
        ["data[tls.key]: Required value"]
    );
    let broken = secret(
        json!({"metadata": {"name": "s"}, "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "hidden"}}),
    );
    assert!(broken[0].contains(r#"Invalid value: "<secret contents redacted>""#) && !broken[0].contains("hidden"));
}
