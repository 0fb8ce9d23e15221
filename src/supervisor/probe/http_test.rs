//! Against servers of a few lines: what is sent, and what is made of the answers.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

/// Runs something in an event loop like the supervisor's.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// A server that answers by the path; what it was asked.
struct Server {
    port: u16,
    asked: Rc<RefCell<Vec<String>>>,
}

/// Plain, or with a certificate that nobody has signed.
async fn serve(tls: bool, answer: impl Fn(&str) -> String + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Rc::new(RefCell::new(Vec::new()));
    let (seen, answer) = (Rc::clone(&asked), Rc::new(answer));
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, answer) = (Rc::clone(&seen), Rc::clone(&answer));
            tokio::task::spawn_local(async move {
                if !tls {
                    return exchange(stream, &seen, &*answer).await;
                }
                if let Ok(stream) = acceptor().accept(stream).await {
                    exchange(stream, &seen, &*answer).await;
                }
            });
        }
    });
    Server { port, asked }
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from(include_bytes!("testdata/certificate.der").to_vec());
    let key = PrivateKeyDer::try_from(include_bytes!("testdata/key.der").to_vec()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate], key).unwrap()))
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &RefCell<Vec<String>>,
    answer: &dyn Fn(&str) -> String,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    seen.borrow_mut().push(request);
    let answer = answer(&path);
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn status(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn action(port: u16, more: Value) -> HTTPGetAction {
    let mut action = json!({"port": port, "path": "/"});
    action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(action).unwrap()
}

fn dialer() -> Dialer {
    Dialer { sandbox: None, address: "127.0.0.1".to_owned() }
}

fn get(port: u16, more: Value, purpose: &str) -> Get {
    Get::new(&action(port, more), &Container::default(), "127.0.0.1", purpose).unwrap()
}

async fn probe(port: u16, more: Value) -> ProbeOutcome {
    get(port, more, "probe").probe(&dialer(), Duration::from_secs(20)).await
}

#[test]
fn the_request_is_a_kubelets() {
    run(async {
        let server = serve(false, |_| status("200 OK", "", "")).await;
        assert_eq!(probe(server.port, json!({})).await, ProbeOutcome::Success);
        let plain = server.asked.borrow_mut().pop().unwrap();
        assert!(plain.starts_with("GET / HTTP/1.1\r\n"), "{plain}");
        for line in [
            format!("Host: 127.0.0.1:{}", server.port),
            "User-Agent: kube-probe/1.36".to_owned(),
            "Accept: */*".to_owned(),
            "Connection: close".to_owned(),
        ] {
            assert!(plain.contains(&format!("{line}\r\n")), "{line} in {plain}");
        }
        assert!(!plain.contains("Accept-Encoding"), "{plain}");
        let headers = json!({"path": "/a?b=c", "httpHeaders": [
            {"name": "X-Custom", "value": "one"}, {"name": "X-Custom", "value": "two"},
            {"name": "Host", "value": "example.org"}, {"name": "Accept", "value": ""},
            {"name": "User-Agent", "value": "mine"}]});
        assert_eq!(probe(server.port, headers).await, ProbeOutcome::Success);
        let custom = server.asked.borrow_mut().pop().unwrap();
        assert!(custom.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{custom}");
        for line in ["X-Custom: one", "X-Custom: two", "Host: example.org", "User-Agent: mine"] {
            assert!(custom.contains(&format!("{line}\r\n")), "{line} in {custom}");
        }
        assert!(!custom.contains("Accept"), "{custom}");
    });
}

#[test]
fn a_status_from_200_to_399_is_well() {
    run(async {
        let server = serve(false, |path| status(&format!("{} x", &path[1..]), "", "")).await;
        for (code, expected) in
            [("200", true), ("204", true), ("399", true), ("400", false), ("404", false), ("500", false)]
        {
            let outcome = probe(server.port, json!({"path": format!("/{code}")})).await;
            match expected {
                true if code == "399" => assert!(matches!(outcome, ProbeOutcome::Warning(_)), "{outcome:?}"),
                true => assert_eq!(outcome, ProbeOutcome::Success),
                false => {
                    let text = format!("HTTP probe failed with statuscode: {code}");
                    assert_eq!(outcome, ProbeOutcome::Failure(text));
                }
            }
        }
    });
}

#[test]
fn redirects_are_followed_on_the_same_host_and_not_for_ever() {
    run(async {
        let server = serve(false, |path| match path {
            "/same" => status("301 x", "Location: /well\r\n", ""),
            "/other" => status("302 x", "Location: http://elsewhere.invalid/\r\n", "moved"),
            "/loop" => status("307 x", "Location: /loop\r\n", ""),
            "/nowhere" => status("302 x", "", "lost"),
            _ => status("200 OK", "", ""),
        })
        .await;
        assert_eq!(probe(server.port, json!({"path": "/same"})).await, ProbeOutcome::Success);
        let warning = |body: &str| ProbeOutcome::Warning(format!("Probe terminated redirects, Response body: {body}"));
        assert_eq!(probe(server.port, json!({"path": "/other"})).await, warning("moved"));
        assert_eq!(probe(server.port, json!({"path": "/nowhere"})).await, warning("lost"));
        server.asked.borrow_mut().clear();
        let text = format!("Get \"http://127.0.0.1:{}/loop\": stopped after 10 redirects", server.port);
        assert_eq!(probe(server.port, json!({"path": "/loop"})).await, ProbeOutcome::Failure(text));
        assert_eq!(server.asked.borrow().len(), 10);
    });
}

#[test]
fn of_a_long_body_so_much_is_read() {
    run(async {
        let server = serve(false, |_| status("302 x", "", &"x".repeat(1 << 20))).await;
        let ProbeOutcome::Warning(text) = probe(server.port, json!({})).await else { panic!("a warning") };
        assert_eq!(text.len(), "Probe terminated redirects, Response body: ".len() + BODY_MAX);
        let cut = serve(false, |_| "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_owned()).await;
        let expected = ProbeOutcome::Error { state: ErrorState::Failure, message: "unexpected EOF".to_owned() };
        assert_eq!(probe(cut.port, json!({})).await, expected);
    });
}

#[test]
fn a_server_that_says_nothing_is_told_in_gos_words() {
    run(async {
        let silent = serve(false, |_| String::new()).await;
        let address = format!("http://127.0.0.1:{}/", silent.port);
        assert_eq!(probe(silent.port, json!({})).await, ProbeOutcome::Failure(format!("Get \"{address}\": EOF")));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let outcome = get(port, json!({}), "probe").probe(&dialer(), Duration::from_millis(50)).await;
        let text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        assert_eq!(outcome, ProbeOutcome::Failure(format!("Get \"http://127.0.0.1:{port}/\": {text}")));
    });
}

#[test]
fn over_tls_nothing_is_verified_and_a_plain_server_is_told() {
    run(async {
        let server = serve(true, |_| status("200 OK", "", "")).await;
        assert_eq!(probe(server.port, json!({"scheme": "HTTPS"})).await, ProbeOutcome::Success);
        assert!(server.asked.borrow()[0].contains(&format!("Host: 127.0.0.1:{}\r\n", server.port)));
        let plain = plain_at_once().await.port;
        let text = format!("Get \"https://127.0.0.1:{plain}/\": http: server gave HTTP response to HTTPS client");
        assert_eq!(probe(plain, json!({"scheme": "HTTPS"})).await, ProbeOutcome::Failure(text));
    });
}

/// A server as Go's: to what is no request it says so in plain HTTP.
async fn plain_at_once() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&asked);
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let well = text.starts_with("GET ");
            seen.borrow_mut().push(text);
            let answer = if well { status("500 x", "", "") } else { status("400 Bad Request", "", "") };
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    Server { port, asked }
}

#[test]
fn a_hook_takes_any_answer_and_falls_back_to_http() {
    run(async {
        let server = serve(false, |_| status("500 x", "", "")).await;
        let (result, fell_back) = get(server.port, json!({}), "lifecycle").hook(&dialer()).await;
        assert_eq!((result, fell_back), (Ok(()), false));
        assert!(server.asked.borrow()[0].contains("User-Agent: kube-lifecycle/1.36\r\n"));
        let plain = plain_at_once().await;
        let headers = json!({"scheme": "HTTPS", "httpHeaders": [{"name": "Authorization", "value": "secret"}]});
        let (result, fell_back) = get(plain.port, headers, "lifecycle").hook(&dialer()).await;
        assert_eq!((result, fell_back), (Ok(()), true));
        let last = plain.asked.borrow().last().unwrap().clone();
        assert!(last.starts_with("GET / ") && !last.contains("secret"), "{last}");
        let (result, _) = get(1, json!({"path": "/x"}), "lifecycle").hook(&dialer()).await;
        assert_eq!(
            result.unwrap_err(),
            "Get \"http://127.0.0.1:1/x\": dial tcp 127.0.0.1:1: connect: connection refused"
        );
    });
}
