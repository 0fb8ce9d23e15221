//! Signals by the names that Kubernetes gives them.

/// A signal's number by its name, real-time signals included (`SIGRTMIN+3`, as Kubernetes names them). The first two of those
/// are the C library's own, so SIGRTMIN is its to say (signal(7)).
pub fn number(name: &str) -> Option<i32> {
    if let Ok(signal) = name.parse::<nix::sys::signal::Signal>() {
        return Some(signal as i32);
    }
    let (base, offset) = match (name.strip_prefix("SIGRTMIN"), name.strip_prefix("SIGRTMAX")) {
        (Some(rest), _) => (libc::SIGRTMIN(), rest),
        (_, Some(rest)) => (libc::SIGRTMAX(), rest),
        _ => return None,
    };
    let offset: i32 = if offset.is_empty() { 0 } else { offset.parse().ok()? };
    let number = base.checked_add(offset)?;
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_their_kubernetes_names() {
        assert_eq!(number("SIGTERM"), Some(15));
        assert_eq!(number("SIGRTMIN+3"), Some(libc::SIGRTMIN() + 3));
        assert_eq!(number("SIGRTMAX-1"), Some(libc::SIGRTMAX() - 1));
        for name in ["TERM", "SIGRTMIN-1", "SIGRTMAX+1", "SIGRTMIN+99999999999", ""] {
            assert_eq!(number(name), None, "{name}");
        }
    }
}
