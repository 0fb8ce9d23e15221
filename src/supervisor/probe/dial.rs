//! Connections to a pod, for probes and hooks. The errors are worded as Go words them, since kubelets are written in it and
//! their users know the texts.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use nix::libc;
use nix::sys::socket::{AddressFamily, setsockopt, sockopt};
use tokio::net::{TcpSocket, TcpStream};

use crate::linux::{names, network};
use crate::manifest::field::quote;

/// Where a pod is reached.
#[derive(Clone)]
pub struct Dialer {
    /// A process in the pod's network; none for a pod in the machine's.
    pub sandbox: Option<Rc<OwnedFd>>,
    /// The pod's address; loopback where it has none.
    pub address: String,
}

/// `host:port` as Go joins them.
pub fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl Dialer {
    /// Connects. The error is Go's: `dial tcp 10.0.0.5:8080: connect: connection refused`.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        let shown = join(host, port);
        let addresses = resolve(host, port).await.map_err(|error| format!("dial tcp: lookup {host}: {error}"))?;
        let mut failure = format!("dial tcp: lookup {host}: no such host");
        for address in addresses {
            match self.connect_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = format!("dial tcp {shown}: {error}"),
            }
        }
        Err(failure)
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<TcpStream, String> {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = network::tcp_socket(self.sandbox.as_ref().map(|process| process.as_fd()), family)
            .map_err(|error| format!("socket: {}", go_error(&error)))?;
        // As a kubelet's: closed, it lingers for a second instead of a minute in TIME_WAIT.
        let linger = libc::linger { l_onoff: 1, l_linger: 1 };
        let _ = setsockopt(&socket, sockopt::Linger, &linger);
        let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
        socket.connect(address).await.map_err(|error| format!("connect: {}", go_error(&error)))
    }
}

/// Addresses that need no look-up first; a name is looked up by a thread, in the machine's network.
async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    if host == "localhost" {
        return Ok(vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)]);
    }
    names::use_files_and_dns();
    let host = host.to_owned();
    let look = tokio::task::spawn_blocking(move || Ok((host.as_str(), port).to_socket_addrs()?.collect()));
    look.await.map_err(io::Error::other)?
}

/// An error of the system in Go's words, which are those of strerror(3) in lower case.
pub fn go_error(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}

/// A port by its number or its name among the container's; the errors are the kubelet's.
pub fn port_of(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_deref() == Some(name));
            match named {
                Some(port) => port.container_port,
                None => name.parse().map_err(|_| format!("strconv.Atoi: parsing {}: invalid syntax", quote(name)))?,
            }
        }
    };
    let valid = u16::try_from(number).ok().filter(|number| *number > 0);
    valid.ok_or_else(|| format!("invalid port number: {number}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ports_are_found_by_number_and_by_name() {
        let container: Container =
            serde_json::from_value(serde_json::json!({"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}))
                .unwrap();
        let named = |name: &str| port_of(&IntOrString::String(name.to_owned()), &container);
        assert_eq!(port_of(&IntOrString::Int(80), &container), Ok(80));
        assert_eq!(named("web"), Ok(8080));
        assert_eq!(named("81"), Ok(81));
        assert_eq!(named("nobody").unwrap_err(), "strconv.Atoi: parsing \"nobody\": invalid syntax");
        assert!(port_of(&IntOrString::Int(0), &container).is_err());
        assert!(port_of(&IntOrString::Int(70_000), &container).is_err());
    }

    #[test]
    fn errors_are_gos() {
        assert_eq!(go_error(&io::Error::from_raw_os_error(libc::ECONNREFUSED)), "connection refused");
        assert_eq!(go_error(&io::Error::from_raw_os_error(libc::ENETUNREACH)), "network is unreachable");
        assert_eq!(join("::1", 80), "[::1]:80");
    }
}
