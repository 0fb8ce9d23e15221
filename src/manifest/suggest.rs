//! What a writer may have meant: the nearest field, the place where a field belongs, a quantity's right spelling.
//!
//! Only words for messages; no verdict depends on it.

use super::field::FieldPath;
use super::fields::{Struct, Type};

/// Fields that are often put at the wrong level: the field, the struct that it was put into, where it belongs.
const MISPLACED: &[(&str, &str, &str)] = &[
    ("hostNetwork", "Container", "spec.hostNetwork"),
    ("volumes", "Container", "spec.volumes; a container has volumeMounts"),
    ("nodeSelector", "Container", "spec.nodeSelector"),
    ("imagePullSecrets", "Container", "spec.imagePullSecrets"),
    ("serviceAccountName", "Container", "spec.serviceAccountName"),
    ("terminationGracePeriodSeconds", "Container", "spec.terminationGracePeriodSeconds"),
    ("dnsPolicy", "Container", "spec.dnsPolicy"),
    ("hostPID", "Container", "spec.hostPID"),
    ("initContainers", "Container", "spec.initContainers"),
    ("fsGroup", "SecurityContext", "spec.securityContext.fsGroup"),
    ("supplementalGroups", "SecurityContext", "spec.securityContext.supplementalGroups"),
    ("sysctls", "SecurityContext", "spec.securityContext.sysctls"),
    ("privileged", "PodSecurityContext", "securityContext.privileged of a container"),
    ("capabilities", "PodSecurityContext", "securityContext.capabilities of a container"),
    ("readOnlyRootFilesystem", "PodSecurityContext", "securityContext.readOnlyRootFilesystem of a container"),
    ("allowPrivilegeEscalation", "PodSecurityContext", "securityContext.allowPrivilegeEscalation of a container"),
    ("privileged", "Container", "securityContext.privileged"),
    ("capabilities", "Container", "securityContext.capabilities"),
    ("runAsUser", "Container", "securityContext.runAsUser"),
    ("runAsUser", "PodSpec", "securityContext.runAsUser"),
    ("volumeMounts", "PodSpec", "volumeMounts of a container"),
    ("env", "PodSpec", "env of a container"),
    ("ports", "PodSpec", "ports of a container"),
    ("image", "PodSpec", "image of a container"),
    ("command", "PodSpec", "command of a container"),
    ("args", "PodSpec", "args of a container"),
    ("imagePullPolicy", "PodSpec", "imagePullPolicy of a container"),
    ("livenessProbe", "PodSpec", "livenessProbe of a container"),
    ("mountPath", "Volume", "volumeMounts of a container"),
    ("containers", "Pod", "spec.containers"),
    ("restartPolicy", "Pod", "spec.restartPolicy"),
    ("name", "Pod", "metadata.name"),
    ("labels", "Pod", "metadata.labels"),
    ("name", "SecretVolumeSource", "secretName, as this volume names its Secret"),
    ("name", "PersistentVolumeClaimVolumeSource", "claimName"),
];

/// Names of other tools, and what they are here.
const FOREIGN: &[(&str, &str)] = &[
    ("environment", "env"),
    ("entrypoint", "command"),
    ("cmd", "args"),
    ("expose", "ports"),
    ("healthcheck", "livenessProbe"),
    ("depends_on", "initContainers"),
    ("restart", "restartPolicy"),
    ("network_mode", "hostNetwork"),
    ("cap_add", "securityContext.capabilities.add"),
    ("cap_drop", "securityContext.capabilities.drop"),
    ("user", "securityContext.runAsUser"),
    ("mem_limit", "resources.limits.memory"),
    ("working_dir", "workingDir"),
    ("container_name", "name"),
    ("extra_hosts", "hostAliases"),
    ("dns", "dnsConfig.nameservers"),
    ("shm_size", "an emptyDir of medium Memory at /dev/shm"),
    ("configMapName", "name"),
    ("configMapRef", "configMapKeyRef"),
    ("secretRef", "secretKeyRef"),
];

