//! What defaulting writes beside the plain defaults.
#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;

#[test]
fn what_a_server_writes_beside_the_plain_defaults() {
    let mut pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "x", "annotations": {"container.apparmor.security.beta.kubernetes.io/m": "unconfined"}},
        "spec": {
            "terminationGracePeriodSeconds": -5,
            "serviceAccount": "s",
            "hostNetwork": true,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "m",
                "image": "i@sha256:0123456789abcdef0123456789abcdef",
                "ports": [{"containerPort": 80}],
                "resources": {"limits": {"cpu": "1u", "memory": "1.5Gi"}}
            }]
        }
    }))
    .unwrap();
    super::pod(&mut pod);
    let value = serde_json::to_value(&pod).unwrap();
    let (spec, container) = (&value["spec"], &value["spec"]["containers"][0]);
    assert_eq!(spec["terminationGracePeriodSeconds"], 1);
    assert_eq!(spec["serviceAccountName"], "s");
    assert_eq!(spec["tolerations"].as_array().unwrap().len(), 1, "what tolerates all needs no more");
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert_eq!(container["ports"][0]["hostPort"], 80);
    assert_eq!(container["resources"]["requests"], json!({"cpu": "1m", "memory": "1536Mi"}));
    assert_eq!(container["securityContext"]["appArmorProfile"]["type"], "Unconfined");
    assert_eq!(value["status"]["qosClass"], "Guaranteed");
}
