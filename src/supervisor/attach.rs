//! `attach`: a client is shown what a running container writes as it comes, and may be given its standard input. The client
//! does the copying: output comes to it over pipes of its own, filled by the log's thread ([`super::streams`]); for input it
//! gets the writing end of the container's pipe, or the master of its terminal, and so it goes on typing when this process is
//! killed, and is shown what comes by the next ([`super::attach_session`]).
//!
//! With `stdinOnce` the first client's end is the end of the container's input. So that this is so, too, if the client goes while
//! no supervisor lives, the tag under which the keeper holds that input says that it is taken: the next supervisor waits for the
//! client for as long as for one of `exec`.

use std::os::fd::{AsFd, OwnedFd};

use super::control::{Answer, Resume};
use super::run::Supervisor;
use super::tags::{STDIN_TAKEN, stdin_tag, stdin_taken_tag};
use crate::manifest::containers::find_container;

/// One client.
#[derive(Debug)]
pub struct Attachment {
    container: String,
    attempt: u32,
    /// What it is given for its input, until it is told that it is attached.
    input: Option<OwnedFd>,
    /// It was given one.
    has_input: bool,
}

impl Supervisor {
    pub(super) fn attach(
        &mut self,
        connection: u64,
        (container, stdin): (&str, bool),
        resume: Option<Resume>,
        descriptors: Vec<OwnedFd>,
    ) {
        let refused = |message: String| Answer::Refused { message };
        let Ok(pipes) = <[OwnedFd; 2]>::try_from(descriptors) else {
            let answer = refused("an attach comes with two descriptors".to_owned());
            return self.connections.answer(connection, &answer);
        };
        let running = self.running_container(container).map(|(attempt, _)| attempt);
        let (attempt, positions) = match (resume, running) {
            (Some(Resume { attempt, positions }), _) => (attempt, Some(positions)),
            (None, Ok(attempt)) => (attempt, None),
            (None, Err(message)) => return self.connections.answer(connection, &refused(message)),
        };
        let Some(log) = self.logs.get(&(container.to_owned(), attempt)) else {
            // It ended while no supervisor was there to say so.
            return self.connections.answer(connection, &Answer::AttachEnded);
        };
        let pod = self.pod();
        let has_input = find_container(&pod, container).is_some_and(|spec| spec.stdin == Some(true));
        let held = || {
            let tags = [stdin_tag(container, attempt), stdin_taken_tag(container, attempt)];
            tags.iter().find_map(|tag| self.keeper.held_as(tag).ok())
        };
        let input = if stdin && has_input { log.terminal().or_else(held) } else { None };
        log.attach(connection, pipes, positions);
        let has_input = input.is_some();
        let attachment = Attachment { container: container.to_owned(), attempt, input, has_input };
        self.attachments.insert(connection, attachment);
    }

    /// The log's thread shows it what comes from here on.
    pub(super) fn attached(&mut self, connection: u64, positions: [u64; 2]) {
        let Some(attachment) = self.attachments.get_mut(&connection) else { return };
        let input = attachment.input.take();
        let (container, attempt) = (attachment.container.clone(), attachment.attempt);
        if let Some(input) = input.as_ref().filter(|_| self.ends_with_first(&container)) {
            // In this order: it is held under one of the two at any time.
            let _ = self.keeper.hold(&stdin_taken_tag(&container, attempt), input.as_fd());
            let _ = self.keeper.release(&stdin_tag(&container, attempt));
        }
        let answer = Answer::Attached { attempt, positions, stdin: input.is_some() };
        self.connections.answer_with(connection, &answer, input);
    }

    /// The client has gone.
    pub(super) fn detach(&mut self, connection: u64) {
        self.close_stdin(connection);
        if let Some(Attachment { container, attempt, .. }) = self.attachments.remove(&connection)
            && let Some(log) = self.logs.get(&(container, attempt))
        {
            log.detach(connection);
        }
    }

    /// The client's input has ended. With `stdinOnce` so does the container's, for good: nobody else holds its pipe then. (A
    /// terminal has no end, as in other runtimes.)
    pub(super) fn close_stdin(&mut self, connection: u64) {
        let Some(attachment) = self.attachments.get_mut(&connection).filter(|client| client.has_input) else { return };
        attachment.has_input = false;
        let (container, attempt) = (attachment.container.clone(), attachment.attempt);
        if self.ends_with_first(&container) {
            self.let_go_of_stdin(&container, attempt);
        }
    }

    /// `stdinOnce`, of a container whose input is a pipe.
    fn ends_with_first(&self, container: &str) -> bool {
        let pod = self.pod();
        find_container(&pod, container).is_some_and(|spec| spec.stdin_once == Some(true) && spec.tty != Some(true))
    }

    /// Inputs whose first client has taken them, and is not there.
    pub(super) fn unclaimed_stdin(&self) -> Vec<String> {
        let is_there = |tag: &str| {
            let of = |client: &Attachment| stdin_taken_tag(&client.container, client.attempt) == tag;
            self.attachments.values().any(|client| client.has_input && of(client))
        };
        self.keeper.tags().into_iter().filter(|tag| tag.starts_with(STDIN_TAKEN) && !is_there(tag)).collect()
    }

    /// Their clients have had their time to come back.
    pub(super) fn close_unclaimed_stdin(&mut self) {
        for tag in self.unclaimed_stdin() {
            let _ = self.keeper.release(&tag);
        }
    }

    /// An instance's output is over: all that watch it hear so.
    pub(super) fn end_attachments(&mut self, container: &str, attempt: u32) {
        let ended = |client: &Attachment| client.container == container && client.attempt == attempt;
        let gone: Vec<u64> = self.attachments.extract_if(|_, client| ended(client)).map(|(number, _)| number).collect();
        for connection in gone {
            self.connections.answer(connection, &Answer::AttachEnded);
        }
    }
}
