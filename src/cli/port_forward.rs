//! `podlet port-forward`: ports of this machine that lead into a pod, also to what listens at its loopback alone. kubectl's
//! words and texts.
//!
//! Listeners are this process's own; the sockets that connect are made in the pod's network ([`tcp_socket`]), and bytes are
//! copied between the two, by two threads a connection.

use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use k8s_openapi::api::core::v1::Pod;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{self, AddressFamily};

use super::everywhere::Everywhere;
use super::signals::Told;
use super::watching::{Sight, Watch, wait_readable};
use super::{Caller, Failure, ask, outlook, require, resource};
use crate::linux::network::tcp_socket;
use crate::linux::privilege::Work;
use crate::paths::Paths;
use crate::supervisor::exec_session;

/// The words of `port-forward`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet port-forward pod/web 8080:80  localhost:8080 leads to port 80 of the
                                       pod
  podlet port-forward web 5000 6000    the same ports here and there
  podlet port-forward web :http        a free port here, a port by its name
                                       there
  podlet port-forward --address 0.0.0.0 web 8080:80
                                       for other machines, too

It goes on until Ctrl-C, or until the pod ends.")]
pub struct Words {
    /// pod/POD or POD, then [LOCAL:]PORT ….
    #[arg(value_name = "POD")]
    pub words: Vec<String>,
    /// Addresses of this machine to listen at; localhost is 127.0.0.1 and ::1.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', default_value = "localhost")]
    pub address: Vec<String>,
    /// For kubectl's users: a pod that is named is not waited for by kubectl either.
    #[arg(long, hide = true, value_name = "DURATION")]
    pub pod_running_timeout: Option<String>,
}

/// How long a connection into the pod may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A port here and one there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Forward {
    local: u16,
    remote: u16,
}

/// Forwards.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let [name, ports @ ..] = words.words.as_slice() else {
        return Err(Failure::usage("TYPE/NAME and list of ports are required for port-forward", "port-forward"));
    };
    if ports.is_empty() {
        return Err(Failure::usage("TYPE/NAME and list of ports are required for port-forward", "port-forward"));
    }
    let name = resource::pod_name(name)?;
    let pod = ask::pod(&caller.paths, everywhere.namespace(), &name)?.pod;
    let forwards = ports.iter().map(|port| parse(port, &pod)).collect::<Result<Vec<_>, _>>()?;
    let addresses = addresses(&words.address)?;
    let phase = outlook::phase(&pod);
    if phase != "Running" {
        let text = format!("unable to forward port because pod is not running. Current status={phase}");
        return Err(Failure::Error(text));
    }
    require(Work::Pods, caller)?;
    let signals = [Signal::SIGINT, Signal::SIGTERM].into_iter().map(|signal| Told::new(signal as i32));
    let told: Vec<Told> = signals
        .collect::<io::Result<_>>()
        .map_err(|error| Failure::Error(format!("could not take up signals: {error}")))?;
    let inside = Arc::new(Inside::find(&pod, caller)?);
    let mut any = false;
    for forward in &forwards {
        match listen(*forward, &addresses, &inside, caller) {
            Ok(()) => any = true,
            Err(why) => caller.notice(&format!("Unable to listen on port {}: {why}", forward.local)),
        }
    }
    caller.out.flush()?;
    if !any {
        let ports: Vec<String> = forwards.iter().map(|f| format!("{{{} {}}}", f.local, f.remote)).collect();
        let text = format!("unable to listen on any of the requested ports: [{}]", ports.join(" "));
        return Err(Failure::Error(text));
    }
    let mut watch = Watch::start(&caller.paths, pod.metadata.uid.as_deref().unwrap_or_default());
    loop {
        if let Some(descriptor) = watch.descriptor() {
            let descriptors: Vec<_> = [descriptor].into_iter().chain(told.iter().map(AsFd::as_fd)).collect();
            wait_readable(&descriptors, Duration::MAX);
        }
        if told.iter().any(|told| told.take() > 0) {
            return Ok(0);
        }
        match watch.next()? {
            Sight::State(pod, _) if outlook::phase(&pod) == "Running" => {}
            Sight::State(..) | Sight::Still(_) | Sight::Gone => return Err(Failure::error("lost connection to pod")),
        }
    }
}

