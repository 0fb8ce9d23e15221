//! The one question that defaulting asks of an image name: does it mean `latest`?
//!
//! `imagePullPolicy` is `Always` for the tag `latest`, or with neither tag nor digest, and `IfNotPresent` else, also for
//! names that cannot be read (those are refused when the image is looked up, as a kubelet does). The grammar is that of
//! `distribution/reference` as the API server uses it; the image room resolves names, this file never does.

/// Whether `image` is well formed and names the tag `latest`, in words or by saying nothing.
pub fn pulls_always(image: &str) -> bool {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    // A colon after the last slash begins a tag; one before belongs to a port.
    let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
    let colon = rest.get(name_start..).and_then(|last| last.find(':')).map(|at| name_start + at);
    let (name, tag) = match colon {
        Some(colon) => (rest.get(..colon).unwrap_or_default(), rest.get(colon + 1..)),
        None => (rest, None),
    };
    let latest = match (tag, digest) {
        (Some(tag), _) => tag == "latest",
        (None, digest) => digest.is_none(),
    };
    latest && is_name(name) && digest.is_none_or(is_digest)
}

fn is_name(name: &str) -> bool {
    let is_identifier = name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let (domain, path) = match name.split_once('/') {
        Some((domain, path))
            if domain.contains(['.', ':'])
                || domain == "localhost"
                || domain.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (Some(domain), path)
        }
        _ => (None, name),
    };
    !is_identifier && path.len() <= 255 && path.split('/').all(is_path_part) && domain.is_none_or(is_domain)
}

/// Lower-case words joined by `.`, `_`, `__` or dashes.
fn is_path_part(part: &str) -> bool {
    let lower = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    if !bytes.first().is_some_and(lower) || !bytes.last().is_some_and(lower) {
        return false;
    }
    part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-'))
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    let is_host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(is_label),
    };
    is_host && port.is_none_or(is_port)
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let words = algorithm.split(['-', '_', '+', '.']);
        hex.len() >= 32
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
            && words.into_iter().all(|word| {
                word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.bytes().all(|b| b.is_ascii_alphanumeric())
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_in_words_or_by_silence() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for image in
            ["busybox", "busybox:latest", "localhost:5000/a/b", "reg.example.com/a:latest", "a__b/c-d", "[::1]:5000/a"]
        {
            assert!(pulls_always(image), "{image}");
        }
        assert!(pulls_always(&format!("busybox:latest@{digest}")));
        for image in ["busybox:1", "localhost:5000/a:1", "Busybox", "", " i", "a:latest@x", "a//b", "é"] {
            assert!(!pulls_always(image), "{image}");
        }
        assert!(!pulls_always(&format!("busybox@{digest}")));
        assert!(!pulls_always(&"a".repeat(64)), "64 hexadecimal digits are an image's id");
    }
}
