//! Who podlet is to a registry. In this order, the first that a registry takes:
//!
//! 1. `imagePullSecrets` of the pod, each entry that matches, as a kubelet tries them;
//! 2. the file that `--authfile` or REGISTRY_AUTH_FILE names, and then no other file;
//! 3. `$XDG_RUNTIME_DIR/containers/auth.json` (root's without that variable: `/run/containers/0/auth.json`),
//!    `~/.config/containers/auth.json`, `$DOCKER_CONFIG` or `~/.docker/config.json`, `~/.dockercfg`;
//! 4. under sudo the same files of who has called it, which is said aloud;
//! 5. nobody.
//!
//! A Docker file may name a program that keeps the secret (`docker-credential-…`): it is asked, as the user whose file it is.
//! What is secret here is never shown by `Debug` and never put into an error.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;

use super::super::ImageError;
use super::super::reference::Reference;
use crate::http::Environment;
use crate::manifest::base64;

/// The largest file of credentials that is read.
const FILE_MAX: u64 = 4 << 20;
/// How long a program that keeps secrets may take.
const HELPER_PATIENCE: Duration = Duration::from_secs(30);
/// Docker's name for its own registry, in its files and to its programs.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A user with a password, or a token that gets tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Empty with an identity token.
    pub user: String,
    /// Its password.
    pub password: String,
    /// OAuth2's refresh token, in place of both.
    pub identity_token: Option<String>,
    /// Where it is from, for people: a file's name, a Secret's.
    pub source: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({:?} from {})", self.user, self.source)
    }
}

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    /// `--authfile`.
    pub authfile: Option<PathBuf>,
    /// A user and password that were given with the command (`--creds`).
    pub given: Option<Credential>,
    /// The pod's.
    pub secrets: Vec<Secret>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// To be tried in this order.
    pub credentials: Vec<Credential>,
    /// What the user should know: a file that is not readable, another user's file that is used.
    pub notes: Vec<String>,
}

/// `config.json` of Docker, `auth.json` of podman, `.dockerconfigjson` of a Secret.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthFile {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// What a program answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Whose files these are.
struct Person {
    home: Option<PathBuf>,
    runtime: Option<PathBuf>,
    configuration: Option<PathBuf>,
    docker: Option<PathBuf>,
    /// Of another user than podlet's: numbers of user and group.
    other: Option<(u32, u32)>,
}

impl Keyring {
    /// All that could open this repository.
    pub fn find(&self, reference: &Reference, environment: &Environment) -> Result<Found, ImageError> {
        let mut found = Found::default();
        found.credentials.extend(self.given.clone());
        for secret in &self.secrets {
            match read_secret(secret) {
                Ok(file) => found.credentials.extend(file.matching(reference, &format!("Secret {}", name(secret)))),
                Err(why) => found.notes.push(format!("imagePullSecrets: Secret {:?} {why}", name(secret))),
            }
        }
        let named = self.authfile.clone().or_else(|| environment.get("REGISTRY_AUTH_FILE").map(PathBuf::from));
        if let Some(path) = named {
            let file =
                read_file(&path).and_then(|file| file.ok_or_else(|| "there is no such file".to_owned())).map_err(
                    |why| ImageError::Unreadable(format!("could not read {path:?}, the file of credentials: {why}")),
                )?;
            found.credentials.extend(file.all(
                reference,
                &path,
                &Person::of(environment),
                environment,
                &mut found.notes,
            ));
            return Ok(found);
        }
        Person::of(environment).look(reference, environment, &mut found);
        if let Some(caller) = Person::behind_sudo(environment) {
            let before = found.credentials.len();
            caller.look(reference, environment, &mut found);
            if let Some(credential) = found.credentials.get(before) {
                let who = environment.get("SUDO_USER").unwrap_or_default();
                found.notes.push(format!("credentials of {who}, who called sudo, are used: {}", credential.source));
            }
        }
        Ok(found)
    }
}

