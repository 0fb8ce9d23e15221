//! What the program of `podlet.local/actor` does, seen from outside of it.
#![allow(clippy::unwrap_used)]

#[path = "common/image.rs"]
mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use podlet::image::Store;

use common::Scratch;

struct Actor {
    _scratch: Scratch,
    program: PathBuf,
}

impl Actor {
    fn new(name: &str) -> Actor {
        let scratch = Scratch::new(name);
        let image = Store::open(&scratch.path().join("images")).find("podlet.local/actor").unwrap();
        Actor { program: image.layers[0].join("actor"), _scratch: scratch }
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words.split(' ')).env_clear();
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    fn start(&self, words: &str) -> Running {
        Running(self.command(words).stdout(Stdio::piped()).spawn().unwrap())
    }
}

/// Ends with the test.
struct Running(Child);

impl Running {
    /// The next line of its output; waits for it.
    fn line(&mut self) -> String {
        let mut line = String::new();
        let mut byte = [0];
        let output = self.0.stdout.as_mut().unwrap();
        while output.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(char::from(byte[0]));
        }
        line
    }

    fn signal(&self, number: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.0.id() as i32), number).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody has, from below those that the kernel gives to whoever asks for any (ip_local_port_range, 32768 on):
/// the actor comes to it a moment later.
fn free_port() -> u16 {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    let begin = 20_000 + (std::process::id() % 10_000) as u16;
    let next = || begin + NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 1_000;
    std::iter::repeat_with(next).find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok()).unwrap()
}

/// How long a slow machine may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits for something that gives no event.
fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < PATIENCE, "never came about: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn actions_follow_each_other() {
    let actor = Actor::new("sequence");
    let output = actor.run("print hello there, print-error oh, sleep 1ms, exit 3, print never");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("hello there\n".to_owned(), "oh\n".to_owned()));
    assert_eq!(output.status.code(), Some(3));
    let output = actor.command("print").arg("a, b").args([",", "print", "c"]).output().unwrap();
    assert_eq!((text(&output.stdout), output.status.code()), ("a, b\nc\n".to_owned(), Some(0)));
}

#[test]
fn nothing_is_done_when_a_word_is_wrong() {
    let actor = Actor::new("wrong");
    for (words, why) in [
        ("print x, dance", "unknown action \"dance\""),
        ("print x, sleep", "sleep wants a duration"),
        ("print x, sleep soon", "\"soon\" is no duration"),
        ("print x, serve-http 80 colour=red", "serve-http has no option \"colour\""),
        ("print x, exit 1 2", "exit does not know what to do with \"2\""),
        ("print x, serve-http 70000", "\"70000\" is no number that fits here"),
        ("print x, die XYZ", "\"XYZ\" is no signal"),
        ("print x, on KILL ignore", "cannot be caught"),
        ("print x, show everything", "show knows"),
        ("print x, serve-grpc 1 status=MAYBE", "expected SERVING"),
        ("print x, allocate 99999999999Gi", "too large"),
        ("print x, , print y", "an action is missing"),
        (",", "an action is missing"),
    ] {
        let output = actor.run(words);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(text(&output.stderr).contains(why), "{words}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{words}");
    }
    let help = text(&actor.run("--help").stdout);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/actor.md")).unwrap();
    assert!(page.contains(help.trim_end()), "docs/actor.md should hold the text of --help");
}

#[test]
fn it_dies_by_signals() {
    let actor = Actor::new("die");
    for (name, number) in [("SEGV", 11), ("SIGILL", 4), ("fpe", 8), ("TRAP", 5), ("ABRT", 6), ("TERM", 15), ("9", 9)] {
        assert_eq!(actor.run(&format!("die {name}")).status.signal(), Some(number), "{name}");
    }
}

