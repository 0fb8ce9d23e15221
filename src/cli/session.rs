//! The copying of a session of `exec` or `attach`: what the caller types or pipes in goes to the process, what it writes comes
//! back, until the supervisor reports its end. Of an exec the pipes or the pty are this process's own; when it ends, the
//! supervisor ends the command. Of an attachment the input is the container's own pipe or terminal.

mod terminal;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read, write};

use super::{Caller, Failure};
use crate::linux::terminal::{self as pty, Pair};
use crate::supervisor::client::ClientError;
pub use terminal::Raw;

/// Copied at once.
const PIECE: usize = 64 * 1024;
/// How long a terminal's last output may take after the process has ended: the kernel hands it on in a worker of its own.
const LAST_OUTPUT: Duration = Duration::from_millis(300);

/// Which of the caller's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// Its stdout.
    Out,
    /// Its stderr.
    Err,
}

/// What the supervisor tells of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It goes on; perhaps with something that the caller should know.
    GoesOn(Option<String>),
    /// It has ended, with this exit code; perhaps with something that the caller should know.
    Ended(i32, Option<String>),
}

/// The connection over which a session is told of.
pub trait Peer: AsFd {
    /// What happens next. Does not wait when its descriptor is readable. All output that was there has been copied.
    fn step(&mut self) -> Result<Told, ClientError>;

    /// So many bytes were copied.
    fn copied(&mut self, _to: To, _bytes: usize) {}

    /// The caller's input has ended and was passed on. True: so does the session.
    fn input_ended(&mut self) -> bool {
        false
    }
}

/// Looks at what is typed, and takes out what is meant for podlet itself.
pub trait Filter {
    /// What of it is to be passed on. None: the caller wants to be let go.
    fn pass(&mut self, typed: Vec<u8>) -> Option<Vec<u8>>;
}

struct Input {
    to: OwnedFd,
    /// Taken from the caller and not yet taken by the process.
    waiting: Vec<u8>,
    /// Nothing more comes from the caller.
    ended: bool,
}

struct Output {
    from: OwnedFd,
    to: To,
    ended: bool,
}

/// The caller's ends of a session.
pub struct Session {
    input: Option<Input>,
    outputs: Vec<Output>,
    /// The pty, and not pipes.
    tty: bool,
    /// The terminal of the process, to be given the size of the caller's.
    terminal: Option<OwnedFd>,
    filter: Option<Box<dyn Filter>>,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The command's exit code.
    Code(i32),
    /// It was not run; why.
    Refused(String),
    /// The caller was told to end by this signal.
    Signal(i32),
    /// The supervisor went away and the output has ended; how the command ended is not known.
    Unknown,
}

impl Session {
    /// Over pipes. Answers the process's ends, too. Without `stdin` its input is at its end from the beginning.
    pub fn over_pipes(stdin: bool) -> io::Result<(Session, [OwnedFd; 3])> {
        let (in_read, in_write) = pipe2(OFlag::O_CLOEXEC)?;
        let (out_read, out_write) = pipe2(OFlag::O_CLOEXEC)?;
        let (err_read, err_write) = pipe2(OFlag::O_CLOEXEC)?;
        let input = if stdin { Some(Input::new(in_write)?) } else { None };
        let outputs = vec![Output::new(out_read, To::Out)?, Output::new(err_read, To::Err)?];
        let session = Session { input, outputs, tty: false, terminal: None, filter: None };
        Ok((session, [in_read, out_write, err_write]))
    }

    /// Of what a container writes, as it comes over these pipes.
    pub fn of_outputs([out, err]: [OwnedFd; 2]) -> io::Result<Session> {
        let outputs = vec![Output::new(out, To::Out)?, Output::new(err, To::Err)?];
        Ok(Session { input: None, outputs, tty: false, terminal: None, filter: None })
    }

    /// Passes standard input on to this pipe.
    pub fn pass_to(&mut self, pipe: OwnedFd) -> io::Result<()> {
        self.input = Some(Input::new(pipe)?);
        Ok(())
    }

