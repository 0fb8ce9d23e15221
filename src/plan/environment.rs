//! The environment of a container, in the kubelet's order: HOSTNAME and PATH, the image's, `envFrom`, `env`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret};

use super::expansion::{Room, expand};
use super::text::{Secrets, Text};
use crate::manifest::quantity::{Format, Quantity};

/// Where ConfigMaps and Secrets of the pod's namespace are found; missing ones are `None`.
pub trait Objects {
    /// A ConfigMap of the pod's namespace.
    fn config_map(&self, name: &str) -> Option<ConfigMap>;
    /// A Secret of the pod's namespace.
    fn secret(&self, name: &str) -> Option<Secret>;
}

/// `PATH` where the image sets none.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the machine offers, for `resourceFieldRef` without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Milli-CPU.
    pub cpu_milli: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of the file system that kept state is on.
    pub storage: i64,
}

/// What surrounds a container.
pub struct Surroundings<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// ConfigMaps and Secrets.
    pub objects: &'a dyn Objects,
    /// The host name that the container sees.
    pub hostname: &'a str,
    /// The node's name.
    pub node_name: &'a str,
    /// The node's address.
    pub host_ip: Option<&'a str>,
    /// Sizes.
    pub machine: Machine,
    /// The image's `ENV`.
    pub image: &'a [String],
}

/// Variables in the order of their first mention; a later value replaces an earlier one in its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variables {
    list: Vec<(String, Text)>,
    /// Where in the list a name is: there may be tens of thousands.
    places: BTreeMap<String, usize>,
    /// Names set by the manifest: what `$(NAME)` sees. The image's variables are not among them.
    manifest: std::collections::BTreeSet<String>,
    /// Names that execve(2) cannot carry and that were left out.
    pub skipped: Vec<String>,
}

impl Variables {
    fn set(&mut self, name: &str, value: Text) {
        match self.places.get(name).and_then(|place| self.list.get_mut(*place)) {
            Some((_, old)) => *old = value,
            None => {
                self.places.insert(name.to_owned(), self.list.len());
                self.list.push((name.to_owned(), value));
            }
        }
    }

    fn set_from_manifest(&mut self, name: &str, value: Text) {
        if name.is_empty() || name.contains(['=', '\0']) {
            self.skipped.push(name.to_owned());
            return;
        }
        self.manifest.insert(name.to_owned());
        self.set(name, value);
    }

    /// The environment that a container was started with, `NAME=value` with a NUL after each. What came of a Secret cannot
    /// be told from the rest any more: every value but `PATH` is one of `secrets` from here on.
    pub fn of_start(environment: &[u8], secrets: &mut Secrets) -> Variables {
        const STARTED: &str = "environment";
        let mut variables = Variables::default();
        for line in environment.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
            let (name, value) = line.split_at(at);
            let (name, value) = (String::from_utf8_lossy(name), value.get(1..).unwrap_or_default());
            let text = match std::str::from_utf8(value) {
                Ok(path) if name == "PATH" => Text::from(path),
                _ => {
                    secrets.insert(STARTED, &name, value);
                    Text::secret(STARTED, &name)
                }
            };
            variables.set(&name, text);
        }
        variables
    }

    /// Sets a variable, whoever has set it before.
    pub fn replace(&mut self, name: &str, value: &str) {
        self.set(name, Text::from(value));
    }

    /// Sets a variable that nobody has set.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            self.set(name, Text::from(value));
        }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&Text> {
        self.places.get(name).and_then(|place| self.list.get(*place)).map(|(_, value)| value)
    }

    /// What `$(NAME)` in command, args and later values stands for.
    pub fn for_expansion(&self, name: &str) -> Option<Text> {
        self.manifest.contains(name).then(|| self.get(name).cloned()).flatten()
    }

    /// `NAME=value`, in order.
    pub fn lines(&self) -> Vec<Text> {
        self.list
            .iter()
            .map(|(name, value)| {
                let mut line = Text::from(format!("{name}="));
                line.push(value);
                line
            })
            .collect()
    }
}

/// Whether a container's environment may be another one by the time that a further process is started in it.
pub fn may_change(container: &Container) -> bool {
    let from = |variable: &EnvVar| variable.value_from.is_some();
    container.env_from.iter().flatten().next().is_some() || container.env.iter().flatten().any(from)
}

