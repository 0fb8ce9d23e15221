//! Registries on loopback: one of our own that behaves as a test says and remembers what it was asked, and Debian's
//! `docker-registry` with users and TLS.

#![allow(dead_code)]

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podlet::image::Digest;
use serde_json::{Value, json};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Where a range begins.
    pub fn start(&self) -> usize {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes="));
        range.and_then(|range| range.trim_end_matches('-').parse().ok()).unwrap_or(0)
    }
}

type Handler = dyn Fn(&Request, &mut TcpStream) + Send + Sync;

/// A server that does what it was told, a connection a request. It lives as long as the test program.
#[derive(Clone)]
pub struct Fake {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    pub fn new(handler: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, handler): (Arc<Mutex<Vec<Request>>>, Arc<Handler>) = (Arc::default(), Arc::new(handler));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, handler) = (Arc::clone(&log), Arc::clone(&handler));
                std::thread::spawn(move || serve(stream, &log, &*handler));
            }
        });
        Fake { address, asked }
    }

    /// All that was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// Requests whose path has this in it.
    pub fn asked_for(&self, part: &str) -> Vec<Request> {
        self.asked().into_iter().filter(|request| request.path.contains(part)).collect()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Request>>, handler: &Handler) {
    let mut first = [0];
    if stream.peek(&mut first).unwrap_or(0) == 0 {
        return;
    }
    // What a server says that does not speak TLS.
    if first == [0x16] {
        let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
        // So that the answer is not lost with what was not read.
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let _ = stream.read(&mut [0; 4096]);
        return;
    }
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    let request = Request { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() };
    log.lock().unwrap().push(request.clone());
    handler(&request, &mut stream);
}

/// An answer's head, and its body unless only the head was asked for.
pub fn reply(request: &Request, stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) {
    let mut head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    if request.method != "HEAD" {
        let _ = stream.write_all(body);
    }
}

/// An image as a registry has it.
#[derive(Clone)]
pub struct Served {
    pub manifest: Vec<u8>,
    pub blobs: HashMap<String, Vec<u8>>,
    /// Digests of the layers.
    pub layers: Vec<String>,
    /// Further manifests by tag or digest.
    pub others: HashMap<String, Vec<u8>>,
}

impl Served {
    /// What lies in an OCI layout of one image.
    pub fn of(layout: &Path) -> Served {
        let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let mut blobs = HashMap::new();
        for entry in fs::read_dir(layout.join("blobs/sha256")).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            blobs.insert(format!("sha256:{name}"), fs::read(entry.path()).unwrap());
        }
        let manifest = blobs[index["manifests"][0]["digest"].as_str().unwrap()].clone();
        let value: Value = serde_json::from_slice(&manifest).unwrap();
        let layers = value["layers"].as_array().unwrap().iter();
        let layers = layers.map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect();
        Served { manifest, blobs, layers, others: HashMap::new() }
    }

    pub fn manifest_digest(&self) -> String {
        Digest::of(&self.manifest).to_string()
    }

    /// Answers as a good registry does, ranges too; the repository may be any.
    pub fn answer(&self, request: &Request, stream: &mut TcpStream) {
        let Some((_, rest)) = request.path.split_once("/manifests/") else {
            let Some((_, digest)) = request.path.split_once("/blobs/") else {
                return reply(request, stream, "404 Not Found", &[], b"");
            };
            let Some(blob) = self.blobs.get(digest) else {
                return reply(request, stream, "404 Not Found", &[], b"");
            };
            let from = request.start();
            if from == 0 {
                return reply(request, stream, "200 OK", &[], blob);
            }
            let range = format!("bytes {from}-{}/{}", blob.len() - 1, blob.len());
            return reply(request, stream, "206 Partial Content", &[("content-range", &range)], &blob[from..]);
        };
        let found = self.others.get(rest).or_else(|| {
            let own = !rest.starts_with("sha256:") && rest != "absent" || rest == self.manifest_digest();
            own.then_some(&self.manifest)
        });
        let Some(found) = found else {
            let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
            return reply(request, stream, "404 Not Found", &[], body);
        };
        let value: Value = serde_json::from_slice(found).unwrap();
        let usual = if value.get("manifests").is_some() {
            "application/vnd.oci.image.index.v1+json"
        } else {
            "application/vnd.oci.image.manifest.v1+json"
        };
        let kind = value["mediaType"].as_str().unwrap_or(usual).to_owned();
        let digest = Digest::of(found).to_string();
        let headers = [("content-type", kind.as_str()), ("docker-content-digest", digest.as_str())];
        reply(request, stream, "200 OK", &headers, found);
    }

    /// Puts an index of these manifests (digest, platform) under a tag; answers its digest.
    pub fn add_index(&mut self, tag: &str, manifests: &[(&str, usize, Value)]) -> String {
        let list = manifests.iter().map(|(digest, size, platform)| {
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size, "platform": platform})
        });
        let index = json!({"schemaVersion": 2, "manifests": list.collect::<Vec<_>>()});
        let bytes = serde_json::to_vec(&index).unwrap();
        let digest = Digest::of(&bytes).to_string();
        self.others.insert(tag.to_owned(), bytes.clone());
        self.others.insert(digest.clone(), bytes);
        digest
    }
}

