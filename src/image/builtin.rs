//! The two images that podlet brings along, made in the store when they are first asked for.
//!
//! - `podlet.local/actor`: one static program that behaves as its arguments say (`docs/actor.md`).
//! - `podlet.local/host`: an allow-list of the machine's own programs, bound read-only under a root of podlet's own. For
//!   trying things, not for isolation: whoever is root in such a container reads all of the machine's /usr.
//!
//! Both go through the same unpacking as any import. Afterwards a `find` costs one file read, and for the host a look at
//! each path of its list. Called by [`Store::find`] only.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::document::{self, Digest, Document, RootFs};
use super::record::Record;
use super::reference::{OWN_DOMAIN, Reference};
use super::stage::Staging;
use super::{Config, Image, ImageError, Limits, Store};

/// The program of `podlet.local/actor`, built by `build/actor.rs`.
const ACTOR: &[u8] = include_bytes!(env!("PODLET_ACTOR"));
/// Changes with the program.
const ACTOR_KEY: &str = env!("PODLET_ACTOR_KEY");
/// Changed by hand with the content of [`Host::skeleton`].
const HOST_VERSION: &str = "1";

/// What `image inspect podlet.local/host` says.
pub const HOST_NOTE: &str =
    "the machine's own /usr, read-only and without set-uid: for trying things, not for isolation";

/// The search path of both, containerd's default.
pub const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Directories and links at the top that hold programs and libraries, beside /usr.
const TOP: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32", "lib.usr-is-merged"];

/// All of the machine's /etc that is in the image: the loader's search list, the links by which names like `awk` lead to
/// one of several programs, and public certificates. No private key lies below these on Debian, Fedora, SUSE, Arch or Alpine;
/// on Fedora /etc/pki has some elsewhere, hence not the whole of it.
const ETC: &[&str] = &[
    "etc/alternatives",
    "etc/ca-certificates",
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d",
    "etc/pki/ca-trust/extracted",
    "etc/pki/tls/certs",
    "etc/ssl/certs",
];

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// `podlet.local/actor`.
    Actor,
    /// `podlet.local/host`.
    Host,
}

/// Whether the name is one of the two.
pub fn of(reference: &Reference) -> Option<BuiltIn> {
    let latest = reference.digest.is_none() && reference.tag.as_deref() == Some("latest");
    match (reference.domain.as_str(), reference.path.as_str()) {
        (OWN_DOMAIN, "actor") if latest => Some(BuiltIn::Actor),
        (OWN_DOMAIN, "host") if latest => Some(BuiltIn::Host),
        _ => None,
    }
}

impl BuiltIn {
    /// The image, made if it is not there or was made by another podlet or of another machine.
    pub fn find(self, store: &Store) -> Result<Image, ImageError> {
        let name = match self {
            BuiltIn::Actor => "podlet.local/actor",
            BuiltIn::Host => "podlet.local/host",
        };
        let reference = super::record::parse(name)?;
        match self {
            BuiltIn::Actor => {
                let record = self.record(store, &reference, ACTOR_KEY.to_owned(), actor_config(), actor_layer)?;
                Ok(store.image(record, Vec::new()))
            }
            BuiltIn::Host => {
                let host = Host::look(Path::new("/"));
                let record = self.record(store, &reference, host.key(), host_config(), || host.skeleton())?;
                Ok(store.image(record, host.binds))
            }
        }
    }

    /// The same, nothing made.
    pub fn look(self, store: &Store) -> Image {
        let (name, key, config, binds) = match self {
            BuiltIn::Actor => ("podlet.local/actor", ACTOR_KEY.to_owned(), actor_config(), Vec::new()),
            BuiltIn::Host => {
                let host = Host::look(Path::new("/"));
                ("podlet.local/host", host.key(), host_config(), host.binds)
            }
        };
        let record = super::record::parse(name).and_then(|reference| store.record(&reference));
        match record {
            Ok(record) if record.made_by.as_deref() == Some(&key) => store.image(record, binds),
            _ => store.unmade(format!("{name}:latest"), config, binds),
        }
    }

