//! GET as a kubelet sends it, for probes and for hooks: one connection for each request, no proxy, no compression, redirects
//! on the same host only.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction};

use super::dial::{Dialer, go_error, port_of};
use super::tls;
use super::url::Url;
use crate::pod::input::{ErrorState, ProbeOutcome};

/// So much of a body is read.
const BODY_MAX: usize = 10 * 1024;
/// So many requests are sent for one probe.
const REQUESTS_MAX: usize = 10;

/// One GET.
pub struct Get {
    url: Url,
    headers: HeaderMap,
    /// The `Host` that the manifest asks for.
    host: Option<HeaderValue>,
}

/// What a server answered in the end.
struct Answer {
    status: u16,
    body: Incoming,
}

impl Get {
    /// From the manifest. `purpose` is the word in the User-Agent, `probe` or `lifecycle`.
    pub fn new(action: &HTTPGetAction, container: &Container, address: &str, purpose: &str) -> Result<Get, String> {
        let port = port_of(&action.port, container)?;
        let host = action.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(address);
        let https = action.scheme.as_deref() == Some("HTTPS");
        let url = Url::new(https, host, port, action.path.as_deref().unwrap_or_default());
        let mut headers = HeaderMap::new();
        for given in action.http_headers.iter().flatten() {
            let name = HeaderName::from_bytes(given.name.as_bytes());
            let value = HeaderValue::from_bytes(given.value.as_bytes());
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(format!("net/http: invalid header field {:?}", given.name));
            };
            headers.append(name, value);
        }
        let agent = HeaderValue::from_str(&format!("kube-{purpose}/1.36"));
        // One that is there but empty is left out.
        for (name, usual) in [(header::USER_AGENT, agent.ok()), (header::ACCEPT, Some(HeaderValue::from_static("*/*")))]
        {
            match (headers.get(&name).map(HeaderValue::is_empty), usual) {
                (None, Some(usual)) => drop(headers.insert(name, usual)),
                (Some(true), _) => drop(headers.remove(name)),
                _ => {}
            }
        }
        let host = headers.remove(header::HOST).filter(|host| !host.is_empty());
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok(Get { url, headers, host })
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        self.url.authority()
    }

    /// As a probe, all of it within the timeout.
    pub async fn probe(mut self, dialer: &Dialer, timeout: Duration) -> ProbeOutcome {
        let deadline = tokio::time::Instant::now() + timeout;
        let answer = match tokio::time::timeout_at(deadline, self.send(dialer)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(message)) => return ProbeOutcome::Failure(self.failed(&message)),
            Err(_) => {
                let text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
                return ProbeOutcome::Failure(self.failed(text));
            }
        };
        let body = match tokio::time::timeout_at(deadline, read_body(answer.body)).await {
            Ok(Ok(body)) => body,
            Ok(Err(message)) => return ProbeOutcome::Error { state: ErrorState::Failure, message },
            Err(_) => {
                let text = "context deadline exceeded (Client.Timeout or context cancellation while reading body)";
                return ProbeOutcome::Error { state: ErrorState::Failure, message: text.to_owned() };
            }
        };
        match answer.status {
            200..=299 => ProbeOutcome::Success,
            300..=399 => ProbeOutcome::Warning(format!("Probe terminated redirects, Response body: {body}")),
            status => ProbeOutcome::Failure(format!("HTTP probe failed with statuscode: {status}")),
        }
    }

    /// As a hook, for as long as it takes: whatever is answered is well. The second value says that https was answered with
    /// http, and http was spoken then.
    pub async fn hook(mut self, dialer: &Dialer) -> (Result<(), String>, bool) {
        match self.send(dialer).await {
            Ok(_) => (Ok(()), false),
            Err(message) if message == tls::PLAIN_SERVER => {
                let told = self.failed(&message);
                self.url.https = false;
                self.headers.remove(header::AUTHORIZATION);
                match self.send(dialer).await {
                    Ok(_) => (Ok(()), true),
                    Err(_) => (Err(told), false),
                }
            }
            Err(message) => (Err(self.failed(&message)), false),
        }
    }

    fn failed(&self, message: &str) -> String {
        format!("Get \"{}\": {message}", self.url)
    }

    /// Sends it, and follows redirects for as long as they stay on the host where it began.
    async fn send(&mut self, dialer: &Dialer) -> Result<Answer, String> {
        let first_host = self.url.host.clone();
        for sent in 1.. {
            let response = self.send_once(dialer).await?;
            let status = response.status().as_u16();
            let location = response.headers().get(header::LOCATION).filter(|location| !location.is_empty());
            let location = location.and_then(|location| location.to_str().ok());
            let Some(location) = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)) else {
                return Ok(Answer { status, body: response.into_body() });
            };
            let (next, relative) = self.url.join(location)?;
            if next.host != first_host {
                return Ok(Answer { status, body: response.into_body() });
            }
            if (!self.url.https || next.https)
                && let Ok(referer) = HeaderValue::from_str(&self.url.to_string())
            {
                self.headers.insert(header::REFERER, referer);
            }
            self.host = self.host.take().filter(|_| relative);
            self.url = next;
            if sent >= REQUESTS_MAX {
                return Err(format!("stopped after {REQUESTS_MAX} redirects"));
            }
        }
        Err("no request was sent".to_owned())
    }

    async fn send_once(&self, dialer: &Dialer) -> Result<Response<Incoming>, String> {
        let stream = dialer.connect(&self.url.host, self.url.port).await?;
        if self.url.https {
            let stream = tls::begin(stream, &self.url.host).await?;
            return self.exchange(TokioIo::new(stream)).await;
        }
        self.exchange(TokioIo::new(stream)).await
    }

    async fn exchange(&self, stream: impl Read + Write + Unpin + 'static) -> Result<Response<Incoming>, String> {
        let host = match &self.host {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(&self.url.authority()).map_err(|error| error.to_string())?,
        };
        let mut request =
            Request::get(&self.url.target).body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
        request.headers_mut().insert(header::HOST, host);
        request.headers_mut().extend(self.headers.clone());
        let (mut sender, connection) =
            http1::Builder::new().title_case_headers(true).handshake(stream).await.map_err(|error| explain(&error))?;
        // It ends with the response's body, or with who waits for it.
        tokio::task::spawn_local(connection);
        sender.send_request(request).await.map_err(|error| explain(&error))
    }
}

/// What hyper says, in Go's words where Go has some for it.
fn explain(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return "EOF".to_owned();
    }
    if error.is_parse() {
        return format!("net/http: HTTP/1.x transport connection broken: malformed HTTP response ({error})");
    }
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<std::io::Error>()) {
        Some(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        Some(error) => format!("read: {}", go_error(error)),
        None => error.to_string(),
    }
}

/// As much of a body as counts; more is no error.
async fn read_body(mut body: Incoming) -> Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match explain(&error).as_str() {
            "EOF" => "unexpected EOF".to_owned(),
            other => other.to_owned(),
        })?;
        bytes.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
        if bytes.len() >= BODY_MAX {
            bytes.truncate(BODY_MAX);
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
#[path = "http_test.rs"]
mod tests;
