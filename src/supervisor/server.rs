//! The supervisor's side of its control socket: accepts, checks who it is, reads requests, writes answers. What is asked for
//! is done elsewhere ([`super::requests`], [`super::exec`]). A client can make nothing wait: answers that it does not read
//! are queued up to a limit, then it is hung up on.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{ControlMessage, MsgFlags, SockFlag, accept4, getsockopt, sendmsg};
use nix::unistd::geteuid;
use serde::Deserialize;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{Sender, UnboundedSender, channel};

use super::control::{Answer, Hello, MAXIMUM_PACKET, VERSION};
use super::run::Happening;
use crate::linux::{descriptors, watch};

/// Answers that may wait for a client to read them.
const UNREAD_ANSWERS: usize = 64;
/// How long clients have to read their last answers when the pod is over.
const LAST_ANSWERS: Duration = Duration::from_millis(200);
/// Connections at once; more wait in the socket's backlog.
const MAXIMUM_CONNECTIONS: usize = 256;
/// So many followers are given to the keeper over a sleep, which has room for [`pause::message::HELD_MAX`] descriptors in all.
const MAXIMUM_FOLLOWERS: usize = 128;

/// What goes to a client together.
struct Outgoing {
    packets: Rc<Vec<Vec<u8>>>,
    /// Comes along with the first.
    descriptor: Option<OwnedFd>,
}

/// One client.
struct Connection {
    socket: Rc<AsyncFd<OwnedFd>>,
    answers: Sender<Outgoing>,
    /// Answers that are queued or being written.
    unwritten: Rc<Cell<usize>>,
    watches: bool,
    reader: tokio::task::AbortHandle,
    writer: tokio::task::JoinHandle<()>,
}

/// All clients.
#[derive(Default)]
pub struct Connections {
    open: HashMap<u64, Connection>,
    last: u64,
}

