//! Which servers have an image: its registry, and what `registries.conf` (containers-registries.conf(5), version 2) says of
//! it: mirrors before it, another place, insecure, blocked. And whom these servers have to prove themselves to be
//! (`certs.d`, containers-certs.d(5)).
//!
//! Short names are read as containerd and so a kubelet reads them, `busybox` as `docker.io/library/busybox`: the keys
//! `unqualified-search-registries` and `aliases`, by which another machine would run another image, have no meaning here.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::ImageError;
use super::super::reference::Reference;
use crate::http::{Environment, Trust};

/// The machine's file.
const FILE: &str = "/etc/containers/registries.conf";
/// Where certificates of registries lie, each in a directory of its registry's name.
const CERTIFICATES: [&str; 2] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

/// One server that may have the image.
#[derive(Clone, Debug)]
pub struct Host {
    /// Host and port: `registry-1.docker.io`.
    pub server: String,
    /// The repository there: `library/busybox`.
    pub repository: String,
    /// The user has said that neither encryption nor a certificate is needed.
    pub insecure: bool,
    /// Another one than the registry that the image's name names.
    pub mirror: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    registry: Vec<Registry>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Registry {
    prefix: Option<String>,
    location: Option<String>,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    mirror: Vec<Mirror>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Mirror {
    location: String,
    insecure: bool,
    pull_from_mirror: Option<String>,
}

/// The servers of an image in the order in which they are asked.
pub fn of(reference: &Reference, environment: &Environment) -> Result<Vec<Host>, ImageError> {
    let unreadable = |(path, why): (PathBuf, String)| ImageError::Unreadable(format!("{}: {why}", path.display()));
    choose(reference, &read(environment).map_err(unreadable)?)
}

fn choose(reference: &Reference, registries: &[Registry]) -> Result<Vec<Host>, ImageError> {
    let repository = reference.repository();
    let whole = reference.to_string();
    let matching = registries.iter().filter_map(|registry| Some((registry, registry.matches(&whole)?)));
    let Some((registry, prefix)) = matching.max_by_key(|(_, prefix)| prefix.len()) else {
        return Ok(vec![Host::new(&repository, false, false)]);
    };
    if registry.blocked {
        return Err(ImageError::Pull(format!("registry {} is blocked in registries.conf", registry.name())));
    }
    let rest = repository.get(prefix.len()..).unwrap_or_default();
    let by_digest = reference.digest.is_some();
    let mirrors = registry.mirror.iter().filter(|mirror| {
        let wanted = mirror.pull_from_mirror.as_deref();
        let wanted = wanted.unwrap_or(if registry.mirror_by_digest_only { "digest-only" } else { "all" });
        !mirror.location.is_empty() && (wanted == "all" || (wanted == "digest-only") == by_digest)
    });
    let mut hosts: Vec<Host> =
        mirrors.map(|mirror| Host::new(&format!("{}{rest}", mirror.location), mirror.insecure, true)).collect();
    let own = match registry.location.as_deref().filter(|location| !location.is_empty()) {
        Some(location) => format!("{location}{rest}"),
        None => repository,
    };
    hosts.push(Host::new(&own, registry.insecure, false));
    Ok(hosts)
}

impl Host {
    /// `host[:port]/path`.
    fn new(place: &str, insecure: bool, mirror: bool) -> Host {
        let (server, repository) = place.split_once('/').unwrap_or((place, ""));
        // Hub's registry has another name than its images.
        let server = if matches!(server, "docker.io" | "index.docker.io") { "registry-1.docker.io" } else { server };
        Host { server: server.to_owned(), repository: repository.to_owned(), insecure, mirror }
    }

    /// Whom the server has to prove itself to be, and who podlet is by certificate.
    pub fn trust(&self) -> Result<Trust, ImageError> {
        let mut trust = Trust { insecure: self.insecure, ..Trust::default() };
        for directory in CERTIFICATES.map(|above| Path::new(above).join(&self.server)) {
            add_directory(&mut trust, &directory).map_err(ImageError::Unreadable)?;
        }
        Ok(trust)
    }
}

/// `*.crt` are authorities, `x.cert` with `x.key` what podlet shows of itself.
fn add_directory(trust: &mut Trust, directory: &Path) -> Result<(), String> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => trust.add_authorities(&path)?,
            Some("cert") => {
                let key = path.with_extension("key");
                if !key.exists() {
                    return Err(format!("{} has no {} beside it", path.display(), key.display()));
                }
                trust.set_client(&path, &key)?;
            }
            _ => {}
        }
    }
    Ok(())
}

