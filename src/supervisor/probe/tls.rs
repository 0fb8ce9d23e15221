//! TLS of https probes and hooks: spoken, and nothing verified, as a kubelet does it: a probe asks whether a server answers,
//! not who it is.

use std::cell::OnceCell;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, SignatureScheme};

/// What Go says of a server that does not speak TLS, and by what a hook is then sent without it.
pub const PLAIN_SERVER: &str = "http: server gave HTTP response to HTTPS client";

thread_local! {
    /// Made at the first https probe: most pods have none.
    static CONFIGURATION: OnceCell<Arc<ClientConfig>> = const { OnceCell::new() };
}

/// Begins TLS on a connection. The error is Go's, where it has the same.
pub async fn begin(stream: TcpStream, host: &str) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("tls: {error}"))?;
    TlsConnector::from(configuration()?).connect(name, stream).await.map_err(|error| {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidMessage(_)) => PLAIN_SERVER.to_owned(),
            Some(tls) => format!("tls: {tls}"),
            None if error.kind() == std::io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
            None => super::dial::go_error(&error),
        }
    })
}

fn configuration() -> Result<Arc<ClientConfig>, String> {
    CONFIGURATION.with(|known| {
        if let Some(known) = known.get() {
            return Ok(Arc::clone(known));
        }
        let provider = Arc::new(ring::default_provider());
        let trusting = Arc::new(Trusting(Arc::clone(&provider)));
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| format!("tls: {error}"))?;
        let made = builder.dangerous().with_custom_certificate_verifier(trusting).with_no_client_auth();
        Ok(Arc::clone(known.get_or_init(|| Arc::new(made))))
    })
}

/// Whoever answers is right.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
