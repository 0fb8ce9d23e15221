//! From words to actions. Nothing is carried out here.

use std::time::Duration;

use crate::system::{Reaction, signal_number};

/// One thing to do.
pub enum Action {
    Print {
        text: String,
        error: bool,
    },
    /// `None`: for ever.
    Sleep(Option<Duration>),
    Exit(i32),
    Die(i32),
    On(i32, Reaction),
    Serve(Serve),
    Hold {
        port: u16,
        address: Option<String>,
    },
    Get {
        address: String,
        path: String,
        retry: Duration,
    },
    Connect {
        address: String,
        send: String,
        retry: Duration,
    },
    Allocate {
        per_second: u64,
        until: Option<u64>,
    },
    Children {
        count: u64,
        orphans: bool,
    },
    Log(Log),
    Noise {
        bytes: u64,
        seed: u64,
        one_line: bool,
        stdout: bool,
        stderr: bool,
    },
    Heartbeat {
        file: String,
        every: Duration,
        id: Option<String>,
    },
    Write {
        file: String,
        text: String,
    },
    Read(String),
    Copy {
        from: String,
        to: String,
    },
    /// Waits until there is such a file.
    Await(String),
    /// Goes on with the first line of a file, and takes that out unless it is the last.
    Next(String),
    Show(Vec<String>),
    Clock,
}

/// What a server speaks.
#[derive(Clone, Copy, PartialEq)]
pub enum Protocol {
    Http,
    Tcp,
    Grpc,
}

/// A server.
#[derive(Clone)]
pub struct Serve {
    pub protocol: Protocol,
    pub port: u16,
    pub address: Option<String>,
    /// HTTP: the status; gRPC: the number of a ServingStatus.
    pub status: u16,
    /// HTTP body, TCP reply.
    pub body: Option<String>,
    /// The only gRPC service that is known beside the empty name.
    pub service: Option<String>,
    pub delay: Duration,
    /// Well for so long, ill for so long, and so on.
    pub flap: Option<Duration>,
    pub ready_after: Duration,
    pub fail_after: Option<Duration>,
    /// Answers with bytes that are not of the protocol.
    pub wrong: bool,
}

/// What `log` writes.
pub struct Log {
    /// `None`: for ever.
    pub count: Option<u64>,
    /// Lines a second; 0: as fast as they are taken.
    pub rate: u64,
    pub size: usize,
    pub error: bool,
    pub partial: bool,
    pub newline: bool,
    pub binary: bool,
    /// Bytes that one write may hold; 0: each line has its own.
    pub block: usize,
}

/// Reads all words, or says what is wrong with the first bad action.
pub fn read(words: &[String]) -> Result<Vec<Action>, String> {
    let mut actions = Vec::new();
    let mut current: Vec<String> = Vec::new();
    for word in words {
        let (text, ends) = match word.strip_suffix(',') {
            Some(text) => (text, true),
            None => (word.as_str(), false),
        };
        if !text.is_empty() || !ends {
            current.push(text.to_owned());
        }
        if ends {
            actions.push(action(&std::mem::take(&mut current))?);
        }
    }
    if !current.is_empty() || actions.is_empty() {
        actions.push(action(&current)?);
    }
    Ok(actions)
}

/// The words of one action: positional ones are taken in order, `key=value` by key, and none may be left.
struct Words<'a> {
    name: &'a str,
    positional: std::collections::VecDeque<&'a str>,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    fn next(&mut self, what: &str) -> Result<&'a str, String> {
        self.positional.pop_front().ok_or_else(|| format!("{} wants {what}", self.name))
    }

    fn option(&mut self, key: &str) -> Option<&'a str> {
        let index = self.options.iter().position(|(known, _)| *known == key)?;
        Some(self.options.remove(index).1)
    }

    fn duration(&mut self, key: &str) -> Result<Option<Duration>, String> {
        self.option(key).map(duration).transpose()
    }

    fn yes(&mut self, key: &str) -> Result<bool, String> {
        match self.option(key) {
            None | Some("no") => Ok(false),
            Some("yes") => Ok(true),
            Some(other) => Err(format!("{key}={other}: expected yes or no")),
        }
    }

    fn end(self, action: Action) -> Result<Action, String> {
        match (self.positional.front(), self.options.first()) {
            (Some(word), _) => Err(format!("{} does not know what to do with {word:?}", self.name)),
            (None, Some((key, _))) => Err(format!("{} has no option {key:?}", self.name)),
            (None, None) => Ok(action),
        }
    }
}

