//! Where keys and values of a ConfigMap or Secret come from: the command line, files, directories, files of `KEY=VALUE` lines.
//! kubectl's rules and texts (pkg/cmd/create, pkg/util).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::super::Failure;
use super::super::failure::in_go;
use crate::manifest::base64;
use crate::manifest::field::escape_html;

/// Keys and their values, in the order of the command line.
pub type Pairs = Vec<(String, Vec<u8>)>;

/// The words that name them.
#[derive(Args, Clone, Debug, Default)]
pub struct Words {
    /// A file, [KEY=]FILE, under its own name or another; of a directory every file.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub from_file: Vec<String>,
    /// A value: KEY=VALUE.
    #[arg(long, value_name = "KEY=VALUE")]
    pub from_literal: Vec<String>,
    /// A file of KEY=VALUE lines; a KEY alone has its value from the environment.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub from_env_file: Vec<PathBuf>,
}

impl Words {
    /// Reads them; `what` is kubectl's word for a file of lines: config, secret.
    pub fn pairs(&self, what: &str) -> Result<Pairs, Failure> {
        let others = !self.from_file.is_empty() || !self.from_literal.is_empty();
        if others && !self.from_env_file.is_empty() {
            return Err(Failure::error("from-env-file cannot be combined with from-file or from-literal"));
        }
        let mut pairs = Pairs::new();
        // Which are looked at first is to be seen in an error only.
        let literals = self.from_literal.iter().map(|text| literal(text)).collect::<Result<Vec<_>, _>>();
        if what == "secret" {
            pairs.extend(literals?);
            self.files(&mut pairs)?;
        } else {
            self.files(&mut pairs)?;
            pairs.extend(literals?);
        }
        for file in &self.from_env_file {
            lines(file, what, &mut pairs)?;
        }
        Ok(pairs)
    }

    fn files(&self, pairs: &mut Pairs) -> Result<(), Failure> {
        for source in &self.from_file {
            let (key, path) = named_file(source)?;
            let metadata = fs::metadata(&path).map_err(|error| reading(&path, &error))?;
            if !metadata.is_dir() {
                pairs.push((key, read(&path)?));
                continue;
            }
            if source.contains('=') {
                return Err(Failure::error("cannot give a key name for a directory path"));
            }
            let listing = |error: io::Error| {
                Failure::Error(format!("error listing files in {}: {}", path.display(), in_go(&error)))
            };
            let mut entries = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(listing)?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                    pairs.push((entry.file_name().to_string_lossy().into_owned(), read(&entry.path())?));
                }
            }
        }
        Ok(())
    }
}

fn literal(source: &str) -> Result<(String, Vec<u8>), Failure> {
    match source.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.as_bytes().to_vec())),
        _ => Err(Failure::Error(format!("invalid literal source {source}, expected key=value"))),
    }
}

fn named_file(source: &str) -> Result<(String, PathBuf), Failure> {
    match source.split('=').collect::<Vec<_>>().as_slice() {
        [path] => {
            let path = Path::new(path);
            let name = path.file_name().map_or_else(|| ".".to_owned(), |name| name.to_string_lossy().into_owned());
            Ok((name, path.to_owned()))
        }
        ["", path] => Err(Failure::Error(format!("key name for file path {path} missing"))),
        [key, ""] => Err(Failure::Error(format!("file path for key name {key} missing"))),
        [key, path] => Ok(((*key).to_owned(), PathBuf::from(path))),
        _ => Err(Failure::error("key names or file paths cannot contain '='")),
    }
}

fn lines(file: &Path, what: &str, pairs: &mut Pairs) -> Result<(), Failure> {
    let metadata = fs::metadata(file).map_err(|error| reading(file, &error))?;
    if metadata.is_dir() {
        return Err(Failure::Error(format!("env {what} file cannot be a directory")));
    }
    let bytes = read(file)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(text) = std::str::from_utf8(line) else {
            return Err(Failure::Error(format!(
                "env file {} contains invalid utf8 bytes at line {}: {line:?}",
                file.display(),
                number + 1
            )));
        };
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, value.to_owned()),
            None => (text, std::env::var(text).unwrap_or_default()),
        };
        check_name(key)?;
        pairs.push((key.to_owned(), value.into_bytes()));
    }
    Ok(())
}

