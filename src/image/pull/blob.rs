//! A layer's blob as a stream that survives its connections: what has come is not asked for again.

use std::io::{self, Read};

use super::super::ImageError;
use super::super::document::Descriptor;
use super::progress::Layer;
use super::repository::{Refusal, Repository, Thing, backoff};
use crate::http::Method;

/// How often in a row a connection may end without a byte.
const FAILURES_MAX: u32 = 5;
/// How many connections one blob may take.
const CONNECTIONS_MAX: u32 = 100;

/// The bytes of one blob, each once, as many as its descriptor says: whether they are the right ones is seen by who reads them.
pub struct Blob<'a> {
    repository: &'a Repository<'a>,
    descriptor: &'a Descriptor,
    progress: &'a Layer,
    body: Option<Box<dyn Read + Send>>,
    position: u64,
    failures: u32,
    connections: u32,
}

impl<'a> Blob<'a> {
    /// Nothing is asked for before something is read.
    pub fn new(repository: &'a Repository<'a>, descriptor: &'a Descriptor, progress: &'a Layer) -> Blob<'a> {
        Blob { repository, descriptor, progress, body: None, position: 0, failures: 0, connections: 0 }
    }

    fn connect(&mut self) -> Result<Box<dyn Read + Send>, Failure> {
        let digest = self.descriptor.digest.to_string();
        self.connections += 1;
        let answer = self.repository.ask(Method::Get, Thing::Blob(&digest), self.position);
        let answer = answer.map_err(|refusal| Failure::Final(refusal.words(&digest)))?;
        let (left, length) = (self.descriptor.size - self.position, answer.length());
        if answer.status == 206 {
            let range = answer.header("content-range").unwrap_or_default().to_owned();
            if !range.starts_with(&format!("bytes {}-", self.position)) {
                let asked = self.position;
                return Err(Failure::Final(format!(
                    "asked for {digest} from byte {asked} on, the server sends {range:?}"
                )));
            }
            return Ok(Box::new(answer.into_reader()));
        }
        if let Some(length) = length.filter(|length| *length != self.descriptor.size) {
            let size = self.descriptor.size;
            return Err(Failure::Final(format!("{digest} should have {size} bytes, the server sends {length}")));
        }
        let mut body = Box::new(answer.into_reader());
        // A server that knows no ranges begins at the beginning.
        let skip = self.descriptor.size - left;
        let skipped = io::copy(&mut body.by_ref().take(skip), &mut io::sink()).map_err(Failure::Passing)?;
        if skipped < skip {
            return Err(Failure::Passing(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(body)
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        if self.descriptor.size == 0 {
            return Ok(0);
        }
        if self.body.is_none() {
            self.body = Some(self.connect()?);
        }
        let Some(body) = &mut self.body else { return Ok(0) };
        let n = body.read(buffer).map_err(Failure::Passing)?;
        if n == 0 && self.position < self.descriptor.size {
            let cut = format!("the server ended after {} of {} bytes", self.position, self.descriptor.size);
            return Err(Failure::Passing(io::Error::other(cut)));
        }
        Ok(n)
    }
}

/// How a connection failed.
enum Failure {
    /// Another one may do better.
    Passing(io::Error),
    /// No use.
    Final(String),
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let failed = |why: String| io::Error::other(ImageError::Pull(why));
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.repository.is_ended() {
                return Err(failed("the pull was ended".to_owned()));
            }
            match self.try_read(buffer) {
                Ok(n) => {
                    self.position += n as u64;
                    self.failures = 0;
                    self.progress.add(n as u64);
                    return Ok(n);
                }
                Err(Failure::Final(why)) => return Err(failed(why)),
                // All is here; that the connection did not end well is of no concern.
                Err(Failure::Passing(_)) if self.position >= self.descriptor.size => return Ok(0),
                Err(Failure::Passing(error)) => {
                    self.body = None;
                    self.failures += 1;
                    if self.failures > FAILURES_MAX || self.connections >= CONNECTIONS_MAX {
                        return Err(failed(format!("{}: {error}", self.descriptor.digest)));
                    }
                    tracing::info!(
                        "{} is asked for again from byte {} on: {error}",
                        self.descriptor.digest,
                        self.position
                    );
                    self.repository.wait(backoff(self.failures));
                }
            }
        }
    }
}

impl Refusal {
    /// As containerd says it; `thing` is what was asked for.
    pub fn words(&self, thing: &str) -> String {
        match self {
            Refusal::NotFound => format!("{thing}: not found"),
            Refusal::Denied(said) => {
                let said = if said.is_empty() { String::new() } else { format!(": {said}") };
                format!("pull access denied, repository does not exist or may require authorization{said}")
            }
            Refusal::Failed(why) => why.clone(),
        }
    }
}
