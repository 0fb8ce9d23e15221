//! What is said over a pod's control socket: a `SOCK_SEQPACKET` Unix socket, one JSON message a packet of at
//! most [`MAXIMUM_PACKET`] bytes, answers of more than a packet in several [`Answer::Part`]s. The first packet each way is a [`Hello`].
//! Descriptors travel beside an exec request by SCM_RIGHTS.

use k8s_openapi::api::core::v1::{EphemeralContainer, Event, Pod};
use serde::{Deserialize, Serialize};

/// The version spoken by this program: 2 added [`Request::Upgrade`].
///
/// Command line and supervisor may each be the older one. What holds for all versions: requests, answers and their fields are
/// added, never taken away nor given another meaning; a field that is missing has its default, one that is unknown may be
/// passed over (what must not be is a request of its own); an unknown request is refused by its name.
pub const VERSION: u32 = 2;

/// The most bytes of one packet, either way. A longer answer goes in [`Answer::Part`]s.
pub const MAXIMUM_PACKET: usize = 128 * 1024;

/// The first packet in each direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`] of the sender.
    pub version: u32,
    /// The sender's program version.
    pub program: String,
}

impl Hello {
    /// This program's.
    pub fn ours() -> Hello {
        Hello { version: VERSION, program: crate::VERSION.to_owned() }
    }
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Request {
    /// The pod and its events now. Answer: one `State`.
    Get,
    /// The same, and again after each change, until the client hangs up or the pod is removed.
    Watch,
    /// Deletion. Answer: `Accepted`; watch for the end.
    Delete {
        /// `--grace-period`.
        grace_seconds: Option<i64>,
        /// `--force`.
        force: bool,
    },
    /// The pod is stopped, to be set going again later. Answer: `Accepted`; watch for the end.
    Stop {
        /// No container has more grace than this; the pod's own when absent.
        most_seconds: Option<i64>,
    },
    /// A container, or all of them, is stopped and started anew. Answer: `Accepted`; watch for the end.
    Restart {
        /// Which; all when absent.
        container: Option<String>,
    },
    /// A re-apply that may change in place: the whole defaulted pod. Answer: `Accepted` or `Refused`.
    Apply {
        /// `v1.Pod`.
        pod: Box<Pod>,
    },
    /// An ephemeral container is added: `v1.EphemeralContainer`, defaulted and validated. Answer: `Accepted` or `Refused`.
    Debug {
        /// The container.
        container: Box<EphemeralContainer>,
        /// The container in whose place it comes.
        #[serde(default)]
        holds: Option<String>,
    },
    /// A ConfigMap or Secret of the pod's namespace was made, changed or removed. Answer: `Accepted`, once the volumes that
    /// show it show it as it is now.
    ObjectChanged {
        /// Which kind.
        kind: ObjectKind,
        /// `metadata.name`.
        name: String,
    },
    /// A process in a running container; its stdin, stdout and stderr (or one pty's slave, three times) come with the
    /// packet. Answers: `ExecStarted`, then `ExecEnded`.
    Exec {
        /// Named by the client (letters, digits, dashes; at most 64), so that it can ask for it again; empty: it never will.
        /// One that is known already is not run a second time.
        #[serde(default)]
        id: String,
        /// Which container.
        container: String,
        /// The command, not empty.
        command: Vec<String>,
        /// The descriptors are a terminal: it becomes the controlling one.
        tty: bool,
    },
    /// Takes up an exec whose supervisor has died: the answers go on here. `Refused` when it is not known: the supervisor died
    /// before it was made, or it was not taken up in time.
    ExecResume {
        /// As in `Exec`.
        id: String,
    },
    /// Which process is a container's first, so that a terminal can be made that the container knows. Answer: `Process`.
    Process {
        /// Which container.
        container: String,
    },
    /// To be shown what a running container writes, as it comes; the writing ends of two pipes, for stdout and stderr, come with
    /// the packet. Answers: `Attached`, then `AttachEnded`.
    Attach {
        /// Which container.
        container: String,
        /// To be given its standard input, too.
        stdin: bool,
        /// Goes on with an attachment whose supervisor has died.
        #[serde(default)]
        resume: Option<Resume>,
    },
    /// What this connection's client had for the standard input of its container has ended. No answer.
    CloseStdin,
    /// The pod is to go on under another program, the client's own: the program and its keeper come with the packet. Answer:
    /// `Accepted` when the keeper is the new one and this supervisor is about to end, `Unchanged` when both are what runs
    /// already, or `Refused`.
    Upgrade {
        /// What that keeper can go on with.
        keeper: Layouts,
    },
    /// Ends the exec of this connection (the client is going away) with a signal.
    ExecSignal {
        /// Its number.
        signal: i32,
    },
}

/// Where an attachment stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The instance.
    pub attempt: u32,
    /// How many bytes of its stdout and stderr came before what is still to be shown.
    pub positions: [u64; 2],
}

