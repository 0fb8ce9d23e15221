//! IP addresses in fields that once took sloppy ones (feature StrictIPCIDRValidation, on since 1.36).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::errors::Errors;
use crate::manifest::field::FieldPath;

/// An address as it is read, and what is odd about its spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Good.
    Strict(IpAddr),
    /// With leading zeros, which some programs take for octal.
    LeadingZeros(IpAddr),
    /// An IPv4 address within an IPv6 one.
    Mapped(Ipv4Addr),
}

/// Reads an address as Go's sloppy parser does.
pub fn parse(text: &str) -> Option<Address> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(match address {
            IpAddr::V6(six) => six.to_ipv4_mapped().map_or(Address::Strict(address), Address::Mapped),
            IpAddr::V4(_) => Address::Strict(address),
        });
    }
    // Leading zeros, alone or in the tail of an IPv6 address.
    let (head, tail) = text.rfind(':').map_or(("", text), |colon| text.split_at(colon + 1));
    let octets: Vec<&str> = tail.split('.').collect();
    let octets: Option<Vec<&str>> = octets.into_iter().map(without_zeros).collect();
    let octets = octets.filter(|list| list.len() == 4)?;
    let address = format!("{head}{}", octets.join(".")).parse::<IpAddr>().ok()?;
    Some(Address::LeadingZeros(match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        four => four,
    }))
}

fn without_zeros(octet: &str) -> Option<&str> {
    let good = !octet.is_empty() && octet.bytes().all(|b| b.is_ascii_digit());
    let digits = octet.trim_start_matches('0');
    good.then_some(if digits.is_empty() { "0" } else { digits })
}

/// Refuses what is no address, or not a strict one.
pub fn check(errors: &mut Errors, path: &FieldPath, text: &str) {
    match parse(text) {
        None => errors.invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        Some(Address::LeadingZeros(_)) => errors.invalid(path, text, "must not have leading 0s"),
        Some(Address::Mapped(_)) => errors.invalid(path, text, "must not be an IPv4-mapped IPv6 address"),
        Some(Address::Strict(_)) => {}
    }
}

/// The way in which an IPv6 address should have been written, if it was not.
pub fn other_spelling(text: &str) -> Option<Ipv6Addr> {
    match parse(text)? {
        Address::Strict(IpAddr::V6(six)) if six.to_string() != text => Some(six),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_told_apart() {
        assert!(matches!(parse("10.0.0.1"), Some(Address::Strict(_))));
        assert!(
            matches!(parse("010.0.0.1"), Some(Address::LeadingZeros(IpAddr::V4(a))) if a == Ipv4Addr::new(10, 0, 0, 1))
        );
        assert!(matches!(parse("::ffff:1.2.3.4"), Some(Address::Mapped(_))));
        for bad in ["", "x", "1.2.3", "256.1.1.1", "1.2.3.4.5", "1.2.3.", ":::1", "é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(other_spelling("2001:DB8::1").map(|a| a.to_string()).as_deref(), Some("2001:db8::1"));
        assert_eq!(other_spelling("2001:db8::1"), None);
    }
}
