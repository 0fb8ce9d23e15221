//! Fetches an image from a registry into the store.
//!
//! ```text
//! hosts (registries.conf) ─▶ credentials ─▶ repository (ask, authorize, follow) ─▶ index ─▶ manifest ─▶ configuration
//!                                                                                              │
//!                                    store ◀── stage (verify, unpack) ◀── blob, blob, blob ◀───┘  three at a time
//! ```
//!
//! A layer is unpacked while it comes: neither in memory nor on disk is it ever as a whole. It is verified as it passes, and
//! the image gets its name when all of it was right. A cut connection is taken up where it was; a killed pull leaves a
//! directory that the store's next writer removes. Two pulls that want the same layer, whoever runs them, fetch it once: each
//! holds a lock on what it fetches, and takes its locks in one order.
//!
//! What goes wrong is said in containerd's words: a kubelet's events show those. Called by `podlet image pull`, and by the
//! process that pulls for a pod.

mod blob;
mod challenge;
mod credentials;
mod hosts;
mod progress;
mod repository;

use std::io::Read;
use std::time::{Duration, Instant};

pub use credentials::{Credential, Keyring};
pub use progress::{Layer as LayerProgress, Progress};

use self::blob::Blob;
use self::hosts::Host;
use self::repository::{Refusal, Repository, Thing};
use super::document::{self, DOCUMENT_MAX, Descriptor, Digest, Document, Index, Manifest};
use super::packing::sniff;
use super::record::parse;
use super::reference::Reference;
use super::stage::Staging;
use super::store::LayerLock;
use super::{Config, ImageError, Limits, Record, Store, import};
use crate::http::{Environment, Method};

/// How to pull.
#[derive(Clone, Debug)]
pub struct How {
    /// Proxies, authorities, and where files of credentials are.
    pub environment: Environment,
    /// Who podlet is.
    pub keyring: Keyring,
    /// `--tls-verify=false`.
    pub insecure: bool,
    /// What the image may cost.
    pub limits: Limits,
    /// How long a server may say nothing.
    pub patience: Duration,
}

/// An image that was pulled.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// As stored.
    pub record: Record,
    /// It was there already, and is still what the registry has.
    pub up_to_date: bool,
    /// Bytes of its manifest, configuration and layers as the registry has them.
    pub packed_size: u64,
    /// How long other pulls of the same layers were waited for.
    pub waited: Duration,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl Store {
    /// Fetches an image by name. Names that never leave the machine are refused.
    pub fn pull(&self, name: &str, how: &How, progress: &Progress) -> Result<Pulled, ImageError> {
        let reference = parse(name)?;
        if reference.is_local() {
            return Err(ImageError::Pull(format!(
                "{reference} is not in podlet's image store, and names under {}/ never leave the machine; `podlet image import` or `podlet image load` puts an image there",
                reference.domain
            )));
        }
        let wrapped = |error: ImageError| match error {
            ImageError::Pull(why) | ImageError::Refused(why) => {
                ImageError::Pull(format!("failed to pull and unpack image \"{reference}\": {why}"))
            }
            other => other,
        };
        let pull = Pull { store: self, reference: &reference, how, progress };
        pull.pull().map_err(wrapped)
    }
}

struct Pull<'a> {
    store: &'a Store,
    reference: &'a Reference,
    how: &'a How,
    progress: &'a Progress,
}

/// What a registry has under the name, as far as this machine is concerned.
struct Resolved {
    index: Option<(Digest, Vec<u8>)>,
    manifest: Vec<u8>,
}

/// Why one server was of no use.
enum Trouble {
    /// Another user may be let in.
    Denied(String),
    /// Another server may have it.
    Failed(ImageError),
}

impl Trouble {
    fn resolving(refusal: Refusal, reference: &Reference) -> Trouble {
        let words = format!("failed to resolve image: {}", refusal.words(&reference.to_string()));
        match refusal {
            Refusal::Denied(_) => Trouble::Denied(words),
            _ => Trouble::Failed(ImageError::Pull(words)),
        }
    }

    fn error(self) -> ImageError {
        match self {
            Trouble::Denied(words) => ImageError::Pull(words),
            Trouble::Failed(error) => error,
        }
    }
}

impl From<ImageError> for Trouble {
    fn from(error: ImageError) -> Trouble {
        Trouble::Failed(error)
    }
}