    /// Passes standard input on to this terminal; with a filter it is typed, and the terminal gets the size of the caller's.
    pub fn type_into(&mut self, terminal: OwnedFd, filter: Option<Box<dyn Filter>>) -> io::Result<()> {
        self.input = Some(Input::new(terminal.try_clone()?)?);
        if filter.is_some() {
            // Another size first: then programs that were drawn before draw themselves again.
            if let Ok(mut size) = pty::size(io::stdin().as_fd()) {
                (size.ws_row, size.ws_col) = (size.ws_row.saturating_add(1), size.ws_col.saturating_add(1));
                pty::set_size(terminal.as_fd(), &size)?;
            }
            self.terminal = Some(terminal);
            self.resize();
        }
        self.filter = filter;
        Ok(())
    }

    /// Over a new terminal of the size of the caller's, one of the container whose first process this is.
    pub fn over_terminal(first_process: i32) -> io::Result<(Session, [OwnedFd; 3])> {
        let Pair { master, slave } = pty::open_in(first_process).or_else(|error| {
            tracing::debug!("the container's own terminals are out of reach, the machine's are used: {error}");
            pty::open_here()
        })?;
        let input = Some(Input::new(master.try_clone()?)?);
        let outputs = vec![Output::new(master.try_clone()?, To::Out)?];
        let slaves = [slave.try_clone()?, slave.try_clone()?, slave];
        let session = Session { input, outputs, tty: true, terminal: Some(master), filter: None };
        session.resize();
        Ok((session, slaves))
    }

    /// Copies until the end.
    pub fn run(mut self, peer: impl Peer, raw: Option<&Raw>, caller: &mut Caller<'_>) -> Result<End, Failure> {
        let mut peer = Some(peer);
        let mut code = None;
        let mut last_output = Instant::now();
        loop {
            let ready = self.wait(peer.as_ref().map(AsFd::as_fd), raw, code.is_some())?;
            if let Some(raw) = raw {
                if let Some(end) = raw.ends.iter().find(|told| told.take() > 0) {
                    return Ok(End::Signal(end.signal));
                }
                if raw.resized.take() > 0 {
                    self.resize();
                }
            }
            if ready.peer {
                while self.copy_outputs(peer.as_mut(), caller)? {}
            }
            if let Some(answered) = peer.as_mut().filter(|_| ready.peer) {
                match answered.step() {
                    Ok(Told::GoesOn(notice)) => notice.iter().for_each(|notice| caller.notice(notice)),
                    Ok(Told::Ended(ended, notice)) => {
                        notice.iter().for_each(|notice| caller.notice(notice));
                        (code, last_output) = (Some(ended), Instant::now());
                        peer = None;
                        self.input = None;
                    }
                    Err(ClientError::Refused(message)) => return Ok(End::Refused(message)),
                    // No supervisor came back: the pod has ended. What the process has said still comes.
                    Err(ClientError::HungUp | ClientError::NotRunning) => peer = None,
                    Err(error) => return Err(Failure::Error(error.to_string())),
                }
            }
            if ready.stdin && !self.take_input() {
                return Ok(End::Code(0));
            }
            if self.pass_input() && peer.as_mut().is_some_and(Peer::input_ended) {
                // What it says to the last of it is still waited for, a little.
                (code, last_output, self.tty) = (Some(0), Instant::now(), true);
            }
            if self.copy_outputs(peer.as_mut(), caller)? {
                last_output = Instant::now();
                continue;
            }
            let ended = self.outputs.iter().all(|output| output.ended);
            match code {
                // Everything that it wrote into a pipe before its end was there to be read; who else holds the pipe is not
                // waited for.
                Some(code) if ended || !self.tty || last_output.elapsed() >= LAST_OUTPUT => return Ok(End::Code(code)),
                None if ended && peer.is_none() => return Ok(End::Unknown),
                _ => {}
            }
        }
    }

