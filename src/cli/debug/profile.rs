//! What a debugging container may do: kubectl's profiles.

use k8s_openapi::api::core::v1::{Pod, SecurityContext};
use serde_json::{Map, Value, json};

use super::super::Failure;

/// `--profile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Nothing is added.
    Legacy,
    /// It may trace processes.
    General,
    /// What the standard `baseline` allows.
    Baseline,
    /// What the standard `restricted` allows.
    Restricted,
    /// It may change the pod's network.
    Netadmin,
    /// All that root may.
    Sysadmin,
}

impl Profile {
    /// From the flag; `general` without one.
    pub fn read(word: Option<&str>) -> Result<Profile, Failure> {
        Ok(match word.unwrap_or("general") {
            "legacy" => Profile::Legacy,
            "general" => Profile::General,
            "baseline" => Profile::Baseline,
            "restricted" => Profile::Restricted,
            "netadmin" => Profile::Netadmin,
            "sysadmin" => Profile::Sysadmin,
            other => return Err(Failure::Error(format!("unknown profile: {other}"))),
        })
    }

    /// Gives it to a container.
    pub fn apply(self, container: &mut Map<String, Value>) {
        match self {
            Profile::Legacy => {}
            Profile::General => add_capabilities(container, &["SYS_PTRACE"]),
            Profile::Baseline => drop(container.remove("securityContext")),
            Profile::Restricted => {
                let context = json!({
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                    "runAsNonRoot": true,
                    "seccompProfile": {"type": "RuntimeDefault"},
                });
                container.insert("securityContext".to_owned(), context);
            }
            Profile::Netadmin => add_capabilities(container, &["NET_ADMIN", "NET_RAW"]),
            Profile::Sysadmin => {
                let context = container.entry("securityContext").or_insert_with(|| json!({}));
                if let Some(context) = context.as_object_mut() {
                    context.insert("privileged".to_owned(), json!(true));
                }
            }
        }
    }
}

fn add_capabilities(container: &mut Map<String, Value>, names: &[&str]) {
    let context = container.entry("securityContext").or_insert_with(|| json!({}));
    let Some(context) = context.as_object_mut() else { return };
    let capabilities = context.entry("capabilities").or_insert_with(|| json!({}));
    let Some(capabilities) = capabilities.as_object_mut() else { return };
    let add = capabilities.entry("add").or_insert_with(|| json!([]));
    if let Some(add) = add.as_array_mut() {
        for name in names.iter().map(|name| json!(name)) {
            if !add.contains(&name) {
                add.push(name);
            }
        }
    }
}

/// kubectl's warning: capabilities are of no use to another user than root.
pub fn warning(pod: &Pod, context: Option<&SecurityContext>) -> Option<&'static str> {
    let of_pod = pod.spec.as_ref()?.security_context.as_ref()?.run_as_user.filter(|user| *user != 0);
    let context = context?;
    let adds = context.capabilities.as_ref().and_then(|all| all.add.as_ref()).is_some_and(|add| !add.is_empty());
    let gives = context.privileged == Some(true) || adds;
    (of_pod.is_some() && context.run_as_user != Some(0) && gives).then_some(
        "Warning: Non-root user is configured for the entire target Pod, and some capabilities granted by debug profile may \
         not work.",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn profiles_are_kubectls() {
        let with = |word: &str, container: Value| {
            let mut container = container.as_object().unwrap().clone();
            Profile::read(Some(word)).unwrap().apply(&mut container);
            Value::Object(container)
        };
        assert_eq!(with("general", json!({})), json!({"securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}));
        let own = json!({"securityContext": {"runAsUser": 5, "capabilities": {"add": ["NET_RAW"]}}});
        assert_eq!(
            with("netadmin", own.clone()),
            json!({"securityContext": {"runAsUser": 5, "capabilities": {"add": ["NET_RAW", "NET_ADMIN"]}}})
        );
        assert_eq!(with("baseline", own.clone()), json!({}));
        assert_eq!(with("legacy", own.clone()), own);
        assert_eq!(with("sysadmin", json!({})), json!({"securityContext": {"privileged": true}}));
        assert_eq!(with("restricted", json!({}))["securityContext"]["runAsNonRoot"], json!(true));
        assert_eq!(Profile::read(None).unwrap(), Profile::General);
        assert!(Profile::read(Some("all")).is_err());
    }
}