    fn record(
        self,
        store: &Store,
        reference: &Reference,
        key: String,
        config: Config,
        layer: impl FnOnce() -> std::io::Result<Vec<u8>>,
    ) -> Result<Record, ImageError> {
        match store.record(reference) {
            Ok(record) if record.made_by.as_deref() == Some(&key) => return Ok(record),
            // Absent, outdated or damaged: all that it says is known here, so it is made anew.
            Ok(_) | Err(ImageError::Absent(_) | ImageError::Unreadable(_)) => {}
            Err(error) => return Err(error),
        }
        let layer = layer().map_err(|error| ImageError::Unreadable(format!("could not make {reference}: {error}")))?;
        let mut staging = Staging::begin(store, Limits::default())?;
        staging.add_layer(Cursor::new(layer))?;
        let document = document::write(&Document {
            created: None,
            architecture: document::architecture().to_owned(),
            os: "linux".to_owned(),
            config: Some(config.clone().into()),
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: staging.diff_ids() },
        })?;
        let manifest = staging.make_manifest(&document)?;
        let mut record = Record::new(reference, config, format!("podlet {}", crate::VERSION));
        record.made_by = Some(key);
        staging.publish(&document, &manifest, None, record)
    }
}

/// Makes the image of `podlet.local/actor` under another name: for a container whose image comes late, or is taken away.
pub fn actor_as(store: &Store, name: &str) -> Result<(), ImageError> {
    let reference = super::record::parse(name)?;
    BuiltIn::Actor.record(store, &reference, ACTOR_KEY.to_owned(), actor_config(), actor_layer).map(drop)
}

/// Takes a name away, and nothing of what it leads to: there may be a container that runs of it.
pub fn forget(store: &Store, name: &str) -> Result<(), ImageError> {
    let path = store.record_path(&super::record::parse(name)?);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(super::files::io_error("remove", &path, &error))
        }
        _ => Ok(()),
    }
}

/// Damages the record of a name, until it is made anew: for a container whose image cannot be inspected at times.
pub fn damage(store: &Store, name: &str) -> Result<(), ImageError> {
    let path = store.record_path(&super::record::parse(name)?);
    std::fs::write(&path, "damaged").map_err(|error| super::files::io_error("write", &path, &error))
}

fn actor_config() -> Config {
    Config { env: vec![PATH.to_owned()], entrypoint: vec!["/actor".to_owned()], ..Config::default() }
}

fn actor_layer() -> std::io::Result<Vec<u8>> {
    let mut layer = Skeleton::new();
    layer.file("actor", 0o755, ACTOR)?;
    for directory in ["etc", "tmp"] {
        layer.directory(directory, if directory == "tmp" { 0o1777 } else { 0o755 })?;
    }
    layer.file("etc/passwd", 0o644, PASSWD)?;
    layer.file("etc/group", 0o644, GROUP)?;
    layer.end()
}

fn host_config() -> Config {
    Config { env: vec![PATH.to_owned()], cmd: vec!["sh".to_owned()], ..Config::default() }
}

/// Users that every image has; no one of the machine's.
const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
/// Group 5 is what devpts gives terminals to.
const GROUP: &[u8] = b"root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n";
/// Without it older C libraries ask the DNS before /etc/hosts.
const NSSWITCH: &[u8] = b"passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n";