    /// Waits until something can be done.
    fn wait(&self, peer: Option<BorrowedFd<'_>>, raw: Option<&Raw>, ending: bool) -> Result<Ready, Failure> {
        let stdin = io::stdin();
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut polled = Vec::new();
        let at_peer = peer.map(|peer| push(&mut polled, readable(peer)));
        let wants_stdin = self.input.as_ref().is_some_and(|input| !input.ended && input.waiting.is_empty());
        let at_stdin = wants_stdin.then(|| push(&mut polled, readable(stdin.as_fd())));
        if let Some(input) = self.input.as_ref().filter(|input| !input.waiting.is_empty()) {
            polled.push(PollFd::new(input.to.as_fd(), PollFlags::POLLOUT));
        }
        polled.extend(self.outputs.iter().filter(|output| !output.ended).map(|output| readable(output.from.as_fd())));
        if let Some(raw) = raw {
            polled.push(readable(raw.resized.as_fd()));
            polled.extend(raw.ends.iter().map(|told| readable(told.as_fd())));
        }
        let timeout = if ending { PollTimeout::from(20u8) } else { PollTimeout::NONE };
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Failure::Error(format!("could not wait for the session (poll): {errno}"))),
        }
        let is_ready = |at: Option<usize>| at.and_then(|at| polled.get(at)?.any()).unwrap_or(false);
        Ok(Ready { peer: is_ready(at_peer), stdin: is_ready(at_stdin) })
    }

    /// Takes what the caller types; false: that was the wish to be let go.
    fn take_input(&mut self) -> bool {
        let Some(input) = &mut self.input else { return true };
        let mut piece = vec![0; PIECE];
        match read(io::stdin(), &mut piece) {
            Ok(length) if length > 0 => {
                piece.truncate(length);
                match &mut self.filter {
                    None => input.waiting = piece,
                    Some(filter) => match filter.pass(piece) {
                        Some(rest) => input.waiting = rest,
                        None => return false,
                    },
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // A terminal that has been taken away (EIO) is at its end, too.
            Ok(_) | Err(_) => input.ended = true,
        }
        true
    }

    /// Passes on what was taken, as far as it goes; whether that was the last.
    fn pass_input(&mut self) -> bool {
        let Some(input) = &mut self.input else { return false };
        while !input.waiting.is_empty() {
            match write(&input.to, &input.waiting) {
                Ok(length) => drop(input.waiting.drain(..length)),
                Err(Errno::EAGAIN) => return false,
                Err(Errno::EINTR) => {}
                // The process reads no more; what it writes is still wanted.
                Err(_) => {
                    self.input = None;
                    return false;
                }
            }
        }
        // Closing is how the process sees the end. A terminal has no end but its hanging up.
        let ended = input.ended;
        if ended && !self.tty {
            self.input = None;
        }
        ended
    }

    /// Copies what is there; says whether anything was.
    fn copy_outputs<P: Peer>(&mut self, mut peer: Option<&mut P>, caller: &mut Caller<'_>) -> Result<bool, Failure> {
        let mut piece = vec![0; PIECE];
        let mut copied = false;
        for output in self.outputs.iter_mut().filter(|output| !output.ended) {
            match read(&output.from, &mut piece) {
                Ok(length) if length > 0 => {
                    copied = true;
                    peer.iter_mut().for_each(|peer| peer.copied(output.to, length));
                    let bytes = piece.get(..length).unwrap_or_default();
                    match output.to {
                        To::Out => {
                            caller.out.write_all(bytes)?;
                            caller.out.flush()?;
                        }
                        // An stderr that nobody reads does not end the command.
                        To::Err => drop(caller.err.write_all(bytes)),
                    }
                }
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // A pty whose other side is closed answers EIO where a pipe answers with its end.
                Ok(_) | Err(_) => output.ended = true,
            }
        }
        Ok(copied)
    }

    fn resize(&self) {
        if let (Some(terminal), Ok(size)) = (&self.terminal, pty::size(io::stdin().as_fd())) {
            let _ = pty::set_size(terminal.as_fd(), &size);
        }
    }
}

struct Ready {
    peer: bool,
    stdin: bool,
}

fn push<'fd>(polled: &mut Vec<PollFd<'fd>>, entry: PollFd<'fd>) -> usize {
    polled.push(entry);
    polled.len() - 1
}

impl Input {
    fn new(to: OwnedFd) -> io::Result<Input> {
        nonblocking(to.as_fd())?;
        Ok(Input { to, waiting: Vec::new(), ended: false })
    }
}

impl Output {
    fn new(from: OwnedFd, to: To) -> io::Result<Output> {
        nonblocking(from.as_fd())?;
        Ok(Output { from, to, ended: false })
    }
}

/// Of this end only: the process's end is another open file.
fn nonblocking(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(descriptor, FcntlArg::F_GETFL)?);
    fcntl(descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