/// Accepts clients from here on.
pub fn listen(socket: OwnedFd, happenings: &UnboundedSender<Happening>) -> io::Result<()> {
    let listening = watch::input(socket)?;
    let happenings = happenings.clone();
    tokio::task::spawn_local(async move {
        while let Ok(mut ready) = listening.readable().await {
            match accept(&listening) {
                Ok(Some(client)) => drop(happenings.send(Happening::Connected(client))),
                Ok(None) => ready.clear_ready(),
                Err(error) => {
                    // Out of descriptors as a rule: the clients wait in the backlog, and nothing spins.
                    tracing::warn!("could not accept a client, trying again: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

fn accept(listening: &AsyncFd<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    match accept4(listening.get_ref().as_raw_fd(), flags) {
        Ok(number) => descriptors::inherited(number).map(Some),
        Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

impl Connections {
    /// Takes in a client, if it is the supervisor's own user or root. The socket's directory (0700) and mode (0600) have
    /// kept others away already; this holds when someone has changed them.
    pub fn accept(&mut self, socket: OwnedFd, happenings: &UnboundedSender<Happening>) {
        let allowed =
            getsockopt(&socket, PeerCredentials).is_ok_and(|peer| peer.uid() == 0 || peer.uid() == geteuid().as_raw());
        if !allowed || self.open.len() >= MAXIMUM_CONNECTIONS {
            tracing::warn!(allowed, open = self.open.len(), "a client was turned away");
            return;
        }
        if let Some(number) = self.enter(socket, Manners::Stranger, happenings)
            && let Ok(hello) = serde_json::to_vec(&Hello::ours())
        {
            self.send(number, Outgoing { packets: Rc::new(vec![hello]), descriptor: None });
        }
    }

    /// Goes on with a follower that was given away over a sleep ([`Connections::followers`]). It has heard all that was to be
    /// told until then.
    pub fn take_back(&mut self, socket: OwnedFd, happenings: &UnboundedSender<Happening>) {
        if let Some(number) = self.enter(socket, Manners::Greeted, happenings) {
            self.watch(number);
        }
    }

    fn enter(&mut self, socket: OwnedFd, manners: Manners, happenings: &UnboundedSender<Happening>) -> Option<u64> {
        self.last += 1;
        let number = self.last;
        let socket = match watch::input_and_output(socket) {
            Ok(socket) => Rc::new(socket),
            Err(error) => {
                tracing::warn!("could not watch a client: {error}");
                return None;
            }
        };
        let (answers, waiting) = channel(UNREAD_ANSWERS);
        let unwritten = Rc::new(Cell::new(0));
        let writer = tokio::task::spawn_local(write(Rc::clone(&socket), waiting, Rc::clone(&unwritten)));
        let reader = read(number, Rc::clone(&socket), manners, happenings.clone());
        let reader = tokio::task::spawn_local(reader).abort_handle();
        self.open.insert(number, Connection { socket, answers, unwritten, watches: false, reader, writer });
        Some(number)
    }

    /// Answers one client.
    pub fn answer(&mut self, number: u64, answer: &Answer) {
        self.answer_with(number, answer, None);
    }

    /// Answers one client, and gives it a descriptor.
    pub fn answer_with(&mut self, number: u64, answer: &Answer, descriptor: Option<OwnedFd>) {
        match answer.packets() {
            Ok(packets) => self.send(number, Outgoing { packets: Rc::new(packets), descriptor }),
            Err(error) => tracing::error!("an answer cannot be written as JSON: {error}"),
        }
    }

    fn send(&mut self, number: u64, packets: Outgoing) {
        let Some(connection) = self.open.get(&number) else { return };
        connection.unwritten.set(connection.unwritten.get() + 1);
        if connection.answers.try_send(packets).is_err() {
            tracing::info!(number, "a client does not read its answers and is hung up on");
            // Its writer waits for it, and has the socket open for as long.
            if let Some(connection) = self.open.remove(&number) {
                connection.reader.abort();
                connection.writer.abort();
            }
        }
    }

    /// From here on this client hears of each change.
    pub fn watch(&mut self, number: u64) {
        if let Some(connection) = self.open.get_mut(&number) {
            connection.watches = true;
        }
    }

    /// All clients, if none of them does more than follow, has anything still to hear, or has said or left anything unheard.
    pub fn followers(&self) -> Option<Vec<BorrowedFd<'_>>> {
        let follower = |connection: &Connection| {
            let socket = connection.socket.get_ref().as_fd();
            let quiet = || poll(&mut [PollFd::new(socket, PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(0);
            connection.watches && connection.unwritten.get() == 0 && quiet()
        };
        let all = self.open.len() <= MAXIMUM_FOLLOWERS && self.open.values().all(follower);
        all.then(|| self.open.values().map(|connection| connection.socket.get_ref().as_fd()).collect())
    }

    /// Whether anybody hears of changes.
    pub fn any_watches(&self) -> bool {
        self.open.values().any(|connection| connection.watches)
    }

    /// Tells all that watch.
    pub fn tell_watchers(&mut self, answer: &Answer) {
        let watchers: Vec<u64> =
            self.open.iter().filter(|(_, connection)| connection.watches).map(|(number, _)| *number).collect();
        if watchers.is_empty() {
            return;
        }
        match answer.packets().map(Rc::new) {
            Ok(packets) => {
                for number in watchers {
                    self.send(number, Outgoing { packets: Rc::clone(&packets), descriptor: None });
                }
            }
            Err(error) => tracing::error!("an answer cannot be written as JSON: {error}"),
        }
    }

    /// The pod is gone: all that watch hear it.
    pub fn removed(&mut self) {
        self.tell_watchers(&Answer::Removed);
    }

    /// Ends a connection; what was queued for it is still written.
    pub fn close(&mut self, number: u64) {
        if let Some(connection) = self.open.remove(&number) {
            connection.reader.abort();
        }
    }

    /// Lets go of all clients; what is queued for them is written before, if they read it soon.
    pub async fn finish(&mut self) {
        let mut writers = Vec::new();
        for (_, connection) in self.open.drain() {
            connection.reader.abort();
            writers.push(connection.writer);
        }
        let all = async {
            for writer in writers {
                let _ = writer.await;
            }
        };
        let _ = tokio::time::timeout(LAST_ANSWERS, all).await;
    }
}

/// Whether a client has said who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    Stranger,
    Greeted,
}

/// Reads requests until the client goes or says what cannot be understood.
async fn read(number: u64, socket: Rc<AsyncFd<OwnedFd>>, manners: Manners, happenings: UnboundedSender<Happening>) {
    if let Err(error) = read_requests(number, &socket, manners, &happenings).await {
        tracing::info!(number, "a client is hung up on: {error}");
    }
    let _ = happenings.send(Happening::Disconnected { connection: number });
}

async fn read_requests(
    number: u64,
    socket: &AsyncFd<OwnedFd>,
    manners: Manners,
    happenings: &UnboundedSender<Happening>,
) -> io::Result<()> {
    if manners == Manners::Stranger {
        let hello = receive(socket).await?;
        if hello.length == 0 {
            return Ok(());
        }
        let hello: Hello = serde_json::from_slice(&hello.bytes)?;
        // Later versions add requests and answers; those that are unknown here are refused below. None takes anything away.
        tracing::debug!(
            number,
            version = hello.version,
            ours = VERSION,
            program = hello.program,
            "a client has connected"
        );
    }
    loop {
        let packet = receive(socket).await?;
        if packet.length == 0 {
            return Ok(());
        }
        if packet.truncated {
            return Err(io::Error::other(format!(
                "a request of more than {MAXIMUM_PACKET} bytes or with too many descriptors"
            )));
        }
        let request = match serde_json::from_slice(&packet.bytes) {
            Ok(request) => Ok(request),
            // A newer client's, as a rule.
            Err(error) => Err(unknown(&packet.bytes, &error)?),
        };
        let _ = happenings.send(Happening::Requested { connection: number, request, descriptors: packet.descriptors });
    }
}

struct Packet {
    length: usize,
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    truncated: bool,
}

async fn receive(socket: &AsyncFd<OwnedFd>) -> io::Result<Packet> {
    loop {
        let mut ready = socket.readable().await?;
        match descriptors::receive_whole(socket.get_ref().as_fd(), MAXIMUM_PACKET) {
            Ok((bytes, packet)) => {
                let descriptors::Packet { length, descriptors, truncated } = packet;
                return Ok(Packet { length, bytes, descriptors, truncated });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) if error.raw_os_error() == Some(nix::libc::ECONNRESET) => {
                return Ok(Packet { length: 0, bytes: Vec::new(), descriptors: Vec::new(), truncated: false });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Writes what is queued, until the queue is closed or the client is gone.
async fn write(
    socket: Rc<AsyncFd<OwnedFd>>,
    mut waiting: tokio::sync::mpsc::Receiver<Outgoing>,
    unwritten: Rc<Cell<usize>>,
) {
    while let Some(Outgoing { packets, mut descriptor }) = waiting.recv().await {
        for packet in packets.iter() {
            if send(&socket, packet, descriptor.take()).await.is_err() {
                return;
            }
        }
        unwritten.set(unwritten.get() - 1);
    }
}

async fn send(socket: &AsyncFd<OwnedFd>, packet: &[u8], descriptor: Option<OwnedFd>) -> io::Result<()> {
    let numbers: Vec<i32> = descriptor.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights = if numbers.is_empty() { &[] } else { &rights[..] };
    loop {
        let mut ready = socket.writable().await?;
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        match sendmsg::<()>(socket.get_ref().as_raw_fd(), &[IoSlice::new(packet)], rights, flags, None) {
            Ok(_) => return Ok(()),
            Err(Errno::EAGAIN) => ready.clear_ready(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// What is said to a request that this version does not understand, if it is one at all.
fn unknown(bytes: &[u8], error: &serde_json::Error) -> io::Result<Answer> {
    #[derive(Deserialize)]
    struct Named {
        request: String,
    }
    let Named { request } = serde_json::from_slice(bytes)?;
    let message = format!(
        "the pod's supervisor (podlet {}) does not understand the request {request:?} ({error}); podlet upgrade puts it on your \
         podlet",
        crate::VERSION
    );
    Ok(Answer::Refused { message })
}
