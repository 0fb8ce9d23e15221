//! Reads images out of an OCI layout (image-spec `image-layout.md`), as a directory or in a tar file, and out of what
//! `docker save` writes. Called by `import`. A digest becomes a path only when parsed, a path is opened beneath the layout
//! only and through no link, and every document is read whole only up to a limit and compared with its digest.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use serde::Deserialize;

use super::ImageError;
use super::archive::{Kind, for_each};
use super::document::{self, DOCUMENT_MAX, Descriptor, Digest, Document, Index, Manifest};
use super::packing::sniff;
use super::stage::Staging;

/// How many indexes may lead to one another.
const DEPTH_MAX: usize = 4;
/// Digits of a digest that tell images apart.
const DIGITS: usize = 12;

/// Where the files of a layout are.
pub enum Files {
    /// In a directory.
    Directory(OwnedFd),
    /// In an uncompressed tar file, with the position and size of each.
    Tar(File, HashMap<PathBuf, (u64, u64)>),
}

/// Which image of a layout.
#[derive(Clone, Copy, Debug)]
pub enum Choice<'a> {
    /// The only one.
    Only,
    /// The only one, or the one of this name.
    Named(&'a str),
    /// The one at this place of the list.
    At(usize),
}

/// An image as a layout lists it.
#[derive(Debug)]
pub struct Listed {
    /// Its place in the list.
    pub at: usize,
    /// The names that it has there.
    pub names: Vec<String>,
    /// The beginning of a digest, to call it by where it has no name.
    pub short: String,
}

/// An image in a layout, its layers not read yet.
pub struct Found {
    /// The name that the layout gives it.
    pub name: Option<String>,
    /// The configuration as it is.
    pub configuration: Vec<u8>,
    /// The manifest as it is; Docker's archives have none.
    pub manifest: Option<Vec<u8>>,
    layers: Vec<Layer>,
}

enum Layer {
    Blob(Descriptor),
    Path(PathBuf),
}

/// One line of Docker's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: PathBuf,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<PathBuf>,
}

impl Files {
    /// The files of a tar file; all of it is read once.
    pub fn of_tar(file: File) -> Result<Files, ImageError> {
        let mut files = HashMap::new();
        let mut links = Vec::new();
        for_each(&file, |entry, position, _| {
            match entry.kind {
                // Two files of one name: readers would disagree which one counts.
                Kind::File if files.insert(entry.path.clone(), (position, entry.size)).is_some() => {
                    files.insert(entry.path, (0, u64::MAX));
                }
                // A layer that another image in the archive has: older Docker.
                Kind::Symlink(target) => links.push((entry.path, PathBuf::from(target))),
                _ => {}
            }
            Ok(())
        })?;
        for (path, target) in links {
            let place = within(path.parent().unwrap_or(Path::new("")), &target).and_then(|to| files.get(&to).copied());
            if let Some(place) = place {
                files.entry(path).or_insert(place);
            }
        }
        Ok(Files::Tar(file, files))
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &str) -> bool {
        match self {
            Files::Directory(_) => self.open(Path::new(path)).is_ok(),
            Files::Tar(_, files) => files.contains_key(Path::new(path)),
        }
    }

    /// Whether these are an image and not a root file system.
    pub fn is_layout(&self) -> bool {
        self.has("index.json") && (self.has("oci-layout") || self.has("manifest.json"))
            || self.has("manifest.json") && matches!(self, Files::Tar(..))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Read + Send + '_>, ImageError> {
        let absent = |why: &str| ImageError::Refused(format!("the archive has no file {path:?}{why}"));
        match self {
            Files::Directory(directory) => {
                let how = OpenHow::new()
                    // Not waiting for a writer, should it be a pipe.
                    .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
                    .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
                let opened = openat2(directory, path, how).map_err(|errno| absent(&format!(": {}", errno.desc())))?;
                let file = File::from(opened);
                match file.metadata() {
                    Ok(metadata) if metadata.is_file() => Ok(Box::new(file)),
                    _ => Err(absent(": it is something else")),
                }
            }
            Files::Tar(file, files) => match files.get(path) {
                Some((_, u64::MAX)) => Err(absent(" but several of that name")),
                Some((position, size)) => Ok(Box::new(Section { file, position: *position, left: *size })),
                None => Err(absent("")),
            },
        }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        let read = self.open(path)?.take(DOCUMENT_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| ImageError::Unreadable(format!("could not read {path:?}: {error}")))?;
        if bytes.len() as u64 > DOCUMENT_MAX {
            return Err(ImageError::Refused(format!("{path:?} has more than {DOCUMENT_MAX} bytes")));
        }
        Ok(bytes)
    }

