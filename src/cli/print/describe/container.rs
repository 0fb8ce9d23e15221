//! The containers' part of a pod's description.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, ContainerState, ContainerStatus, EnvVar, EnvVarSource, Pod, Probe, ResourceFieldSelector,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::page::Page;
use crate::cli::print::age::rfc1123;
use crate::cli::print::order::sort_like_go;
use crate::manifest::quantity;

/// All containers of one kind with what is known of each.
pub fn containers(page: &mut Page, label: &str, containers: &[Container], statuses: &[ContainerStatus], pod: &Pod) {
    page.line(0, format_args!("{label}:{}", if containers.is_empty() { " <none>" } else { "" }));
    for container in containers {
        // A later status of the same name would stand for the earlier.
        let status = statuses.iter().rev().find(|s| s.name == container.name);
        basics(page, container, status);
        words(page, "Command", container.command.as_deref());
        words(page, "Args", container.args.as_deref());
        if let Some(status) = status {
            state(page, "State", status.state.as_ref());
            if status.last_state.as_ref().is_some_and(|s| s.terminated.is_some()) {
                state(page, "Last State", status.last_state.as_ref());
            }
            page.field(2, "Ready", if status.ready { "True" } else { "False" });
            page.field(2, "Restart Count", status.restart_count);
        }
        if let Some(given) = &container.resources {
            resources(page, 2, given.limits.as_ref(), given.requests.as_ref());
        }
        for (label, given) in [
            ("Liveness", &container.liveness_probe),
            ("Readiness", &container.readiness_probe),
            ("Startup", &container.startup_probe),
        ] {
            if let Some(given) = given {
                page.field(2, label, probe(given));
            }
        }
        env_from(page, container);
        env(page, container, pod);
        mounts(page, container);
    }
}

fn basics(page: &mut Page, container: &Container, status: Option<&ContainerStatus>) {
    page.line(1, format_args!("{}:", container.name));
    if let Some(status) = status {
        page.field(2, "Container ID", status.container_id.as_deref().unwrap_or_default());
    }
    page.field(2, "Image", container.image.as_deref().unwrap_or_default());
    if let Some(status) = status {
        page.field(2, "Image ID", &status.image_id);
    }
    let ports = container.ports.as_deref().unwrap_or_default();
    port_line(page, "Port", ports, |p| p.container_port);
    port_line(page, "Host Port", ports, |p| p.host_port.unwrap_or(0));
    if let Some(profile) = container.security_context.as_ref().and_then(|c| c.seccomp_profile.as_ref()) {
        page.field(2, "SeccompProfile", &profile.type_);
        if profile.type_ == "Localhost" {
            page.field(3, "LocalhostProfile", profile.localhost_profile.as_deref().unwrap_or_default());
        }
    }
}

fn port_line(page: &mut Page, label: &str, ports: &[ContainerPort], number: impl Fn(&ContainerPort) -> i32) {
    let texts: Vec<String> = ports
        .iter()
        .map(|port| {
            let name = port.name.as_deref().filter(|n| !n.is_empty()).map(|n| format!(" ({n})")).unwrap_or_default();
            format!("{}/{}{name}", number(port), port.protocol.as_deref().unwrap_or_default())
        })
        .collect();
    match texts.as_slice() {
        [] => page.field(2, label, "<none>"),
        [one] => page.field(2, label, one),
        several => page.field(2, &format!("{label}s"), several.join(", ")),
    }
}

fn words(page: &mut Page, label: &str, words: Option<&[String]>) {
    let Some(words) = words.filter(|w| !w.is_empty()) else { return };
    page.line(2, format_args!("{label}:"));
    words.iter().flat_map(|word| word.split('\n')).for_each(|line| page.line(3, line));
}

fn state(page: &mut Page, label: &str, state: Option<&ContainerState>) {
    let (running, waiting, terminated) = match state {
        Some(state) => (state.running.as_ref(), state.waiting.as_ref(), state.terminated.as_ref()),
        None => (None, None, None),
    };
    if let Some(running) = running {
        page.field(2, label, "Running");
        page.field(3, "Started", rfc1123(running.started_at.as_ref()));
    } else if let Some(terminated) = terminated.filter(|_| waiting.is_none()) {
        page.field(2, label, "Terminated");
        page.field_if(3, "Reason", terminated.reason.as_deref());
        page.field_if(3, "Message", terminated.message.as_deref());
        page.field(3, "Exit Code", terminated.exit_code);
        if let Some(signal) = terminated.signal.filter(|s| *s > 0) {
            page.field(3, "Signal", signal);
        }
        page.field(3, "Started", rfc1123(terminated.started_at.as_ref()));
        page.field(3, "Finished", rfc1123(terminated.finished_at.as_ref()));
    } else {
        page.field(2, label, "Waiting");
        page.field_if(3, "Reason", waiting.and_then(|w| w.reason.as_deref()));
    }
}