/// Builds the environment; the values of Secrets go to `secrets`. An error is the message of CreateContainerConfigError.
pub fn build(
    surroundings: &Surroundings<'_>,
    container: &Container,
    secrets: &mut Secrets,
) -> Result<Variables, String> {
    let mut variables = Variables::default();
    variables.set("PATH", Text::from(DEFAULT_PATH));
    variables.set("HOSTNAME", Text::from(surroundings.hostname));
    if container.tty == Some(true) {
        variables.set("TERM", Text::from("xterm"));
    }
    for line in surroundings.image {
        if let Some((name, value)) = line.split_once('=').filter(|(name, _)| !name.is_empty()) {
            variables.set(name, Text::from(value));
        }
    }
    let namespace = surroundings.pod.metadata.namespace.as_deref().unwrap_or("default");
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &source.config_map_ref {
            match surroundings.objects.config_map(&reference.name) {
                Some(map) => {
                    for (key, value) in map.data.iter().flatten() {
                        variables.set_from_manifest(&format!("{prefix}{key}"), Text::from(value.as_str()));
                    }
                }
                None if reference.optional == Some(true) => {}
                None => return Err(format!("configmap \"{}\" not found", reference.name)),
            }
        } else if let Some(reference) = &source.secret_ref {
            match surroundings.objects.secret(&reference.name) {
                Some(secret) => {
                    for (key, value) in secret.data.iter().flatten() {
                        secrets.insert(&reference.name, key, &value.0);
                        variables.set_from_manifest(&format!("{prefix}{key}"), Text::secret(&reference.name, key));
                    }
                }
                None if reference.optional == Some(true) => {}
                None => return Err(format!("secret \"{}\" not found", reference.name)),
            }
        }
    }
    let mut room = Room::default();
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value_from, variable.value.as_deref().unwrap_or_default()) {
            (Some(source), _) => value_from(surroundings, container, source, namespace, secrets)?,
            (None, text) => {
                let expanded = expand(text, |name| variables.for_expansion(name), secrets, &mut room);
                Some(expanded.map_err(|error| format!("env {:?}: {error}", variable.name))?)
            }
        };
        if let Some(value) = value {
            variables.set_from_manifest(&variable.name, value);
        }
    }
    Ok(variables)
}

fn value_from(
    surroundings: &Surroundings<'_>,
    container: &Container,
    source: &EnvVarSource,
    namespace: &str,
    secrets: &mut Secrets,
) -> Result<Option<Text>, String> {
    if let Some(key) = &source.config_map_key_ref {
        let optional = key.optional == Some(true);
        let Some(map) = surroundings.objects.config_map(&key.name) else {
            return if optional { Ok(None) } else { Err(format!("configmap \"{}\" not found", key.name)) };
        };
        return match map.data.as_ref().and_then(|data| data.get(&key.key)) {
            Some(value) => Ok(Some(Text::from(value.as_str()))),
            None if optional => Ok(None),
            None => Err(format!("couldn't find key {} in ConfigMap {namespace}/{}", key.key, key.name)),
        };
    }
    if let Some(key) = &source.secret_key_ref {
        let optional = key.optional == Some(true);
        let Some(secret) = surroundings.objects.secret(&key.name) else {
            return if optional { Ok(None) } else { Err(format!("secret \"{}\" not found", key.name)) };
        };
        return match secret.data.as_ref().and_then(|data| data.get(&key.key)) {
            Some(value) => {
                secrets.insert(&key.name, &key.key, &value.0);
                Ok(Some(Text::secret(&key.name, &key.key)))
            }
            None if optional => Ok(None),
            None => Err(format!("couldn't find key {} in Secret {namespace}/{}", key.key, key.name)),
        };
    }
    plain_value(surroundings, container, source).map(|value| Some(Text::from(value)))
}

fn plain_value(
    surroundings: &Surroundings<'_>,
    container: &Container,
    source: &EnvVarSource,
) -> Result<String, String> {
    if let Some(reference) = &source.field_ref {
        if let Some(version) = reference.api_version.as_deref().filter(|v| !v.is_empty() && *v != "v1") {
            return Err(format!("unsupported pod version: {version}"));
        }
        return field(surroundings, &reference.field_path)
            .ok_or_else(|| format!("unsupported fieldPath: {}", reference.field_path));
    }
    if let Some(reference) = &source.resource_field_ref {
        let owner = match reference.container_name.as_deref().filter(|name| !name.is_empty()) {
            None => container,
            Some(name) => {
                let spec = surroundings.pod.spec.as_ref();
                spec.iter()
                    .flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()))
                    .find(|candidate| candidate.name == name)
                    .ok_or_else(|| format!("container {name} not found"))?
            }
        };
        let divisor = reference.divisor.as_ref().map_or("", |q| q.0.as_str());
        return resource(surroundings, owner, &reference.resource, divisor);
    }
    if source.file_key_ref.is_some() {
        return Err("fileKeyRef is not carried out by podlet yet".to_owned());
    }
    Ok(String::new())
}

