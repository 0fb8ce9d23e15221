//! `grpc.health.v1.Health/Check` over a plain connection: HTTP/2 by hyper; of gRPC only what this one call takes
//! (PROTOCOL-HTTP2.md and health.proto of the gRPC project): a five-byte head before each message, one field in each.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::dial::{Dialer, join};
use crate::manifest::field::quote;
use crate::pod::backoff::go_duration;
use crate::pod::input::ProbeOutcome;

/// No health answer is longer.
const ANSWER_MAX: usize = 16 * 1024;
/// How long to wait before a server that refused is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// A status of gRPC.
struct Status {
    code: u32,
    message: String,
}

/// Why there is no answer.
enum Failure {
    /// The server speaks no HTTP/2.
    Connection(String),
    /// The call has failed.
    Call(Status),
}

/// Asks for the health of a service.
pub async fn probe(dialer: &Dialer, port: u16, service: &str, timeout: Duration) -> ProbeOutcome {
    let deadline = Instant::now() + timeout;
    let address = join(&dialer.address, port);
    let within = go_duration(timeout);
    let not_connected = || {
        let address = quote(&address);
        format!("timeout: failed to connect service {address} within {within}: context deadline exceeded")
    };
    let failure = |text: String| ProbeOutcome::Failure(text);
    let Ok(stream) = tokio::time::timeout_at(deadline, connect(dialer, port)).await else {
        return failure(not_connected());
    };
    let checked = tokio::time::timeout_at(deadline, check(stream, &address, service)).await;
    match checked {
        Ok(Ok(1)) => ProbeOutcome::Success,
        Ok(Ok(status)) => {
            let name = match status {
                0 => "UNKNOWN".to_owned(),
                2 => "NOT_SERVING".to_owned(),
                3 => "SERVICE_UNKNOWN".to_owned(),
                other => other.to_string(),
            };
            failure(format!("service unhealthy (responded with {})", quote(&name)))
        }
        Ok(Err(Failure::Connection(why))) => failure(format!("{} ({why})", not_connected())),
        Err(_) => failure(format!("timeout: health rpc did not complete within {within}")),
        Ok(Err(Failure::Call(Status { code: 4, .. }))) => {
            failure(format!("timeout: health rpc did not complete within {within}"))
        }
        Ok(Err(Failure::Call(Status { code: 12, message }))) => failure(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
        )),
        Ok(Err(Failure::Call(Status { code, message }))) => {
            let code = name_of(code);
            failure(format!("error: health rpc probe failed: rpc error: code = {code} desc = {message}"))
        }
    }
}

/// Connects; a server that refuses is asked again until the probe's time is over, as Go's client does it.
async fn connect(dialer: &Dialer, port: u16) -> TcpStream {
    loop {
        match dialer.connect(&dialer.address, port).await {
            Ok(stream) => return stream,
            Err(error) => tracing::trace!("grpc probe: {error}"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn check(stream: TcpStream, address: &str, service: &str) -> Result<u64, Failure> {
    let connection = |error: hyper::Error| Failure::Connection(error.to_string());
    let (mut sender, running) = http2::handshake(LocalExecutor, TokioIo::new(stream)).await.map_err(connection)?;
    tokio::task::spawn_local(running);
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.36")
        .body(Full::new(Bytes::from(message(service))))
        .map_err(|error| Failure::Connection(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(connection)?;
    read_answer(response).await
}

async fn read_answer(response: Response<Incoming>) -> Result<u64, Failure> {
    let failed = |code, message: String| Failure::Call(Status { code, message });
    let http = response.status().as_u16();
    if let Some(status) = status_of(response.headers()).filter(|status| status.code != 0) {
        return Err(Failure::Call(status));
    }
    if http != 200 {
        let text = format!("unexpected HTTP status code received from server: {http}");
        // As gRPC maps the codes of HTTP: 404 is what a server without gRPC says.
        return Err(failed(if http == 404 { 12 } else { 14 }, text));
    }
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    let mut status = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failed(14, error.to_string()))?;
        match frame.into_data() {
            Ok(data) if bytes.len() + data.len() <= ANSWER_MAX => bytes.extend_from_slice(&data),
            Ok(_) => return Err(failed(8, "grpc: received message larger than max".to_owned())),
            Err(frame) => status = frame.trailers_ref().and_then(status_of).or(status),
        }
    }
    match status {
        None => Err(failed(13, "server closed the stream without sending trailers".to_owned())),
        Some(status) if status.code != 0 => Err(Failure::Call(status)),
        Some(_) => health(&bytes).ok_or_else(|| failed(13, "the answer is no HealthCheckResponse".to_owned())),
    }
}

fn status_of(headers: &HeaderMap) -> Option<Status> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let code = text("grpc-status")?.parse().ok()?;
    Some(Status { code, message: unescape(text("grpc-message").unwrap_or_default()) })
}

/// `%20` and the like, as `grpc-message` has them.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `HealthCheckRequest { string service = 1; }` behind its head: not compressed, length.
fn message(service: &str) -> Vec<u8> {
    let mut field = Vec::new();
    if !service.is_empty() {
        field.push(1 << 3 | 2);
        let mut length = service.len();
        while length >= 0x80 {
            field.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
            length >>= 7;
        }
        field.push(u8::try_from(length).unwrap_or_default());
        field.extend_from_slice(service.as_bytes());
    }
    let mut message = vec![0];
    message.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
    message.append(&mut field);
    message
}

/// `HealthCheckResponse { ServingStatus status = 1; }` behind its head; fields that are not known are passed over.
fn health(bytes: &[u8]) -> Option<u64> {
    let (head, rest) = bytes.split_at_checked(5)?;
    let length = usize::try_from(u32::from_be_bytes(head.get(1..)?.try_into().ok()?)).ok()?;
    let mut rest = rest.get(..length).filter(|_| head.first() == Some(&0))?;
    let mut status = 0;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = varint(&mut rest)?,
            (_, 0) => drop(varint(&mut rest)?),
            (_, 1) => rest = rest.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (_, 5) => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// As Go prints codes.
fn name_of(code: u32) -> String {
    const NAMES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    let name = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    name.map_or_else(|| format!("Code({code})"), ToString::to_string)
}

/// Tasks of the event loop's one thread.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_and_answers_read() {
        assert_eq!(message(""), [0, 0, 0, 0, 0]);
        assert_eq!(message("ab"), [0, 0, 0, 0, 4, 10, 2, b'a', b'b']);
        assert_eq!(message(&"x".repeat(300))[5..8], [10, 0xac, 2]);
        assert_eq!(health(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        assert_eq!(health(&[0, 0, 0, 0, 0]), Some(0));
        assert_eq!(health(&[0, 0, 0, 0, 6, 18, 2, 0, 0, 8, 2]), Some(2));
        for broken in [&[][..], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 2, 8], &[0, 0, 0, 0, 1, 8], &[0, 0, 0, 0, 2, 8, 0x80]] {
            assert_eq!(health(broken), None, "{broken:?}");
        }
        assert_eq!(unescape("unknown%20service%"), "unknown service%");
        assert_eq!((name_of(5).as_str(), name_of(99).as_str()), ("NotFound", "Code(99)"));
    }
}