#[test]
fn it_obeys_ignores_reports_or_delays_sigterm() {
    use nix::sys::signal::Signal::{SIGTERM, SIGUSR1};
    let actor = Actor::new("term");
    let mut obeys = actor.start("print up, sleep forever");
    assert_eq!(obeys.line(), "up");
    obeys.signal(SIGTERM);
    assert_eq!(obeys.0.wait().unwrap().code(), Some(0));

    let mut other = actor.start("on TERM exit 7 after 100ms, on USR1 report, print up, sleep forever");
    assert_eq!(other.line(), "up");
    other.signal(SIGUSR1);
    assert_eq!(other.line(), "received SIGUSR1");
    let began = Instant::now();
    other.signal(SIGTERM);
    assert_eq!(other.line(), "received SIGTERM");
    assert_eq!(other.0.wait().unwrap().code(), Some(7));
    assert!(began.elapsed() >= Duration::from_millis(100));

    let mut stubborn = actor.start("on TERM ignore, on USR1 exit 4, print up, sleep forever");
    assert_eq!(stubborn.line(), "up");
    stubborn.signal(SIGTERM);
    stubborn.signal(SIGUSR1);
    assert_eq!(stubborn.0.wait().unwrap().code(), Some(4));
}

#[test]
fn http_is_well_ill_or_told_what_to_be() {
    let actor = Actor::new("http");
    let ask = |port: u16, path: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let port = free_port();
    let mut server = actor.start(&format!("serve-http {port} body=moin, print up"));
    assert_eq!(server.line(), "up");
    assert!(ask(port, "/status/418").starts_with("HTTP/1.1 418 "));
    assert!(ask(port, "/").ends_with("\r\n\r\nmoin\n"));
    assert_eq!(text(&actor.run(&format!("get localhost:{port}/ retry=60s")).stdout), "moin\n");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /exit/9 HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(server.0.wait().unwrap().code(), Some(9));

    let port = free_port();
    let began = Instant::now();
    let mut failing = actor.start(&format!("serve-http {port} fail-after=300ms, print up"));
    assert_eq!(failing.line(), "up");
    until("it fails", || ask(port, "/").starts_with("HTTP/1.1 503 "));
    assert!(began.elapsed() >= Duration::from_millis(300), "it failed after {:?}", began.elapsed());
}