impl Pull<'_> {
    /// From the first server that has it.
    fn pull(&self) -> Result<Pulled, ImageError> {
        let mut hosts = hosts::of(self.reference, &self.how.environment)?;
        hosts.iter_mut().for_each(|host| host.insecure |= self.how.insecure);
        let mut notes = Vec::new();
        let mut last = None;
        for host in &hosts {
            match self.pull_from_host(host, &mut notes) {
                Ok(mut pulled) => {
                    notes.append(&mut pulled.notes);
                    return Ok(Pulled { notes, ..pulled });
                }
                Err(error) => {
                    if self.progress.is_ended() {
                        return Err(error);
                    }
                    if host.mirror {
                        notes.push(format!("mirror {}: {error}", host.server));
                    }
                    last = Some(error);
                }
            }
        }
        let last = last.unwrap_or_else(|| ImageError::Pull("no registry is named for it".to_owned()));
        // What did not help may be why: a mirror, a program for credentials that is not there.
        Err(match last {
            ImageError::Pull(words) if !notes.is_empty() => ImageError::Pull(format!("{words} ({})", notes.join("; "))),
            other => other,
        })
    }

    /// As each user that may be let in, then as nobody.
    fn pull_from_host(&self, host: &Host, notes: &mut Vec<String>) -> Result<Pulled, ImageError> {
        self.progress.set_phase("resolving");
        // A mirror has users of its own.
        let mut asked_as = self.reference.clone();
        if host.mirror {
            (asked_as.domain, asked_as.path) = (host.server.clone(), host.repository.clone());
        }
        let found = self.how.keyring.find(&asked_as, &self.how.environment)?;
        notes.extend(found.notes);
        let mut denied = None;
        for credential in found.credentials.iter().map(Some).chain([None]) {
            let repository = Repository::new(host, credential, self.how, self.progress)?;
            match self.pull_from(&repository) {
                Ok(pulled) => return Ok(pulled),
                // With the first user's words: nobody is not who was meant.
                Err(Trouble::Denied(words)) => drop(denied.get_or_insert(words)),
                Err(trouble) => return Err(trouble.error()),
            }
        }
        Err(ImageError::Pull(denied.unwrap_or_default()))
    }

    fn pull_from(&self, repository: &Repository<'_>) -> Result<Pulled, Trouble> {
        if let Some(record) = self.up_to_date(repository)? {
            let manifest = self.store.read_blob(&record.digest)?;
            // Found by its digest under another name, perhaps, or it came in by another way.
            let record = match record.repo_digest {
                Some(_) => self.store.give_name(record, self.reference)?,
                None => {
                    let digest = record.index.as_ref().unwrap_or(&record.digest);
                    let repo_digest = Some(self.repo_digest(digest));
                    let record = Record { name: self.reference.to_string(), repo_digest, ..record };
                    Staging::begin(self.store, self.how.limits)?.publish_name(&record)?;
                    record
                }
            };
            return Ok(Pulled {
                record,
                up_to_date: true,
                packed_size: packed_size(&manifest)?,
                waited: Duration::ZERO,
                notes: Vec::new(),
            });
        }
        let resolved = self.resolve(repository)?;
        let manifest = read_manifest(&resolved.manifest)?;
        let configuration = self.fetch(repository, &manifest.config)?;
        let document: Document = document::read_configuration(&configuration)?;
        import::check_platform(&document)?;
        if document.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(Trouble::Failed(ImageError::Refused(format!(
                "the manifest lists {} layers and the configuration {}",
                manifest.layers.len(),
                document.rootfs.diff_ids.len()
            ))));
        }
        let config: Config = document.config.clone().unwrap_or_default().into();
        import::check_texts(&config)?;
        let mut staging = Staging::begin(self.store, self.how.limits)?;
        self.fetch_layers(repository, &manifest.layers, &document.rootfs.diff_ids, &mut staging)?;
        self.progress.set_phase("storing");
        let notes = staging.take_notes();
        let mut record = Record::new(self.reference, config, repository.shown());
        let index = resolved.index.map(|(digest, bytes)| {
            record.index = Some(digest);
            bytes
        });
        let digest = record.index.clone().unwrap_or_else(|| Digest::of(&resolved.manifest));
        record.repo_digest = Some(self.repo_digest(&digest));
        let record = staging.publish(&configuration, &resolved.manifest, index.as_deref(), record)?;
        let (packed_size, waited) = (packed_size(&resolved.manifest)?, self.progress.waited());
        Ok(Pulled { record, up_to_date: false, packed_size, waited, notes })
    }

    /// What the store has, if the registry has the same: a question without an answer's body, which registries do not count.
    fn up_to_date(&self, repository: &Repository<'_>) -> Result<Option<Record>, Trouble> {
        let wanted = self.wanted();
        let answer = match repository.ask(Method::Head, Thing::Manifest(&wanted), 0) {
            Ok(answer) => answer,
            // Not all registries answer this kind of question.
            Err(Refusal::Failed(words)) if words.contains("unexpected status") => return Ok(None),
            Err(refusal) => return Err(Trouble::resolving(refusal, self.reference)),
        };
        let Ok(record) = self.store.record(self.reference) else { return Ok(None) };
        let digest = self.reference.digest.as_deref().or(answer.header("docker-content-digest"));
        let same = digest.is_some_and(|digest| record.has_digest(digest));
        Ok(Some(record).filter(|record| same && self.store.has_layers(&record.layers)))
    }

    fn repo_digest(&self, digest: &Digest) -> String {
        format!("{}@{digest}", self.reference.repository())
    }

    fn wanted(&self) -> String {
        let tag = || self.reference.tag.clone().unwrap_or_else(|| "latest".to_owned());
        self.reference.digest.clone().unwrap_or_else(tag)
    }

    fn resolve(&self, repository: &Repository<'_>) -> Result<Resolved, Trouble> {
        let expected = self.reference.digest.as_deref().map(Digest::parse).transpose()?;
        let bytes = self.manifest(repository, &self.wanted())?;
        let digest = Digest::of(&bytes);
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            return Err(Trouble::Failed(ImageError::Refused(format!("manifest {expected} has the digest {digest}"))));
        }
        if !is_index(&bytes)? {
            return Ok(Resolved { index: None, manifest: bytes });
        }
        let index: Index = document::read(&bytes, "the index")?;
        let chosen = choose(&index)?;
        let manifest = self.manifest(repository, &chosen.digest.to_string())?;
        check_blob(chosen, &manifest)?;
        if is_index(&manifest)? {
            return Err(Trouble::Failed(ImageError::Refused(format!("{} is an index within an index", chosen.digest))));
        }
        Ok(Resolved { index: Some((digest, bytes)), manifest })
    }

    fn manifest(&self, repository: &Repository<'_>, which: &str) -> Result<Vec<u8>, Trouble> {
        let answer = repository.ask(Method::Get, Thing::Manifest(which), 0);
        let answer = answer.map_err(|refusal| Trouble::resolving(refusal, self.reference))?;
        let read = answer.into_bytes(DOCUMENT_MAX);
        read.map_err(|error| Trouble::Failed(ImageError::Pull(format!("failed to resolve image: {error}"))))
    }

    /// A small blob, verified.
    fn fetch(&self, repository: &Repository<'_>, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        if descriptor.size > DOCUMENT_MAX {
            return Err(ImageError::Refused(format!(
                "the configuration has {} bytes, at most {DOCUMENT_MAX} are read",
                descriptor.size
            )));
        }
        let progress = LayerProgress::new(descriptor.digest.to_string(), descriptor.size, false);
        let mut bytes = Vec::new();
        let read = Blob::new(repository, descriptor, &progress).take(descriptor.size + 1).read_to_end(&mut bytes);
        read.map_err(unwrap)?;
        check_blob(descriptor, &bytes)?;
        Ok(bytes)
    }

    /// All layers into the staging directory.
    fn fetch_layers(
        &self,
        repository: &Repository<'_>,
        layers: &[Descriptor],
        diff_ids: &[Digest],
        staging: &mut Staging<'_>,
    ) -> Result<(), ImageError> {
        let is_missing = |number: &usize| self.store.layer_key(diff_ids, *number).is_none();
        let missing = || (0..diff_ids.len()).filter(is_missing).filter_map(|number| diff_ids.get(number).cloned());
        self.progress.set_phase("waiting for another pull of the same layers");
        let began = Instant::now();
        let locks = self.store.lock_layers(&missing().collect::<Vec<_>>(), || self.progress.is_ended())?;
        self.progress.add_waiting(began.elapsed());
        // Whoever had a lock before may have brought its layer.
        let missing: Vec<Digest> = missing().collect();
        let locks: Vec<LayerLock> = locks.into_iter().filter(|lock| missing.contains(lock.diff_id())).collect();
        self.progress.set_phase("pulling");
        let shown = layers.iter().zip(diff_ids).map(|(layer, diff_id)| {
            LayerProgress::new(layer.digest.to_string(), layer.size, !missing.contains(diff_id))
        });
        let shown: Vec<_> = shown.collect();
        self.progress.set_layers(shown.clone());
        staging.add_layers(diff_ids.len(), |staging, number| {
            if let Some(known) = staging.known(diff_ids, number)? {
                return Ok(known);
            }
            let (Some(descriptor), Some(progress)) = (layers.get(number), shown.get(number)) else {
                return Err(ImageError::Refused(format!("the manifest lists no layer {}", number + 1)));
            };
            let (packing, blob) = sniff(Blob::new(repository, descriptor, progress))?;
            let layer = staging.unpack(number, blob, packing, Some(descriptor), diff_ids)?;
            progress.finish();
            Ok(layer)
        })?;
        // The locks are held until the image is in the store: who waits for one finds the layer there.
        staging.keep(locks);
        Ok(())
    }
}

