//! A proxy on loopback that leads to one server, whatever the name, and remembers what it was asked.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// It goes on until the test's process ends.
pub struct Proxy {
    pub address: SocketAddr,
    heads: Arc<Mutex<String>>,
}

impl Proxy {
    /// Knows one name, which it leads to the target whatever the port; with a login, `user:password` in base64, only for who has it.
    pub fn new(name: &'static str, target: SocketAddr, login: Option<String>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads: Arc<Mutex<String>> = Arc::default();
        let log = Arc::clone(&heads);
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap_or(0) > 0 {
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                log.lock().unwrap().push_str(&head);
                let wanted = login.as_ref().map(|login| format!("proxy-authorization: basic {login}").to_lowercase());
                let refused = if wanted.is_some_and(|wanted| !head.to_lowercase().contains(&wanted)) {
                    "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic"
                } else if !head.starts_with(&format!("CONNECT {name}:")) {
                    "403 Forbidden"
                } else {
                    lead(client, target);
                    continue;
                };
                let _ = write!(client, "HTTP/1.1 {refused}\r\n\r\n");
            }
        });
        Proxy { address, heads }
    }

    /// The heads of all requests.
    pub fn asked(&self) -> String {
        self.heads.lock().unwrap().clone()
    }
}

/// Both ways, until each end has said its last.
fn lead(mut client: TcpStream, target: SocketAddr) {
    let mut server = TcpStream::connect(target).unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut server, &mut client);
        let _ = client.shutdown(Shutdown::Both);
    });
}