/// A `fieldRef` of the environment; a label or annotation that is missing is empty.
pub fn field(surroundings: &Surroundings<'_>, path: &str) -> Option<String> {
    let metadata = &surroundings.pod.metadata;
    let spec = surroundings.pod.spec.as_ref();
    let known = |value: Option<&str>| Some(value.unwrap_or_default().to_owned());
    if let Some((map, rest)) = path.split_once("['") {
        let key = rest.strip_suffix("']")?;
        let entries = match map {
            "metadata.labels" => metadata.labels.as_ref(),
            "metadata.annotations" => metadata.annotations.as_ref(),
            _ => return None,
        };
        return known(entries.and_then(|entries| entries.get(key)).map(String::as_str));
    }
    match path {
        "metadata.name" => known(metadata.name.as_deref()),
        "metadata.namespace" => known(metadata.namespace.as_deref()),
        "metadata.uid" => known(metadata.uid.as_deref()),
        "spec.nodeName" | "spec.host" => {
            known(spec.and_then(|spec| spec.node_name.as_deref()).or(Some(surroundings.node_name)))
        }
        "spec.serviceAccountName" => {
            known(spec.and_then(|spec| spec.service_account_name.as_deref()).or(Some("default")))
        }
        "status.hostIP" | "status.hostIPs" => known(surroundings.host_ip),
        "status.podIP" | "status.podIPs" => {
            let shares = spec.and_then(|spec| spec.host_network) == Some(true);
            known(surroundings.host_ip.filter(|_| shares))
        }
        _ => None,
    }
}

