//! Ports that clash, or share a name.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerPort, PodSpec};

use super::{Warnings, warn};
use crate::manifest::field::{FieldPath, quote};
use crate::manifest::validate::visit_containers;

/// The earlier ports with one number and protocol: their places, by host port and host address.
#[derive(Default)]
struct Earlier<'a> {
    paths: Vec<String>,
    by_host: BTreeMap<i32, BTreeMap<&'a str, Vec<usize>>>,
}

impl<'a> Earlier<'a> {
    /// How a port clashes with which earlier ones, in their order.
    fn clashes(&self, port: i32, address: &str) -> Vec<(usize, &'static str)> {
        let mut found = Vec::new();
        // Two different host ports never clash; without one of them the address does not matter.
        let hosts: Vec<_> = match port {
            0 => self.by_host.iter().collect(),
            _ => [0, port].iter().filter_map(|key| self.by_host.get_key_value(key)).collect(),
        };
        for (&other_port, addresses) in hosts {
            let lists: Vec<_> = if port == other_port && port != 0 && !address.is_empty() {
                [address, ""].into_iter().filter_map(|key| addresses.get_key_value(key)).collect()
            } else {
                addresses.iter().collect()
            };
            for (&other, places) in lists {
                let kind = match (other_port == port, other == address) {
                    (true, true) => "duplicate",
                    _ if port == 0 || other_port == 0 => "overlapping",
                    _ => "dangerously ambiguous",
                };
                found.extend(places.iter().map(|place| (*place, kind)));
            }
        }
        found.sort_unstable();
        found
    }

    fn add(&mut self, port: i32, address: &'a str, path: String) {
        self.by_host.entry(port).or_default().entry(address).or_default().push(self.paths.len());
        self.paths.push(path);
    }
}

/// The warnings about the ports of all containers.
pub fn ports(warnings: &mut Warnings, path: &FieldPath, spec: &PodSpec) {
    let mut all: BTreeMap<(i32, &str), Earlier> = BTreeMap::new();
    visit_ports(spec, path, &mut |port, path| {
        let (address, number) = (port.host_ip.as_deref().unwrap_or_default(), port.host_port.unwrap_or_default());
        if !address.is_empty() && number == 0 {
            warn(warnings, path, format_args!("hostIP set without hostPort: {}", go_port(port)));
        }
        let earlier = all.entry((port.container_port, port.protocol.as_deref().unwrap_or_default())).or_default();
        if !warnings.is_full() {
            for (place, kind) in earlier.clashes(number, address) {
                let other = earlier.paths.get(place).map(String::as_str).unwrap_or_default();
                warn(warnings, path, format_args!("{kind} port definition with {other}"));
            }
        }
        earlier.add(number, address, path.to_string());
    });
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    visit_ports(spec, path, &mut |port, path| {
        let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) else { return };
        match names.get(name) {
            Some(other) => {
                let name = quote(name);
                let text = format!(
                    "duplicate port name {name} with {other}, services and probes that select ports by name will use {other}"
                );
                warn(warnings, path, text);
            }
            None => {
                names.insert(name, path.to_string());
            }
        }
    });
}

/// Looks at the ports of all containers with their paths.
fn visit_ports<'a>(spec: &'a PodSpec, path: &FieldPath, visit: &mut dyn FnMut(&'a ContainerPort, &FieldPath)) {
    visit_containers(spec, path, &mut |container, path| {
        let list = path.child("ports");
        for (i, port) in container.ports.iter().enumerate() {
            visit(port, &list.index(i));
        }
    });
}

/// A port as Go's `%+v` prints the struct.
fn go_port(port: &ContainerPort) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        port.name.as_deref().unwrap_or_default(),
        port.host_port.unwrap_or_default(),
        port.container_port,
        port.protocol.as_deref().unwrap_or_default(),
        port.host_ip.as_deref().unwrap_or_default(),
    )
}