/// kubectl still has the older, narrower rule here.
fn check_name(key: &str) -> Result<(), Failure> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let mut faults = Vec::new();
    if key.is_empty() || !key.bytes().all(fits) || key.starts_with(|first: char| first.is_ascii_digit()) {
        faults.push(
            "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not \
             start with a digit (e.g. 'my.env-name', or 'MY_ENV.NAME', or 'MyEnvName1', regex used for validation is \
             '[-._a-zA-Z][-._a-zA-Z0-9]*')",
        );
    }
    match key {
        "." => faults.push("must not be '.'"),
        ".." => faults.push("must not be '..'"),
        _ if key.starts_with("..") => faults.push("must not start with '..'"),
        _ => {}
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure::Error(format!("{key:?} is not a valid key name: {}", faults.join(";"))))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    read_file(path).map_err(|why| Failure::Error(format!("open {}: {why}", path.display())))
}

/// A file whole, or why not, in the system's words.
pub fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| in_go(&error))
}

fn reading(path: &Path, error: &io::Error) -> Failure {
    Failure::Error(format!("error reading {}: {}", path.display(), in_go(error)))
}

/// Whether a certificate and a key belong together; Go's words when they do not.
pub fn check_pair(certificate: &[u8], key: &[u8]) -> Result<(), String> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>().unwrap_or_default();
    if chain.is_empty() {
        return Err("failed to find any PEM data in certificate input".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "failed to find any PEM data in key input".to_owned())?;
    match CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err("private key does not match public key".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The content of `~/.docker/config.json` for one registry.
pub fn docker_config(server: &str, user: &str, word: &str, email: Option<String>) -> Vec<u8> {
    let text = |text: &str| escape_html(serde_json::Value::from(text).to_string());
    let email = email.map_or_else(String::new, |email| format!("\"email\":{},", text(&email)));
    let auth = text(&base64::encode(format!("{user}:{word}").as_bytes()));
    let (server, user, word) = (text(server), text(user), text(word));
    format!("{{\"auths\":{{{server}:{{\"username\":{user},\"password\":{word},{email}\"auth\":{auth}}}}}}}")
        .into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn said<T: std::fmt::Debug>(answer: Result<T, Failure>) -> String {
        answer.unwrap_err().text().unwrap()
    }

    #[test]
    fn sources_are_read_as_kubectl_reads_them() {
        assert_eq!(literal("a=b=c").unwrap(), ("a".to_owned(), b"b=c".to_vec()));
        assert_eq!(literal("a=").unwrap(), ("a".to_owned(), Vec::new()));
        assert_eq!(said(literal("=x")), "error: invalid literal source =x, expected key=value");
        assert_eq!(said(literal("x")), "error: invalid literal source x, expected key=value");
        assert_eq!(named_file("dir/app.conf").unwrap(), ("app.conf".to_owned(), PathBuf::from("dir/app.conf")));
        assert_eq!(named_file("k=dir/app.conf").unwrap(), ("k".to_owned(), PathBuf::from("dir/app.conf")));
        assert_eq!(said(named_file("=f")), "error: key name for file path f missing");
        assert_eq!(said(named_file("k=")), "error: file path for key name k missing");
        assert_eq!(said(named_file("a=b=c")), "error: key names or file paths cannot contain '='");
    }

    #[test]
    fn lines_are_read_as_kubectl_reads_them() {
        let file = std::env::temp_dir().join(format!("podlet-env-file-{}", std::process::id()));
        fs::write(&file, "\u{feff}A=1\n\n  # no\n  B=x = y \r\nPODLET_SURELY_UNSET\n").unwrap();
        let mut pairs = Pairs::new();
        lines(&file, "config", &mut pairs).unwrap();
        let pairs: Vec<(&str, &[u8])> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
        assert_eq!(pairs, [("A", &b"1"[..]), ("B", b"x = y "), ("PODLET_SURELY_UNSET", b"")]);
        fs::write(&file, "1A=1\n").unwrap();
        assert!(
            said(lines(&file, "config", &mut Pairs::new()))
                .starts_with("error: \"1A\" is not a valid key name: a valid")
        );
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_registrys_file_is_dockers() {
        assert_eq!(
            String::from_utf8(docker_config("s", "u", "p<", Some("e".to_owned()))).unwrap(),
            r#"{"auths":{"s":{"username":"u","password":"p\u003c","email":"e","auth":"dTpwPA=="}}}"#
        );
    }
}