    fn read_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        let bytes = self.read(&blob_path(&descriptor.digest))?;
        if bytes.len() as u64 != descriptor.size {
            let (digest, size) = (&descriptor.digest, descriptor.size);
            return Err(ImageError::Refused(format!("{digest} should have {size} bytes and has {}", bytes.len())));
        }
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(ImageError::Refused(format!("{} has the digest {found}", descriptor.digest)));
        }
        Ok(bytes)
    }

    /// The images for this machine that are here.
    pub fn images(&self) -> Result<Vec<Listed>, ImageError> {
        if !self.has("index.json") {
            let images: Vec<DockerImage> = document::read(&self.read(Path::new("manifest.json"))?, "manifest.json")?;
            let listed = images.into_iter().enumerate().map(|(at, image)| {
                // `<digest>.json`, or `blobs/sha256/<digest>`.
                let stem = image.config.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let short = stem.get(..DIGITS).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let short = short.map_or_else(|| format!("image-{}", at + 1), str::to_lowercase);
                Listed { at, names: image.repo_tags.unwrap_or_default(), short }
            });
            return Ok(listed.collect());
        }
        let index: Index = document::read(&self.read(Path::new("index.json"))?, "the index")?;
        let mut images: Vec<(Digest, Listed)> = Vec::new();
        for (at, descriptor) in index.manifests.iter().enumerate().filter(|(_, descriptor)| suits(descriptor)) {
            let name = annotated_name(descriptor);
            match images.iter_mut().find(|(digest, _)| *digest == descriptor.digest) {
                Some((_, listed)) => listed.names.extend(name),
                None => {
                    let short = descriptor.digest.hex().get(..DIGITS).unwrap_or_default().to_owned();
                    images.push((descriptor.digest.clone(), Listed { at, names: name.into_iter().collect(), short }));
                }
            }
        }
        Ok(images.into_iter().map(|(_, listed)| listed).collect())
    }

    /// The image for this machine.
    pub fn find(&self, choice: Choice<'_>) -> Result<Found, ImageError> {
        if self.has("index.json") { self.find_oci(choice) } else { self.find_docker(choice) }
    }

    fn find_oci(&self, mut choice: Choice<'_>) -> Result<Found, ImageError> {
        let mut bytes = self.read(Path::new("index.json"))?;
        let mut name = None;
        for _ in 0..DEPTH_MAX {
            let index: Index = document::read(&bytes, "the index")?;
            let chosen = choose(&index, choice)?;
            if let Choice::At(_) = choice {
                choice = Choice::Only;
            }
            name = name.or_else(|| annotated_name(chosen));
            bytes = self.read_blob(chosen)?;
            let value: serde_json::Value = document::read(&bytes, "the manifest")?;
            match (value.get("manifests").is_some(), value.get("layers").is_some()) {
                (true, false) => continue,
                (false, true) => {}
                // Which one a reader sees would depend on the reader (CVE-2021-41190).
                _ => {
                    let why = format!("{} should be either an index or a manifest", chosen.digest);
                    return Err(ImageError::Refused(why));
                }
            }
            let manifest: Manifest = document::read(&bytes, "the manifest")?;
            return Ok(Found {
                name,
                configuration: self.read_blob(&manifest.config)?,
                layers: manifest.layers.into_iter().map(Layer::Blob).collect(),
                manifest: Some(bytes),
            });
        }
        Err(ImageError::Refused(format!("more than {DEPTH_MAX} indexes lead to one another")))
    }

    fn find_docker(&self, choice: Choice<'_>) -> Result<Found, ImageError> {
        let bytes = self.read(Path::new("manifest.json"))?;
        let images: Vec<DockerImage> = document::read(&bytes, "manifest.json")?;
        let is_chosen = |(at, image): &(usize, &DockerImage)| match choice {
            Choice::Only => false,
            Choice::Named(name) => image.repo_tags.iter().flatten().any(|tag| tag == name),
            Choice::At(wanted) => *at == wanted,
        };
        let image = match images.as_slice() {
            [image] => image,
            several => several.iter().enumerate().find(is_chosen).map(|(_, image)| image).ok_or_else(|| {
                let names: Vec<&str> =
                    several.iter().flat_map(|i| i.repo_tags.iter().flatten()).map(String::as_str).collect();
                ImageError::Refused(format!(
                    "the archive holds {} images; name one of them: {}",
                    several.len(),
                    names.join(", ")
                ))
            })?,
        };
        Ok(Found {
            name: image.repo_tags.as_ref().and_then(|tags| tags.first().cloned()),
            configuration: self.read(&image.config)?,
            manifest: None,
            layers: image.layers.iter().cloned().map(Layer::Path).collect(),
        })
    }

    /// Unpacks the layers, verifying each against descriptor and diff ID.
    pub fn add_layers(&self, found: &Found, document: &Document, staging: &mut Staging<'_>) -> Result<(), ImageError> {
        let diff_ids = &document.rootfs.diff_ids;
        if diff_ids.len() != found.layers.len() {
            return Err(ImageError::Refused(format!(
                "the manifest lists {} layers and the configuration {}",
                found.layers.len(),
                diff_ids.len()
            )));
        }
        staging.add_layers(diff_ids.len(), |staging, number| {
            let (path, descriptor) = match found.layers.get(number) {
                Some(Layer::Blob(descriptor)) => (blob_path(&descriptor.digest), Some(descriptor)),
                Some(Layer::Path(path)) => (path.clone(), None),
                None => (PathBuf::new(), None),
            };
            let (packing, reader) = sniff(self.open(&path)?)?;
            staging.unpack(number, reader, packing, descriptor, diff_ids)
        })
    }
}