/// A `resourceFieldRef`: the amount over the divisor, rounded up.
fn resource(
    surroundings: &Surroundings<'_>,
    container: &Container,
    name: &str,
    divisor: &str,
) -> Result<String, String> {
    let unsupported = || format!("unsupported container resource : {name}");
    let (list, resource) = name.split_once('.').ok_or_else(unsupported)?;
    let limit = match list {
        "limits" => true,
        "requests" => false,
        _ => return Err(unsupported()),
    };
    let requirements = container.resources.as_ref();
    // The cpu is counted in thousandths, everything else in units, the divisor too.
    let count = |quantity: &Quantity| if resource == "cpu" { quantity.milli_value() } else { quantity.value() };
    let quantity_of = |limits: bool| -> Option<i64> {
        let requirements = requirements?;
        let list = if limits { requirements.limits.as_ref() } else { requirements.requests.as_ref() }?;
        Quantity::parse(&list.get(resource)?.0).ok().map(|quantity| count(&quantity)).filter(|value| *value != 0)
    };
    let machine = match resource {
        "cpu" => surroundings.machine.cpu_milli,
        "memory" => surroundings.machine.memory,
        "ephemeral-storage" => surroundings.machine.storage,
        _ => 0,
    };
    let amount = if limit { quantity_of(true).unwrap_or(machine) } else { quantity_of(false).unwrap_or(0) };
    let one = || count(&Quantity::from_value(1, Format::DecimalSi));
    let divisor = Quantity::parse(divisor).ok().map(|divisor| count(&divisor)).filter(|value| *value > 0);
    let divisor = divisor.unwrap_or_else(one);
    let (whole, rest) = (amount.div_euclid(divisor), amount.rem_euclid(divisor));
    Ok(whole.saturating_add(i64::from(rest != 0)).to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use serde_json::json;

    use super::*;

    #[test]
    fn the_environment_of_a_start_is_read_back_and_tells_no_value() {
        let mut secrets = Secrets::default();
        let kept = b"PATH=/bin\0A=1=2\0EMPTY=\0BYTES=\xff\0nonsense\0";
        let mut variables = Variables::of_start(kept, &mut secrets);
        variables.replace("TERM", "xterm");
        let revealed: Vec<Vec<u8>> = variables.lines().iter().map(|line| line.reveal(&secrets)).collect();
        assert_eq!(revealed, [&b"PATH=/bin"[..], b"A=1=2", b"EMPTY=", b"BYTES=\xff", b"TERM=xterm"]);
        assert_eq!(variables.get("PATH").unwrap().plain(), Some("/bin"));
        assert_eq!(variables.get("A").unwrap().plain(), None);
    }

    struct Shelf;

    impl Objects for Shelf {
        fn config_map(&self, name: &str) -> Option<ConfigMap> {
            (name == "settings").then(|| serde_json::from_value(json!({"data": {"A": "1", "a=b": "x"}})).unwrap())
        }
        fn secret(&self, name: &str) -> Option<Secret> {
            (name == "db").then(|| serde_json::from_value(json!({"data": {"password": "aHVzaA=="}})).unwrap())
        }
    }

    fn variables(container: serde_json::Value) -> Result<(Vec<String>, Secrets), String> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "labels": {"x/y": "z"}},
            "spec": {"containers": [container]}
        }))
        .unwrap();
        let surroundings = Surroundings {
            pod: &pod,
            objects: &Shelf,
            hostname: "web",
            node_name: "here",
            host_ip: Some("192.0.2.1"),
            machine: Machine { cpu_milli: 2000, memory: 1 << 30, storage: 1 << 40 },
            image: &["FROM_IMAGE=i".to_owned(), "PATH=/bin".to_owned(), "broken".to_owned()],
        };
        let mut secrets = Secrets::default();
        let built = build(&surroundings, &pod.spec.as_ref().unwrap().containers[0], &mut secrets)?;
        Ok((built.lines().iter().map(ToString::to_string).collect(), secrets))
    }

    #[test]
    fn order_and_expansion() {
        let (lines, _) = variables(json!({"name": "c",
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "settings"}},
                        {"configMapRef": {"name": "none", "optional": true}}],
            "env": [{"name": "X", "value": "$(P_A)$(LATER)$(FROM_IMAGE)"}, {"name": "LATER", "value": "l"},
                    {"name": "X", "value": "<$(X)>"}, {"name": "EMPTY"}]}))
        .unwrap();
        assert_eq!(
            lines,
            ["PATH=/bin", "HOSTNAME=web", "FROM_IMAGE=i", "P_A=1", "X=<1$(LATER)$(FROM_IMAGE)>", "LATER=l", "EMPTY="]
        );
    }

    #[test]
    fn secrets_are_references() {
        let (lines, secrets) = variables(json!({"name": "c", "env": [
            {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
            {"name": "URL", "value": "db://u:$(PW)@h"},
            {"name": "NO", "valueFrom": {"secretKeyRef": {"name": "db", "key": "none", "optional": true}}}]}))
        .unwrap();
        assert_eq!(lines[3..], ["PW=<secret db/password>", "URL=db://u:<secret db/password>@h"]);
        assert_eq!(secrets.get("db", "password"), Some(&b"hush"[..]));
    }

    #[test]
    fn fields_and_resources() {
        let of = |source: serde_json::Value| {
            variables(json!({"name": "c", "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}},
                "env": [{"name": "V", "valueFrom": source}]}))
            .map(|(lines, _)| lines.last().unwrap().strip_prefix("V=").unwrap().to_owned())
        };
        for (path, expected) in [
            ("metadata.name", "web"),
            ("metadata.namespace", "shop"),
            ("metadata.labels['x/y']", "z"),
            ("metadata.labels['none']", ""),
            ("spec.nodeName", "here"),
            ("spec.serviceAccountName", "default"),
            ("status.hostIP", "192.0.2.1"),
        ] {
            assert_eq!(of(json!({"fieldRef": {"fieldPath": path}})).unwrap(), expected, "{path}");
        }
        for (resource, divisor, expected) in [
            ("limits.cpu", "0", "1"),
            ("limits.cpu", "1m", "250"),
            ("limits.memory", "1Mi", "64"),
            ("limits.memory", "1M", "68"),
            ("requests.memory", "1", "0"),
            ("limits.ephemeral-storage", "1Gi", "1024"),
        ] {
            let source = json!({"resourceFieldRef": {"resource": resource, "divisor": divisor}});
            assert_eq!(of(source).unwrap(), expected, "{resource}/{divisor}");
        }
    }

    #[test]
    fn missing_things_have_the_kubelets_texts() {
        let from = |source: serde_json::Value| {
            variables(json!({"name": "c", "env": [{"name": "V", "valueFrom": source}]})).unwrap_err()
        };
        assert_eq!(from(json!({"configMapKeyRef": {"name": "x", "key": "k"}})), "configmap \"x\" not found");
        assert_eq!(
            from(json!({"configMapKeyRef": {"name": "settings", "key": "k"}})),
            "couldn't find key k in ConfigMap shop/settings"
        );
        assert_eq!(from(json!({"secretKeyRef": {"name": "s", "key": "k"}})), "secret \"s\" not found");
        assert_eq!(from(json!({"secretKeyRef": {"name": "db", "key": "k"}})), "couldn't find key k in Secret shop/db");
    }
}
