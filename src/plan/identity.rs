//! Who a container runs as: the manifest's numbers, the image's `USER`, the image's own passwd and group.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::security::{self, pod_name};

/// Highest id that a manifest or image may name.
const MAXIMUM: i64 = i32::MAX as i64;

/// A user as the kernel and the environment see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// All groups, the primary one first, none twice.
    pub groups: Vec<u32>,
    /// The home directory in the image's passwd, `/` without an entry.
    pub home: String,
}

struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn passwd_entries(passwd: &str) -> impl Iterator<Item = Entry<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1)?;
        Some(Entry { name, uid, gid, home })
    })
}

fn group_entries(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

/// A number of an image's `USER`: digits only, and not beyond [`MAXIMUM`] (CVE-2024-40635: a larger one became 0).
fn number(text: &str) -> Option<Result<u32, String>> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(match text.parse::<i64>() {
        Ok(id) if id <= MAXIMUM => u32::try_from(id).map_err(|_| format!("invalid id {text}")),
        _ => Err(format!("uids and gids must be in range 0-{MAXIMUM}, found {text} in the image's user")),
    })
}

fn id(value: i64) -> Result<u32, String> {
    u32::try_from(value)
        .ok()
        .filter(|_| value <= MAXIMUM)
        .ok_or_else(|| format!("uids and gids must be in range 0-{MAXIMUM}, found {value}"))
}

/// The kubelet's check of `runAsNonRoot`; its texts. For the waiting reason CreateContainerConfigError.
pub fn check_non_root(pod: &Pod, container: &Container, image_user: Option<&str>) -> Result<(), String> {
    if security::run_as_non_root(pod, container) != Some(true) {
        return Ok(());
    }
    let whom = format!("(pod: \"{}\", container: {})", pod_name(pod), container.name);
    if let Some(uid) = security::run_as_user(pod, container) {
        return if uid == 0 { Err(format!("container's runAsUser breaks non-root policy {whom}")) } else { Ok(()) };
    }
    let user = image_user.unwrap_or_default().split(':').next().unwrap_or_default();
    match number(user) {
        None if user.is_empty() => Err(format!("container has runAsNonRoot and image will run as root {whom}")),
        None => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root {whom}"
        )),
        Some(Ok(0)) => Err(format!("container has runAsNonRoot and image will run as root {whom}")),
        Some(Ok(_)) => Ok(()),
        Some(Err(_)) => Err(format!(
            "container has runAsNonRoot and image has an invalid user id ({user}). (Must be 1-({MAXIMUM})): {whom}"
        )),
    }
}

