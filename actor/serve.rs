//! Servers that are well, slow, flapping, late or wrong.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::grpc;
use crate::script::{Protocol, Serve, duration};
use crate::server::Server;

/// How long a silent client is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a server that may fall ill looks at the time.
const GLANCE: Duration = Duration::from_millis(10);

/// Listens on all addresses of both families, or on the one given.
pub fn listen(port: u16, address: Option<&str>) -> Result<TcpListener, String> {
    let bind = |address: IpAddr| TcpListener::bind(SocketAddr::new(address, port));
    let result = match address {
        Some(text) => match text.trim_matches(['[', ']']).parse() {
            Ok(address) => bind(address),
            Err(_) => return Err(format!("{text:?} is no IP address")),
        },
        // Without IPv6 in the kernel the first fails.
        None => bind(Ipv6Addr::UNSPECIFIED.into()).or_else(|_| bind(Ipv4Addr::UNSPECIFIED.into())),
    };
    result.map_err(|error| format!("could not listen on port {port}: {error}"))
}

/// Starts a server; the port is held when this returns, so that the next action finds it.
pub fn start(serve: Serve) -> Result<(), String> {
    let server = Arc::new(Server::new(serve));
    let open = || listen(server.serve.port, server.serve.address.as_deref());
    // A TCP server that is ill does not listen; the others answer badly.
    let absent_when_ill = server.serve.protocol == Protocol::Tcp && server.may_fall_ill();
    let listener = if absent_when_ill && !server.is_well() { None } else { Some(open()?) };
    let work = {
        let server = Arc::clone(&server);
        move || if absent_when_ill { come_and_go(&server, listener) } else { accept(&server, listener) }
    };
    thread::Builder::new()
        .stack_size(128 << 10)
        .spawn(work)
        .map_err(|error| format!("could not start a thread: {error}"))?;
    Ok(())
}

fn accept(server: &Arc<Server>, listener: Option<TcpListener>) {
    let Some(listener) = listener else { return };
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => answer(server, stream),
            // Out of descriptors, say: a little later there may be some.
            Err(_) => thread::sleep(GLANCE),
        }
    }
}

fn come_and_go(server: &Arc<Server>, mut listener: Option<TcpListener>) {
    loop {
        match (&listener, server.is_well()) {
            (Some(_), false) => listener = None,
            (None, true) => listener = listen(server.serve.port, server.serve.address.as_deref()).ok(),
            (Some(open), true) => {
                if let Err(error) = open.set_nonblocking(true) {
                    crate::complain(&format!("port {}: {error}", server.serve.port));
                }
                if let Ok((stream, _)) = open.accept()
                    && stream.set_nonblocking(false).is_ok()
                {
                    answer(server, stream);
                    continue;
                }
            }
            (None, false) => {}
        }
        thread::sleep(GLANCE);
    }
}

/// Each connection has its thread; what goes wrong with one is the client's matter.
fn answer(server: &Arc<Server>, stream: TcpStream) {
    let server = Arc::clone(server);
    let work = move || {
        let result = match server.serve.protocol {
            _ if stream.set_read_timeout(Some(PATIENCE)).is_err() => return,
            Protocol::Http => http(&server, stream),
            Protocol::Tcp => tcp(&server, stream),
            Protocol::Grpc => grpc::serve(&server, stream),
        };
        if let Err(error) = result
            && !matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
        {
            crate::complain(&format!("a client: {error}"));
        }
    };
    // No thread to be had: the connection is closed, as an overloaded server would.
    let _ = thread::Builder::new().stack_size(128 << 10).spawn(work);
}

fn tcp(server: &Server, mut stream: TcpStream) -> std::io::Result<()> {
    thread::sleep(server.serve.delay);
    match &server.serve.body {
        Some(reply) => stream.write_all(format!("{reply}\n").as_bytes()),
        None => Ok(()),
    }
}

fn http(server: &Server, mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") && request.len() < 16 << 10 {
        match stream.read(&mut buffer)? {
            0 => break,
            n => request.extend(buffer.iter().take(n)),
        }
    }
    let line = String::from_utf8_lossy(request.split(|b| *b == b'\r').next().unwrap_or_default()).into_owned();
    let path = line.split(' ').nth(1).unwrap_or("/");
    let mut status = if server.is_well() { server.serve.status } else { 503 };
    let mut delay = server.serve.delay;
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["", "status", code] => status = code.parse().unwrap_or(400),
        ["", "delay", text] => delay = duration(text).unwrap_or_default(),
        ["", "exit", code] => std::process::exit(code.parse().unwrap_or(1)),
        _ => {}
    }
    thread::sleep(delay);
    if server.serve.wrong {
        return stream.write_all(b"\x16\x03this is no HTTP\n");
    }
    let body = match &server.serve.body {
        Some(body) => format!("{body}\n"),
        None => {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            format!("hello from the actor in {}\n", name.trim())
        }
    };
    let reason = match status {
        200..300 => "OK",
        300..400 => "Elsewhere",
        400..500 => "Bad Request",
        _ => "Service Unavailable",
    };
    stream.write_all(
        format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    )
}
