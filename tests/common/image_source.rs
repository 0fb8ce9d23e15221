//! What images come from in tests: tar archives byte by byte, OCI layouts that may lie, and a store beside a canary.

#![allow(dead_code)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use podlet::image::{Digest, Image, ImageError, Limits, Overrides, Store};
use serde_json::json;
use tar::{EntryType, Header};

use crate::Scratch;

/// A tar archive built header by header, since no well-meaning writer makes hostile ones.
#[derive(Clone, Default)]
pub struct Tar(pub Vec<u8>);

impl Tar {
    pub fn entry(self, kind: EntryType, name: &[u8], link: &[u8], content: &[u8]) -> Tar {
        self.changed(kind, name, link, content, |_| {})
    }

    /// With a header that is not as it should be.
    pub fn changed(
        mut self,
        kind: EntryType,
        name: &[u8],
        link: &[u8],
        content: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Tar {
        let mut header = Header::new_ustar();
        {
            let old = header.as_old_mut();
            old.name[..name.len()].copy_from_slice(name);
            old.linkname[..link.len()].copy_from_slice(link);
        }
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: &str, content: &str) -> Tar {
        self.entry(EntryType::Regular, name.as_bytes(), b"", content.as_bytes())
    }

    pub fn directory(self, name: &str) -> Tar {
        self.entry(EntryType::Directory, name.as_bytes(), b"", b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Tar {
        self.entry(EntryType::Symlink, name.as_bytes(), target.as_bytes(), b"")
    }

    pub fn hard_link(self, name: &str, target: &str) -> Tar {
        self.entry(EntryType::Link, name.as_bytes(), target.as_bytes(), b"")
    }

    pub fn mode(self, mode: u32, name: &str, content: &str) -> Tar {
        let change = |header: &mut Header| header.set_mode(mode);
        self.changed(EntryType::Regular, name.as_bytes(), b"", content.as_bytes(), change)
    }

    pub fn pax(self, records: &[(&str, &str)]) -> Tar {
        self.pax_bytes(&records.iter().map(|(key, value)| (*key, value.as_bytes())).collect::<Vec<_>>())
    }

    pub fn pax_bytes(self, records: &[(&str, &[u8])]) -> Tar {
        let mut content = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest..).find(|length| *length == rest + length.to_string().len()).unwrap();
            content.extend(format!("{length} {key}=").into_bytes());
            content.extend(*value);
            content.push(b'\n');
        }
        self.entry(EntryType::XHeader, b"PaxHeader", b"", &content)
    }

    /// GNU's long name, or long link, of the entry that follows.
    pub fn long(self, kind: EntryType, name: &[u8]) -> Tar {
        self.entry(kind, b"././@LongLink", b"", &[name, b"\0"].concat())
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Of one frame.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// A store in a scratch directory, with a canary beside it that no archive may touch.
pub struct World {
    pub scratch: Scratch,
    pub store: Store,
}

impl World {
    pub fn new(name: &str) -> World {
        let scratch = Scratch::new(name);
        fs::create_dir(scratch.path().join("outside")).unwrap();
        fs::write(scratch.path().join("outside/canary"), "alive").unwrap();
        let store = Store::open(&scratch.path().join("images"));
        World { scratch, store }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub fn import(&self, source: &Path) -> Result<Image, ImageError> {
        self.store.import(source, Some("localhost/test:1"), &Overrides::default(), Limits::default())?;
        self.store.find("localhost/test:1")
    }

    pub fn import_tar(&self, bytes: &[u8]) -> Result<Image, ImageError> {
        let path = self.path("archive.tar");
        fs::write(&path, bytes).unwrap();
        self.import(&path)
    }

    /// The canary lives, and nothing is left of what was not finished.
    pub fn check(&self, what: &str) {
        assert_eq!(fs::read_to_string(self.path("outside/canary")).unwrap(), "alive", "{what}");
        assert_eq!(fs::read_dir(self.path("outside")).unwrap().count(), 1, "{what}");
        assert_eq!(fs::read_dir(self.path("images/tmp")).unwrap().count(), 0, "{what}");
    }

    /// An OCI layout of these layers; `change` may spoil it.
    pub fn layout(&self, layers: &[Vec<u8>], change: impl FnOnce(&mut Layout)) -> PathBuf {
        let mut layout = Layout::new(layers);
        change(&mut layout);
        let path = self.path("layout");
        let _ = fs::remove_dir_all(&path);
        layout.write(&path);
        path
    }
}

/// The parts of a layout before it is written.
pub struct Layout {
    pub blobs: Vec<(String, Vec<u8>)>,
    pub config: serde_json::Value,
    pub layers: Vec<serde_json::Value>,
    pub manifest_extra: serde_json::Value,
    pub platform: serde_json::Value,
    pub index: Option<serde_json::Value>,
}

impl Layout {
    pub fn new(layers: &[Vec<u8>]) -> Layout {
        let packed: Vec<Vec<u8>> = layers.iter().map(|layer| gzip(layer)).collect();
        let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
        let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        Layout {
            layers: packed
                .iter()
                .map(|layer| {
                    json!({
                        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                        "digest": Digest::of(layer).to_string(),
                        "size": layer.len(),
                    })
                })
                .collect(),
            blobs: packed.into_iter().map(|layer| (Digest::of(&layer).hex().to_owned(), layer)).collect(),
            config: json!({
                "architecture": architecture,
                "os": "linux",
                "config": {"Cmd": ["sh"], "Env": ["A=1"], "Labels": {"podlet.dev/x": "y"}, "Volumes": {"/../../v": {}}},
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
                "history": [{"created_by": "a test"}],
            }),
            manifest_extra: json!({}),
            platform: json!({"os": "linux", "architecture": architecture}),
            index: None,
        }
    }

    pub fn write(self, path: &Path) {
        let blobs = path.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for (name, bytes) in &self.blobs {
            fs::write(blobs.join(name), bytes).unwrap();
        }
        let put = |value: &serde_json::Value| {
            let bytes = serde_json::to_vec(value).unwrap();
            let digest = Digest::of(&bytes);
            fs::write(blobs.join(digest.hex()), &bytes).unwrap();
            json!({"digest": digest.to_string(), "size": bytes.len()})
        };
        let mut manifest = json!({"schemaVersion": 2, "config": put(&self.config), "layers": self.layers});
        manifest.as_object_mut().unwrap().extend(self.manifest_extra.as_object().unwrap().clone());
        let mut descriptor = put(&manifest);
        descriptor["mediaType"] = json!("application/vnd.oci.image.manifest.v1+json");
        descriptor["platform"] = self.platform;
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": "localhost/from-layout:2"});
        let index = self.index.unwrap_or(json!({"schemaVersion": 2, "manifests": [descriptor]}));
        fs::write(path.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }
}

pub fn read(image: &Image, layer: usize, path: &str) -> String {
    fs::read_to_string(image.layers[layer].join(path)).unwrap()
}
