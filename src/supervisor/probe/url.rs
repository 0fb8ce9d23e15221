//! The address of an http probe or hook, from the manifest's fields and from a redirect's `Location`. As much of URLs as that
//! takes (RFC 3986), read as Go's `net/url` reads them, because a kubelet does.

use super::dial::join;

/// An http or https address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether TLS is spoken.
    pub https: bool,
    /// Without brackets.
    pub host: String,
    /// The port, given or usual.
    pub port: u16,
    /// Whether the port is written.
    with_port: bool,
    /// Path and query, as sent; begins with `/`.
    pub target: String,
}

impl Url {
    /// Of `httpGet`: `path` may have a query.
    pub fn new(https: bool, host: &str, port: u16, path: &str) -> Url {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Url { https, host, port, with_port: true, target: target(path) }
    }

    /// `host:port` as the request's `Host` has it.
    pub fn authority(&self) -> String {
        match self.with_port {
            true => join(&self.host, self.port),
            false if self.host.contains(':') => format!("[{}]", self.host),
            false => self.host.clone(),
        }
    }

    /// Where a `Location` leads from here; and whether it names no host.
    pub fn join(&self, location: &str) -> Result<(Url, bool), String> {
        let failed = |why: &str| Err(format!("failed to parse Location header \"{location}\": {why}"));
        let location = location.split('#').next().unwrap_or_default();
        let (https, rest) = match location.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                return Err(format!("unsupported protocol scheme \"{scheme}\""));
            }
            _ => match location.strip_prefix("//") {
                Some(rest) => (self.https, rest),
                None => return Ok((Url { target: self.resolve(location), ..self.clone() }, true)),
            },
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        if host.is_empty() {
            return failed("no host");
        }
        let number = match port.filter(|port| !port.is_empty()) {
            None => {
                if https {
                    443
                } else {
                    80
                }
            }
            Some(port) => match port.parse() {
                Ok(number) => number,
                Err(_) => return failed(&format!("invalid port \":{port}\" after host")),
            },
        };
        let url = Url { with_port: port.is_some(), ..Url::new(https, host, number, path) };
        Ok((url, false))
    }

    /// A path that may be relative to this one's.
    fn resolve(&self, location: &str) -> String {
        if location.is_empty() {
            return self.target.clone();
        }
        if location.starts_with('/') {
            return target(location);
        }
        let path = self.target.split('?').next().unwrap_or("/");
        if location.starts_with('?') {
            return target(&format!("{path}{location}"));
        }
        let directory = path.rfind('/').map_or("/", |end| path.get(..=end).unwrap_or("/"));
        let (path, query) = location.split_once('?').map_or((location, None), |(path, query)| (path, Some(query)));
        let joined = format!("{directory}{path}");
        let mut segments: Vec<&str> = Vec::new();
        for segment in joined.split('/').skip(1) {
            match segment {
                "." => {}
                ".." => drop(segments.pop()),
                other => segments.push(other),
            }
        }
        if matches!(joined.rsplit('/').next(), Some("." | "..")) {
            segments.push("");
        }
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        target(&format!("/{}{query}", segments.join("/")))
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.target)
    }
}

/// What stands in the request line: what may not stand there is escaped. A path with a broken escape is no URL; it is taken
/// as it is, its question mark and number sign being part of it.
fn target(path: &str) -> String {
    let broken = path.match_indices('%').any(|(at, _)| {
        let digits = path.as_bytes().get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let path = if broken { path } else { path.split('#').next().unwrap_or_default() };
    let mut target = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        target.push('/');
    }
    let mut in_query = false;
    for byte in path.bytes() {
        let plain = match byte {
            b'%' => !broken,
            b'?' => {
                let begins = !broken;
                in_query |= begins;
                begins
            }
            b'#' => false,
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                in_query && matches!(byte, b'{' | b'}' | b'|' | b'\\' | b'^' | b'`')
            }
            byte => byte.is_ascii_graphic(),
        };
        // The `http` crate takes none of these, whatever Go does.
        if plain && !matches!(byte, b'{' | b'}' | b'|' | b'\\' | b'^' | b'`') {
            target.push(char::from(byte));
        } else {
            target.push_str(&format!("%{byte:02X}"));
        }
    }
    target
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_manifests_path_becomes_a_target() {
        let shown = |path| Url::new(false, "10.0.0.5", 8080, path).to_string();
        assert_eq!(shown("/healthz"), "http://10.0.0.5:8080/healthz");
        assert_eq!(shown("healthz"), "http://10.0.0.5:8080/healthz");
        assert_eq!(shown("/a b?c=d e#f"), "http://10.0.0.5:8080/a%20b?c=d%20e");
        assert_eq!(shown("/100%/x?y"), "http://10.0.0.5:8080/100%25/x%3Fy");
        assert_eq!(shown(""), "http://10.0.0.5:8080/");
        assert_eq!(Url::new(true, "::1", 443, "/").to_string(), "https://[::1]:443/");
    }

    #[test]
    fn a_location_leads_somewhere() {
        let here = Url::new(false, "10.0.0.5", 8080, "/a/b?c");
        let leads = |location: &str| here.join(location).map(|(url, relative)| (url.to_string(), relative));
        let own = |path: &str| Ok((format!("http://10.0.0.5:8080{path}"), true));
        assert_eq!(leads("/x"), own("/x"));
        assert_eq!(leads("x?y"), own("/a/x?y"));
        assert_eq!(leads("../x/./y"), own("/x/y"));
        assert_eq!(leads("?z"), own("/a/b?z"));
        assert_eq!(leads("https://other/x"), Ok(("https://other/x".to_owned(), false)));
        assert_eq!(leads("//10.0.0.5:81"), Ok(("http://10.0.0.5:81/".to_owned(), false)));
        assert_eq!(here.join("https://u:p@h:8443/").unwrap().0.port, 8443);
        assert!(leads("http://h:x/").is_err());
        assert!(leads("ftp://h/").unwrap_err().contains("unsupported protocol scheme"));
    }
}
