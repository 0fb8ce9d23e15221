//! What can go wrong on the way to another machine, in the words that Go's programs have for it: the kubelet shows those.

use std::io;

use super::address::Address;

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No connection.
    #[error("dial tcp {server}: connect: {reason}")]
    Connect {
        /// Host and port.
        server: String,
        /// The system's answer.
        reason: String,
    },
    /// The host's name leads nowhere.
    #[error("dial tcp: lookup {0}: no such host")]
    NoSuchHost(String),
    /// The server's certificate is not to be believed.
    #[error("tls: failed to verify certificate: {0}")]
    Certificate(String),
    /// It does not speak TLS.
    #[error("http: server gave HTTP response to HTTPS client")]
    NotTls,
    /// It said nothing for too long.
    #[error("no answer within {0} s")]
    Silent(u64),
    /// The connection ended in the middle of something.
    #[error("the connection ended: {0}")]
    Cut(String),
    /// An answer that is none, an address that is none, an answer that is too long.
    #[error("{0}")]
    Other(String),
}

impl HttpError {
    /// Whether another try may have better luck.
    pub fn may_pass(&self) -> bool {
        matches!(self, HttpError::Silent(_) | HttpError::Cut(_))
    }

    pub(super) fn of(error: ureq::Error, address: &Address, patience: u64) -> HttpError {
        let server = format!("{}:{}", address.host(), address.port());
        match error {
            ureq::Error::Io(error) => HttpError::of_io(&error, address, patience),
            ureq::Error::Timeout(_) => HttpError::Silent(patience),
            ureq::Error::HostNotFound => HttpError::NoSuchHost(address.host().to_owned()),
            ureq::Error::ConnectionFailed => HttpError::Connect { server, reason: "connection failed".to_owned() },
            ureq::Error::Rustls(error) => HttpError::of_tls(&error),
            ureq::Error::ConnectProxyFailed(reason) => HttpError::Other(format!("proxyconnect tcp: {reason}")),
            ureq::Error::InvalidProxyUrl => HttpError::Other("the proxy's address is not one".to_owned()),
            other => HttpError::Other(other.to_string()),
        }
    }

    /// Of a body that is being read, too: what went wrong beneath travels inside.
    pub(super) fn of_io(error: &io::Error, address: &Address, patience: u64) -> HttpError {
        let inner = error.get_ref();
        // Found out further down already.
        if let Some(own) = inner.and_then(|inner| inner.downcast_ref::<HttpError>()) {
            return own.clone();
        }
        if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return HttpError::of_tls(tls);
        }
        match inner.and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
            Some(ureq::Error::Timeout(_)) => return HttpError::Silent(patience),
            Some(ureq::Error::Rustls(error)) => return HttpError::of_tls(error),
            Some(ureq::Error::Io(error)) => return HttpError::of_io(error, address, patience),
            _ => {}
        }
        let server = format!("{}:{}", address.host(), address.port());
        // Go has no numbers behind the system's words.
        let words = |error: &io::Error| error.raw_os_error().map(|number| nix::errno::Errno::from_raw(number).desc());
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => HttpError::Silent(patience),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                let reason = words(error).unwrap_or("connection refused").to_lowercase();
                HttpError::Connect { server, reason }
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                HttpError::Cut(words(error).map_or_else(|| "unexpected EOF".to_owned(), str::to_lowercase))
            }
            // The resolver's (getaddrinfo(3)): no number, and these words.
            _ if error.to_string().contains("lookup address") => HttpError::NoSuchHost(address.host().to_owned()),
            _ => HttpError::Cut(error.to_string()),
        }
    }

    fn of_tls(error: &rustls::Error) -> HttpError {
        use rustls::CertificateError;
        match error {
            rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => HttpError::NotTls,
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                HttpError::Certificate("x509: certificate signed by unknown authority".to_owned())
            }
            rustls::Error::InvalidCertificate(error) => HttpError::Certificate(format!("x509: {error}")),
            error => HttpError::Other(format!("tls: {error}")),
        }
    }
}