/// A parenthesis for an unknown field: `did you mean "imagePullPolicy"?`; empty when nothing is near.
pub fn field(name: &str, object: &'static Struct, path: Option<&FieldPath<'_>>) -> String {
    let lower = name.to_ascii_lowercase();
    let bare = plain(name);
    let by = |fits: &dyn Fn(&str) -> bool| object.rows.iter().map(|row| row.name).find(|row| fits(row));
    if let Some(found) = by(&|row| row.to_ascii_lowercase() == lower).or_else(|| by(&|row| plain(row) == bare)) {
        return format!("did you mean {found:?}?");
    }
    let owner = if object.name == "EphemeralContainer" { "Container" } else { object.name };
    if let Some((_, _, place)) = MISPLACED.iter().find(|(field, at, _)| *field == name && *at == owner) {
        return format!("it belongs to {place}");
    }
    if let Some((_, ours)) = FOREIGN.iter().find(|(theirs, _)| *theirs == name) {
        let first = ours.split('.').next().unwrap_or(ours);
        if object.row(first).is_some() || ours.contains(' ') {
            return format!("did you mean {ours:?}?");
        }
    }
    let allowed = 2.min(name.chars().count().div_ceil(4));
    let near = object
        .rows
        .iter()
        .map(|row| (distance(&lower, &row.name.to_ascii_lowercase(), allowed), row.name))
        .filter(|(away, _)| *away <= allowed)
        .min();
    if let Some((_, found)) = near {
        return format!("did you mean {found:?}?");
    }
    // A field of a struct just beneath, such as `runAsUser` beside `securityContext`.
    let below = object.rows.iter().find(|row| match row.kind {
        Type::Object(inner) => inner.row(name).is_some(),
        _ => false,
    });
    match (below, path) {
        (Some(row), Some(path)) => format!("did you mean \"{path}.{}.{name}\"?", row.name),
        (Some(row), None) => format!("did you mean \"{}.{name}\"?", row.name),
        (None, _) => String::new(),
    }
}

/// The nearest of some words, if one is near enough to be meant.
pub fn nearest<'w>(word: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let (lower, bare) = (word.to_ascii_lowercase(), plain(word));
    let allowed = 2.min(word.chars().count().div_ceil(4));
    let rate = |other: &'w str| match plain(other) == bare {
        true => (0, other),
        false => (distance(&lower, &other.to_ascii_lowercase(), allowed), other),
    };
    words.into_iter().map(rate).filter(|(away, _)| *away <= allowed).min().map(|(_, other)| other)
}

/// Without the letters that styles of spelling differ in.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// How many letters were added, lost, changed or swapped with their neighbour; more than `most` is all the same.
fn distance(a: &str, b: &str, most: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > most || a.len() > 64 {
        return most + 1;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let change = last[j] + usize::from(x != y);
            let mut best = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        (before, last) = (last, row);
    }
    last.last().copied().unwrap_or(most + 1)
}

/// What a quantity that is none may have meant.
pub fn quantity(text: &str) -> String {
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().replace(',', ".");
    let end = squeezed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(squeezed.len());
    let (number, unit) = squeezed.split_at(end);
    if number.is_empty() || number.matches('.').count() > 1 {
        return String::new();
    }
    let suffix = match unit.to_ascii_lowercase().as_str() {
        "" | "cpu" | "cpus" | "core" | "cores" | "b" => "",
        "k" | "kb" | "ki" | "kib" => "Ki",
        "m" if unit == "m" => "m",
        "mb" | "m" | "mi" | "mib" => "Mi",
        "g" | "gb" | "gi" | "gib" => "Gi",
        "t" | "tb" | "ti" | "tib" => "Ti",
        _ => return String::new(),
    };
    format!("; did you mean {number}{suffix}?")
}

#[cfg(test)]
mod tests {
    use super::super::fields::POD;
    use super::*;

    fn object(path: &[&str]) -> &'static Struct {
        path.iter().fold(&POD, |object, name| {
            let mut kind = object.row(name).map(|row| row.kind);
            while let Some(Type::List(item)) = kind {
                kind = Some(*item);
            }
            if let Some(Type::Object(inner)) = kind { inner } else { object }
        })
    }

    #[test]
    fn the_nearest_field_is_offered() {
        let container = object(&["spec", "containers"]);
        assert_eq!(field("imagePullPolcy", container, None), "did you mean \"imagePullPolicy\"?");
        assert_eq!(field("imagepullpolicy", container, None), "did you mean \"imagePullPolicy\"?");
        assert_eq!(field("image_pull_policy", container, None), "did you mean \"imagePullPolicy\"?");
        assert_eq!(field("environment", container, None), "did you mean \"env\"?");
        assert_eq!(field("hostNetwork", container, None), "it belongs to spec.hostNetwork");
        assert_eq!(field("port", container, None), "did you mean \"ports\"?");
        assert_eq!(field("xyzzyx", container, None), "");
        assert_eq!(field("container", object(&["spec"]), None), "did you mean \"containers\"?");
    }

    #[test]
    fn quantities_are_put_right() {
        assert_eq!(quantity("64 MB"), "; did you mean 64Mi?");
        assert_eq!(quantity("0,5"), "; did you mean 0.5?");
        assert_eq!(quantity("1cpu"), "; did you mean 1?");
        assert_eq!(quantity("much"), "");
    }
}
