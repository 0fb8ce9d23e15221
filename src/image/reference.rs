//! Image references as containerd and the kubelet read them: `busybox` is `docker.io/library/busybox:latest`.
//!
//! The grammar and the error texts are those of the `distribution/reference` package (v0.6, the one that Kubernetes 1.36
//! uses), since the kubelet shows its texts in the status. Called by the store and by whoever must know whether a name
//! is valid. Reads no file.

use std::fmt;

/// Images of this registry are podlet's own.
pub const OWN_DOMAIN: &str = "podlet.local";
/// Hub's name in full references.
const DEFAULT_DOMAIN: &str = "docker.io";
/// A name that Hub once had.
const LEGACY_DOMAIN: &str = "index.docker.io";
/// Where names of one component live on Hub.
const OFFICIAL_PREFIX: &str = "library/";
/// The longest path of a repository.
const PATH_MAX: usize = 255;

const INVALID_FORMAT: &str = "invalid reference format";

/// A full reference: registry, path, and a tag, a digest or both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `docker.io`, `localhost`, `registry.example:5000`. Empty in the odd case that the first component looks like a
    /// registry but is not a valid one (`a_b.c/d`).
    pub domain: String,
    /// `library/busybox`.
    pub path: String,
    /// `latest` where the text has neither tag nor digest.
    pub tag: Option<String>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

impl Reference {
    /// Reads a reference as a manifest gives it, with the defaults applied. The error is the parser's text, to be put behind
    /// `couldn't parse image name "x": `.
    pub fn parse(text: &str) -> Result<Reference, String> {
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(format!("invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"));
        }
        let (domain, remainder) = split_domain(text);
        let remote = remainder.split(':').next().unwrap_or_default();
        if remote.to_lowercase() != remote {
            return Err(format!("{INVALID_FORMAT}: repository name ({remote}) must be lowercase"));
        }
        let full = format!("{domain}/{remainder}");
        let Some(mut reference) = match_reference(&full) else {
            return Err(match match_reference(&full.to_lowercase()) {
                Some(_) => "repository name must be lowercase".to_owned(),
                None => INVALID_FORMAT.to_owned(),
            });
        };
        if reference.path.len() > PATH_MAX {
            return Err(format!("repository name must not be more than {PATH_MAX} characters"));
        }
        if let Some(digest) = &reference.digest {
            check_digest(digest)?;
        }
        if reference.tag.is_none() && reference.digest.is_none() {
            reference.tag = Some("latest".to_owned());
        }
        Ok(reference)
    }

    /// Registry and path without tag and digest.
    pub fn repository(&self) -> String {
        if self.domain.is_empty() { self.path.clone() } else { format!("{}/{}", self.domain, self.path) }
    }

    /// Names that never leave the machine, whatever the pull policy: `podlet.local/…` and `localhost/…`.
    pub fn is_local(&self) -> bool {
        self.domain == OWN_DOMAIN || self.domain == "localhost"
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The first component is a registry if it is `localhost`, or has a dot, a colon or a capital letter.
fn split_domain(name: &str) -> (&str, String) {
    let (domain, remainder) = match name.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) || first.to_lowercase() != first => {
            (if first == LEGACY_DOMAIN { DEFAULT_DOMAIN } else { first }, rest)
        }
        _ => (DEFAULT_DOMAIN, name),
    };
    if domain == DEFAULT_DOMAIN && !remainder.contains('/') {
        (domain, format!("{OFFICIAL_PREFIX}{remainder}"))
    } else {
        (domain, remainder.to_owned())
    }
}

/// `[domain/]path[:tag][@digest]`, the whole text.
fn match_reference(text: &str) -> Option<Reference> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
        Some(_) => return None,
        None => (text, None),
    };
    // A colon behind the last slash begins a tag; one before it belongs to the registry's port.
    let (name, tag) = match rest.rfind(':') {
        Some(colon) if !rest.get(colon..)?.contains('/') => {
            let (name, tag) = rest.split_at(colon);
            let tag = tag.get(1..)?;
            if !is_tag(tag) {
                return None;
            }
            (name, Some(tag.to_owned()))
        }
        _ => (rest, None),
    };
    let (domain, path) = match name.split_once('/') {
        Some((domain, path)) if is_domain(domain) && is_path(path) => (domain, path),
        _ if is_path(name) => ("", name),
        _ => return None,
    };
    Some(Reference { domain: domain.to_owned(), path: path.to_owned(), tag, digest })
}

fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// Lower-case letters and digits, parted by one dot, one or two underscores, or any number of dashes.
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(alphanumeric) || !bytes.last().is_some_and(alphanumeric) {
        return false;
    }
    bytes
        .split(alphanumeric)
        .all(|separator| matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

fn is_domain(text: &str) -> bool {
    let (host, port) = if text.starts_with('[') {
        let Some((address, port)) = text.trim_start_matches('[').split_once(']') else { return false };
        if text.starts_with("[[") || address.is_empty() || !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        {
            return false;
        }
        (None, port.strip_prefix(':').or(if port.is_empty() { None } else { Some("x") }))
    } else {
        match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        }
    };
    port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
        && host.is_none_or(|host| host.split('.').all(is_domain_component))
}