/// `Limits:` and `Requests:` at a level.
pub fn resources(
    page: &mut Page,
    level: usize,
    limits: Option<&BTreeMap<String, Quantity>>,
    requests: Option<&BTreeMap<String, Quantity>>,
) {
    for (label, amounts) in [("Limits", limits), ("Requests", requests)] {
        let Some(amounts) = amounts.filter(|a| !a.is_empty()) else { continue };
        page.line(level, format_args!("{label}:"));
        amounts.iter().for_each(|(name, amount)| page.field(level + 1, name, &amount.0));
    }
}

/// `http-get http://:8080/healthz delay=0s timeout=1s period=10s #success=1 #failure=3`.
fn probe(probe: &Probe) -> String {
    let number = |value: Option<i32>| value.unwrap_or(0);
    let attributes = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        number(probe.initial_delay_seconds),
        number(probe.timeout_seconds),
        number(probe.period_seconds),
        number(probe.success_threshold),
        number(probe.failure_threshold),
    );
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    let what = if let Some(exec) = &probe.exec {
        format!("exec [{}]", exec.command.as_deref().unwrap_or_default().join(" "))
    } else if let Some(get) = &probe.http_get {
        let scheme = get.scheme.as_deref().unwrap_or_default().to_lowercase();
        let host = get.host.as_deref().unwrap_or_default();
        // An IPv6 address stands in brackets before a port.
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let path = url_path(get.path.as_deref().unwrap_or_default());
        format!("http-get {scheme}://{host}:{}{path}", port(&get.port))
    } else if let Some(tcp) = &probe.tcp_socket {
        format!("tcp-socket {}:{}", tcp.host.as_deref().unwrap_or_default(), port(&tcp.port))
    } else if let Some(grpc) = &probe.grpc {
        format!("grpc <pod>:{} {}", grpc.port, grpc.service.as_deref().unwrap_or_default())
    } else {
        "unknown".to_owned()
    };
    format!("{what} {attributes}")
}

