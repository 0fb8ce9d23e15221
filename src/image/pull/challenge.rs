//! Reads `WWW-Authenticate` (RFC 9110, 11.6.1; the distribution project's token specification).

/// How a registry wants to be told who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token, to be got elsewhere.
    Bearer {
        /// Where.
        realm: String,
        /// For which server.
        service: Option<String>,
        /// For what; the registry knows best.
        scope: Option<String>,
    },
}

/// The challenge that podlet answers best among those of a header.
pub fn read<'v>(values: impl Iterator<Item = &'v str>) -> Option<Challenge> {
    let mut basic = false;
    for value in values {
        let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            let parameter = |wanted: &str| {
                let mut all = parameters(rest).into_iter();
                all.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
            };
            if let Some(realm) = parameter("realm") {
                return Some(Challenge::Bearer { realm, service: parameter("service"), scope: parameter("scope") });
            }
        }
        basic |= scheme.eq_ignore_ascii_case("basic");
    }
    basic.then_some(Challenge::Basic)
}

/// `a="x,\"y",b=z`; what is malformed ends the list.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let mut value = String::new();
        let mut length = 0;
        if let Some(quoted) = after.strip_prefix('"') {
            let mut escaped = false;
            for (at, letter) in quoted.char_indices() {
                length = at + letter.len_utf8() + 1;
                match letter {
                    _ if escaped => (escaped, value) = (false, value + letter.encode_utf8(&mut [0; 4])),
                    '\\' => escaped = true,
                    '"' => break,
                    _ => value.push(letter),
                }
            }
        } else {
            length = after.find(',').unwrap_or(after.len());
            value.push_str(after.get(..length).unwrap_or_default().trim());
        }
        found.push((name.trim().to_owned(), value));
        rest = after.get(length..).unwrap_or_default().trim_start().trim_start_matches(',').trim_start();
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn challenges_of_registries() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/busybox:pull,push""#;
        assert_eq!(
            read([hub].into_iter()).unwrap(),
            Challenge::Bearer {
                realm: "https://auth.docker.io/token".to_owned(),
                service: Some("registry.docker.io".to_owned()),
                scope: Some("repository:library/busybox:pull,push".to_owned()),
            }
        );
        assert_eq!(read(["Basic realm=\"x\""].into_iter()), Some(Challenge::Basic));
        assert_eq!(read(["basic"].into_iter()), Some(Challenge::Basic));
        let both = read(["Basic realm=x", "bearer service = y , realm=https://a/b"].into_iter()).unwrap();
        assert!(matches!(both, Challenge::Bearer { realm, .. } if realm == "https://a/b"));
        assert_eq!(read(["Negotiate"].into_iter()), None);
        assert_eq!(read(["Bearer service=\"x\""].into_iter()), None);
        assert_eq!(parameters(r#"a="x\"y",b=z"#), [("a".into(), "x\"y".into()), ("b".into(), "z".into())]);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = read([text.as_str(), &format!("Bearer {text}")].into_iter());
        }
    }
}
