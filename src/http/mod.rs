//! What podlet fetches from other machines goes through here: HTTP/1.1 by the crate `ureq`, TLS by `rustls`, proxies and
//! certificate authorities as the environment says ([`Environment`]).
//!
//! ```no_run
//! let text = podlet::http::fetch("https://example.org/pod.yaml", 4 << 20)?;
//! # Ok::<(), podlet::http::HttpError>(())
//! ```
//!
//! Redirects are followed by whoever asks ([`fetch`] does): what goes to a server, credentials above all, is decided for
//! each server anew. Nothing here waits for ever: a server that says nothing for some time ([`PATIENCE`], or what
//! the settings say) is given up.

mod address;
mod environment;
mod error;
mod proxy;
mod trust;

use std::io::Read;
use std::time::Duration;

use ureq::config::Config;
use ureq::{Agent, Body, Proxy};

pub use address::Address;
pub use environment::Environment;
pub use error::HttpError;
pub use trust::Trust;

/// How long a server may say nothing, when nobody says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often one may be sent on.
pub const REDIRECTS_MAX: usize = 10;
/// What is sent as `User-Agent`.
const NAME: &str = concat!("podlet/", env!("CARGO_PKG_VERSION"));

/// A server, with its connections and whom it has to prove itself to be.
#[derive(Clone, Debug)]
pub struct Server {
    agent: Agent,
    /// How long it may say nothing.
    patience: Duration,
}

/// What a server answers, the body still to be read.
#[derive(Debug)]
pub struct Answer {
    /// `200`.
    pub status: u16,
    address: Address,
    patience: Duration,
    response: ureq::http::Response<Body>,
}

/// `GET` or another method that sends nothing but a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Head and body.
    Get,
    /// The head alone.
    Head,
}

impl Server {
    /// For all addresses of this one's server, which may say nothing for `patience`.
    pub fn new(
        address: &Address,
        trust: &Trust,
        environment: &Environment,
        patience: Duration,
    ) -> Result<Server, HttpError> {
        crate::linux::names::use_files_and_dns();
        let proxy =
            match proxy::proxy_for(address, environment) {
                Some(proxy) => Some(Proxy::new(&proxy).map_err(|_| {
                    HttpError::Other("HTTPS_PROXY or HTTP_PROXY is not the address of a proxy".to_owned())
                })?),
                None => None,
            };
        let config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(NAME)
            .accept("*/*")
            .proxy(proxy)
            .tls_config(trust.configuration(environment).map_err(HttpError::Other)?)
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .timeout_per_write(Some(patience))
            .build();
        Ok(Server { agent: Agent::new_with_config(config), patience })
    }

    /// Ends all that is being asked or read, in other threads too; from here on nothing can be asked any more.
    pub fn close(self) {
        self.agent.shutdown();
    }

    /// Asks. `headers` go to this server only. Any status is an answer.
    pub fn ask(&self, method: Method, address: &Address, headers: &[(&str, &str)]) -> Result<Answer, HttpError> {
        let mut request = match method {
            Method::Get => self.agent.get(address.to_string()),
            Method::Head => self.agent.head(address.to_string()),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.call(), address)
    }

    /// Sends a form by `POST`.
    pub fn post(&self, address: &Address, form: &[(&str, &str)]) -> Result<Answer, HttpError> {
        self.answer(self.agent.post(address.to_string()).send_form(form.iter().copied()), address)
    }

    fn answer(
        &self,
        response: Result<ureq::http::Response<Body>, ureq::Error>,
        address: &Address,
    ) -> Result<Answer, HttpError> {
        let response = response.map_err(|error| HttpError::of(error, address, self.patience.as_secs()))?;
        let (status, address) = (response.status().as_u16(), address.clone());
        Ok(Answer { status, address, patience: self.patience, response })
    }
}

impl Answer {
    /// `200 OK`.
    pub fn status_line(&self) -> String {
        let status = self.response.status();
        format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or_default()).trim_end().to_owned()
    }

    /// A header's first value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// All values of a header.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.response.headers().get_all(name).into_iter().filter_map(|value| value.to_str().ok())
    }

    /// Where it sends on to, if it does.
    pub fn redirect(&self) -> Option<Result<Address, String>> {
        let sends_on = matches!(self.status, 301 | 302 | 303 | 307 | 308);
        self.header("location").filter(|_| sends_on).map(|location| self.address.join(location))
    }

    /// As many bytes as it says that it has, if it says so.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The body as it comes.
    pub fn into_reader(self) -> impl Read + Send {
        let Answer { address, patience, response, .. } = self;
        BodyReader { inner: response.into_body().into_with_config().limit(u64::MAX).reader(), address, patience }
    }

    /// The whole body, if it has no more than so many bytes.
    pub fn into_bytes(self, limit: u64) -> Result<Vec<u8>, HttpError> {
        let (address, length, patience) = (self.address.clone(), self.length(), self.patience);
        let too_long = || HttpError::Other(format!("{} has more than {limit} bytes", address.shown()));
        if length.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        let mut bytes = Vec::new();
        let read = self.into_reader().take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| HttpError::of_io(&error, &address, patience.as_secs()))?;
        if bytes.len() as u64 > limit {
            return Err(too_long());
        }
        Ok(bytes)
    }
}

struct BodyReader<R> {
    inner: R,
    address: Address,
    patience: Duration,
}

impl<R: Read> Read for BodyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let failed = |error| HttpError::of_io(&error, &self.address, self.patience.as_secs());
        self.inner.read(buffer).map_err(|error| std::io::Error::other(failed(error)))
    }
}

/// Fetches one document of at most `limit` bytes, without credentials. From https it is never led on to http.
pub fn fetch(address: &str, limit: u64) -> Result<Vec<u8>, HttpError> {
    let environment = Environment::of_process();
    let mut address = Address::parse(address).map_err(HttpError::Other)?;
    for _ in 0..=REDIRECTS_MAX {
        let server = Server::new(&address, &Trust::default(), &environment, PATIENCE)?;
        let answer = server.ask(Method::Get, &address, &[])?;
        if let Some(next) = answer.redirect() {
            let next = next.map_err(HttpError::Other)?;
            if address.is_https() && !next.is_https() {
                return Err(HttpError::Other(format!("{} leads on to {} unencrypted", address.shown(), next.shown())));
            }
            address = next;
            continue;
        }
        if answer.status != 200 {
            return Err(HttpError::Other(format!("{}: {}", address.shown(), answer.status_line())));
        }
        return answer.into_bytes(limit);
    }
    Err(HttpError::Other(format!("{} leads on more than {REDIRECTS_MAX} times", address.shown())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        // Nothing at all, and nothing more after the beginning.
        for said in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = Address::parse(&format!("http://{}/x", listener.local_addr().unwrap())).unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(said.as_bytes()).unwrap();
                // Until the other side goes.
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            });
            let (trust, environment) = (Trust::default(), Environment::default());
            let asking = Server::new(&address, &trust, &environment, Duration::from_secs(1)).unwrap();
            let answer = asking.ask(Method::Get, &address, &[]).and_then(|answer| answer.into_bytes(100));
            let error = answer.unwrap_err();
            assert!(error.may_pass(), "another try may have better luck");
            assert_eq!(error.to_string(), "no answer within 1 s");
            asking.close();
            server.join().unwrap();
        }
    }
}