/// Debian's `docker-registry`, with one user and TLS.
pub struct Debian {
    process: Child,
    /// Host and port.
    pub server: String,
    /// The certificate of its authority.
    pub authority: PathBuf,
}

/// The user of [`Debian`], and the password that must be nowhere else.
pub const USER: &str = "alice";
/// See [`USER`].
pub const PASSWORD: &str = "correct-horse-battery";

impl Debian {
    /// Started in a directory of its own, and answering.
    pub fn new(directory: &Path) -> Debian {
        Debian::asking(directory, &[])
    }

    /// As [`Debian::new`]; whoever connects shows a certificate that the same authority has signed: `client.crt`, `client.key`.
    pub fn asking_for_certificates(directory: &Path) -> Debian {
        Debian::asking(directory, &[&directory.join("ca.crt")])
    }

    fn asking(directory: &Path, client_authorities: &[&PathBuf]) -> Debian {
        fs::create_dir_all(directory).unwrap();
        let at = |name: &str| directory.join(name);
        let run = |program: &str, words: &[&str]| {
            let output = Command::new(program).args(words).current_dir(directory).output();
            let output = output.unwrap_or_else(|error| panic!("{program} (see ./check's packages): {error}"));
            assert!(output.status.success(), "{program} {words:?}: {output:?}");
            output.stdout
        };
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let authority =
            ["req", "-x509", "-days", "2", "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.crt"];
        run("openssl", &[&authority[..], &key[..]].concat());
        fs::write(at("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test\n").unwrap();
        let request = ["req", "-new", "-subj", "/CN=registry", "-keyout", "tls.key", "-out", "tls.csr"];
        run("openssl", &[&request[..], &key[..]].concat());
        let sign = "x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out tls.crt";
        run("openssl", &sign.split(' ').collect::<Vec<_>>());
        let client = ["req", "-new", "-subj", "/CN=alice", "-keyout", "client.key", "-out", "client.csr"];
        run("openssl", &[&client[..], &key[..]].concat());
        let sign =
            "x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out client.crt";
        run("openssl", &sign.split(' ').collect::<Vec<_>>());
        fs::write(at("htpasswd"), run("htpasswd", &["-Bbn", USER, PASSWORD])).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = format!("127.0.0.1:{port}");
        let config = json!({
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": at("data")}},
            "auth": {"htpasswd": {"realm": "test", "path": at("htpasswd")}},
            "http": {"addr": server, "secret": "x", "tls": {
                "certificate": at("tls.crt"), "key": at("tls.key"), "clientcas": client_authorities,
            }},
        });
        fs::write(at("config.yml"), serde_json::to_vec(&config).unwrap()).unwrap();
        let log = fs::File::create(at("log")).unwrap();
        let process = Command::new("docker-registry")
            .args(["serve", "config.yml"])
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("docker-registry is installed (see ./check's packages)");
        crate::common::podlet::until("the registry answers", || TcpStream::connect(&server).is_ok());
        Debian { process, server, authority: at("ca.crt") }
    }

    /// Puts what an OCI layout holds there, by skopeo.
    pub fn push(&self, layout: &Path, name: &str) {
        let credentials = format!("{USER}:{PASSWORD}");
        let directory = self.authority.parent().unwrap();
        let output = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", &credentials])
            .arg("--dest-cert-dir")
            .arg(certificates(directory))
            .arg(format!("oci:{}:localhost/from-layout:2", layout.display()))
            .arg(format!("docker://{}/{name}", self.server))
            .output()
            .expect("skopeo is installed (see ./check's packages)");
        assert!(output.status.success(), "{output:?}");
    }

    /// A file as `docker login` writes it.
    pub fn auth(&self) -> String {
        use base64_of as b;
        json!({"auths": {&self.server: {"auth": b(&format!("{USER}:{PASSWORD}"))}}}).to_string()
    }
}

/// A directory as those in certs.d: the authority, and what a client shows.
pub fn certificates(of: &Path) -> PathBuf {
    let directory = of.join("certs");
    fs::create_dir_all(&directory).unwrap();
    for (from, to) in [("ca.crt", "ca.crt"), ("client.crt", "client.cert"), ("client.key", "client.key")] {
        fs::copy(of.join(from), directory.join(to)).unwrap();
    }
    directory
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// base64 by way of the type that Kubernetes has for it.
pub fn base64_of(text: &str) -> String {
    let value = serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap();
    value.as_str().unwrap().to_owned()
}
