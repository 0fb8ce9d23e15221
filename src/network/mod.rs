//! The pod's name: host name, /etc/hosts, /etc/hostname, /etc/resolv.conf. Texts only; `linux::container` writes them.
//! Addresses, the bridge and host ports come later: until then a pod has loopback, or the machine's network.

use std::fmt::Write;

use k8s_openapi::api::core::v1::{Pod, PodSpec};

/// The domain of cluster services, as kubeadm sets it.
pub const CLUSTER_DOMAIN: &str = "cluster.local";

/// The names of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The short name.
    pub hostname: String,
    /// `SUBDOMAIN.NAMESPACE.svc.cluster.local`, empty without a subdomain.
    pub domain: String,
    /// What the kernel is told (sethostname), and `$HOSTNAME`.
    pub kernel: String,
}

fn truncated(name: &str) -> &str {
    const LONGEST: usize = 63;
    let end = (0..=LONGEST.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    name.get(..end).unwrap_or_default().trim_end_matches(['-', '.'])
}

/// Works the names out. With the machine's network the machine's name is the pod's. The error is the kubelet's text.
pub fn names(pod: &Pod, machine: &str) -> Result<Names, String> {
    let none = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&none);
    if spec.host_network == Some(true) {
        return Ok(Names { hostname: machine.to_owned(), domain: String::new(), kernel: machine.to_owned() });
    }
    if let Some(name) = spec.hostname_override.as_deref().filter(|name| !name.is_empty()) {
        return Ok(Names { hostname: name.to_owned(), domain: String::new(), kernel: name.to_owned() });
    }
    let given = spec.hostname.as_deref().filter(|name| !name.is_empty());
    let hostname = truncated(given.or(pod.metadata.name.as_deref()).unwrap_or_default()).to_owned();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let domain = match spec.subdomain.as_deref().filter(|subdomain| !subdomain.is_empty()) {
        Some(subdomain) => format!("{subdomain}.{namespace}.svc.{CLUSTER_DOMAIN}"),
        None => String::new(),
    };
    let mut kernel = hostname.clone();
    if spec.set_hostname_as_fqdn == Some(true) && !domain.is_empty() {
        kernel = format!("{hostname}.{domain}");
        // The kernel's __NEW_UTS_LEN.
        if kernel.len() > 64 {
            return Err(format!(
                "failed to construct FQDN from pod hostname and cluster domain, FQDN {kernel} is too long (64 characters \
                 is the max, {} characters requested)",
                kernel.len()
            ));
        }
    }
    Ok(Names { hostname, domain, kernel })
}

/// /etc/hosts, as a kubelet writes it. `machine` is the machine's own file, for pods with its network.
pub fn hosts(pod: &Pod, names: &Names, addresses: &[String], machine: &str) -> String {
    let spec = pod.spec.as_ref();
    let mut text;
    if spec.and_then(|spec| spec.host_network) == Some(true) {
        text = format!("# Kubernetes-managed hosts file (host network).\n{machine}");
    } else {
        text = String::from(
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n",
        );
        for address in addresses {
            let _ = if names.domain.is_empty() {
                writeln!(text, "{address}\t{}", names.hostname)
            } else {
                writeln!(text, "{address}\t{0}.{1}\t{0}", names.hostname, names.domain)
            };
        }
    }
    let mut aliases = spec.iter().flat_map(|spec| spec.host_aliases.iter().flatten()).peekable();
    if aliases.peek().is_some() {
        text.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in aliases {
        let _ = writeln!(
            text,
            "{}\t{}",
            alias.ip,
            alias.hostnames.iter().flatten().cloned().collect::<Vec<_>>().join("\t")
        );
    }
    text
}

/// A resolv.conf, and what was done about it that a user should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// The file.
    pub text: String,
    /// Notices, a line each.
    pub notices: Vec<String>,
}

#[derive(Default)]
struct Settings {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<(String, Option<String>)>,
}

impl Settings {
    fn parse(text: &str) -> Settings {
        let mut settings = Settings::default();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => settings.servers.extend(words.next().map(str::to_owned)),
                // The last line counts, resolv.conf(5). A trailing dot says nothing, a lone dot is dropped.
                Some("search") => {
                    settings.searches = words
                        .map(|word| word.trim_end_matches('.').to_owned())
                        .filter(|word| !word.is_empty())
                        .collect();
                }
                Some("options") => {
                    for word in words {
                        let (name, value) = word.split_once(':').map_or((word, None), |(n, v)| (n, Some(v.to_owned())));
                        settings.option(name, value);
                    }
                }
                _ => {}
            }
        }
        settings
    }

    fn option(&mut self, name: &str, value: Option<String>) {
        match self.options.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value,
            None => self.options.push((name.to_owned(), value)),
        }
    }
}

