//! A terminal with podlet on it, as one who types has it. What is written there is waited for, never slept for.
//!
//! ```ignore
//! let mut terminal = Terminal::start(podlet.command(&["exec", "-it", "web", "--", "sh"]), 24, 80);
//! terminal.send("echo $((40 + 2))\r"); // the echo of what is typed must not be taken for the answer
//! terminal.wait_for("42\r\n");
//! let end = terminal.end();
//! ```

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::Winsize;
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use podlet::linux::terminal::{open_here, set_size};

use super::podlet::until;

/// How long what is waited for may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The outer end of a terminal, and the program on it.
pub struct Terminal {
    child: Child,
    master: File,
    /// Held so that the terminal outlives the program, and can be looked at.
    slave: File,
    before: Termios,
    pieces: mpsc::Receiver<Vec<u8>>,
    reader: JoinHandle<()>,
    /// Closing it ends the reader.
    stop: PipeWriter,
    /// All that was written there, a character a byte.
    pub seen: String,
    /// How much of it was waited for already.
    passed: usize,
}

impl Terminal {
    /// Starts the program with this as its controlling terminal.
    pub fn start(command: Command, rows: u16, columns: u16) -> Terminal {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // Close-on-exec: a program that holds its own master is never hung up.
        let pair = open_here().unwrap();
        set_size(pair.master.as_fd(), &size).unwrap();
        let (master, slave) = (File::from(pair.master), File::from(pair.slave));
        let before = tcgetattr(&slave).unwrap();
        // As a login does it: the leader of a session, whose foreground group it is.
        let mut on_terminal = Command::new("setsid");
        on_terminal.arg("--ctty").arg(command.get_program()).args(command.get_args()).env("TERM", "xterm");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => on_terminal.env(name, value),
                None => on_terminal.env_remove(name),
            };
        }
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = on_terminal.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let (sender, pieces) = mpsc::channel();
        let (stopped, stop) = std::io::pipe().unwrap();
        let copy = master.try_clone().unwrap();
        let reader = std::thread::spawn(move || read(copy, &stopped, &sender));
        Terminal { child, master, slave, before, pieces, reader, stop, seen: String::new(), passed: 0 }
    }

    /// The program's pid.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until this is written, after what was waited for before; answers what was written up to its end.
    pub fn wait_for(&mut self, text: &str) -> String {
        let begin = Instant::now();
        loop {
            let fresh = &self.seen[self.passed..];
            if let Some(at) = fresh.find(text) {
                let found = fresh[..at + text.len()].to_owned();
                self.passed += found.len();
                return found;
            }
            match self.pieces.recv_timeout(PATIENCE.saturating_sub(begin.elapsed())) {
                Ok(piece) => self.take(&piece),
                Err(_) => panic!("never written: {text:?}; all that was: {}", self.seen),
            }
        }
    }

    /// A byte is a character here: output need not be text.
    fn take(&mut self, piece: &[u8]) {
        self.seen.extend(piece.iter().map(|byte| char::from(*byte)));
    }

    /// Makes the window another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        set_size(self.master.as_fd(), &size).unwrap();
    }

    /// Whether each key goes to the program as it is typed.
    pub fn is_raw(&self) -> bool {
        let flags = tcgetattr(&self.slave).unwrap().local_flags;
        !flags.intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// Waits until it is.
    pub fn wait_until_raw(&self) {
        until("the terminal is raw", || self.is_raw());
    }

    /// Waits for the program's end; the terminal must be as it was before. Answers how it ended and all that was written.
    pub fn end(mut self) -> (ExitStatus, String) {
        let begin = Instant::now();
        let status = loop {
            // It may wait for its output to be read.
            while let Ok(piece) = self.pieces.recv_timeout(Duration::from_millis(5)) {
                self.take(&piece);
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end; all that was written: {}", self.seen);
        };
        assert!(tcgetattr(&self.slave).unwrap() == self.before, "the terminal is not given back as it was");
        // What is still under way comes before the reader sees that nobody has the other end any more.
        drop(self.slave);
        self.reader.join().unwrap();
        self.seen.extend(self.pieces.iter().flatten().map(char::from));
        (status, self.seen)
    }

    /// Kills the program; the terminal goes on.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Takes the terminal away, as a lost connection does, and waits for the program's end.
    pub fn hang_up(mut self) -> ExitStatus {
        drop(self.stop);
        self.reader.join().unwrap();
        // SIGHUP comes when the last descriptor of the master is closed.
        drop(self.master);
        let mut ended = None;
        until("the program ends without its terminal", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

fn read(mut master: File, stopped: &PipeReader, pieces: &mpsc::Sender<Vec<u8>>) {
    let mut piece = vec![0; 4096];
    loop {
        let mut polled =
            [PollFd::new(master.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::NONE).unwrap();
        if polled[1].any() == Some(true) {
            return;
        }
        match master.read(&mut piece) {
            Ok(length @ 1..) if pieces.send(piece[..length].to_vec()).is_ok() => {}
            // EIO: nobody has the other end any more.
            _ => return,
        }
    }
}