/// The manifest of an index that this machine runs best.
fn choose(index: &Index) -> Result<&Descriptor, ImageError> {
    let suits =
        |descriptor: &&Descriptor| descriptor.platform.as_ref().is_some_and(|platform| platform.rank().is_some());
    let rank = |descriptor: &&Descriptor| descriptor.platform.as_ref().and_then(document::Platform::rank);
    // Indexes of one manifest often do not say for what machine it is.
    let only = || index.manifests.first().filter(|only| index.manifests.len() == 1 && only.platform.is_none());
    index.manifests.iter().filter(suits).min_by_key(rank).or_else(only).ok_or_else(|| {
        let mut all: Vec<String> = index.manifests.iter().flat_map(|m| &m.platform).map(ToString::to_string).collect();
        all.retain(|platform| platform != "unknown/unknown");
        ImageError::Pull(format!(
            "no match for platform in manifest: not found (this machine is linux/{}; the image is for {})",
            document::architecture(),
            if all.is_empty() { "nothing that it names".to_owned() } else { all.join(", ") }
        ))
    })
}

/// Whether it is an index; what could be both is neither (CVE-2021-41190).
fn is_index(bytes: &[u8]) -> Result<bool, ImageError> {
    let value: serde_json::Value = document::read(bytes, "the manifest")?;
    if value.get("schemaVersion").and_then(serde_json::Value::as_u64) == Some(1) {
        return Err(ImageError::Pull(
            "media type \"application/vnd.docker.distribution.manifest.v1+prettyjws\" is no longer supported: the image should be pushed anew by a newer tool".to_owned(),
        ));
    }
    match (value.get("manifests").is_some(), value.get("layers").is_some()) {
        (true, false) => Ok(true),
        (false, true) => Ok(false),
        _ => Err(ImageError::Refused("what the registry has is neither an index nor a manifest".to_owned())),
    }
}

