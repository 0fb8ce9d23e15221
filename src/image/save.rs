//! Writes images of the store into an archive or a directory that others load: an OCI layout (image-spec `image-layout.md`) with
//! Docker's `manifest.json` beside it, as `docker save` has it since Docker 25. docker, podman, skopeo and podlet read it.
//!
//! The store keeps layers unpacked. They are packed anew, names sorted, so a layer that another tool has made gets another
//! digest, and its image another ID; what is in it is the same.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::directory::{self, Content};
use super::document::{self, Digest};
use super::stage::Staging;
use super::store::{io_error, parse};
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
            for path in &image.layers {
                let layer = match layers.get(path) {
                    Some(layer) => layer.clone(),
                    None => pack(path, staging.path(), &mut target, &mut written, &mut notes)?,
                };
                layers.insert(path.clone(), layer.clone());
                packed.push(layer);
            }
            let mut configuration: Value = document::read(&self.read_blob(&record.id)?, "the image's configuration")?;
            let diff_ids: Vec<String> = packed.iter().map(|layer| layer.digest.to_string()).collect();
            if let Some(rootfs) = configuration.get_mut("rootfs") {
                rootfs["diff_ids"] = json!(diff_ids);
            }
            // Untouched when all layers are as they were: so is the image's ID.
            let same = record.layers.iter().map(ToString::to_string).eq(diff_ids.iter().cloned());
            let configuration = if same { self.read_blob(&record.id)? } else { document::write(&configuration)? };
            let config = target.blob(&configuration, &mut written)?;
            let list = packed.iter().map(|layer| descriptor(document::LAYER, layer)).collect::<Vec<_>>();
            let manifest = document::write(&json!({
                "schemaVersion": 2,
                "mediaType": document::MANIFEST,
                "config": descriptor(document::CONFIG, &config),
                "layers": list,
            }))?;
            let mut entry = descriptor(document::MANIFEST, &target.blob(&manifest, &mut written)?);
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

fn descriptor(kind: &str, packed: &Packed) -> Value {
    json!({"mediaType": kind, "digest": packed.digest.to_string(), "size": packed.size})
}

/// Packs a layer beside the store, since its size and digest come before it in the archive, and puts it there.
fn pack<W: Write>(
    layer: &Path,
    aside: &Path,
    target: &mut Target<W>,
    written: &mut Vec<Digest>,
    notes: &mut Vec<String>,
) -> Result<Packed, ImageError> {
    let path = aside.join("packed");
    let mut file = File::create(&path).map_err(|error| io_error("make", &path, &error))?;
    let mut hasher = Sha256::new();
    let mut size = 0;
    let ((), left_out) = directory::stream(layer, Content::Layer, |reader| {
        let mut buffer = vec![0; 128 << 10];
        loop {
            let n = reader.read(&mut buffer).map_err(|error| io_error("read", layer, &error))?;
            let piece = buffer.get(..n).unwrap_or_default();
            if piece.is_empty() {
                return Ok(());
            }
            hasher.update(piece);
            size += n as u64;
            file.write_all(piece).map_err(|error| io_error("write", &path, &error))?;
        }
    })?;
    notes.extend(left_out);
    let packed = Packed { digest: Digest::finish(hasher), size };
    if !written.contains(&packed.digest) {
        target.move_in(&path, &packed)?;
        written.push(packed.digest.clone());
    }
    Ok(packed)
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
