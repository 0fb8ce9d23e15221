//! Writes images of the store into an archive or a directory that others load: an OCI layout (image-spec `image-layout.md`) with
//! Docker's `manifest.json` beside it, as `docker save` has it since Docker 25. docker, podman, skopeo and podlet read it.
//!
//! The store keeps layers unpacked, and of each the skeleton of its tar stream: the stream that is written is the one that came
//! in, so layers keep their diff IDs and images their IDs, whoever made them. How a stream was compressed is not kept, nor could
//! it be done again by another program; layers are written uncompressed, as `docker save` and `podman save` do, and unless they
//! came in so the manifest is another one than the registry has. Of a layer without a skeleton the files are packed anew, names
//! sorted, and its image gets another ID, which a note says.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::directory::{self, Content};
use super::document::{self, Digest, Manifest};
use super::files::io_error;
use super::record::parse;
use super::skeleton;
use super::stage::Staging;
use super::{ImageError, Limits, Store};

/// Where the parts go.
enum Target<W: Write> {
    Archive(Builder<W>),
    Directory(PathBuf),
}

/// A layer as it was packed.
#[derive(Clone)]
struct Packed {
    digest: Digest,
    size: u64,
}

impl Store {
    /// Writes these images as one tar archive.
    pub fn save(&self, names: &[String], output: impl Write) -> Result<Vec<String>, ImageError> {
        self.save_to(names, Target::Archive(Builder::new(output)))
    }

    /// Writes these images as an OCI layout into a directory, which is made and must be empty.
    pub fn save_directory(&self, names: &[String], directory: &Path) -> Result<Vec<String>, ImageError> {
        fs::create_dir_all(directory.join("blobs/sha256")).map_err(|error| io_error("make", directory, &error))?;
        let entries = fs::read_dir(directory).map_err(|error| io_error("list", directory, &error))?;
        if entries.count() > 1 {
            return Err(ImageError::Refused(format!("{directory:?} is not empty")));
        }
        self.save_to(names, Target::Directory::<io::Sink>(directory.to_owned()))
    }

