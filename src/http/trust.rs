//! Whose certificates are believed: the machine's own bundle, or SSL_CERT_FILE and SSL_CERT_DIR, and what a registry's
//! directory adds (`image::pull::hosts`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::environment::Environment;

/// Where distributions keep the bundle (the list of Go's crypto/x509).
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// What is read of one file; the bundle of Debian has 0.2 MB.
const FILE_MAX: u64 = 16 << 20;

/// How one server is to prove itself, and podlet to it.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Beside the machine's own.
    pub authorities: Vec<Certificate<'static>>,
    /// Shown to a server that asks for one.
    pub client: Option<ClientCert>,
    /// Any certificate will do, or none: the user has said so.
    pub insecure: bool,
}

impl Trust {
    /// Adds the certificates of a file.
    pub fn add_authorities(&mut self, path: &Path) -> Result<(), String> {
        self.authorities.extend(certificates(path)?);
        Ok(())
    }

    /// Reads a client's certificate and its key.
    pub fn set_client(&mut self, certificate: &Path, key: &Path) -> Result<(), String> {
        let chain = certificates(certificate)?;
        check_pair(&chain, key).map_err(|why| {
            format!("{} with {} cannot be shown to a server: {why}", certificate.display(), key.display())
        })?;
        let key = private_key(key)?;
        self.client = Some(ClientCert::new_with_certs(&chain, key));
        Ok(())
    }

    pub(super) fn configuration(&self, environment: &Environment) -> Result<TlsConfig, String> {
        let mut roots = if self.insecure { Vec::new() } else { of_machine(environment)? };
        roots.extend(self.authorities.iter().cloned());
        Ok(TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .client_cert(self.client.clone())
            .disable_verification(self.insecure)
            .unversioned_rustls_crypto_provider(provider())
            .build())
    }
}

/// TLS needs a provider of its cryptography; chosen once in a process.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    static PROVIDER: OnceLock<Arc<rustls::crypto::CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// Whether a client's certificate is one, and its key belongs to it: ureq panics when not.
fn check_pair(chain: &[Certificate<'static>], key: &Path) -> Result<(), String> {
    let chain = chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| "the key is none in PEM form".to_owned())?;
    let checked = rustls::sign::CertifiedKey::from_der(chain, key, &provider());
    checked.map(drop).map_err(|error| error.to_string())
}

/// The machine's authorities, or those that the user names instead. A machine may have none.
fn of_machine(environment: &Environment) -> Result<Vec<Certificate<'static>>, String> {
    let file = environment.get("SSL_CERT_FILE");
    let directory = environment.get("SSL_CERT_DIR");
    if file.is_none() && directory.is_none() {
        let found = BUNDLES.iter().map(Path::new).find(|path| path.exists());
        return found.map_or(Ok(Vec::new()), certificates);
    }
    let mut all = file.map_or(Ok(Vec::new()), |file| certificates(Path::new(file)))?;
    for directory in directory.iter().flat_map(|list| list.split(':')) {
        let entries = fs::read_dir(directory).map_err(|error| format!("could not list {directory}: {error}"))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        // What is no certificate lies there, too.
        all.extend(paths.iter().filter(|path| path.is_file()).filter_map(|path| certificates(path).ok()).flatten());
    }
    Ok(all)
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let found = items(path)?.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Err(format!("{} holds no certificate in PEM form", path.display()));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>, String> {
    let mut keys = items(path)?.into_iter().filter_map(|item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    });
    keys.next().ok_or_else(|| format!("{} holds no private key in PEM form", path.display()))
}

/// What in the file cannot be read is passed over, as by others.
fn items(path: &Path) -> Result<Vec<PemItem<'static>>, String> {
    Ok(parse_pem(&read(path)?).filter_map(Result::ok).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| format!("could not read {}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    io::Read::read_to_end(&mut io::Read::take(file, FILE_MAX), &mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
