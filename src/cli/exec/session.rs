//! The copying of an exec session: what the caller types or pipes in goes to the process, what it writes comes back, until
//! the supervisor reports its end. The pipes or the pty are this process's own; when it ends, the supervisor ends the
//! command.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read, write};

use super::super::{Caller, Failure};
use super::terminal::Raw;
use crate::linux::terminal::{self, Pair};
use crate::supervisor::client::ClientError;
use crate::supervisor::exec_session::{ExecSession, Step};

/// Copied at once.
const PIECE: usize = 64 * 1024;
/// How long a terminal's last output may take after the process has ended: the kernel hands it on in a worker of its own.
const LAST_OUTPUT: Duration = Duration::from_millis(300);

/// Which of the caller's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Out,
    Err,
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
        Ok((Session { input, outputs, tty: false }, [in_read, out_write, err_write]))
    }

    /// Over a new terminal of the size of the caller's, one of the container whose first process this is.
    pub fn over_terminal(first_process: i32) -> io::Result<(Session, [OwnedFd; 3])> {
        let Pair { master, slave } = terminal::open_in(first_process).or_else(|error| {
            tracing::debug!("the container's own terminals are out of reach, the machine's are used: {error}");
            terminal::open_here()
        })?;
        if let Ok(size) = terminal::size(io::stdin().as_fd()) {
            terminal::set_size(master.as_fd(), &size)?;
        }
        let input = Some(Input::new(master.try_clone()?)?);
        let outputs = vec![Output::new(master, To::Out)?];
        let slaves = [slave.try_clone()?, slave.try_clone()?, slave];
        Ok((Session { input, outputs, tty: true }, slaves))
    }

    /// Copies until the end.
    pub fn run(mut self, client: ExecSession, raw: Option<&Raw>, caller: &mut Caller<'_>) -> Result<End, Failure> {
        let mut client = Some(client);
        let mut code = None;
        let mut last_output = Instant::now();
        loop {
            let ready = self.wait(client.as_ref(), raw, code.is_some())?;
            if let Some(raw) = raw {
                if let Some(end) = raw.ends.iter().find(|told| told.take() > 0) {
                    return Ok(End::Signal(end.signal));
                }
                if raw.resized.take() > 0 {
                    self.resize();
                }
            }
            if let Some(answered) = client.as_mut().filter(|_| ready.client) {
                match answered.step() {
                    Ok(Step::Started { .. } | Step::Resumed) => {}
                    Ok(Step::Ended(ended)) => {
                        (code, last_output) = (Some(ended), Instant::now());
                        client = None;
                        self.input = None;
                    }
                    Err(ClientError::Refused(message)) => return Ok(End::Refused(message)),
                    // No supervisor came back: the pod has ended. What the process has said still comes.
                    Err(ClientError::HungUp | ClientError::NotRunning) => client = None,
                    Err(error) => return Err(Failure::Error(error.to_string())),
                }
            }
            if ready.stdin {
                self.take_input();
            }
            self.pass_input();
            if self.copy_outputs(caller)? {
                last_output = Instant::now();
                continue;
            }
            let ended = self.outputs.iter().all(|output| output.ended);
            match code {
                // Everything that it wrote into a pipe before its end was there to be read; who else holds the pipe is not
                // waited for.
                Some(code) if ended || !self.tty || last_output.elapsed() >= LAST_OUTPUT => return Ok(End::Code(code)),
                None if ended && client.is_none() => return Ok(End::Unknown),
                _ => {}
            }
        }
    }

    /// Waits until something can be done.
    fn wait(&self, client: Option<&ExecSession>, raw: Option<&Raw>, ending: bool) -> Result<Ready, Failure> {
        let stdin = io::stdin();
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut polled = Vec::new();
        let at_client = client.map(|client| push(&mut polled, readable(client.as_fd())));
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
        Ok(Ready { client: is_ready(at_client), stdin: is_ready(at_stdin) })
    }

    fn take_input(&mut self) {
        let Some(input) = &mut self.input else { return };
        let mut piece = vec![0; PIECE];
        match read(io::stdin(), &mut piece) {
            Ok(length) if length > 0 => {
                piece.truncate(length);
                input.waiting = piece;
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // A terminal that has been taken away (EIO) is at its end, too.
            Ok(_) | Err(_) => input.ended = true,
        }
    }

    fn pass_input(&mut self) {
        let Some(input) = &mut self.input else { return };
        while !input.waiting.is_empty() {
            match write(&input.to, &input.waiting) {
                Ok(length) => drop(input.waiting.drain(..length)),
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                // The process reads no more; what it writes is still wanted.
                Err(_) => {
                    self.input = None;
                    return;
                }
            }
        }
        // Closing is how the process sees the end. A terminal has no end but its hanging up.
        if input.ended && !self.tty {
            self.input = None;
        }
    }

    /// Copies what is there; says whether anything was.
    fn copy_outputs(&mut self, caller: &mut Caller<'_>) -> Result<bool, Failure> {
        let mut piece = vec![0; PIECE];
        let mut copied = false;
        for output in self.outputs.iter_mut().filter(|output| !output.ended) {
            match read(&output.from, &mut piece) {
                Ok(length) if length > 0 => {
                    copied = true;
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
        if let (Some(output), Ok(size)) =
            (self.outputs.first().filter(|_| self.tty), terminal::size(io::stdin().as_fd()))
        {
            let _ = terminal::set_size(output.from.as_fd(), &size);
        }
    }
}

struct Ready {
    client: bool,
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
