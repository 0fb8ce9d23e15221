//! Carries out one action after the other.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::noise::Noise;
use crate::script::Action;
use crate::{complain, load, say, script, serve, show, system};

/// Whether the action is over.
pub enum Outcome {
    /// Yes.
    Done,
    /// It has a thread now.
    GoesOn,
}

/// Does all of them, one after the other.
pub fn perform_all(actions: Vec<Action>) -> Result<Outcome, String> {
    let mut outcome = Outcome::Done;
    for action in actions {
        if let Outcome::GoesOn = perform(action)? {
            outcome = Outcome::GoesOn;
        }
    }
    Ok(outcome)
}

/// Does it.
pub fn perform(action: Action) -> Result<Outcome, String> {
    match action {
        Action::Print { text, error: false } => say(format!("{text}\n").as_bytes()),
        Action::Print { text, error: true } => {
            // As for any program: nobody could be told.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
        Action::Sleep(Some(duration)) => thread::sleep(duration),
        Action::Sleep(None) => loop {
            thread::park();
        },
        Action::Exit(code) => std::process::exit(code),
        Action::Die(signal) => return Err(system::die(signal)),
        Action::On(signal, reaction) => system::react(signal, reaction),
        Action::Serve(server) => {
            serve::start(server)?;
            return Ok(Outcome::GoesOn);
        }
        Action::Hold { port, address } => {
            // Kept to the end of the process.
            std::mem::forget(serve::listen(port, address.as_deref())?);
            return Ok(Outcome::GoesOn);
        }
        Action::Get { address, path, retry } => {
            let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            let answer = exchange(&address, request.as_bytes(), retry)?;
            let body = answer.windows(4).position(|window| window == b"\r\n\r\n").and_then(|at| answer.get(at + 4..));
            say(body.unwrap_or(&answer));
        }
        Action::Connect { address, send, retry } => say(&exchange(&address, send.as_bytes(), retry)?),
        Action::Allocate { per_second, until: Some(goal) } => {
            // Touched and kept to the end of the process.
            std::mem::forget(load::allocate(per_second, Some(goal)));
        }
        Action::Allocate { per_second, until: None } => {
            return background(move || std::mem::forget(load::allocate(per_second, None)));
        }
        Action::Children { count, orphans } => {
            for made in 0..count {
                system::make_child(orphans).map_err(|error| format!("child {} of {count}: {error}", made + 1))?;
            }
        }
        Action::Log(log) if log.count.is_some() => load::log(&log),
        Action::Log(log) => return background(move || load::log(&log)),
        Action::Noise { bytes, seed, one_line, stdout, stderr } => {
            let write = |stream: BorrowedFd<'_>, seed| {
                // Not through the standard library's buffer, which waits for the ends of lines.
                let stream = stream.try_clone_to_owned().map_err(|error| format!("could not open an output: {error}"));
                let noise = Noise::new(seed, bytes, one_line);
                stream.map(|stream| thread::spawn(move || load::write_all(noise, &mut File::from(stream))))
            };
            let out = stdout.then(|| write(std::io::stdout().as_fd(), seed)).transpose()?;
            let err = stderr.then(|| write(std::io::stderr().as_fd(), seed.wrapping_add(1))).transpose()?;
            for stream in [out, err].into_iter().flatten() {
                let _ = stream.join();
            }
        }
        Action::Heartbeat { file, every, id } => {
            let heart = load::Heartbeat::open(&file, every, id)?;
            return background(move || heart.beat());
        }
        Action::Write { file, text } => {
            fs::write(&file, format!("{text}\n")).map_err(|error| format!("could not write {file}: {error}"))?;
        }
        Action::Read(file) => say(&fs::read(&file).map_err(|error| format!("could not read {file}: {error}"))?),
        Action::Copy { from, to } => copy(&from, &to)?,
        Action::Await(file) => {
            while !Path::new(&file).exists() {
                thread::sleep(Duration::from_millis(10));
            }
        }
        Action::Next(file) => return perform_all(next(&file)?),
        Action::Show(topics) => say(show::show(&topics).as_bytes()),
        Action::Clock => {
            let (monotonic, boottime) = system::first_clocks();
            say(format!("monotonic {monotonic}\nboottime {boottime}\n").as_bytes());
        }
    }
    Ok(Outcome::Done)
}

/// Puts what one file holds into another, in place: a file that is mounted cannot be replaced. Locked, so that `next` finds the
/// one content or the other.
fn copy(from: &str, to: &str) -> Result<(), String> {
    let text = fs::read(from).map_err(|error| format!("could not read {from}: {error}"))?;
    let written = || {
        let mut file = File::options().write(true).create(true).truncate(false).open(to)?;
        file.lock()?;
        file.set_len(0)?;
        file.write_all(&text)
    };
    written().map_err(|error| format!("could not write {to}: {error}"))
}

/// The first line of a file as actions. It is taken out, unless it is the last.
fn next(path: &str) -> Result<Vec<Action>, String> {
    let mut text = String::new();
    let mut take = || {
        let mut file = File::options().read(true).write(true).open(path)?;
        file.lock()?;
        file.read_to_string(&mut text)?;
        if let Some((_, rest)) = text.split_once('\n').filter(|(_, rest)| !rest.is_empty()) {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(rest.as_bytes())?;
        }
        Ok::<(), std::io::Error>(())
    };
    take().map_err(|error| format!("could not take a line out of {path}: {error}"))?;
    let line = text.lines().next().unwrap_or_default();
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    script::read(&words).map_err(|why| format!("{path}: {why}"))
}

fn background(work: impl FnOnce() + Send + 'static) -> Result<Outcome, String> {
    let started = thread::Builder::new().stack_size(128 << 10).spawn(work);
    started.map(|_| Outcome::GoesOn).map_err(|error| format!("could not start a thread: {error}"))
}

/// Connects, sends, and takes what comes until the other side closes. Tries anew for as long as `retry` says.
fn exchange(address: &str, request: &[u8], retry: Duration) -> Result<Vec<u8>, String> {
    let began = Instant::now();
    loop {
        let failed = |error: std::io::Error| format!("{address}: {error}");
        let result = resolve(address).and_then(|address| {
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).map_err(failed)?;
            stream.write_all(request).map_err(failed)?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).map_err(failed)?;
            Ok(answer)
        });
        match result {
            Err(why) if began.elapsed() < retry => {
                complain(&format!("{why}; again"));
                thread::sleep(Duration::from_millis(100));
            }
            result => return result,
        }
    }
}

/// An address, `localhost`, or a name of /etc/hosts: what the pod itself knows, and no more.
fn resolve(text: &str) -> Result<SocketAddr, String> {
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("{text:?} is not host:port"))?;
    let port = port.parse().map_err(|_| format!("{text:?} has no port number"))?;
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let known = || {
        let hosts = fs::read_to_string("/etc/hosts").ok()?;
        let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
        lines
            .filter(|line| line.split_whitespace().skip(1).any(|name| name == host))
            .find_map(|line| line.split_whitespace().next()?.parse::<IpAddr>().ok())
    };
    let loopback = || (host == "localhost").then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = literal.or_else(known).or_else(loopback);
    address.map(|address| SocketAddr::new(address, port)).ok_or_else(|| format!("{host} is not in /etc/hosts"))
}
