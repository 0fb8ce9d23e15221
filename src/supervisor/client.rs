//! The command line's side of a pod's control socket. Blocking: a client waits for its answers and does nothing else.
//! The messages are those of [`super::control`].

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, Pod};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, socket,
};
use nix::sys::stat::Mode;

use super::control::{Answer, Hello, MAXIMUM_PACKET, Request, VERSION};
use crate::linux::descriptors;
use crate::paths::Paths;

/// A connection to one pod's supervisor.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    server: Hello,
    /// What came along with answers and was not taken yet.
    descriptors: RefCell<Vec<OwnedFd>>,
}

/// Why the supervisor was not asked or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens: the pod has ended, or was never started in this boot.
    #[error("nothing of this pod runs")]
    NotRunning,
    /// The other end closed the connection.
    #[error("the pod's supervisor closed the connection")]
    HungUp,
    /// It did not answer in time.
    #[error(
        "the pod's supervisor has not answered within {0:?}; what it was doing is in its supervisor.log in the run directory"
    )]
    TimedOut(Duration),
    /// It answered something that does not belong here.
    #[error("the pod's supervisor (podlet {program}) answered in a way that this podlet does not know: {reason}")]
    Unexpected {
        /// Its version.
        program: String,
        /// What came.
        reason: String,
    },
    /// The request does not fit into a packet.
    #[error("the request is {0} bytes long; a request to a pod's supervisor has at most {MAXIMUM_PACKET}")]
    TooLong(usize),
    /// The supervisor said no; the text is for the user.
    #[error("{0}")]
    Refused(String),
    /// The system said no.
    #[error("could not talk to the pod's supervisor: {0}")]
    System(#[from] io::Error),
}

impl From<Errno> for ClientError {
    fn from(errno: Errno) -> ClientError {
        match errno {
            // A supervisor that died with something unread resets the connection, and takes nothing more.
            Errno::ECONNRESET | Errno::EPIPE | Errno::ENOTCONN => ClientError::HungUp,
            other => ClientError::System(other.into()),
        }
    }
}

/// How long a supervisor may take for the first answer. It is one thread that never waits for long.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Asks until there is an answer, for [`PATIENCE`] at most: a supervisor that hangs up has died over the question; its keeper
/// starts another, which is asked again.
pub fn again<T>(mut ask: impl FnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Err(ClientError::HungUp) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            done => return done,
        }
    }
}

impl Client {
    /// Connects and exchanges greetings.
    pub fn connect(paths: &Paths, uid: &str) -> Result<Client, ClientError> {
        Client::connect_with(paths, uid, None)
    }

    /// The pod and its events now. In one go: the supervisor finds greeting and question together.
    pub fn see(paths: &Paths, uid: &str) -> Result<(Pod, Vec<Event>), ClientError> {
        let client = Client::connect_with(paths, uid, Some(&Request::Get))?;
        let answer = client.receive_within(PATIENCE)?;
        client.state_in(answer)
    }

