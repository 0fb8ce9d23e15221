//! The JSON documents of the OCI image format (image-spec v1.1: `descriptor.md`, `image-index.md`, `manifest.md`,
//! `config.md`), as far as podlet reads and writes them, and [`Digest`], which names everything in the store.
//!
//! All of it may come from a hostile archive: a digest becomes a path only after [`Digest::parse`], and `null` stands
//! wherever the Go programs that write these files put it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Config, ImageError};

/// The largest index, manifest or configuration that is read (containerd's limit for manifests is 8 MiB).
pub const DOCUMENT_MAX: u64 = 4 << 20;

/// `sha256:` and 64 lower-case hexadecimal digits, of which only the digits are kept: they can be a file name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// Reads `sha256:…`. Nothing else is a digest to podlet's store; sha512 is allowed by the format and never met.
    pub fn parse(text: &str) -> Result<Digest, ImageError> {
        match text.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
                Ok(Digest(hex.to_owned()))
            }
            _ => Err(ImageError::Refused(format!(
                "{text:?} is not a digest that podlet takes: expected sha256: and 64 lower-case hexadecimal digits"
            ))),
        }
    }

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::finish(Sha256::new_with_prefix(bytes))
    }

    /// The digest of what a hasher was fed.
    pub fn finish(hasher: Sha256) -> Digest {
        use fmt::Write;
        Digest(hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
    }

    /// The 64 digits, usable as a file name.
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = ImageError;
    fn try_from(text: String) -> Result<Digest, ImageError> {
        Digest::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// What points to a blob: its type, digest and size.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default)]
    pub media_type: String,
    /// Of its bytes.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// In an index: what machine the manifest is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// In an index: `org.opencontainers.image.ref.name`, `io.containerd.image.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// A machine in Go's words: `amd64`, `linux`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Platform {
    /// `GOARCH`.
    pub architecture: String,
    /// `GOOS`.
    pub os: String,
    /// `v7` of `arm`, `v8` of `arm64`, `v3` of `amd64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// How well this machine runs what is made for that one: 0 is best; none when it does not.
    pub fn rank(&self) -> Option<u32> {
        if self.os != "linux" || self.architecture != architecture() {
            return None;
        }
        match (self.architecture.as_str(), self.variant.as_deref().unwrap_or_default()) {
            (_, "") | ("amd64", "v1") | ("arm64", "v8") | ("arm", "v7") => Some(0),
            // Whoever runs version 7 runs the older ones.
            ("arm", "v6") => Some(1),
            ("arm", "v5") => Some(2),
            _ => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().filter(|variant| !variant.is_empty()).try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// `index.json`, or an index as a blob.
#[derive(Debug, Deserialize)]
pub struct Index {
    /// Manifests or further indexes.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
}

/// An image manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// [`MANIFEST`] or Docker's name for it.
    #[serde(default)]
    pub media_type: String,
    /// The configuration; its digest is the image's ID.
    pub config: Descriptor,
    /// Lowest first.
    pub layers: Vec<Descriptor>,
}

/// An image configuration.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Document {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// `GOARCH`.
    #[serde(default)]
    pub architecture: String,
    /// `GOOS`.
    #[serde(default)]
    pub os: String,
    /// How to run it.
    #[serde(default)]
    pub config: Option<Execution>,
    /// The layers.
    pub rootfs: RootFs,
}

/// The layers as digests of their uncompressed tar streams.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Lowest first.
    #[serde(default)]
    pub diff_ids: Vec<Digest>,
}

/// The `config` member of a configuration. Labels and ports steer nothing on the host's side and are kept only in
/// the blob (hardening: labels of an image are input, not orders).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Execution {
    /// `USER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `ENV`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// `ENTRYPOINT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// `CMD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// `WORKDIR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// `STOPSIGNAL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// `VOLUME`: paths, each with an empty object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, serde_json::Value>>,
}

impl From<Execution> for Config {
    fn from(execution: Execution) -> Config {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Config {
            user: filled(execution.user),
            env: execution.env.unwrap_or_default(),
            entrypoint: execution.entrypoint.unwrap_or_default(),
            cmd: execution.cmd.unwrap_or_default(),
            working_dir: filled(execution.working_dir),
            stop_signal: filled(execution.stop_signal),
            volumes: execution.volumes.unwrap_or_default().into_keys().collect(),
        }
    }
}

impl From<Config> for Execution {
    fn from(config: Config) -> Execution {
        let filled = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
        Execution {
            user: config.user,
            env: filled(config.env),
            entrypoint: filled(config.entrypoint),
            cmd: filled(config.cmd),
            working_dir: config.working_dir,
            stop_signal: config.stop_signal,
            volumes: Some(config.volumes.into_iter().map(|path| (path, serde_json::json!({}))).collect())
                .filter(|volumes: &BTreeMap<_, _>| !volumes.is_empty()),
        }
    }
}

/// What a registry is asked for: an index or a manifest, OCI's or Docker's (schema 2).
pub const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
/// The media type of an OCI manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an OCI configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of an uncompressed layer.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// This machine's architecture in Go's words.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// The digest of a layer together with all below it (image-spec `config.md`, "Layer ChainID"); of the lowest one it is the diff
/// ID.
pub fn chain_id(diff_ids: &[Digest], number: usize) -> Option<Digest> {
    let (first, rest) = diff_ids.get(..=number)?.split_first()?;
    Some(rest.iter().fold(first.clone(), |chain, diff_id| Digest::of(format!("{chain} {diff_id}").as_bytes())))
}

/// Reads a document, naming it in the error.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, ImageError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ImageError::Refused(format!("{what} is not what it should be: {error}")))
}

/// Reads an image's configuration. All of it must be readable, also what podlet does not use: it is shown.
pub fn read_configuration(bytes: &[u8]) -> Result<Document, ImageError> {
    const WHAT: &str = "the image's configuration";
    let _: serde_json::Value = read(bytes, WHAT)?;
    read(bytes, WHAT)
}

/// Writes a document. Keys come in the order of the fields: the same image has the same digest everywhere.
pub fn write<T: Serialize>(document: &T) -> Result<Vec<u8>, ImageError> {
    serde_json::to_vec(document).map_err(|error| ImageError::Unreadable(format!("could not write JSON: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_plain_sha256_is_a_digest() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(Digest::parse(&format!("sha256:{hex}")).unwrap().hex(), hex);
        for text in [
            "",
            "sha256:",
            &hex,
            &format!("sha256:{}", hex.to_uppercase()),
            &format!("sha512:{hex}"),
            "sha256:../../../../../../../../../../../../../../../../etc/passwd/0000000",
            &format!("sha256:{hex}0"),
        ] {
            assert!(Digest::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Digest::of(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn nulls_of_go_are_absent() {
        let text = r#"{"architecture":"amd64","os":"linux","config":{"User":"","Env":null,"Entrypoint":null,"Cmd":["sh"],"Labels":null,"Volumes":{"/x":{}}},"rootfs":{"type":"layers","diff_ids":[]},"history":null}"#;
        let document: Document = read(text.as_bytes(), "x").unwrap();
        let config: Config = document.config.unwrap().into();
        assert_eq!(config, Config { cmd: vec!["sh".to_owned()], volumes: vec!["/x".to_owned()], ..Config::default() });
        let document: Document = read(br#"{"config":null,"rootfs":{}}"#, "x").unwrap();
        assert!(document.config.is_none() && document.rootfs.diff_ids.is_empty());
    }
}
