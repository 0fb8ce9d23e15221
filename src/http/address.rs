//! Addresses of the web as far as podlet needs them: taken apart, and led on by a `Location`.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

/// `https://registry.example:5000/v2/`, with a scheme of `http` or `https` and without a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Uri);

impl Address {
    /// Reads one. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Address, String> {
        let uri: Uri = text.parse().map_err(|_| format!("{text:?} is not an address"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http" | "https"), Some(authority)) if !authority.as_str().contains('@') => Ok(Address(uri)),
            // Not shown: there is a password in it.
            (Some("http" | "https"), Some(_)) => Err("an address with a user in it is not taken".to_owned()),
            _ => Err(format!("{text:?} is not an address of http or https")),
        }
    }

    /// Where a `Location` leads from here.
    pub fn join(&self, location: &str) -> Result<Address, String> {
        if location.contains("://") {
            return Address::parse(location);
        }
        let (scheme, server) = (self.scheme(), self.server());
        if location.starts_with("//") {
            return Address::parse(&format!("{scheme}:{location}"));
        }
        if location.starts_with('/') {
            return Address::parse(&format!("{scheme}://{server}{location}"));
        }
        let path = self.0.path();
        let directory = path.rfind('/').and_then(|slash| path.get(..=slash)).unwrap_or("/");
        Address::parse(&format!("{scheme}://{server}{directory}{location}"))
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.0.scheme_str().unwrap_or_default()
    }

    /// Encrypted.
    pub fn is_https(&self) -> bool {
        self.scheme() == "https"
    }

    /// Host, and port where one is given.
    pub fn server(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.as_str())
    }

    /// The host without brackets.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, given or usual.
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// This machine itself.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The same server by the same scheme.
    pub fn same_server(&self, other: &Address) -> bool {
        self.scheme() == other.scheme() && self.host().eq_ignore_ascii_case(other.host()) && self.port() == other.port()
    }

    /// Without a query, in which others than podlet put what must not be shown.
    pub fn shown(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.server(), self.0.path())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_location_leads_on() {
        let from = Address::parse("https://r.example:5000/v2/a/blobs/x?y=z").unwrap();
        for (location, expected) in [
            ("https://cdn.example/q?sig=1", "https://cdn.example/q?sig=1"),
            ("//cdn.example/q", "https://cdn.example/q"),
            ("/q", "https://r.example:5000/q"),
            ("q", "https://r.example:5000/v2/a/blobs/q"),
        ] {
            assert_eq!(from.join(location).unwrap().to_string(), expected);
        }
        for location in ["ftp://x/", "https://u:p@x/", "https://", "http:// x/"] {
            assert!(from.join(location).is_err(), "{location}");
        }
        assert_eq!(from.shown(), "https://r.example:5000/v2/a/blobs/x");
    }

    #[test]
    fn parts() {
        let address = Address::parse("http://[::1]:80/").unwrap();
        assert_eq!((address.host(), address.port(), address.is_loopback()), ("::1", 80, true));
        assert!(address.same_server(&Address::parse("http://[::1]/x").unwrap()));
        assert!(!address.same_server(&Address::parse("https://[::1]:80/x").unwrap()));
        assert!(Address::parse("https://127.9.9.9/").unwrap().is_loopback());
    }
}