fn is_loopback(server: &str) -> bool {
    let bare = server.split('%').next().unwrap_or(server);
    bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where systemd-resolved keeps the servers behind its stub.
pub const BEHIND_THE_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// The pod's resolv.conf from the machine's (`machine`, and `behind`: [`BEHIND_THE_STUB`] if it is there).
///
/// There is no cluster DNS: ClusterFirst falls back to Default, as on a kubelet without one.
pub fn resolver(pod: &Pod, machine: &str, behind: Option<&str>) -> Resolver {
    let none = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&none);
    let mut notices = Vec::new();
    let mut settings = if spec.dns_policy.as_deref() == Some("None") {
        Settings::default()
    } else {
        let mut settings = Settings::parse(machine);
        let own_network = spec.host_network != Some(true);
        if own_network && settings.servers.iter().any(|server| is_loopback(server)) {
            let stubs = settings.servers.join(" ");
            match behind.map(Settings::parse).filter(|s| s.servers.iter().any(|server| !is_loopback(server))) {
                Some(real) => {
                    notices.push(format!(
                        "nameserver {stubs} listens on the machine's loopback, which the pod cannot reach; its \
                         resolv.conf names the servers behind it ({})",
                        real.servers.join(" ")
                    ));
                    settings = real;
                }
                None => notices.push(format!(
                    "nameserver {stubs} listens on the machine's loopback, which the pod cannot reach; it is left out"
                )),
            }
            settings.servers.retain(|server| !is_loopback(server));
        }
        settings
    };
    if let Some(config) = &spec.dns_config {
        settings.servers.extend(config.nameservers.iter().flatten().cloned());
        settings.searches.extend(config.searches.iter().flatten().cloned());
        for option in config.options.iter().flatten() {
            settings.option(option.name.as_deref().unwrap_or_default(), option.value.clone().filter(|v| !v.is_empty()));
        }
    }
    deduplicate(&mut settings.servers);
    deduplicate(&mut settings.searches);
    limit(&mut settings, &mut notices);
    let mut text = String::new();
    if !settings.searches.is_empty() {
        let _ = writeln!(text, "search {}", settings.searches.join(" "));
    }
    for server in &settings.servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    if !settings.options.is_empty() {
        let words: Vec<String> = settings
            .options
            .iter()
            .map(|(name, value)| value.as_ref().map_or_else(|| name.clone(), |value| format!("{name}:{value}")))
            .collect();
        let _ = writeln!(text, "options {}", words.join(" "));
    }
    Resolver { text, notices }
}

fn deduplicate(list: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|entry| seen.insert(entry.clone()));
}

/// The C library's limits, with the kubelet's texts.
fn limit(settings: &mut Settings, notices: &mut Vec<String>) {
    const SERVERS: usize = 3;
    const SEARCHES: usize = 32;
    const CHARACTERS: usize = 2048;
    if settings.servers.len() > SERVERS {
        settings.servers.truncate(SERVERS);
        notices.push(format!(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
            settings.servers.join(" ")
        ));
    }
    let before = settings.searches.len();
    settings.searches.retain(|domain| domain.len() <= 253);
    settings.searches.truncate(SEARCHES);
    while settings.searches.join(" ").len() > CHARACTERS {
        settings.searches.pop();
    }
    if settings.searches.len() < before {
        notices.push(format!(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}",
            settings.searches.join(" ")
        ));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn pod(spec: serde_json::Value) -> Pod {
        let mut spec = spec;
        spec["containers"] = json!([]);
        serde_json::from_value(json!({"metadata": {"name": "web.1", "namespace": "shop"}, "spec": spec})).unwrap()
    }

    #[test]
    fn names_of_pods() {
        let of = |spec| names(&pod(spec), "machine").unwrap();
        assert_eq!(of(json!({})).kernel, "web.1");
        let sub = of(json!({"hostname": "a", "subdomain": "s"}));
        assert_eq!(
            (sub.hostname.as_str(), sub.domain.as_str(), sub.kernel.as_str()),
            ("a", "s.shop.svc.cluster.local", "a")
        );
        assert_eq!(
            of(json!({"hostname": "a", "subdomain": "s", "setHostnameAsFQDN": true})).kernel,
            "a.s.shop.svc.cluster.local"
        );
        assert_eq!(of(json!({"hostNetwork": true})).kernel, "machine");
        assert_eq!(of(json!({"hostnameOverride": "x.y", "subdomain": "s"})).kernel, "x.y");
        let long = json!({"hostname": "a".repeat(63), "subdomain": "s", "setHostnameAsFQDN": true});
        assert!(names(&pod(long), "m").unwrap_err().contains("is too long (64 characters is the max, 88 characters"));
        assert_eq!(truncated(&format!("{}-.x", "a".repeat(61))), "a".repeat(61));
    }

    #[test]
    fn hosts_file() {
        let pod = pod(
            json!({"subdomain": "sub", "hostname": "web", "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]}),
        );
        let text = hosts(&pod, &names(&pod, "m").unwrap(), &["10.88.0.7".to_owned()], "");
        assert_eq!(
            text,
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n\
             10.88.0.7\tweb.sub.shop.svc.cluster.local\tweb\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"
        );
    }

    #[test]
    fn resolv_conf() {
        let of = |spec, machine: &str, behind: Option<&str>| resolver(&pod(spec), machine, behind);
        let plain = "domain x\nsearch a.example. .\nnameserver 192.0.2.1\noptions ndots:2 edns0\n";
        assert_eq!(of(json!({}), plain, None).text, "search a.example\nnameserver 192.0.2.1\noptions ndots:2 edns0\n");
        let stub = of(json!({}), "nameserver 127.0.0.53\n", Some("nameserver 192.0.2.9\n"));
        assert_eq!(stub.text, "nameserver 192.0.2.9\n");
        assert_eq!(stub.notices.len(), 1);
        assert_eq!(of(json!({}), "nameserver ::1\n", None).text, "");
        assert_eq!(of(json!({"hostNetwork": true}), "nameserver 127.0.0.53\n", None).text, "nameserver 127.0.0.53\n");
        let own = json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1", "1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"],
            "options": [{"name": "ndots", "value": "3"}]}});
        let own = of(own, plain, None);
        assert_eq!(own.text, "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\noptions ndots:3\n");
        assert_eq!(own.notices.len(), 1);
    }
}