fn name(secret: &Secret) -> &str {
    secret.metadata.name.as_deref().unwrap_or_default()
}

impl Person {
    /// Whoever runs podlet.
    fn of(environment: &Environment) -> Person {
        let path = |name: &str| environment.get(name).map(PathBuf::from);
        let own = nix::unistd::geteuid();
        let root = own.is_root().then(|| PathBuf::from("/run"));
        Person {
            home: path("HOME"),
            // As podman: a directory of its own for users who have none.
            runtime: path("XDG_RUNTIME_DIR").or_else(|| root.map(|run| run.join("containers/0"))),
            configuration: path("XDG_CONFIG_HOME"),
            docker: path("DOCKER_CONFIG"),
            other: None,
        }
    }

    /// Who has called sudo, found in /etc/passwd (asking the machine's other lists would load its libraries).
    fn behind_sudo(environment: &Environment) -> Option<Person> {
        let user = environment.get("SUDO_USER").filter(|user| *user != "root")?;
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let passwd = fs::read_to_string("/etc/passwd").ok()?;
        let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = lines.find(|fields| fields.first() == Some(&user))?;
        let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        Some(Person {
            home: Some(PathBuf::from(fields.get(5)?)),
            runtime: Some(PathBuf::from(format!("/run/user/{uid}"))),
            configuration: None,
            docker: None,
            other: Some((uid, gid)),
        })
    }