/// What the machine has of the list.
struct Host {
    /// Links at the top: name and target.
    links: Vec<(&'static str, PathBuf)>,
    /// Host path, path in the container.
    binds: Vec<(PathBuf, PathBuf)>,
    /// The same below the root, and whether it is a directory.
    mount_points: Vec<(&'static str, bool)>,
}

impl Host {
    fn look(root: &Path) -> Host {
        let mut host = Host { links: Vec::new(), binds: Vec::new(), mount_points: Vec::new() };
        for name in std::iter::once(&"usr").chain(TOP) {
            let path = root.join(name);
            match fs::symlink_metadata(&path) {
                // `bin -> usr/bin`: only into /usr; another target would bring in what is not on the list.
                Ok(found) if found.is_symlink() => match fs::read_link(&path) {
                    Ok(target) if target.strip_prefix("/").unwrap_or(&target).starts_with("usr") => {
                        host.links.push((name, target))
                    }
                    _ => {}
                },
                Ok(found) if found.is_dir() => host.bind(name, path, true),
                _ => {}
            }
        }
        for name in ETC {
            let path = root.join(name);
            // Some are links (Fedora's /etc/ssl/certs); what they lead to is bound where they stand.
            let Ok(found) = fs::metadata(&path) else { continue };
            let Ok(real) = fs::canonicalize(&path) else { continue };
            if found.is_dir() || found.is_file() {
                host.bind(name, real, found.is_dir());
            }
        }
        host
    }

    fn bind(&mut self, name: &'static str, source: PathBuf, directory: bool) {
        self.binds.push((source, Path::new("/").join(name)));
        self.mount_points.push((name, directory));
    }

    /// What the skeleton depends on.
    fn key(&self) -> String {
        Digest::of(format!("{HOST_VERSION} {:?} {:?}", self.links, self.mount_points).as_bytes()).to_string()
    }

    /// The layer: mount points, links, and the empty directories that programs expect.
    fn skeleton(&self) -> std::io::Result<Vec<u8>> {
        let mut layer = Skeleton::new();
        for (name, mode) in [
            ("dev", 0o755),
            ("etc", 0o755),
            ("etc/pki", 0o755),
            ("etc/pki/ca-trust", 0o755),
            ("etc/pki/tls", 0o755),
            ("etc/ssl", 0o755),
            ("home", 0o755),
            ("media", 0o755),
            ("mnt", 0o755),
            ("opt", 0o755),
            ("proc", 0o555),
            ("root", 0o700),
            ("run", 0o755),
            ("srv", 0o755),
            ("sys", 0o555),
            ("tmp", 0o1777),
            ("var", 0o755),
            ("var/cache", 0o755),
            ("var/lib", 0o755),
            ("var/log", 0o755),
            ("var/spool", 0o755),
            ("var/tmp", 0o1777),
        ] {
            // Only Fedora's own know /etc/pki.
            if name.starts_with("etc/pki") && !self.mount_points.iter().any(|(point, _)| point.starts_with(name)) {
                continue;
            }
            layer.directory(name, mode)?;
        }
        layer.link("var/run", Path::new("/run"))?;
        layer.file("etc/passwd", 0o644, PASSWD)?;
        layer.file("etc/group", 0o644, GROUP)?;
        layer.file("etc/nsswitch.conf", 0o644, NSSWITCH)?;
        for (name, target) in &self.links {
            layer.link(name, target)?;
        }
        for (name, directory) in &self.mount_points {
            if *directory { layer.directory(name, 0o755)? } else { layer.file(name, 0o644, b"")? }
        }
        layer.end()
    }
}

/// A tar archive in memory, the same bytes each time.
struct Skeleton(Builder<Vec<u8>>);

impl Skeleton {
    fn new() -> Skeleton {
        Skeleton(Builder::new(Vec::new()))
    }

    fn header(kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header
    }

    fn directory(&mut self, name: &str, mode: u32) -> std::io::Result<()> {
        self.0.append_data(&mut Skeleton::header(EntryType::Directory, mode, 0), name, &b""[..])
    }

    fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> std::io::Result<()> {
        self.0.append_data(&mut Skeleton::header(EntryType::Regular, mode, content.len() as u64), name, content)
    }

    fn link(&mut self, name: &str, target: &Path) -> std::io::Result<()> {
        self.0.append_link(&mut Skeleton::header(EntryType::Symlink, 0o777, 0), name, target)
    }

    fn end(self) -> std::io::Result<Vec<u8>> {
        self.0.into_inner()
    }
}
