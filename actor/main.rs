//! The program of the image `podlet.local/actor`: behaves as its arguments say, well or badly, so that a pod's behaviour
//! can be shown and tested without an image from anywhere. `docs/actor.md` has the whole language.
//!
//! The arguments are read whole into a list of actions before the first is carried out (`script.rs`); those that have no end
//! of their own go on in threads. Uses no crate and opens nothing that an action does not name. Its start is short, since
//! each start of a container pays for it: `system.rs` has the entry, before which nothing of the standard library runs.
#![no_main]

mod act;
mod grpc;
mod load;
mod noise;
mod script;
mod serve;
mod server;
mod show;
mod system;

use std::io::Write;
use std::process::exit;

/// What `--help` prints, and `docs/actor.md` explains.
const HELP: &str = include_str!("help.txt");

/// The program; called once by the C library's start.
fn run() {
    // The defaults of a well-behaved program; PID 1 would otherwise ignore both (pid_namespaces(7)).
    for signal in [2, 15] {
        system::react(signal, system::Reaction::Exit { code: 0, after: 0, loud: false });
    }
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if words.first().is_some_and(|word| word == "--help" || word == "help" || word == "-h") {
        say(HELP.as_bytes());
        exit(0);
    }
    let actions = script::read(&words).unwrap_or_else(|why| {
        complain(&format!("{why}; --help shows the language"));
        exit(2)
    });
    match act::perform_all(actions) {
        Ok(act::Outcome::Done) => {}
        Ok(act::Outcome::GoesOn) => loop {
            std::thread::park();
        },
        Err(why) => {
            complain(&why);
            exit(1);
        }
    }
}

/// Writes to standard output; a reader that has gone ends the actor.
fn say(bytes: &[u8]) {
    let mut output = std::io::stdout().lock();
    if output.write_all(bytes).and_then(|()| output.flush()).is_err() {
        exit(1);
    }
}

/// Writes a line to standard error.
fn complain(text: &str) {
    // Nobody could be told that nobody can be told.
    let _ = writeln!(std::io::stderr(), "actor: {text}");
}
