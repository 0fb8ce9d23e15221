//! Probes and hooks as they are carried out (lifecycle 6.3 and 7): a request over the network in a task of the event loop,
//! a command in the container by the keeper. What they find is told to the machine; when they are due, what is counted and
//! what follows is `pod`'s.
//!
//! | file | what |
//! |---|---|
//! | `run` | begins them, tells what they find |
//! | `command` | commands: their output, their timeout, over the death of a supervisor |
//! | `zygote`, `ready` | the processes that run a probe's command again and again, and which there are |
//! | `dial` | connections to the pod |
//! | `http`, `url`, `tls` | GET as a kubelet sends it |
//! | `grpc` | the health protocol of gRPC |

mod command;
mod dial;
mod grpc;
mod http;
mod ready;
mod run;
mod tls;
mod url;
mod zygote;

pub use command::{Commands, Purpose};
pub use ready::ReadyCommands;
pub use run::Requests;
pub use zygote::{Word, is_zygote};
