//! `ports` of containers, and host ports that collide.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, ContainerPort};

use super::errors::Errors;
use super::names;
use crate::manifest::field::FieldPath;

/// `ports` of one container.
pub fn ports(errors: &mut Errors, path: &FieldPath, ports: &[ContainerPort]) {
    let mut seen = BTreeSet::new();
    for (i, port) in ports.iter().enumerate() {
        let entry = path.index(i);
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            let messages = names::port_name(name);
            if !messages.is_empty() {
                errors.each(&entry.child("name"), name, messages);
            } else if !seen.insert(name) {
                errors.duplicate(&entry.child("name"), name);
            }
        }
        if port.container_port == 0 {
            errors.required(&entry.child("containerPort"), "");
        } else {
            let number = port.container_port.into();
            errors.each_number(&entry.child("containerPort"), number, names::port_number(number));
        }
        if let Some(host) = port.host_port.filter(|host| *host != 0) {
            errors.each_number(&entry.child("hostPort"), host.into(), names::port_number(host.into()));
        }
        errors.required_one_of(&entry.child("protocol"), port.protocol.as_deref(), &["SCTP", "TCP", "UDP"]);
    }
}

/// Host ports that are taken twice; `first` is the index of the first container in its list.
pub fn host_port_conflicts<'a>(errors: &mut Errors, path: &FieldPath, containers: impl Iterator<Item = &'a Container>) {
    let mut taken = BTreeSet::new();
    for (c, container) in containers.enumerate() {
        let (container_path, ports) = (path.index(c), container.ports.as_deref().unwrap_or_default());
        let path = container_path.child("ports");
        for (i, port) in ports.iter().enumerate() {
            let Some(number) = port.host_port.filter(|number| *number != 0) else { continue };
            let protocol = port.protocol.as_deref().unwrap_or_default();
            let binding = format!("{protocol}/{}/{number}", port.host_ip.as_deref().unwrap_or_default());
            if taken.contains(&binding) {
                errors.duplicate(&path.index(i).child("hostPort"), binding.as_str());
            } else {
                taken.insert(binding);
            }
        }
    }
}
