//! Names, keys and other short texts: whether they are well formed, with the API server's words when not.
//!
//! Called by the rest of validation for every name in an object, so each check is a hand-written scan; a good name
//! costs no allocation. The rules and texts are those of apimachinery's `util/validation` and `api/validate/content`.

use std::borrow::Cow;

/// What is wrong with a text; empty when nothing is.
pub type Messages = Vec<Cow<'static, str>>;

const DNS_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS_SUBDOMAIN_UNDERSCORE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const LABEL_KEY: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const ENV_NAME: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const HTTP_HEADER: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";

/// The longest DNS label.
pub const LABEL_MAX: usize = 63;
/// The longest DNS subdomain.
pub const SUBDOMAIN_MAX: usize = 253;

fn too_long(max: usize) -> Cow<'static, str> {
    match max {
        15 => "must be no more than 15 characters".into(),
        LABEL_MAX => "must be no more than 63 characters".into(),
        SUBDOMAIN_MAX => "must be no more than 253 characters".into(),
        other => format!("must be no more than {other} characters").into(),
    }
}

fn lower_alnum(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Begins and ends with what `edge` allows, with only that or what `inner` allows between.
fn edged(text: &str, edge: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    edge(*first) && edge(*last) && bytes.iter().all(|b| edge(*b) || inner(*b))
}

fn is_dns_label(text: &str) -> bool {
    edged(text, lower_alnum, |b| b == b'-')
}

fn is_dns_subdomain(text: &str) -> bool {
    text.split('.').all(is_dns_label)
}

/// A lower-case RFC 1123 label: names of containers, volumes, namespaces, host names.
pub fn dns_label(text: &str) -> Messages {
    let mut messages = Messages::new();
    if text.len() > LABEL_MAX {
        messages.push(too_long(LABEL_MAX));
    }
    if !is_dns_label(text) {
        messages.push(if is_dns_subdomain(text) { "must not contain dots".into() } else { DNS_LABEL.into() });
    }
    messages
}

/// A lower-case RFC 1123 subdomain: names of most objects.
pub fn dns_subdomain(text: &str) -> Messages {
    let mut messages = Messages::new();
    if text.len() > SUBDOMAIN_MAX {
        messages.push(too_long(SUBDOMAIN_MAX));
    }
    if !is_dns_subdomain(text) {
        messages.push(DNS_SUBDOMAIN.into());
    }
    messages
}

/// The same for a `generateName`, whose last dash is followed by letters later.
pub fn dns_subdomain_prefix(text: &str) -> Messages {
    match text.strip_suffix('-') {
        // The server puts an `a` in the place of the last two characters before it looks.
        Some(rest) if rest.is_char_boundary(rest.len().saturating_sub(1)) && !rest.is_empty() => {
            dns_subdomain(&format!("{}a", rest.get(..rest.len() - 1).unwrap_or_default()))
        }
        _ => dns_subdomain(text),
    }
}

/// A subdomain whose labels may begin with `_` and hold it: DNS search paths.
pub fn dns_subdomain_with_underscore(text: &str) -> Messages {
    let label = |label: &str| {
        let rest = label.strip_prefix('_').unwrap_or(label);
        edged(rest, lower_alnum, |b| b == b'-' || b == b'_')
    };
    let mut messages = Messages::new();
    if text.len() > SUBDOMAIN_MAX {
        messages.push(too_long(SUBDOMAIN_MAX));
    }
    if !text.split('.').all(label) {
        messages.push(DNS_SUBDOMAIN_UNDERSCORE.into());
    }
    messages
}

fn is_label_name(text: &str) -> bool {
    edged(text, |b| b.is_ascii_alphanumeric(), |b| matches!(b, b'-' | b'_' | b'.'))
}

/// A label key, an annotation key (lower-cased first), a condition type: `[prefix/]name`.
pub fn qualified_name(text: &str) -> Messages {
    let mut messages = Messages::new();
    let mut parts = text.split('/');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    if parts.next().is_some() {
        messages.push(
            format!(
                "a valid label key {LABEL_KEY} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )
            .into(),
        );
        return messages;
    }
    let name = match second {
        None => first,
        Some(name) => {
            if first.is_empty() {
                messages.push("prefix part must be non-empty".into());
            } else {
                messages.extend(dns_subdomain(first).iter().map(|m| format!("prefix part {m}").into()));
            }
            name
        }
    };
    if name.is_empty() {
        messages.push("name part must be non-empty".into());
    } else if name.len() > LABEL_MAX {
        messages.push("name part must be no more than 63 characters".into());
    }
    if !is_label_name(name) {
        messages.push(format!("name part {LABEL_KEY}").into());
    }
    messages
}

/// A label value; may be empty.
pub fn label_value(text: &str) -> Messages {
    let mut messages = Messages::new();
    if text.len() > LABEL_MAX {
        messages.push(too_long(LABEL_MAX));
    }
    if !text.is_empty() && !is_label_name(text) {
        messages.push(LABEL_VALUE.into());
    }
    messages
}

/// A port's name (RFC 6335 service name, in lower case).
pub fn port_name(text: &str) -> Messages {
    let mut messages = Messages::new();
    if text.len() > 15 {
        messages.push(too_long(15));
    }
    if text.is_empty() || !text.bytes().all(|b| lower_alnum(b) || b == b'-') {
        messages.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        messages.push("must contain at least one letter (a-z)".into());
    }
    if text.contains("--") {
        messages.push("must not contain consecutive hyphens".into());
    }
    if text.starts_with('-') || text.ends_with('-') {
        messages.push("must not begin or end with a hyphen".into());
    }
    messages
}

/// A port's number.
pub fn port_number(port: i64) -> Messages {
    if (1..=65535).contains(&port) { Messages::new() } else { vec!["must be between 1 and 65535, inclusive".into()] }
}

/// A user or group id.
pub fn id(id: i64) -> Messages {
    if (0..=i64::from(i32::MAX)).contains(&id) {
        Messages::new()
    } else {
        vec!["must be between 0 and 2147483647, inclusive".into()]
    }
}

/// An environment variable's name, by the rule in force since 1.34.
pub fn env_name(text: &str) -> Messages {
    let mut messages = Messages::new();
    if text.is_empty() {
        messages.push("environment variable name must be non-empty".into());
    }
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        messages.push(ENV_NAME.into());
    }
    messages
}

/// A key of a ConfigMap or Secret.
pub fn config_map_key(text: &str) -> Messages {
    let mut messages = Messages::new();
    if text.len() > SUBDOMAIN_MAX {
        messages.push(too_long(SUBDOMAIN_MAX));
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        messages.push(CONFIG_KEY.into());
    }
    match text {
        "." => messages.push("must not be '.'".into()),
        ".." => messages.push("must not be '..'".into()),
        _ if text.starts_with("..") => messages.push("must not start with '..'".into()),
        _ => {}
    }
    messages
}

/// An HTTP header's name.
pub fn http_header(text: &str) -> Messages {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Messages::new();
    }
    vec![HTTP_HEADER.into()]
}