fn read_manifest(bytes: &[u8]) -> Result<Manifest, ImageError> {
    let manifest: Manifest = document::read(bytes, "the manifest")?;
    let kind = manifest.config.media_type.as_str();
    let image = matches!(
        kind,
        "" | document::CONFIG | "application/vnd.docker.container.image.v1+json" | "application/octet-stream"
    );
    if !image {
        return Err(ImageError::Pull(format!("it is no container image, but an artifact of the type {kind}")));
    }
    Ok(manifest)
}

fn packed_size(manifest: &[u8]) -> Result<u64, ImageError> {
    let Manifest { config, layers, .. } = document::read(manifest, "the manifest")?;
    let sizes = layers.iter().chain([&config]).map(|blob| blob.size);
    Ok(sizes.fold(manifest.len() as u64, u64::saturating_add))
}

fn check_blob(descriptor: &Descriptor, bytes: &[u8]) -> Result<(), ImageError> {
    let (digest, size) = (&descriptor.digest, descriptor.size);
    if bytes.len() as u64 != size {
        return Err(ImageError::Refused(format!("{digest} should have {size} bytes and has {}", bytes.len())));
    }
    let found = Digest::of(bytes);
    if found != *digest {
        return Err(ImageError::Refused(format!("{digest} has the digest {found}")));
    }
    Ok(())
}

/// An error that travelled through a reader.
fn unwrap(error: std::io::Error) -> ImageError {
    match error.downcast::<ImageError>() {
        Ok(own) => own,
        Err(error) => ImageError::Pull(error.to_string()),
    }
}