/// `5000`, `8888:5000`, `:5000`, `8888:http`.
fn parse(word: &str, pod: &Pod) -> Result<Forward, Failure> {
    let parts: Vec<&str> = word.split(':').collect();
    let (local, remote) = match parts.as_slice() {
        [both] => (*both, *both),
        [local, remote] => (*local, *remote),
        _ => return Err(Failure::Error(format!("invalid port format '{word}'"))),
    };
    if remote.is_empty() {
        return Err(Failure::error("remote port cannot be empty"));
    }
    let number = |which: &str, text: &str| -> Result<u16, Failure> {
        text.parse().map_err(|_| {
            let why =
                if text.bytes().all(|byte| byte.is_ascii_digit()) { "value out of range" } else { "invalid syntax" };
            let said = format!("strconv.ParseUint: parsing {text:?}: {why}");
            Failure::Error(format!("error parsing {which} port '{text}': {said}"))
        })
    };
    // kubectl looks at the port here first.
    let here = match local {
        local if local.is_empty() || local == remote && !local.bytes().all(|byte| byte.is_ascii_digit()) => None,
        local => Some(number("local", local)?),
    };
    let named = !remote.bytes().all(|byte| byte.is_ascii_digit());
    let there = if named { port_named(remote, pod)? } else { number("remote", remote)? };
    if is_udp_only(there, pod) {
        return Err(Failure::Error(format!("UDP protocol is not supported for {remote}")));
    }
    if there == 0 {
        return Err(Failure::error("remote port must be > 0"));
    }
    let here = match here {
        Some(here) => here,
        None if local.is_empty() => 0,
        None => there,
    };
    Ok(Forward { local: here, remote: there })
}

fn ports(pod: &Pod) -> impl Iterator<Item = &k8s_openapi::api::core::v1::ContainerPort> {
    let containers = pod.spec.iter().flat_map(|spec| spec.containers.iter());
    containers.flat_map(|container| container.ports.iter().flatten())
}

fn port_named(name: &str, pod: &Pod) -> Result<u16, Failure> {
    let found = ports(pod).find(|port| port.name.as_deref() == Some(name));
    found.and_then(|port| u16::try_from(port.container_port).ok()).ok_or_else(|| {
        let pod = pod.metadata.name.as_deref().unwrap_or_default();
        Failure::Error(format!("Pod '{pod}' does not have a named port '{name}'"))
    })
}

fn is_udp_only(number: u16, pod: &Pod) -> bool {
    let mut known = ports(pod).filter(|port| port.container_port == i32::from(number)).peekable();
    known.peek().is_some() && known.all(|port| port.protocol.as_deref() == Some("UDP"))
}

/// The addresses, and whether it is enough that one of them can be listened at.
fn addresses(words: &[String]) -> Result<Vec<(IpAddr, bool)>, Failure> {
    let mut all: Vec<(IpAddr, bool)> = Vec::new();
    let mut add = |address: IpAddr, enough| {
        if all.iter().all(|(known, _)| *known != address) {
            all.push((address, enough));
        }
    };
    for word in words {
        if word == "localhost" {
            add(Ipv4Addr::LOCALHOST.into(), true);
            add(Ipv6Addr::LOCALHOST.into(), true);
        } else {
            add(word.parse().map_err(|_| Failure::Error(format!("{word} is not a valid IP")))?, false);
        }
    }
    all.sort_by_key(|(address, _)| address.to_string());
    Ok(all)
}

/// The way into a pod.
struct Inside {
    paths: Paths,
    uid: String,
    containers: Vec<String>,
    /// Its network namespace. A pod whose sandbox was made anew has another.
    network: Mutex<Arc<File>>,
}

impl Inside {
    fn find(pod: &Pod, caller: &Caller<'_>) -> Result<Inside, Failure> {
        let paths = caller.paths.clone();
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let containers = ask::container_names(pod).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let network = network_of(&paths, &uid, &containers).ok_or_else(|| {
            Failure::error("none of the pod's containers runs at the moment; there is nothing to lead to")
        })?;
        Ok(Inside { paths, uid, containers, network: Mutex::new(Arc::new(network)) })
    }