impl Registry {
    /// The part of the image's name that the entry is for.
    fn matches<'r>(&self, whole: &'r str) -> Option<&'r str> {
        let prefix = self.name();
        if let Some(domain) = prefix.strip_prefix("*.") {
            // Only the host's name may have a wildcard, and what follows it is kept.
            let host = whole.split('/').next()?;
            let bare = host.split(':').next()?;
            return bare.strip_suffix(domain).filter(|rest| rest.ends_with('.')).map(|_| host);
        }
        let rest = whole.strip_prefix(prefix).filter(|_| !prefix.is_empty())?;
        (rest.is_empty() || rest.starts_with(['/', ':', '@'])).then(|| whole.get(..prefix.len()))?
    }

    fn name(&self) -> &str {
        let filled = |text: &&String| !text.is_empty();
        self.prefix.as_ref().filter(filled).or(self.location.as_ref()).map_or("", String::as_str)
    }
}

/// The file and what lies in `registries.conf.d` beside it; a later entry for the same prefix takes the earlier one's place.
fn read(environment: &Environment) -> Result<Vec<Registry>, (PathBuf, String)> {
    let file = match environment.get("CONTAINERS_REGISTRIES_CONF") {
        // Named, so that it is the only one.
        Some(named) => return parse(Path::new(named)).map(|found| found.unwrap_or_default()),
        None => {
            let own = environment.get("XDG_CONFIG_HOME").map(PathBuf::from);
            let own = own.or_else(|| environment.get("HOME").map(|home| Path::new(home).join(".config")));
            let own = own.map(|directory| directory.join("containers/registries.conf"));
            own.filter(|path| !nix::unistd::geteuid().is_root() && path.exists()).unwrap_or_else(|| FILE.into())
        }
    };
    let mut registries = parse(&file)?.unwrap_or_default();
    let directory = file.with_extension("conf.d");
    let mut more: Vec<PathBuf> =
        fs::read_dir(&directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    more.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    more.sort();
    for path in more {
        for registry in parse(&path)?.unwrap_or_default() {
            registries.retain(|earlier: &Registry| earlier.name() != registry.name());
            registries.push(registry);
        }
    }
    Ok(registries)
}

fn parse(path: &Path) -> Result<Option<Vec<Registry>>, (PathBuf, String)> {
    let failed = |why: String| (path.to_owned(), why);
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    let file: File = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
    match file.registry.iter().position(|registry| registry.name().is_empty()) {
        Some(at) => Err(failed(format!("the [[registry]] number {} has neither prefix nor location", at + 1))),
        None => Ok(Some(file.registry)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hosts(image: &str, file: &str) -> Result<Vec<String>, String> {
        let file: File = toml::from_str(file).unwrap();
        let found = choose(&Reference::parse(image).unwrap(), &file.registry).map_err(|error| error.to_string())?;
        Ok(found
            .iter()
            .map(|host| format!("{}/{}{}", host.server, host.repository, if host.insecure { " insecure" } else { "" }))
            .collect())
    }

    #[test]
    fn an_image_is_at_its_registry() {
        assert_eq!(hosts("busybox", "").unwrap(), ["registry-1.docker.io/library/busybox"]);
        assert_eq!(hosts("r.example:5000/a/b:1", "").unwrap(), ["r.example:5000/a/b"]);
        let search = "unqualified-search-registries = [\"quay.io\"]\n[aliases]\nbusybox = \"quay.io/busybox\"\n";
        assert_eq!(hosts("busybox", search).unwrap(), ["registry-1.docker.io/library/busybox"]);
    }

    #[test]
    fn mirrors_come_first_and_the_longest_prefix_counts() {
        let file = r#"
            [[registry]]
            prefix = "docker.io"
            location = "docker.io"
            [[registry.mirror]]
            location = "mirror.example:5000/hub"
            insecure = true
            [[registry.mirror]]
            location = "digests.example"
            pull-from-mirror = "digest-only"
            [[registry]]
            prefix = "docker.io/mine"
            location = "own.example/x"
            insecure = true
            [[registry]]
            location = "bad.example"
            blocked = true
            [[registry]]
            prefix = "*.wild.example"
            location = "w.example"
        "#;
        let hub = hosts("busybox", file).unwrap();
        assert_eq!(hub, ["mirror.example:5000/hub/library/busybox insecure", "registry-1.docker.io/library/busybox"]);
        let digest = format!("busybox@sha256:{}", "a".repeat(64));
        assert_eq!(hosts(&digest, file).unwrap().get(1).unwrap(), "digests.example/library/busybox");
        assert_eq!(hosts("mine/app", file).unwrap(), ["own.example/x/app insecure"]);
        assert_eq!(hosts("minebutnot/app", file).unwrap().len(), 2);
        assert!(hosts("bad.example/x", file).unwrap_err().contains("is blocked in registries.conf"));
        assert_eq!(hosts("a.wild.example:5000/x/y", file).unwrap(), ["w.example/x/y"]);
        assert_eq!(hosts("wild.example/x", file).unwrap(), ["wild.example/x"]);
    }
}