    fn save_to<W: Write>(&self, names: &[String], mut target: Target<W>) -> Result<Vec<String>, ImageError> {
        let staging = Staging::begin(self, Limits::default())?;
        let mut layers: HashMap<PathBuf, Packed> = HashMap::new();
        let mut written: Vec<Digest> = Vec::new();
        let (mut index, mut docker, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let image = self.find(name)?;
            if !image.binds.is_empty() {
                return Err(ImageError::Refused(format!("{name} is the machine's own /usr and cannot be saved")));
            }
            let record = self.record(&parse(name)?)?;
            let mut packed = Vec::new();
            for (path, diff_id) in image.layers.iter().zip(&record.layers) {
                let layer = match layers.get(path) {
                    Some(layer) => layer.clone(),
                    None => pack(path, diff_id, staging.path(), &mut target, &mut written, &mut notes)?,
                };
                layers.insert(path.clone(), layer.clone());
                packed.push(layer);
            }
            let same = record.layers.iter().eq(packed.iter().map(|layer| &layer.digest));
            let mut configuration = self.read_blob(&record.id)?;
            if !same {
                configuration = with_layers(&configuration, &packed)?;
                notes.push(format!("{} gets another ID, {}", record.name, Digest::of(&configuration)));
            }
            let config = target.blob(&configuration, &mut written)?;
            let stored = self.read_blob(&record.digest)?;
            let manifest = match same && consists_of(&stored, &packed)? {
                true => stored,
                false => manifest(&config, &packed)?,
            };
            let kind = document::read::<Manifest>(&manifest, "the manifest")?.media_type;
            let kind = if kind.is_empty() { document::MANIFEST } else { &kind };
            let mut entry = descriptor(kind, &target.blob(&manifest, &mut written)?);
            entry["annotations"] = json!({
                "io.containerd.image.name": record.name,
                "org.opencontainers.image.ref.name": record.name,
            });
            index.push(entry);
            docker.push(json!({
                "Config": blob_path(&config.digest),
                "RepoTags": [record.name],
                "Layers": packed.iter().map(|layer| blob_path(&layer.digest)).collect::<Vec<_>>(),
            }));
        }
        target.file("index.json", &document::write(&json!({"schemaVersion": 2, "manifests": index}))?)?;
        target.file("manifest.json", &document::write(&docker)?)?;
        target.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        target.end()?;
        Ok(notes)
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The configuration of an image whose layers became others.
fn with_layers(configuration: &[u8], packed: &[Packed]) -> Result<Vec<u8>, ImageError> {
    let mut configuration: Value = document::read(configuration, "the image's configuration")?;
    if let Some(rootfs) = configuration.get_mut("rootfs") {
        rootfs["diff_ids"] = packed.iter().map(|layer| layer.digest.to_string()).collect();
    }
    document::write(&configuration)
}

/// Whether a manifest's layers are these, uncompressed as they are.
fn consists_of(manifest: &[u8], packed: &[Packed]) -> Result<bool, ImageError> {
    let manifest: Manifest = document::read(manifest, "the manifest")?;
    Ok(manifest.layers.iter().map(|layer| &layer.digest).eq(packed.iter().map(|layer| &layer.digest)))
}

fn manifest(config: &Packed, packed: &[Packed]) -> Result<Vec<u8>, ImageError> {
    document::write(&json!({
        "schemaVersion": 2,
        "mediaType": document::MANIFEST,
        "config": descriptor(document::CONFIG, config),
        "layers": packed.iter().map(|layer| descriptor(document::LAYER, layer)).collect::<Vec<_>>(),
    }))
}

fn descriptor(kind: &str, packed: &Packed) -> Value {
    json!({"mediaType": kind, "digest": packed.digest.to_string(), "size": packed.size})
}

/// Packs a layer beside the store, since its size and digest come before it in the archive, and puts it there.
fn pack<W: Write>(
    layer: &Path,
    diff_id: &Digest,
    aside: &Path,
    target: &mut Target<W>,
    written: &mut Vec<Digest>,
    notes: &mut Vec<String>,
) -> Result<Packed, ImageError> {
    let path = aside.join("packed");
    let mut file = PackedFile::create(&path)?;
    let replayed = skeleton::replay(layer.parent().unwrap_or(layer), |piece| file.write(piece))?;
    let mut packed = file.end();
    if !replayed || packed.digest != *diff_id {
        let mut file = PackedFile::create(&path)?;
        let ((), left_out) = directory::stream(layer, Content::Layer, |reader| {
            let mut buffer = vec![0; 128 << 10];
            loop {
                match reader.read(&mut buffer).map_err(|error| io_error("read", layer, &error))? {
                    0 => return Ok(()),
                    n => file.write(buffer.get(..n).unwrap_or_default())?,
                }
            }
        })?;
        notes.extend(left_out);
        packed = file.end();
        if packed.digest != *diff_id {
            notes.push(format!(
                "layer {diff_id} is packed anew, as {}: its own archive cannot be written again",
                packed.digest
            ));
        }
    }
    if !written.contains(&packed.digest) {
        target.move_in(&path, &packed)?;
        written.push(packed.digest.clone());
    }
    Ok(packed)
}

/// A layer that is being packed.
struct PackedFile<'p> {
    path: &'p Path,
    file: File,
    hasher: Sha256,
    size: u64,
}

impl PackedFile<'_> {
    fn create(path: &Path) -> Result<PackedFile<'_>, ImageError> {
        let file = File::create(path).map_err(|error| io_error("make", path, &error))?;
        Ok(PackedFile { path, file, hasher: Sha256::new(), size: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| io_error("write", self.path, &error))
    }

    fn end(self) -> Packed {
        Packed { digest: Digest::finish(self.hasher), size: self.size }
    }
}

impl<W: Write> Target<W> {
    fn blob(&mut self, bytes: &[u8], written: &mut Vec<Digest>) -> Result<Packed, ImageError> {
        let packed = Packed { digest: Digest::of(bytes), size: bytes.len() as u64 };
        if !written.contains(&packed.digest) {
            self.file(&blob_path(&packed.digest), bytes)?;
            written.push(packed.digest.clone());
        }
        Ok(packed)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImageError> {
        match self {
            Target::Archive(builder) => append(builder, name, bytes.len() as u64, bytes),
            Target::Directory(directory) => {
                let path = directory.join(name);
                fs::write(&path, bytes).map_err(|error| io_error("write", &path, &error))
            }
        }
    }

    fn move_in(&mut self, from: &Path, packed: &Packed) -> Result<(), ImageError> {
        let name = blob_path(&packed.digest);
        match self {
            Target::Archive(builder) => {
                let file = File::open(from).map_err(|error| io_error("open", from, &error))?;
                append(builder, &name, packed.size, file)
            }
            Target::Directory(directory) => {
                let path = directory.join(name);
                fs::copy(from, &path).map(drop).map_err(|error| io_error("write", &path, &error))
            }
        }
    }

    fn end(self) -> Result<(), ImageError> {
        match self {
            Target::Archive(builder) => {
                let flushed = builder.into_inner().and_then(|mut output| output.flush());
                flushed.map_err(|error| unwritten(&error))
            }
            Target::Directory(_) => Ok(()),
        }
    }
}

fn append<W: Write>(builder: &mut Builder<W>, name: &str, size: u64, content: impl Read) -> Result<(), ImageError> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    // An empty field is no number to all readers.
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    builder.append_data(&mut header, name, content).map_err(|error| unwritten(&error))
}

fn unwritten(error: &io::Error) -> ImageError {
    ImageError::Unreadable(format!("could not write the archive: {error}"))
}
