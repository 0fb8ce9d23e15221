//! Which proxy leads to a server: HTTPS_PROXY, HTTP_PROXY and NO_PROXY as Go's programs read them (golang.org/x/net/http/httpproxy),
//! containerd, podman and Docker among them.

use std::net::IpAddr;

use super::address::Address;
use super::environment::Environment;

/// The proxy's address for this server, as the environment says.
pub fn proxy_for(address: &Address, environment: &Environment) -> Option<String> {
    let variable = if address.is_https() { "HTTPS_PROXY" } else { "HTTP_PROXY" };
    let proxy = environment.either(variable)?;
    if address.is_loopback() || is_excepted(address, environment.either("NO_PROXY").unwrap_or_default()) {
        return None;
    }
    Some(if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") })
}

/// Whether NO_PROXY names the server: `*`, a network, an address, a domain (and all below it), `.domain` (only those below
/// it), each with a port or without.
fn is_excepted(address: &Address, list: &str) -> bool {
    let host = address.host().to_lowercase();
    let number: Option<IpAddr> = host.parse().ok();
    list.split(',').map(|entry| entry.trim().to_lowercase()).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some((network, bits)) = entry.split_once('/') {
            let network: Option<IpAddr> = network.parse().ok();
            return bits.parse().is_ok_and(|bits| network.zip(number).is_some_and(|(n, a)| is_within(a, n, bits)));
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name.to_owned(), port.parse().ok()),
            _ => (entry.clone(), None),
        };
        if port.is_some_and(|port: u16| port != address.port()) {
            return false;
        }
        let name = name.trim_start_matches('[').trim_end_matches(']').trim_start_matches('*');
        if let Ok(named) = name.parse::<IpAddr>() {
            return number == Some(named);
        }
        match name.strip_prefix('.') {
            Some(_) => host.ends_with(name),
            None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
        }
    })
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        (IpAddr::V6(a), IpAddr::V6(n)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn proxy(address: &str, values: &[(&str, &str)]) -> Option<String> {
        proxy_for(&Address::parse(address).unwrap(), &Environment::of(values))
    }

    #[test]
    fn a_proxy_by_scheme_and_not_for_this_machine() {
        let both = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2")];
        assert_eq!(proxy("https://r.example/", &both).as_deref(), Some("http://s:1"));
        assert_eq!(proxy("http://r.example/", &both).as_deref(), Some("http://p:2"));
        assert_eq!(proxy("https://r.example/", &both[1..]), None);
        for own in ["https://localhost:5000/", "https://127.0.0.1/", "https://[::1]/"] {
            assert_eq!(proxy(own, &both), None, "{own}");
        }
    }

    #[test]
    fn exceptions_are_those_of_go() {
        for (list, address, excepted) in [
            ("*", "https://a.example/", true),
            ("example", "https://a.example/", true),
            ("example", "https://example/", true),
            ("ample", "https://a.example/", false),
            (".example", "https://example/", false),
            (".example", "https://a.example/", true),
            ("*.example", "https://a.example/", true),
            ("a.example:443", "https://a.example/", true),
            ("a.example:5000", "https://a.example/", false),
            ("10.0.0.0/8", "https://10.9.8.7/", true),
            ("10.0.0.0/8", "https://11.9.8.7/", false),
            ("0.0.0.0/0", "https://11.9.8.7/", true),
            ("fd00::/8", "https://[fd12::1]/", true),
            ("10.1.1.1", "https://10.1.1.1:5000/", true),
            ("10.1.1.1:80", "https://10.1.1.1:5000/", false),
            ("[fd12::1]:443", "https://[fd12::1]/", true),
            ("x, a.example", "https://A.example/", true),
            ("", "https://a.example/", false),
            ("10.0.0.0/99", "https://10.0.0.1/", false),
        ] {
            let found = proxy(address, &[("HTTPS_PROXY", "http://s:1"), ("NO_PROXY", list)]);
            assert_eq!(found.is_none(), excepted, "{list} {address}");
        }
    }
}