fn is_domain_component(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// The shape of a digest within a reference; whether it is a usable one is [`check_digest`]'s matter.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let part = |part: &str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(part) && hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The rules and texts of `opencontainers/go-digest`.
fn check_digest(text: &str) -> Result<(), String> {
    let (algorithm, hex) = text.split_once(':').unwrap_or_default();
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        // go-digest knows lower-case algorithm names only.
        _ if algorithm.bytes().any(|b| b.is_ascii_uppercase()) => {
            return Err("invalid checksum digest format".to_owned());
        }
        _ => return Err("unsupported digest algorithm".to_owned()),
    };
    if hex.len() != length {
        return Err("invalid checksum digest length".to_owned());
    }
    if hex.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("invalid checksum digest format".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn full(text: &str) -> String {
        Reference::parse(text).unwrap().to_string()
    }

    #[test]
    fn defaults_are_those_of_docker_and_the_kubelet() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let upper = format!("sha256:{}", "A".repeat(64));
        for (text, expected) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
            ("library/busybox", "docker.io/library/busybox:latest"),
            ("docker.io/busybox", "docker.io/library/busybox:latest"),
            ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
            ("user/app:v1", "docker.io/user/app:v1"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("localhost:5000", "docker.io/library/localhost:5000"),
            ("example.com/a/b/c:T_1.x-y", "example.com/a/b/c:T_1.x-y"),
            ("EXAMPLE/a", "EXAMPLE/a:latest"),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
            ("127.0.0.1/a__b/c---d/e.f", "127.0.0.1/a__b/c---d/e.f:latest"),
            ("podlet.local/host", "podlet.local/host:latest"),
        ] {
            assert_eq!(full(text), expected, "{text}");
        }
        assert_eq!(full(&format!("busybox@{digest}")), format!("docker.io/library/busybox@{digest}"));
        assert_eq!(full(&format!("busybox:1@{digest}")), format!("docker.io/library/busybox:1@{digest}"));
        assert_eq!(Reference::parse(&format!("busybox@{upper}")).unwrap_err(), "invalid checksum digest format");
    }

    #[test]
    fn errors_have_the_texts_that_a_kubelet_shows() {
        let hex = "a".repeat(64);
        for (text, expected) in [
            ("", "invalid reference format"),
            (" busybox", "invalid reference format"),
            ("busy box", "invalid reference format"),
            ("busybox:", "invalid reference format"),
            ("busybox:-x", "invalid reference format"),
            ("busybox@sha256:1", "invalid reference format"),
            ("/busybox", "invalid reference format"),
            ("a//b", "invalid reference format"),
            ("a/", "invalid reference format"),
            ("a..b", "invalid reference format"),
            ("a___b", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("../etc", "invalid reference format"),
            ("example.com/../etc", "invalid reference format"),
            ("https://example.com/a", "invalid reference format"),
            ("example.com:port/a", "invalid reference format"),
            ("[::1/a", "invalid reference format"),
            ("[::1]x/a", "invalid reference format"),
            ("busybox:tag:tag", "invalid reference format"),
            ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
            ("example.com/App:1", "invalid reference format: repository name (App) must be lowercase"),
            ("Ünïx/a", "invalid reference format"),
            (&hex, &format!("invalid repository name ({hex}), cannot specify 64-byte hexadecimal strings")),
            (&format!("a@sha256:{}", "a".repeat(63)), "invalid checksum digest length"),
            (&format!("a@md5:{}", "a".repeat(32)), "unsupported digest algorithm"),
            (&format!("example.com/{}", "a".repeat(256)), "repository name must not be more than 255 characters"),
        ] {
            assert_eq!(Reference::parse(text).unwrap_err(), expected, "{text:?}");
        }
        assert!(Reference::parse(&format!("a:{}", "x".repeat(128))).is_ok());
        assert!(Reference::parse(&format!("a:{}", "x".repeat(129))).is_err());
    }

    #[test]
    fn only_two_registries_are_local() {
        for (text, local) in [
            ("podlet.local/host", true),
            ("localhost/app", true),
            ("localhost:5000/app", false),
            ("busybox", false),
            ("example.com/podlet.local/host", false),
        ] {
            assert_eq!(Reference::parse(text).unwrap().is_local(), local, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,80}") {
            let _ = Reference::parse(&text);
        }

        /// A full reference reads back as itself: nothing is defaulted twice, nothing is lost.
        #[test]
        fn a_full_reference_reads_back(text in "([a-zA-Z0-9]{1,4}(\\.[a-z0-9]{1,3})?(:[0-9]{1,4})?/)?[a-z0-9]{1,5}([._]|__|-{1,3})?[a-z0-9](/[a-z]{1,3})?(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,9})?(@sha256:[a-f0-9]{64})?") {
            if let Ok(reference) = Reference::parse(&text) {
                let written = reference.to_string();
                prop_assert_eq!(Reference::parse(&written), Ok(reference), "{}", written);
            }
        }

        /// No part of an accepted reference can lead out of a directory when used as a path.
        #[test]
        fn accepted_parts_are_harmless_as_paths(text in "[a-zA-Z0-9./:@_-]{1,40}") {
            if let Ok(reference) = Reference::parse(&text) {
                let written = reference.repository();
                for part in written.split('/') {
                    prop_assert!(!part.is_empty() && !part.starts_with('.'), "{}", written);
                    prop_assert!(!part.starts_with('_'), "{}", written);
                }
                if let Some(tag) = reference.tag {
                    prop_assert!(!tag.contains('/') && !tag.starts_with('.'));
                }
            }
        }
    }
}