fn blob_path(digest: &Digest) -> PathBuf {
    Path::new("blobs/sha256").join(digest.hex())
}

/// The one manifest for this machine, by name if there are several.
fn choose<'i>(index: &'i Index, choice: Choice<'_>) -> Result<&'i Descriptor, ImageError> {
    let architecture = document::architecture();
    if let Choice::At(at) = choice
        && let Some(descriptor) = index.manifests.get(at)
    {
        return Ok(descriptor);
    }
    let suitable: Vec<&Descriptor> = index.manifests.iter().filter(|descriptor| suits(descriptor)).collect();
    let shown = |descriptor: &Descriptor| match (&descriptor.platform, annotated_name(descriptor)) {
        (_, Some(name)) => name,
        (Some(platform), None) => platform.to_string(),
        (None, None) => descriptor.digest.to_string(),
    };
    match suitable.as_slice() {
        [only] => Ok(only),
        [] => {
            let all: Vec<String> = index.manifests.iter().map(shown).collect();
            let found = if all.is_empty() { "none at all".to_owned() } else { all.join(", ") };
            Err(ImageError::Refused(format!("no image for linux/{architecture} is here; found: {found}")))
        }
        several => {
            let named = |descriptor: &&&Descriptor| matches!((choice, annotated_name(descriptor)), (Choice::Named(wanted), Some(name)) if name == wanted);
            several.iter().find(named).copied().ok_or_else(|| {
                let all: Vec<String> = several.iter().map(|descriptor| shown(descriptor)).collect();
                ImageError::Refused(format!("{} images are here; name one of them: {}", several.len(), all.join(", ")))
            })
        }
    }
}

/// Whether this machine may run it.
fn suits(descriptor: &Descriptor) -> bool {
    descriptor.platform.as_ref().is_none_or(|platform| platform.rank().is_some())
}

/// Where a link in this directory leads, if that is within the archive.
fn within(directory: &Path, target: &Path) -> Option<PathBuf> {
    let mut path = if target.has_root() { PathBuf::new() } else { directory.to_owned() };
    for part in target.components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir if !path.pop() => return None,
            _ => {}
        }
    }
    Some(path)
}

/// containerd writes the whole name, others the tag or the whole name.
fn annotated_name(descriptor: &Descriptor) -> Option<String> {
    let annotations = descriptor.annotations.as_ref()?;
    let name = annotations.get("io.containerd.image.name");
    name.or_else(|| annotations.get("org.opencontainers.image.ref.name")).cloned()
}

/// A part of a file.
struct Section<'a> {
    file: &'a File,
    position: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), self.position)?;
        self.position += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}