    fn look(&self, reference: &Reference, environment: &Environment, found: &mut Found) {
        for path in self.files() {
            match read_file(&path) {
                Ok(Some(file)) => {
                    found.credentials.extend(file.all(reference, &path, self, environment, &mut found.notes));
                }
                Ok(None) => {}
                Err(why) => found.notes.push(format!("{} is passed over: {why}", path.display())),
            }
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let own = |directory: &str| self.home.as_ref().map(|home| home.join(directory));
        let runtime = self.runtime.as_ref().map(|directory| match directory.ends_with("containers/0") {
            true => directory.join("auth.json"),
            false => directory.join("containers/auth.json"),
        });
        let configuration = self.configuration.clone().or_else(|| own(".config"));
        let docker = self.docker.clone().or_else(|| own(".docker"));
        [
            runtime,
            configuration.map(|directory| directory.join("containers/auth.json")),
            docker.map(|directory| directory.join("config.json")),
            own(".dockercfg"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// None: it is not there.
fn read_file(path: &Path) -> Result<Option<AuthFile>, String> {
    // Not waiting for a writer, should somebody have put a pipe there.
    let opened = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
    let file = match opened {
        Ok(file) if file.metadata().is_ok_and(|metadata| !metadata.is_file()) => return Err("it is no file".to_owned()),
        Ok(file) => file,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = Vec::new();
    let read = std::io::Read::read_to_end(&mut std::io::Read::take(file, FILE_MAX), &mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.trim_ascii().is_empty() {
        return Ok(Some(AuthFile::default()));
    }
    let old = path.file_name().is_some_and(|name| name == ".dockercfg");
    AuthFile::parse(&bytes, old).map(Some)
}

/// The two types of Secret that a kubelet takes for pulls.
fn read_secret(secret: &Secret) -> Result<AuthFile, String> {
    let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
    match secret.type_.as_deref() {
        Some("kubernetes.io/dockerconfigjson") => {
            let bytes = data(".dockerconfigjson").ok_or("has no key .dockerconfigjson")?;
            // Programs on this machine are not for a pod to name.
            let AuthFile { auths, .. } = AuthFile::parse(&bytes.0, false)?;
            Ok(AuthFile { auths, ..AuthFile::default() })
        }
        Some("kubernetes.io/dockercfg") => AuthFile::parse(&data(".dockercfg").ok_or("has no key .dockercfg")?.0, true),
        other => Err(format!(
            "is of the type {:?}; kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg is expected",
            other.unwrap_or("Opaque")
        )),
    }
}

impl AuthFile {
    /// `old`: nothing but the entries. The error does not quote the text.
    fn parse(bytes: &[u8], old: bool) -> Result<AuthFile, String> {
        let place = |error: serde_json::Error| {
            format!("is not what a file of credentials should be (line {}, column {})", error.line(), error.column())
        };
        if old {
            let auths = serde_json::from_slice(bytes).map_err(place)?;
            return Ok(AuthFile { auths, ..AuthFile::default() });
        }
        serde_json::from_slice(bytes).map_err(place)
    }

    /// Programs first, as Docker and podman: where one is named, the file's own entries are mere names.
    fn all(
        &self,
        reference: &Reference,
        path: &Path,
        person: &Person,
        environment: &Environment,
        notes: &mut Vec<String>,
    ) -> Vec<Credential> {
        let server = if reference.domain == "docker.io" { DOCKER_HUB } else { &reference.domain };
        let named = self.cred_helpers.iter().find(|(key, _)| normalize(key) == normalize(server)).map(|(_, name)| name);
        let mut found = Vec::new();
        if let Some(helper) = named.or(self.creds_store.as_ref()).filter(|helper| !helper.is_empty()) {
            match ask_helper(helper, server, person, environment) {
                Ok(credential) => found.extend(credential),
                Err(why) => notes.push(format!("docker-credential-{helper}, which {} names: {why}", path.display())),
            }
        }
        found.extend(self.matching(reference, &path.display().to_string()));
        found
    }

    /// Entries whose key matches the repository, the most particular first.
    fn matching(&self, reference: &Reference, source: &str) -> Vec<Credential> {
        let repository = reference.repository();
        let mut keys: Vec<&String> = self.auths.keys().filter(|key| matches(key, &repository)).collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.len()));
        keys.into_iter().filter_map(|key| self.auths.get(key)?.credential(source)).collect()
    }
}

impl Entry {
    fn credential(&self, source: &str) -> Option<Credential> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let both = filled(&self.auth).and_then(|auth| String::from_utf8(base64::decode(&auth).ok()?).ok());
        let pair = both.as_deref().and_then(|both| both.split_once(':'));
        // Docker pads the password with NUL in old files.
        let pair = pair.map(|(user, password)| (user.to_owned(), password.trim_end_matches('\0').to_owned()));
        let identity_token = filled(&self.identitytoken);
        let pair = pair.or_else(|| filled(&self.username).zip(Some(self.password.clone().unwrap_or_default())));
        let (user, password) = match (pair, &identity_token) {
            (Some(pair), _) => pair,
            (None, Some(_)) => (String::new(), String::new()),
            (None, None) => return None,
        };
        Some(Credential { user, password, identity_token, source: source.to_owned() })
    }
}

/// `https://index.docker.io/v1/` → `docker.io`: Docker's keys are addresses.
fn normalize(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    match key {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => "docker.io".to_owned(),
        other => other.to_owned(),
    }
}

/// As the kubelet and podman: host and port equal, `*` for anything within one part of the host's name, the path a beginning
/// of the repository's that ends with a component.
fn matches(key: &str, repository: &str) -> bool {
    let key = normalize(key);
    let (host, path) = key.split_once('/').unwrap_or((&key, ""));
    let (found_host, found_path) = repository.split_once('/').unwrap_or((repository, ""));
    let within =
        path.is_empty() || found_path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let (parts, found): (Vec<&str>, Vec<&str>) = (host.split('.').collect(), found_host.split('.').collect());
    within && parts.len() == found.len() && parts.iter().zip(found).all(|(pattern, part)| matches_part(pattern, part))
}

fn matches_part(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        Some((before, after)) => {
            part.len() >= before.len() + after.len() && part.starts_with(before) && part.ends_with(after)
        }
    }
}

/// Asks `docker-credential-<name> get`. None: it has nothing for this registry.
fn ask_helper(
    name: &str,
    server: &str,
    person: &Person,
    environment: &Environment,
) -> Result<Option<Credential>, String> {
    // The name becomes one of a program in PATH.
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err("is no name of a program".to_owned());
    }
    let program = format!("docker-credential-{name}");
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_clear();
    command.env("PATH", environment.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin"));
    for (variable, value) in [("HOME", &person.home), ("XDG_RUNTIME_DIR", &person.runtime)] {
        if let Some(value) = value {
            command.env(variable, value);
        }
    }
    if let Some((uid, gid)) = person.other {
        command.uid(uid).gid(gid);
    }
    let mut child = command.spawn().map_err(|error| format!("could not be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read its question ends with an error of its own.
        let _ = stdin.write_all(server.as_bytes());
    }
    let began = Instant::now();
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if began.elapsed() > HELPER_PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("did not answer within {} s", HELPER_PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        // The protocol's one well-known error comes on standard output.
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("credentials not found") {
            return Ok(None);
        }
        return Err(format!("ended with {}", output.status));
    }
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|_| "did not answer with JSON as it should".to_owned())?;
    let source = format!("docker-credential-{name}");
    Ok(Some(match answer.username.as_str() {
        "<token>" => {
            Credential { user: String::new(), password: String::new(), identity_token: Some(answer.secret), source }
        }
        _ => Credential { user: answer.username, password: answer.secret, identity_token: None, source },
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn users(file: &AuthFile, image: &str) -> Vec<String> {
        let reference = Reference::parse(image).unwrap();
        file.matching(&reference, "x").into_iter().map(|credential| credential.user).collect()
    }

    #[test]
    fn keys_match_as_kubelet_and_podman_read_them() {
        let entry = |user: &str| format!(r#"{{"username":"{user}","password":"p"}}"#);
        let text = format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{},"r.example:5000":{},"r.example:5000/a":{},"r.example:5000/a/b":{},"*.example":{},"q.example/":{}}}}}"#,
            entry("hub"),
            entry("r"),
            entry("a"),
            entry("ab"),
            entry("star"),
            entry("q")
        );
        let file = AuthFile::parse(text.as_bytes(), false).unwrap();
        assert_eq!(users(&file, "busybox"), ["hub"]);
        assert_eq!(users(&file, "r.example:5000/a/b"), ["ab", "a", "r"]);
        assert_eq!(users(&file, "r.example:5000/ab"), ["r"]);
        assert_eq!(users(&file, "x.example/y"), ["star"]);
        assert_eq!(users(&file, "q.example/y"), ["q", "star"]);
        assert!(users(&file, "r.example/y").contains(&"star".to_owned()));
        assert!(users(&file, "x.y.example/z").is_empty());
        assert!(users(&file, "r.example:5001/a").is_empty());
    }

    #[test]
    fn entries_of_all_shapes() {
        let text = r#"{"r":{"auth":"dXNlcjpwYTpzcw=="},"s":{"identitytoken":"t"},"u":{"auth":""},"v":{}}"#;
        let file = AuthFile::parse(text.as_bytes(), true).unwrap();
        let read = |key: &str| file.auths[key].credential("x");
        let plain = read("r").unwrap();
        assert_eq!((plain.user.as_str(), plain.password.as_str()), ("user", "pa:ss"));
        assert_eq!(read("s").unwrap().identity_token.as_deref(), Some("t"));
        assert!(read("u").is_none() && read("v").is_none());
        assert!(!format!("{plain:?}").contains("pa:ss"));
    }

    #[test]
    fn an_error_does_not_quote_what_is_secret() {
        let error = AuthFile::parse(br#"{"auths":{"r":{"auth":5,"password":"hush"}}}"#, false).err().unwrap();
        assert!(!error.contains("hush") && error.contains("line 1"), "{error}");
    }
}
