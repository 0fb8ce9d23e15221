//! Speaks the distribution protocol (OCI distribution-spec v1.1) with one server about one repository: asks, says who asks when
//! it is wanted, waits when it is told to, follows where it is sent. What is secret goes to the server itself and to the place
//! where it has its tokens from, never to where a redirect leads.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::super::ImageError;
use super::How;
use super::challenge::{self, Challenge};
use super::credentials::Credential;
use super::hosts::Host;
use super::progress::Progress;
use crate::http::{Address, Answer, HttpError, Method, REDIRECTS_MAX, Server, Trust};
use crate::manifest::base64;

/// How often one request is tried while the server is busy or the way to it is bad.
const TRIES: u32 = 5;
/// The longest wait that a server may ask for (`Retry-After`); one that wants more is given up.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// The longest token, and the longest error text, that is read.
const ANSWER_MAX: u64 = 1 << 20;

/// A repository at one server.
pub struct Repository<'a> {
    host: &'a Host,
    how: &'a How,
    progress: &'a Progress,
    credential: Option<&'a Credential>,
    trust: Trust,
    /// `http` once the server has shown that it does not speak TLS, where that is allowed.
    base: Mutex<Address>,
    servers: Mutex<HashMap<String, Server>>,
    /// The header that the server takes.
    authorization: Mutex<Option<String>>,
}

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub enum Thing<'t> {
    /// By tag or digest.
    Manifest(&'t str),
    /// By digest.
    Blob(&'t str),
}

/// Why a repository does not give what it was asked for.
#[derive(Debug)]
pub enum Refusal {
    /// It does not have it.
    NotFound,
    /// Not to this user.
    Denied(String),
    /// All else.
    Failed(String),
}

/// A token server's answer.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// A registry's words for what is wrong.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl<'a> Repository<'a> {
    /// For one user, or nobody.
    pub fn new(
        host: &'a Host,
        credential: Option<&'a Credential>,
        how: &'a How,
        progress: &'a Progress,
    ) -> Result<Repository<'a>, ImageError> {
        let base = Address::parse(&format!("https://{}/", host.server)).map_err(ImageError::Pull)?;
        let trust = host.trust()?;
        let (servers, authorization) = (Mutex::default(), Mutex::default());
        let base = Mutex::new(base);
        Ok(Repository { host, how, progress, credential, trust, base, servers, authorization })
    }

    /// `https://registry.example`.
    pub fn shown(&self) -> String {
        let base = self.base();
        format!("{}://{}", base.scheme(), base.server())
    }

    /// Asks for a manifest or a blob, from a position on if it is not 0. Answers of 200 and 206 come back.
    pub fn ask(&self, method: Method, thing: Thing<'_>, from: u64) -> Result<Answer, Refusal> {
        let mut try_number = 0;
        let mut told_who = false;
        loop {
            if self.progress.is_ended() {
                return Err(Refusal::Failed("the pull was ended".to_owned()));
            }
            try_number += 1;
            let address = self.address(thing)?;
            let answer = match self.follow(method, &address, thing, from) {
                Ok(answer) => answer,
                Err(HttpError::NotTls) if address.is_https() && self.may_be_plain(&address) => {
                    *self.base.lock().unwrap_or_else(PoisonError::into_inner) =
                        Address::parse(&format!("http://{}/", self.host.server)).map_err(Refusal::Failed)?;
                    continue;
                }
                Err(error) if error.may_pass() && try_number < TRIES => {
                    self.wait(backoff(try_number));
                    continue;
                }
                Err(error) => return Err(failed_request(method, &address, &error, self)),
            };
            match answer.status {
                200 | 206 => return Ok(answer),
                401 if !told_who => {
                    told_who = true;
                    self.tell_who(&answer)?;
                }
                401 | 403 => return Err(Refusal::Denied(server_message(answer))),
                404 => return Err(Refusal::NotFound),
                408 | 429 | 500..=599 if try_number < TRIES && method == Method::Get || answer.status == 429 => {
                    let asked = answer.header("retry-after").map(retry_after);
                    let wait = asked.unwrap_or_else(|| backoff(try_number));
                    if wait > WAIT_MAX || try_number >= TRIES {
                        return Err(unexpected(method, &address, answer));
                    }
                    self.wait(wait);
                }
                _ => return Err(unexpected(method, &address, answer)),
            }
        }
    }

    fn address(&self, thing: Thing<'_>) -> Result<Address, Refusal> {
        let path = match thing {
            Thing::Manifest(reference) => format!("manifests/{reference}"),
            Thing::Blob(digest) => format!("blobs/{digest}"),
        };
        self.base().join(&format!("/v2/{}/{path}", self.host.repository)).map_err(Refusal::Failed)
    }

    fn base(&self) -> Address {
        self.base.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As containerd and Docker: registries on this machine may speak plain HTTP, others only when the user says so.
    fn may_be_plain(&self, address: &Address) -> bool {
        self.host.insecure || address.is_loopback()
    }

    /// One request and what it is sent on to.
    fn follow(&self, method: Method, address: &Address, thing: Thing<'_>, from: u64) -> Result<Answer, HttpError> {
        let range = format!("bytes={from}-");
        let authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut here = address.clone();
        for _ in 0..=REDIRECTS_MAX {
            let own = here.same_server(address);
            let mut headers = Vec::new();
            if let Thing::Manifest(_) = thing {
                headers.push(("accept", super::super::document::ACCEPTED));
            }
            if from > 0 {
                headers.push(("range", range.as_str()));
            }
            if let Some(authorization) = authorization.as_deref().filter(|_| own) {
                headers.push(("authorization", authorization));
            }
            let answer = self.server(&here, own)?.ask(method, &here, &headers)?;
            let Some(next) = answer.redirect() else { return Ok(answer) };
            let next = next.map_err(HttpError::Other)?;
            if here.is_https() && !next.is_https() && !self.host.insecure {
                let (here, next) = (here.shown(), next.shown());
                return Err(HttpError::Other(format!("{here} leads on to {next}, which is not encrypted")));
            }
            here = next;
        }
        Err(HttpError::Other(format!("{} leads on more than {REDIRECTS_MAX} times", address.shown())))
    }

    /// The registry has its own certificates; elsewhere the machine's authorities count.
    fn server(&self, address: &Address, own: bool) -> Result<Server, HttpError> {
        let key = format!("{}://{}:{}", address.scheme(), address.host(), address.port());
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get(&key) {
            return Ok(server.clone());
        }
        let trust = if own {
            self.trust.clone()
        } else {
            // A private registry's storage and token server have their certificates from the same private authority.
            Trust { client: None, ..self.trust.clone() }
        };
        let server = Server::new(address, &trust, &self.how.environment, self.how.patience)?;
        self.progress.watch(server.clone());
        servers.insert(key, server.clone());
        Ok(server)
    }

    /// Answers a challenge: from here on requests say who asks.
    fn tell_who(&self, answer: &Answer) -> Result<(), Refusal> {
        let denied = |why: &str| Refusal::Denied(why.to_owned());
        let header = match challenge::read(answer.headers("www-authenticate")) {
            Some(Challenge::Basic) => {
                let credential = self.credential.filter(|credential| !credential.user.is_empty());
                basic(credential.ok_or_else(|| denied("no basic auth credentials"))?)
            }
            Some(Challenge::Bearer { realm, service, scope }) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.host.repository));
                format!("Bearer {}", self.token(&realm, service.as_deref(), &scope)?)
            }
            None => return Err(denied("the registry does not say how it wants to be told who asks")),
        };
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(header);
        Ok(())
    }

    fn token(&self, realm: &str, service: Option<&str>, scope: &str) -> Result<String, Refusal> {
        let failed = |why: String| Refusal::Failed(format!("failed to authorize: failed to fetch a token: {why}"));
        let realm = Address::parse(realm).map_err(&failed)?;
        let plain = !realm.is_https() && self.base().is_https() && !self.host.insecure;
        if plain && !realm.is_loopback() {
            return Err(failed(format!("{} is not encrypted", realm.shown())));
        }
        let own = realm.same_server(&self.base());
        let server = self.server(&realm, own).map_err(|error| failed(error.to_string()))?;
        let answer = match self.credential {
            Some(Credential { identity_token: Some(token), .. }) => {
                let mut form = vec![
                    ("grant_type", "refresh_token"),
                    ("refresh_token", token.as_str()),
                    ("client_id", "podlet"),
                    ("scope", scope),
                ];
                form.extend(service.map(|service| ("service", service)));
                server.post(&realm, &form)
            }
            other => {
                let mut query = vec![("scope", scope)];
                query.extend(service.map(|service| ("service", service)));
                let credential = other.filter(|credential| !credential.user.is_empty());
                query.extend(credential.map(|credential| ("account", credential.user.as_str())));
                let authorization = credential.map(basic);
                let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
                let address = with_query(&realm, &query).map_err(&failed)?;
                server.ask(Method::Get, &address, &headers)
            }
        };
        let answer = answer.map_err(|error| failed(format!("{}: {error}", realm.shown())))?;
        match answer.status {
            200 => {}
            401 | 403 => return Err(Refusal::Denied(server_message(answer))),
            _ => return Err(failed(format!("unexpected status from {}: {}", realm.shown(), answer.status_line()))),
        }
        let bytes = answer.into_bytes(ANSWER_MAX).map_err(|error| failed(error.to_string()))?;
        // Not quoted: there may be a token in it.
        let token: Token =
            serde_json::from_slice(&bytes).map_err(|_| failed(format!("{} answers no token", realm.shown())))?;
        let token = token.token.or(token.access_token).filter(|token| is_header_text(token));
        token.ok_or_else(|| failed(format!("{} answers no token", realm.shown())))
    }

    /// Somebody wants the pull to end.
    pub fn is_ended(&self) -> bool {
        self.progress.is_ended()
    }

    /// Sleeps, and wakes when the pull is to end.
    pub fn wait(&self, time: Duration) {
        let until = std::time::Instant::now() + time;
        while !self.progress.is_ended() {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

/// The wait before another try: 0.25 s, 0.5 s, 1 s, 2 s.
pub fn backoff(failures: u32) -> Duration {
    Duration::from_millis(125 << failures.min(5))
}

fn basic(credential: &Credential) -> String {
    format!("Basic {}", base64::encode(format!("{}:{}", credential.user, credential.password).as_bytes()))
}

/// What may stand in a header.
fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// Seconds; a date (which few registries send) is read too.
fn retry_after(value: &str) -> Duration {
    if let Ok(seconds) = value.trim().parse() {
        return Duration::from_secs(seconds);
    }
    let until = jiff::fmt::rfc2822::parse(value).map(|date| date.timestamp().duration_since(jiff::Timestamp::now()));
    until.ok().and_then(|wait| Duration::try_from(wait).ok()).unwrap_or(Duration::from_secs(1))
}

fn with_query(address: &Address, query: &[(&str, &str)]) -> Result<Address, String> {
    let mut text = address.to_string();
    for (name, value) in query {
        text.push(if text.contains('?') { '&' } else { '?' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    Address::parse(&text)
}

fn method_word(method: Method) -> &'static str {
    match method {
        Method::Get => "Get",
        Method::Head => "Head",
    }
}

/// Go's words for a request that came to nothing, and what may be done.
fn failed_request(method: Method, address: &Address, error: &HttpError, repository: &Repository<'_>) -> Refusal {
    let server = &repository.host.server;
    let hint = match error {
        HttpError::Certificate(_) => format!(
            " (put the certificate of its authority into /etc/containers/certs.d/{server}/ca.crt, or mark the registry as insecure in registries.conf)"
        ),
        HttpError::NotTls => " (mark the registry as insecure in registries.conf if that is what you want)".to_owned(),
        _ => String::new(),
    };
    Refusal::Failed(format!("failed to do request: {} \"{}\": {error}{hint}", method_word(method), address.shown()))
}

fn unexpected(method: Method, address: &Address, answer: Answer) -> Refusal {
    let (method, status) = (method_word(method).to_uppercase(), answer.status_line());
    let said = server_message(answer);
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Refusal::Failed(format!("unexpected status from {method} request to {}: {status}{said}", address.shown()))
}

/// The registry's own words, one line of them.
fn server_message(answer: Answer) -> String {
    let bytes = answer.into_bytes(ANSWER_MAX).unwrap_or_default();
    let Ok(Errors { errors }) = serde_json::from_slice(&bytes) else { return String::new() };
    let words = errors.into_iter().map(|error| match (error.code.as_str(), error.message.as_str()) {
        (code, "") => code.to_lowercase(),
        (_, message) => message.to_owned(),
    });
    let text: String = words.collect::<Vec<_>>().join(", ").chars().filter(|c| !c.is_control()).take(300).collect();
    if text.is_empty() { text } else { format!("server message: {text}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn queries_are_escaped() {
        let realm = Address::parse("https://a.example/token?x=1").unwrap();
        let query = [("scope", "repository:a/b:pull"), ("service", "r example&y=z")];
        let expected = "https://a.example/token?x=1&scope=repository%3Aa%2Fb%3Apull&service=r%20example%26y%3Dz";
        assert_eq!(with_query(&realm, &query).unwrap().to_string(), expected);
    }

    #[test]
    fn what_may_be_waited_for() {
        assert_eq!(retry_after("7"), Duration::from_secs(7));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Duration::from_secs(1));
        assert_eq!(retry_after("soon"), Duration::from_secs(1));
    }
}