fn action(words: &[String]) -> Result<Action, String> {
    let (name, rest) = words.split_first().ok_or("an action is missing")?;
    // The rest is text, whatever it looks like.
    match name.as_str() {
        "print" | "print-error" => {
            return Ok(Action::Print { text: rest.join(" "), error: name == "print-error" });
        }
        "write" => {
            let (file, text) = rest.split_first().ok_or("write wants a file")?;
            return Ok(Action::Write { file: file.clone(), text: text.join(" ") });
        }
        _ => {}
    }
    let mut words = Words { name, positional: Default::default(), options: Vec::new() };
    for word in rest {
        match word.split_once('=') {
            Some((key, value)) => words.options.push((key, value)),
            None => words.positional.push_back(word),
        }
    }
    let action = match name.as_str() {
        "sleep" => Action::Sleep(match words.next("a duration")? {
            "forever" => None,
            text => Some(duration(text)?),
        }),
        "exit" => Action::Exit(number(words.next("a code")?)?),
        "die" => Action::Die(signal(words.next("a signal")?)?),
        "on" => on(&mut words)?,
        "serve-http" => serve(&mut words, Protocol::Http)?,
        "serve-tcp" => serve(&mut words, Protocol::Tcp)?,
        "serve-grpc" => serve(&mut words, Protocol::Grpc)?,
        "hold" => {
            Action::Hold { port: number(words.next("a port")?)?, address: words.option("address").map(str::to_owned) }
        }
        "get" => {
            let text = words.next("host:port")?;
            let text = text.strip_prefix("http://").unwrap_or(text);
            let (address, path) = text.split_once('/').unwrap_or((text, ""));
            Action::Get {
                address: address.to_owned(),
                path: format!("/{path}"),
                retry: words.duration("retry")?.unwrap_or_default(),
            }
        }
        "connect" => Action::Connect {
            address: words.next("host:port")?.to_owned(),
            send: words.option("send").unwrap_or_default().to_owned(),
            retry: words.duration("retry")?.unwrap_or_default(),
        },
        "allocate" => {
            let rate = words.next("a rate")?;
            Action::Allocate {
                per_second: size(rate.strip_suffix("/s").unwrap_or(rate))?.max(1),
                until: words.option("until").map(size).transpose()?,
            }
        }
        "zombies" => Action::Children { count: number(words.next("a number")?)?, orphans: false },
        "orphans" => Action::Children { count: number(words.next("a number")?)?, orphans: true },
        "log" => Action::Log(Log {
            count: match words.next("a number of lines, or forever")? {
                "forever" => None,
                text => Some(number(text)?),
            },
            rate: words.option("rate").map_or(Ok(0), |rate| number(rate.strip_suffix("/s").unwrap_or(rate)))?,
            size: words.option("size").map_or(Ok(40), |text| size(text).map(|size| size as usize))?,
            error: match words.option("stream") {
                None | Some("stdout") => false,
                Some("stderr") => true,
                Some(other) => return Err(format!("stream={other}: expected stdout or stderr")),
            },
            partial: words.yes("partial")?,
            newline: !matches!(words.option("newline"), Some("no")),
            binary: words.yes("binary")?,
            block: words.option("block").map_or(Ok(0), |block| size(block).map(|block| block as usize))?,
        }),
        "noise" => {
            let stream = words.option("stream");
            if let Some(other) = stream.filter(|stream| !matches!(*stream, "stdout" | "stderr")) {
                return Err(format!("stream={other}: expected stdout or stderr"));
            }
            Action::Noise {
                bytes: size(words.next("a size")?)?,
                seed: words.option("seed").map_or(Ok(1), number)?,
                one_line: words.yes("line")?,
                stdout: stream != Some("stderr"),
                stderr: stream != Some("stdout"),
            }
        }
        "heartbeat" => Action::Heartbeat {
            file: words.next("a file")?.to_owned(),
            every: words.duration("every")?.unwrap_or(Duration::from_millis(100)),
            id: words.option("id").map(str::to_owned),
        },
        "read" => Action::Read(words.next("a file")?.to_owned()),
        "copy" => Action::Copy { from: words.next("a file")?.to_owned(), to: words.next("where to")?.to_owned() },
        "await" => Action::Await(words.next("a file")?.to_owned()),
        "next" => Action::Next(words.next("a file")?.to_owned()),
        "show" => {
            let topics: Vec<String> = std::mem::take(&mut words.positional).into_iter().map(str::to_owned).collect();
            if let Some(unknown) = topics.iter().find(|topic| !crate::show::TOPICS.contains(&topic.as_str())) {
                return Err(format!("show knows {}, not {unknown:?}", crate::show::TOPICS.join(" ")));
            }
            Action::Show(topics)
        }
        "clock" => Action::Clock,
        other => return Err(format!("unknown action {other:?}")),
    };
    words.end(action)
}