/// A path as Go's net/url writes it: all but letters, digits and a few marks is percent-encoded; without a leading slash one
/// is put before it.
fn url_path(path: &str) -> String {
    let mut text = String::new();
    if !path.is_empty() && !path.starts_with('/') {
        text.push('/');
    }
    if path == "*" {
        // The one path of HTTP that is no path.
        return text + path;
    }
    for byte in path.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte);
        if plain {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn env_from(page: &mut Page, container: &Container) {
    let Some(sources) = container.env_from.as_deref().filter(|s| !s.is_empty()) else { return };
    page.line(2, "Environment Variables from:");
    for source in sources {
        let (kind, name, optional) = match (&source.config_map_ref, &source.secret_ref) {
            (Some(map), _) => ("ConfigMap", map.name.as_str(), map.optional),
            (None, Some(secret)) => ("Secret", secret.name.as_str(), secret.optional),
            (None, None) => ("", "", None),
        };
        let optional = optional.unwrap_or(false);
        let prefix = source.prefix.as_deref().filter(|p| !p.is_empty());
        let prefix = prefix.map(|p| format!(" with prefix '{p}'")).unwrap_or_default();
        page.line(3, format_args!("{name}\t{kind}{prefix}\tOptional: {optional}"));
    }
}

fn env(page: &mut Page, container: &Container, pod: &Pod) {
    let variables = container.env.as_deref().unwrap_or_default();
    page.line(2, format_args!("Environment:{}", if variables.is_empty() { "\t<none>" } else { "" }));
    for variable in variables {
        match &variable.value_from {
            None => {
                let mut head = format!("{}:", variable.name);
                for line in variable.value.as_deref().unwrap_or_default().split('\n') {
                    page.line(3, format_args!("{head}\t{line}"));
                    head.clear();
                }
            }
            Some(source) => env_source(page, variable, source, container, pod),
        }
    }
}

fn env_source(page: &mut Page, variable: &EnvVar, source: &EnvVarSource, container: &Container, pod: &Pod) {
    let name = &variable.name;
    if let Some(field) = &source.field_ref {
        let value = match field.field_path.as_str() {
            "metadata.name" => pod.metadata.name.as_deref(),
            "metadata.namespace" => pod.metadata.namespace.as_deref(),
            _ => None,
        };
        let version = field.api_version.as_deref().unwrap_or_default();
        page.field(3, name, format_args!("{} ({version}:{})", value.unwrap_or_default(), field.field_path));
    } else if let Some(field) = &source.resource_field_ref {
        let mut value = resource_value(field, container);
        if value == "0" && (field.resource == "limits.cpu" || field.resource == "limits.memory") {
            "node allocatable".clone_into(&mut value);
        }
        page.field(3, name, format_args!("{value} ({})", field.resource));
    } else if let Some(key) = &source.secret_key_ref {
        let optional = key.optional.unwrap_or(false);
        let text = format!("<set to the key '{}' in secret '{}'>", key.key, key.name);
        page.field(3, name, format_args!("{text}\tOptional: {optional}"));
    } else if let Some(key) = &source.config_map_key_ref {
        let optional = key.optional.unwrap_or(false);
        let text = format!("<set to the key '{}' of config map '{}'>", key.key, key.name);
        page.field(3, name, format_args!("{text}\tOptional: {optional}"));
    }
}

/// A limit or request of the container as the variable gets it: in units of the divisor, rounded up.
fn resource_value(field: &ResourceFieldSelector, container: &Container) -> String {
    let (kind, resource) = field.resource.split_once('.').unwrap_or_default();
    let given = container.resources.as_ref();
    let amounts = match kind {
        "limits" => given.and_then(|r| r.limits.as_ref()),
        "requests" => given.and_then(|r| r.requests.as_ref()),
        _ => return String::new(),
    };
    let parse = |text: &Quantity| quantity::Quantity::parse(&text.0).ok();
    let amount = match amounts.and_then(|a| a.get(resource)) {
        Some(amount) => parse(amount),
        None => Some(quantity::Quantity::ZERO),
    };
    let Some(amount) = amount else { return String::new() };
    let divisor = field.divisor.as_ref().and_then(parse).filter(|d| !d.is_zero());
    let (amount, divisor) = match resource {
        "cpu" => (amount.milli_value(), divisor.map_or(1000, |d| d.milli_value())),
        _ => (amount.value(), divisor.map_or(1, |d| d.value())),
    };
    match amount.checked_div(divisor) {
        Some(whole) => (whole + i64::from(amount.checked_rem(divisor) > Some(0))).to_string(),
        None => String::new(),
    }
}

fn mounts(page: &mut Page, container: &Container) {
    let mut mounts: Vec<_> = container.volume_mounts.iter().flatten().collect();
    sort_like_go(&mut mounts, |a, b| a.mount_path < b.mount_path);
    let none = if mounts.is_empty() { "\t<none>" } else { "" };
    page.line(2, format_args!("Mounts:{none}"));
    for mount in mounts {
        let way = if mount.read_only == Some(true) { "ro" } else { "rw" };
        let sub_path = mount.sub_path.as_deref().filter(|p| !p.is_empty());
        let sub_path = sub_path.map(|p| format!(",path={p:?}")).unwrap_or_default();
        page.line(3, format_args!("{} from {} ({way}{sub_path})", mount.mount_path, mount.name));
    }
    let mut devices: Vec<_> = container.volume_devices.iter().flatten().collect();
    if !devices.is_empty() {
        sort_like_go(&mut devices, |a, b| a.device_path < b.device_path);
        page.line(2, format_args!("Devices:{none}"));
        devices.iter().for_each(|d| page.line(3, format_args!("{} from {}", d.device_path, d.name)));
    }
}

#[cfg(test)]
mod tests {
    use super::url_path;

    #[test]
    fn a_probes_path_is_written_as_go_writes_urls() {
        for (path, expected) in [
            ("/healthz", "/healthz"),
            ("healthz", "/healthz"),
            ("", ""),
            ("*", "/*"),
            ("/a(b)!'*", "/a%28b%29%21%27%2A"),
            ("/a b?c=d&e;f", "/a%20b%3Fc=d&e;f"),
            ("/~u/x.y-z_$+,:@", "/~u/x.y-z_$+,:@"),
        ] {
            assert_eq!(url_path(path), expected);
        }
    }
}