/// Works out the user. `passwd` and `group` are the image's files, empty where it has none.
///
/// Numbers of the manifest win over the image's `USER`; the group part of `USER` counts as long as the manifest names no
/// user of its own (containerd drops the group of a numeric `USER`; podlet keeps it, as podman does).
pub fn resolve(
    pod: &Pod,
    container: &Container,
    image_user: Option<&str>,
    passwd: &str,
    group: &str,
) -> Result<Identity, String> {
    let (image_name, image_group) = match image_user.unwrap_or_default().split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|g| !g.is_empty())),
        None => (image_user.unwrap_or_default(), None),
    };
    let asked = security::run_as_user(pod, container);
    let uid = match asked {
        Some(uid) => id(uid)?,
        None if image_name.is_empty() => 0,
        None => match number(image_name) {
            Some(uid) => uid?,
            None => {
                passwd_entries(passwd)
                    .find(|entry| entry.name == image_name)
                    .ok_or_else(|| {
                        format!("unable to find user {image_name}: no matching entries in the image's passwd file")
                    })?
                    .uid
            }
        },
    };
    let entry = passwd_entries(passwd)
        .find(|entry| asked.is_none() && entry.name == image_name)
        .or_else(|| passwd_entries(passwd).find(|entry| entry.uid == uid));
    let gid = match (security::run_as_group(pod, container), image_group) {
        (Some(gid), _) => id(gid)?,
        (None, Some(name)) if asked.is_none() => match number(name) {
            Some(gid) => gid?,
            None => {
                group_entries(group)
                    .find(|(known, _, _)| *known == name)
                    .ok_or_else(|| {
                        format!("unable to find group {name}: no matching entries in the image's group file")
                    })?
                    .1
            }
        },
        _ => entry.as_ref().map_or(0, |entry| entry.gid),
    };
    let mut groups = vec![gid];
    let pod_security = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let strict = pod_security.and_then(|s| s.supplemental_groups_policy.as_deref()) == Some("Strict");
    if let (Some(entry), false) = (&entry, strict) {
        groups.extend(
            group_entries(group)
                .filter(|(_, _, members)| members.split(',').any(|member| member == entry.name))
                .map(|(_, gid, _)| gid),
        );
    }
    for more in pod_security.iter().flat_map(|s| s.fs_group.iter().chain(s.supplemental_groups.iter().flatten())) {
        groups.push(id(*more)?);
    }
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|gid| seen.insert(*gid));
    let home = entry.map(|entry| entry.home).filter(|home| !home.is_empty()).unwrap_or("/").to_owned();
    Ok(Identity { uid, gid, groups, home })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use serde_json::json;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\nbroken\nx:y:z\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,app\nstaff:x:50:nobody\n";

    fn pod(pod_security: serde_json::Value, container_security: serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "u-1"},
            "spec": {"securityContext": pod_security,
                     "containers": [{"name": "c", "securityContext": container_security}]}
        }))
        .unwrap()
    }

    fn who(pod: &Pod, user: Option<&str>) -> Result<Identity, String> {
        resolve(pod, &pod.spec.as_ref().unwrap().containers[0], user, PASSWD, GROUP)
    }

    #[test]
    fn ids() {
        let plain = pod(json!({}), json!({}));
        let app = who(&plain, Some("app")).unwrap();
        assert_eq!(
            (app.uid, app.gid, app.groups.as_slice(), app.home.as_str()),
            (1000, 1000, &[1000, 10][..], "/home/app")
        );
        assert_eq!(who(&plain, None).unwrap().groups, [0, 10]);
        assert_eq!(who(&plain, None).unwrap().home, "/root");
        assert_eq!(who(&plain, Some("1000:50")).unwrap().gid, 50);
        assert_eq!(who(&plain, Some("app:staff")).unwrap().gid, 50);
        assert_eq!(who(&plain, Some("77")).unwrap().groups, [0]);
        assert!(who(&plain, Some("ghost")).unwrap_err().contains("unable to find user ghost"));
        assert!(who(&plain, Some("app:ghosts")).unwrap_err().contains("unable to find group ghosts"));
        assert!(who(&plain, Some("4294967296")).is_err());
        let set = pod(json!({"runAsUser": 5, "fsGroup": 7, "supplementalGroups": [8, 7]}), json!({"runAsGroup": 6}));
        let set = who(&set, Some("app:staff")).unwrap();
        assert_eq!((set.uid, set.gid, set.groups), (5, 6, vec![6, 7, 8]));
        let own = pod(json!({"runAsUser": 5}), json!({"runAsUser": 1000}));
        assert_eq!(who(&own, None).unwrap().groups, [1000, 10]);
        let strict = pod(json!({"supplementalGroupsPolicy": "Strict", "runAsUser": 1000}), json!({}));
        assert_eq!(who(&strict, None).unwrap().groups, [1000]);
    }

    #[test]
    fn non_root() {
        let check =
            |pod: &Pod, user: Option<&str>| check_non_root(pod, &pod.spec.as_ref().unwrap().containers[0], user);
        let asked = pod(json!({"runAsNonRoot": true}), json!({}));
        let whom = "(pod: \"web_default(u-1)\", container: c)";
        assert_eq!(
            check(&asked, None).unwrap_err(),
            format!("container has runAsNonRoot and image will run as root {whom}")
        );
        assert_eq!(check(&asked, Some("0:5")).unwrap_err(), check(&asked, None).unwrap_err());
        assert_eq!(
            check(&asked, Some("app")).unwrap_err(),
            format!(
                "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root {whom}"
            )
        );
        assert!(check(&asked, Some("1000")).is_ok());
        assert!(check(&asked, Some("99999999999")).unwrap_err().contains("invalid user id (99999999999)"));
        let zero = pod(json!({"runAsNonRoot": true}), json!({"runAsUser": 0}));
        assert_eq!(
            check(&zero, Some("1000")).unwrap_err(),
            format!("container's runAsUser breaks non-root policy {whom}")
        );
        assert!(check(&pod(json!({"runAsNonRoot": true}), json!({"runAsNonRoot": false})), None).is_ok());
    }
}