fn on(words: &mut Words<'_>) -> Result<Action, String> {
    let number_of_signal = signal(words.next("a signal")?)?;
    if matches!(number_of_signal, 9 | 19) {
        return Err("on: SIGKILL and SIGSTOP cannot be caught".to_owned());
    }
    let reaction = match words.next("ignore, report, allocate, release or exit")? {
        "ignore" => Reaction::Ignore,
        "report" => Reaction::Report,
        "release" => Reaction::Release,
        "allocate" => Reaction::Allocate(size(words.next("a size")?)?.max(1)),
        "exit" => {
            let code = number(words.next("a code")?)?;
            let after = match words.positional.front() {
                Some(&"after") => {
                    words.next("after")?;
                    duration(words.next("a duration after \"after\"")?)?
                }
                _ => Duration::ZERO,
            };
            Reaction::Exit { code, after: after.as_millis() as u64, loud: true }
        }
        other => return Err(format!("on: {other:?} is none of ignore, report, allocate, release and exit")),
    };
    Ok(Action::On(number_of_signal, reaction))
}

fn serve(words: &mut Words<'_>, protocol: Protocol) -> Result<Action, String> {
    let port = number(words.next("a port")?)?;
    let status = match (protocol, words.option("status")) {
        (_, None) => {
            if protocol == Protocol::Grpc {
                1
            } else {
                200
            }
        }
        (Protocol::Grpc, Some(name)) => match name {
            "UNKNOWN" => 0,
            "SERVING" => 1,
            "NOT_SERVING" => 2,
            "SERVICE_UNKNOWN" => 3,
            other => return Err(format!("status={other}: expected SERVING, NOT_SERVING, UNKNOWN or SERVICE_UNKNOWN")),
        },
        (_, Some(text)) => number(text)?,
    };
    Ok(Action::Serve(Serve {
        protocol,
        port,
        address: words.option("address").map(str::to_owned),
        status,
        body: words.option(if protocol == Protocol::Tcp { "reply" } else { "body" }).map(str::to_owned),
        service: words.option("service").map(str::to_owned),
        delay: words.duration("delay")?.unwrap_or_default(),
        flap: words.duration("flap")?,
        ready_after: words.duration("ready-after")?.unwrap_or_default(),
        fail_after: words.duration("fail-after")?,
        wrong: words.yes("wrong")?,
    }))
}

fn signal(text: &str) -> Result<i32, String> {
    signal_number(text).ok_or_else(|| format!("{text:?} is no signal"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number that fits here"))
}

/// `250ms`, `2s`, `1m`, `1h`; a bare number means seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let value: f64 = digits.parse().map_err(|_| format!("{text:?} is no duration (250ms, 2s, 1m)"))?;
    let factor = match text.get(digits.len()..) {
        Some("us") => 1e-6,
        Some("ms") => 1e-3,
        Some("s" | "") => 1.0,
        Some("m") => 60.0,
        Some("h") => 3600.0,
        _ => return Err(format!("{text:?} is no duration (250ms, 2s, 1m)")),
    };
    Duration::try_from_secs_f64(value * factor).map_err(|_| format!("{text:?} is no duration (250ms, 2s, 1m)"))
}

/// `512`, `64Ki`, `10Mi`, `1Gi`, `5M`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text.get(digits.len()..) {
        Some("") => 1,
        Some("k") => 1_000,
        Some("Ki") => 1 << 10,
        Some("M") => 1_000_000,
        Some("Mi") => 1 << 20,
        Some("G") => 1_000_000_000,
        Some("Gi") => 1 << 30,
        _ => return Err(format!("{text:?} is no size (512, 64Ki, 10Mi)")),
    };
    number::<u64>(digits)?.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large"))
}