/// Whether a sysctl's name is well formed; both `.` and `/` part it.
pub fn is_sysctl(text: &str) -> bool {
    text.len() <= SUBDOMAIN_MAX
        && text.split(['.', '/']).all(|part| edged(part, lower_alnum, |b| b == b'-' || b == b'_'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_the_servers_order() {
        assert_eq!(dns_label("a.b"), ["must not contain dots"]);
        assert_eq!(dns_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert_eq!(dns_label(""), [DNS_LABEL]);
        assert_eq!(dns_subdomain("a..b"), [DNS_SUBDOMAIN]);
        assert!(dns_subdomain_prefix("web-").is_empty());
        assert_eq!(dns_subdomain_prefix("-"), [DNS_SUBDOMAIN]);
        assert!(dns_subdomain_prefix("we-_-").is_empty() && !dns_subdomain_prefix("é-").is_empty());
        assert!(dns_subdomain_with_underscore("_tcp.my_host").is_empty());
        assert_eq!(qualified_name(""), ["name part must be non-empty".to_string(), format!("name part {LABEL_KEY}")]);
        assert_eq!(qualified_name("/x"), ["prefix part must be non-empty"]);
        assert_eq!(qualified_name("A/x"), [format!("prefix part {DNS_SUBDOMAIN}")]);
        assert!(qualified_name("a/b/c")[0].starts_with("a valid label key must consist of"));
        assert!(label_value("").is_empty());
        assert_eq!(port_name("80"), ["must contain at least one letter (a-z)"]);
        assert_eq!(
            port_name("-a--A-aaaaaaaaaa"),
            [
                "must be no more than 15 characters",
                "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                "must not contain consecutive hyphens",
                "must not begin or end with a hyphen"
            ]
        );
        assert_eq!(env_name("a=b"), [ENV_NAME]);
        assert!(env_name("1 a.b").is_empty());
        assert_eq!(config_map_key("..x"), ["must not start with '..'"]);
        assert_eq!(config_map_key(".."), ["must not be '..'"]);
        assert!(is_sysctl("net/ipv4.ip_forward") && !is_sysctl("KERNEL!") && !is_sysctl("a..b"));
    }

    proptest! {
        #[test]
        fn well_formed_names_pass(name in "[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?){0,4}") {
            prop_assert!(dns_subdomain(&name).is_empty());
            prop_assert_eq!(dns_label(&name).is_empty(), !name.contains('.'));
            prop_assert!(qualified_name(&name).is_empty() || name.len() > 63);
        }

        #[test]
        fn no_text_makes_a_check_panic(text in "\\PC{0,80}") {
            for check in [dns_label, dns_subdomain, dns_subdomain_prefix, dns_subdomain_with_underscore, qualified_name,
                label_value, port_name, env_name, config_map_key, http_header] {
                check(&text);
            }
        }
    }
}