    fn connect_with(paths: &Paths, uid: &str, request: Option<&Request>) -> Result<Client, ClientError> {
        let directory =
            match open(&paths.pod_run(uid), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()) {
                Ok(directory) => directory,
                Err(Errno::ENOENT) => return Err(ClientError::NotRunning),
                Err(errno) => return Err(errno.into()),
            };
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
        // sockaddr_un holds 108 bytes (unix(7)); the way through the descriptor keeps any directory within them.
        let address = UnixAddr::new(format!("/proc/self/fd/{}/control.sock", directory.as_raw_fd()).as_str())?;
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => {}
            Err(Errno::ENOENT | Errno::ECONNREFUSED) => return Err(ClientError::NotRunning),
            Err(errno) => return Err(errno.into()),
        }
        let mut client = Client {
            socket,
            server: Hello { version: VERSION, program: String::new() },
            descriptors: RefCell::default(),
        };
        client.send_packet(&serde_json::to_vec(&Hello::ours()).map_err(io::Error::from)?, &[])?;
        if let Some(request) = request {
            client.send(request, &[])?;
        }
        let packet = client.receive_packet(Some(PATIENCE))?;
        client.server = serde_json::from_slice(&packet).map_err(|error| client.unexpected(error.to_string()))?;
        Ok(client)
    }

    /// What came along with the last answer.
    pub(super) fn take_descriptor(&self) -> Option<OwnedFd> {
        self.descriptors.borrow_mut().pop()
    }

    /// What the supervisor said of itself.
    pub fn server(&self) -> &Hello {
        &self.server
    }

    /// Asks; descriptors go along with [`Request::Exec`].
    pub fn send(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<(), ClientError> {
        self.send_packet(&serde_json::to_vec(request).map_err(io::Error::from)?, descriptors)
    }

    /// The next answer, however long it takes.
    pub fn receive(&self) -> Result<Answer, ClientError> {
        self.receive_answer(None)
    }

    /// The next answer, if it comes in time.
    pub fn receive_within(&self, patience: Duration) -> Result<Answer, ClientError> {
        self.receive_answer(Some(patience))
    }

    /// The pod and its events now.
    pub fn state(&self) -> Result<(Pod, Vec<Event>), ClientError> {
        let answer = self.answer_to(&Request::Get)?;
        self.state_in(answer)
    }

    fn state_in(&self, answer: Answer) -> Result<(Pod, Vec<Event>), ClientError> {
        match answer {
            Answer::State { pod, events } => Ok((*pod, events)),
            Answer::Refused { message } => Err(ClientError::Refused(message)),
            other => Err(self.unexpected(other.name().to_owned())),
        }
    }

    /// Asks for something that is only accepted or refused: [`Request::Delete`], [`Request::Apply`].
    pub fn ask(&self, request: &Request) -> Result<(), ClientError> {
        match self.answer_to(request)? {
            Answer::Accepted => Ok(()),
            other => Err(self.unexpected(other.name().to_owned())),
        }
    }

    /// Asks for something that is answered at once; a refusal is an error.
    pub(super) fn answer_to(&self, request: &Request) -> Result<Answer, ClientError> {
        self.send(request, &[])?;
        match self.receive_within(PATIENCE)? {
            Answer::Refused { message } => Err(ClientError::Refused(message)),
            answer => Ok(answer),
        }
    }

    pub(super) fn unexpected(&self, reason: String) -> ClientError {
        ClientError::Unexpected { program: self.server.program.clone(), reason }
    }

    fn receive_answer(&self, patience: Option<Duration>) -> Result<Answer, ClientError> {
        let mut whole = String::new();
        loop {
            let packet = self.receive_packet(patience)?;
            match serde_json::from_slice(&packet).map_err(|error| self.unexpected(error.to_string()))? {
                Answer::Part { text, last } => {
                    whole.push_str(&text);
                    if last {
                        return serde_json::from_str(&whole).map_err(|error| self.unexpected(error.to_string()));
                    }
                }
                answer => return Ok(answer),
            }
        }
    }

    fn send_packet(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), ClientError> {
        if bytes.len() > MAXIMUM_PACKET {
            return Err(ClientError::TooLong(bytes.len()));
        }
        let raw: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
        loop {
            // MSG_NOSIGNAL: a supervisor that dies must not end the client by SIGPIPE.
            match sendmsg::<()>(self.socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)
            {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn receive_packet(&self, patience: Option<Duration>) -> Result<Vec<u8>, ClientError> {
        if let Some(patience) = patience {
            self.wait(patience)?;
        }
        loop {
            match descriptors::receive_whole(self.socket.as_fd(), MAXIMUM_PACKET) {
                // A packet of no bytes and the end of the connection look alike (recv(2)); nobody sends empty packets.
                Ok((_, packet)) if packet.length == 0 => return Err(ClientError::HungUp),
                Ok((bytes, packet)) => {
                    *self.descriptors.borrow_mut() = packet.descriptors;
                    return Ok(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_packet()?,
                Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                    Some(errno) => return Err(errno.into()),
                    None => return Err(error.into()),
                },
            }
        }
    }

    fn wait_for_packet(&self) -> Result<(), ClientError> {
        match poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn wait(&self, patience: Duration) -> Result<(), ClientError> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(0) if left.is_zero() => return Err(ClientError::TimedOut(patience)),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for Client {
    /// For poll(2) beside other things: readable when an answer (or the end) is there.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