    fn network(&self) -> Arc<File> {
        Arc::clone(&self.network.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection to what listens at a port of the pod's loopback.
    fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let known = self.network();
        let error = match connect_in(&known, port) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let Some(network) = network_of(&self.paths, &self.uid, &self.containers) else { return Err(error) };
        if identity(&network)? == identity(&known)? {
            return Err(error);
        }
        let stream = connect_in(&network, port)?;
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(network);
        Ok(stream)
    }
}

fn identity(network: &File) -> io::Result<(u64, u64)> {
    network.metadata().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The pod's network namespace, by the first process of a container that runs.
fn network_of(paths: &Paths, uid: &str, containers: &[String]) -> Option<File> {
    containers.iter().find_map(|container| {
        let pid = exec_session::first_process(paths, uid, container).ok()?;
        let network = File::open(format!("/proc/{pid}/ns/net")).ok()?;
        // The number may have become another process's meanwhile: what the supervisor still says of it holds.
        (exec_session::first_process(paths, uid, container).ok()? == pid).then_some(network)
    })
}

/// As the kubelet: localhost by IPv4, then by IPv6.
fn connect_in(network: &File, port: u16) -> io::Result<TcpStream> {
    let connect = |address: IpAddr| -> io::Result<TcpStream> {
        let to = socket::SockaddrStorage::from(SocketAddr::new(address, port));
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let stream = TcpStream::from(tcp_socket(Some(network.as_fd()), family)?);
        stream.set_nonblocking(false)?;
        // The time that connect(2) may take, too: socket(7), SO_SNDTIMEO.
        stream.set_write_timeout(Some(PATIENCE))?;
        match socket::connect(stream.as_raw_fd(), &to) {
            Ok(()) => {}
            Err(Errno::EINPROGRESS) => return Err(Errno::ETIMEDOUT.into()),
            Err(errno) => return Err(errno.into()),
        }
        stream.set_write_timeout(None)?;
        Ok(stream)
    };
    connect(Ipv4Addr::LOCALHOST.into()).or_else(|error| connect(Ipv6Addr::LOCALHOST.into()).map_err(|_| error))
}

fn listen(
    forward: Forward,
    addresses: &[(IpAddr, bool)],
    inside: &Arc<Inside>,
    caller: &mut Caller<'_>,
) -> Result<(), String> {
    let mut local = forward.local;
    let mut listeners = Vec::new();
    let mut faults = Vec::new();
    let mut needed_failed = false;
    for (address, enough) in addresses {
        // A free port that one address has found is asked for at the others, too.
        match TcpListener::bind(SocketAddr::new(*address, local)) {
            Ok(listener) => {
                local = listener.local_addr().map_or(local, |address| address.port());
                listeners.push(listener);
            }
            Err(error) => {
                needed_failed |= !enough;
                faults.push(format!(
                    "unable to create listener: Error listen {}: {error}",
                    SocketAddr::new(*address, local)
                ));
            }
        }
    }
    if listeners.is_empty() || needed_failed {
        return Err(format!("Listeners failed to create with the following errors: [{}]", faults.join(" ")));
    }
    for listener in listeners {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        caller
            .print(&format!("Forwarding from {address} -> {}\n", forward.remote))
            .map_err(|error| error.to_string())?;
        let inside = Arc::clone(inside);
        let forward = Forward { local: address.port(), ..forward };
        std::thread::Builder::new()
            .spawn(move || accept(&listener, forward, &inside))
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn accept(listener: &TcpListener, Forward { local, remote }: Forward, inside: &Arc<Inside>) {
    for connection in listener.incoming() {
        let Ok(connection) = connection else {
            // Out of descriptors, perhaps: others end in time.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        tell(&mut io::stdout(), &format!("Handling connection for {local}"));
        let inside = Arc::clone(inside);
        let lead = move || match inside.connect(remote) {
            Ok(inside) => copy(&connection, &inside),
            Err(error) => {
                let why =
                    error.raw_os_error().map_or_else(|| error.to_string(), |n| Errno::from_raw(n).desc().to_owned());
                tell(
                    &mut io::stderr(),
                    &format!(
                        "error: forwarding {local} -> {remote}: localhost:{remote} in the pod does not answer: {why}"
                    ),
                );
            }
        };
        // Without a thread for it the connection is closed.
        if let Err(error) = std::thread::Builder::new().spawn(lead) {
            tell(&mut io::stderr(), &format!("error: forwarding {local} -> {remote}: {error}"));
        }
    }
}

/// These threads have no caller; a reader that has gone is told nothing more.
fn tell(out: &mut dyn Write, line: &str) {
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Both ways, until both have ended: one side may be done with sending long before the other.
fn copy(outside: &TcpStream, inside: &TcpStream) {
    std::thread::scope(|scope| {
        scope.spawn(|| one_way(outside, inside));
        one_way(inside, outside);
    });
}

fn one_way(mut from: &TcpStream, mut to: &TcpStream) {
    match io::copy(&mut from, &mut to) {
        Ok(_) => drop(to.shutdown(Shutdown::Write)),
        // Cut off: the other direction leads nowhere either.
        Err(_) => drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both))),
    }
}