#[test]
fn tcp_comes_and_goes() {
    let actor = Actor::new("tcp");
    let port = free_port();
    let began = Instant::now();
    let mut server = actor.start(&format!("serve-tcp {port} reply=hi ready-after=200ms, print up"));
    assert_eq!(server.line(), "up");
    until("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(began.elapsed() >= Duration::from_millis(200), "it listened after {:?}", began.elapsed());
    assert_eq!(text(&actor.run(&format!("connect 127.0.0.1:{port} retry=60s")).stdout), "hi\n");
}

#[test]
fn grpc_health_is_answered() {
    let actor = Actor::new("grpc");
    let port = free_port();
    let mut server = actor.start(&format!("serve-grpc {port} service=web status=NOT_SERVING, print up"));
    assert_eq!(server.line(), "up");
    // The frames of one call: preface, SETTINGS, HEADERS (not decoded by the actor), DATA with END_STREAM.
    let ask = |service: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x83".to_vec();
        let message = [&[0, 0, 0, 0, service.len() as u8 + 2, 0x0a, service.len() as u8], service.as_bytes()].concat();
        bytes.extend([0, 0, message.len() as u8, 0, 1, 0, 0, 0, 1]);
        bytes.extend(message);
        // GOAWAY, so that the server closes.
        bytes.extend(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0");
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    };
    let known = ask("web");
    let has = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(has(&known, b"\0\0\x07\0\0\0\0\0\x01\0\0\0\0\x02\x08\x02"), "{known:?}");
    assert!(has(&known, b"grpc-status\x010"));
    assert!(has(&ask("other"), b"grpc-status\x015"));
}

#[test]
fn log_lines_can_be_told_apart() {
    let actor = Actor::new("log");
    let output = actor.run("log 1000 size=12, log 1 size=300 binary=yes newline=no");
    let lines: Vec<&[u8]> = output.stdout.split(|b| *b == b'\n').collect();
    assert_eq!(lines.len(), 1001);
    assert_eq!((lines[0], lines[999]), (&b"00000001 xxx"[..], &b"00001000 xxx"[..]));
    assert_eq!(lines[1000].len(), 300);
    let bytes: std::collections::BTreeSet<u8> = lines[1000].iter().copied().collect();
    assert_eq!(bytes.len(), 255);
    assert!(actor.run("log 3 stream=stderr").stdout.is_empty());
}

#[test]
fn a_heartbeat_has_one_id_and_no_gap() {
    let actor = Actor::new("heart");
    let file = actor._scratch.path().join("beats");
    let running = actor.start(&format!("heartbeat {} every=5ms", file.display()));
    until("five beats", || std::fs::read_to_string(&file).unwrap_or_default().lines().count() > 5);
    drop(running);
    let text = std::fs::read_to_string(&file).unwrap();
    // It was killed: the last line may have no end.
    let text = &text[..text.rfind('\n').unwrap()];
    let beats: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let times: Vec<u64> = beats.iter().map(|beat| beat[2].parse().unwrap()).collect();
    for (index, beat) in beats.iter().enumerate() {
        assert_eq!((beat[0], beat[1]), (beats[0][0], (index + 1).to_string().as_str()));
    }
    assert!(times.is_sorted());
}

#[test]
fn the_clock_was_read_at_the_first_instruction() {
    let actor = Actor::new("clock");
    let now =
        || nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap().as_nanos() as u64;
    let before = now();
    let output = actor.run("sleep 30ms, clock");
    let after = now();
    let lines: Vec<String> = BufReader::new(&output.stdout[..]).lines().map(Result::unwrap).collect();
    let reading: u64 = lines[0].strip_prefix("monotonic ").unwrap().parse().unwrap();
    assert!(before < reading && reading + 30_000_000 < after);
    assert!(lines[1].strip_prefix("boottime ").unwrap().parse::<u64>().unwrap() >= reading);
}

#[test]
fn it_shows_its_world_and_leaves_zombies() {
    let actor = Actor::new("show");
    let output = text(&actor.run("zombies 3, show ids arguments").stdout);
    assert!(output.starts_with("ids:\n  Pid: "), "{output}");
    assert!(
        output.contains(
            "  \"zombies\"
  \"3,\"
"
        ),
        "{output}"
    );
    let mut running = actor.start("zombies 3, print up, sleep forever");
    assert_eq!(running.line(), "up");
    let pid = running.0.id();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let children: Vec<&str> = children.split_whitespace().collect();
    assert_eq!(children.len(), 3);
    for child in children {
        until("a zombie", || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap().contains(") Z "));
    }
    let memory = actor.start("allocate 1Gi/s until=8Mi, print up, sleep forever").line();
    assert_eq!(memory, "up");
}

#[test]
fn each_next_goes_on_with_a_line_of_its_own_and_the_last_repeats() {
    let actor = Actor::new("actor-next");
    let directory = actor._scratch.path().to_owned();
    let file = |name: &str| directory.join(name).display().to_string();
    std::fs::write(file("parts"), "print one , exit 1\nexit 2\nprint last\n").unwrap();
    let next = |code: i32| {
        let output = actor.run(&format!("next {}", file("parts")));
        assert_eq!(output.status.code(), Some(code));
        text(&output.stdout)
    };
    assert_eq!([next(1), next(2), next(0), next(0)], ["one\n", "", "last\n", "last\n"]);
    std::fs::write(file("more"), "exit 3\n").unwrap();
    let output = actor.run(&format!("copy {} {} , next {}", file("more"), file("parts"), file("parts")));
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    std::fs::write(file("bad"), "fly\n").unwrap();
    assert_eq!(actor.run(&format!("next {}", file("bad"))).status.code(), Some(1));
}