/// Layouts of the memory that a keeper shares with its supervisor (`pause::message::VERSION`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layouts {
    /// From this one on.
    pub oldest: u32,
    /// Up to this one.
    pub newest: u32,
}

/// A kind of object that a pod's volumes may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectKind {
    /// `v1.ConfigMap`.
    ConfigMap,
    /// `v1.Secret`.
    Secret,
}

/// What the supervisor answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Answer {
    /// The pod as published, its events.
    State {
        /// `v1.Pod` with status.
        pod: Box<Pod>,
        /// Oldest first.
        events: Vec<Event>,
    },
    /// Done, or set going.
    Accepted,
    /// It is so already.
    Unchanged,
    /// Not done; the text is for the user.
    Refused {
        /// What, why, and the way out.
        message: String,
    },
    /// A running container's first process.
    Process {
        /// As the host sees it.
        pid: i32,
    },
    /// The exec's process runs.
    ExecStarted {
        /// As the host sees it.
        pid: i32,
    },
    /// The exec's process has ended.
    ExecEnded {
        /// Its exit code, 128 + n by signal n.
        code: i32,
    },
    /// The client is shown what comes.
    Attached {
        /// The instance.
        attempt: u32,
        /// How many bytes of its stdout and stderr came before.
        positions: [u64; 2],
        /// The writing end of its stdin, or the master of its terminal, comes with the packet. It has none if it was asked for and
        /// does not.
        stdin: bool,
    },
    /// The container has ended, and all that it wrote was shown.
    AttachEnded,
    /// The pod object is gone.
    Removed,
    /// A part of a longer answer; join `text` of all parts up to the one with `last`.
    Part {
        /// JSON text.
        text: String,
        /// The last part.
        last: bool,
    },
}

impl Answer {
    /// Which it is, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Answer::State { .. } => "state",
            Answer::Accepted => "accepted",
            Answer::Unchanged => "unchanged",
            Answer::Refused { .. } => "refused",
            Answer::Process { .. } => "process",
            Answer::ExecStarted { .. } => "execStarted",
            Answer::ExecEnded { .. } => "execEnded",
            Answer::Attached { .. } => "attached",
            Answer::AttachEnded => "attachEnded",
            Answer::Removed => "removed",
            Answer::Part { .. } => "part",
        }
    }

    /// As the packets that carry it: one, or parts of an answer that is too long for one.
    pub fn packets(&self) -> serde_json::Result<Vec<Vec<u8>>> {
        let whole = serde_json::to_vec(self)?;
        if whole.len() <= MAXIMUM_PACKET {
            return Ok(vec![whole]);
        }
        // JSON text has no control characters: written as a JSON string again it at most doubles.
        let text = String::from_utf8_lossy(&whole);
        let mut packets = Vec::new();
        let mut rest: &str = &text;
        while !rest.is_empty() {
            let mut end = rest.len().min(MAXIMUM_PACKET / 2 - 64);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (part, after) = rest.split_at(end);
            packets.push(serde_json::to_vec(&Answer::Part { text: part.to_owned(), last: after.is_empty() })?);
            rest = after;
        }
        Ok(packets)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_long_answer_goes_in_parts_and_comes_back_whole() {
        let mut pod = Pod::default();
        let text = "\u{e4}\"\\\n".repeat(100_000);
        pod.metadata.annotations = Some([("a".to_owned(), text)].into());
        let answer = Answer::State { pod: Box::new(pod), events: vec![] };
        let packets = answer.packets().unwrap();
        assert!(packets.len() > 1 && packets.iter().all(|packet| packet.len() <= MAXIMUM_PACKET));
        let mut whole = String::new();
        for (number, packet) in packets.iter().enumerate() {
            let Answer::Part { text, last } = serde_json::from_slice(packet).unwrap() else { panic!("not a part") };
            whole.push_str(&text);
            assert_eq!(last, number + 1 == packets.len());
        }
        assert_eq!(serde_json::from_str::<Answer>(&whole).unwrap(), answer);
        assert_eq!(Answer::Accepted.packets().unwrap().len(), 1);
    }
}
