//! `podlet attach`, and containers with `stdin`, `stdinOnce` and `tty`: keys, size, letting go, ends of all kinds, and what is
//! seen over a supervisor that is killed.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use common::kills::{self, Part};
use common::podlet::{Podlet, container, text, until};
use common::pty::Terminal;
use nix::sys::signal::Signal;

fn pod(fields: &str, script: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - name: a
    image: podlet.local/host
    command: [sh, -c, '{script}']
    {fields}
"
    )
}

fn started(fields: &str, script: &str) -> (Podlet, String) {
    let podlet = Podlet::new();
    podlet.apply(&pod(fields, script));
    let shown = podlet.wait("web", |pod| container(pod, "a")["state"]["running"].is_object());
    let uid = kills::uid(&shown);
    (podlet, uid)
}

fn succeeded(podlet: &Podlet) {
    podlet.wait("web", |pod| pod["status"]["phase"] == "Succeeded");
}

/// `podlet attach WORDS`, with pipes.
struct Attached {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Attached {
    fn start(podlet: &Podlet, words: &[&str]) -> Attached {
        let words: Vec<&str> = ["attach", "web"].iter().chain(words).copied().collect();
        let mut command = podlet.command(&words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Attached { child, input, output }
    }

    fn send(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Waits for so much output.
    fn expect(&mut self, expected: &str) {
        let mut seen = vec![0; expected.len()];
        self.output.read_exact(&mut seen).unwrap();
        assert_eq!(text(&seen), expected);
    }

    /// Waits for its end, which must be a success; what came on stdout and stderr meanwhile.
    fn end(mut self) -> (String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.output.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(self.child.wait().unwrap().success(), "{out}{err}");
        (out, err)
    }
}

const NOTICES: &str = "\
All commands and output from this session will be recorded in container logs, including credentials and sensitive \
information passed through the command prompt.
If you don't see a command prompt, try pressing enter.
";

#[test]
fn a_terminal_is_typed_into_let_go_of_and_taken_up_again() {
    let (podlet, uid) = started("stdin: true\n    tty: true", "PS1=prompt-1; export PS1; exec sh -i");
    let attach = || {
        let mut terminal = Terminal::start(podlet.command(&["attach", "-it", "web"]), 33, 101);
        terminal.wait_for("try pressing enter.\r\n");
        terminal.wait_until_raw();
        terminal
    };
    let mut terminal = attach();
    // The unfinished line is shown.
    terminal.wait_for("prompt-1");
    terminal.send("PS1=; echo ready-$((40 + 2))\r");
    terminal.wait_for("ready-42\r\n");
    terminal.send("echo $TERM $(tty) $(stty size)\r");
    terminal.wait_for("xterm /dev/pts/0 33 101\r\n");
    terminal.send("echo seen-$((1 + 1)) >/dev/console\r");
    terminal.wait_for("seen-2\r\n");
    terminal.send("until [ \"$(stty size)\" = '40 90' ]; do sleep 0.01; done; echo followed-$((1 + 1))\r");
    terminal.resize(40, 90);
    terminal.wait_for("followed-2\r\n");
    // Ctrl-C goes to what runs there: the one that says so is in the foreground, which the shell's own next child may not be yet.
    terminal.send("sh -c 'echo sleeps-$((1 + 1)); exec sleep 5000'\r");
    terminal.wait_for("sleeps-2\r\n");
    terminal.send("\x03");
    terminal.send("echo code-$?\r");
    terminal.wait_for("code-130\r\n");
    // Another supervisor shows what comes.
    for round in 0..3 {
        let pid = Part::Supervisor.wait(&uid);
        kills::send(pid, Signal::SIGKILL);
        terminal.send(&format!("echo on-$(({round} + 10))\r"));
        terminal.wait_for(&format!("on-{}\r\n", round + 10));
    }
    terminal.send("\x10\x11");
    let (status, written) = terminal.end();
    assert!(status.success());
    let told = "Session ended, resume using 'podlet attach web -c a -n default -i -t' command\r\n";
    assert!(written.ends_with(told), "{written}");

    let mut terminal = attach();
    terminal.send("echo again-$((1 + 1))\r");
    terminal.wait_for("again-2\r\n");
    terminal.send("exit\r");
    let (status, written) = terminal.end();
    assert!(status.success() && written.ends_with(told), "{written}");
    succeeded(&podlet);
    let log = podlet.logs("web", "a");
    for line in ["ready-42\r\n", "on-12\r\n", "again-2\r\n"] {
        assert_eq!(log.matches(line).count(), 1, "{line:?} in {log}");
    }
    assert_eq!(
        podlet.fail(&["attach", "web"]),
        "error: cannot attach a container in a completed pod; current phase is Succeeded\n"
    );
    podlet.finish();
}

#[test]
fn input_is_passed_on_and_stays_open_for_the_next() {
    let (podlet, _) = started("stdin: true", "while read -r line; do echo \"got $line\"; done");
    for word in ["one", "two"] {
        let mut attached = Attached::start(&podlet, &["-i"]);
        attached.send(&format!("{word}\n"));
        attached.expect(&format!("got {word}\n"));
        // The end of its input is the end of the session, and not of the container's input.
        attached.input = None;
        assert_eq!(attached.end(), (String::new(), NOTICES.to_owned()));
    }
    assert_eq!(podlet.logs("web", "a"), "got one\ngot two\n");
    assert!(container(&podlet.pod("web"), "a")["state"]["running"].is_object());
    podlet.finish();
}

#[test]
fn with_stdin_once_the_end_of_the_first_is_the_end_of_the_containers_input() {
    for client_is_killed in [false, true] {
        let (podlet, _) = started("stdin: true\n    stdinOnce: true", "cat; echo end");
        let mut attached = Attached::start(&podlet, &["-iq"]);
        attached.send("one\n");
        attached.expect("one\n");
        if client_is_killed {
            attached.child.kill().unwrap();
            attached.child.wait().unwrap();
        } else {
            attached.input = None;
            assert_eq!(attached.end(), ("end\n".to_owned(), String::new()));
        }
        succeeded(&podlet);
        assert_eq!(podlet.logs("web", "a"), "one\nend\n");
        podlet.finish();
    }
}

/// The client dies while nobody is there to see it: the next supervisor waits for it for a while, and then knows.
#[test]
fn with_stdin_once_a_client_that_dies_unseen_ends_the_input_too() {
    let (podlet, uid) = started("stdin: true\n    stdinOnce: true", "cat; echo end");
    let mut attached = Attached::start(&podlet, &["-iq"]);
    attached.send("one\n");
    attached.expect("one\n");
    let keeper = Part::Keeper.wait(&uid);
    kills::send(keeper, Signal::SIGSTOP);
    kills::send(Part::Supervisor.wait(&uid), Signal::SIGKILL);
    attached.child.kill().unwrap();
    attached.child.wait().unwrap();
    kills::send(keeper, Signal::SIGCONT);
    succeeded(&podlet);
    assert_eq!(podlet.logs("web", "a"), "one\nend\n");
    podlet.finish();
}

/// A pod with a terminal sleeps like any other; whoever attaches wakes it, and finds all as it was.
#[test]
fn a_terminal_is_attached_to_while_the_supervisor_sleeps() {
    let podlet = Podlet::new();
    let manifest = pod("stdin: true\n    tty: true", "PS1=prompt-1; export PS1; exec sh -i");
    let applied = podlet.try_apply(&manifest, &["--sleep-after=0"]);
    assert!(applied.status.success(), "{}", text(&applied.stderr));
    let uid = kills::uid(&podlet.pod("web"));
    let asleep = || until("the supervisor sleeps", || Part::Supervisor.pid(&uid).is_none());
    for round in 0..3 {
        asleep();
        let mut terminal = Terminal::start(podlet.command(&["attach", "-it", "web"]), 33, 101);
        terminal.wait_for("try pressing enter.\r\n");
        terminal.wait_until_raw();
        terminal.send(&format!("echo round-$(({round} + 40))\r"));
        terminal.wait_for(&format!("round-{}\r\n", round + 40));
        terminal.send("\x10\x11");
        assert!(terminal.end().0.success());
    }
    asleep();
    let log = podlet.logs("web", "a");
    for round in 40..43 {
        assert_eq!(log.matches(&format!("round-{round}\r\n")).count(), 1, "{log}");
    }
    assert_eq!(container(&podlet.pod("web"), "a")["restartCount"], 0);
    podlet.finish();
}

#[test]
fn output_alone_is_shown_from_the_unfinished_line_on_until_the_end() {
    let (podlet, _) =
        started("stdin: true", "echo before; printf \"> \"; read -r line; echo out; echo err >&2; exit 3");
    let mut watching = Attached::start(&podlet, &["-t"]);
    watching.expect("> ");
    let mut typing = Attached::start(&podlet, &["-i"]);
    typing.expect("> ");
    typing.send("go\n");
    assert_eq!(typing.end(), ("out\n".to_owned(), format!("{NOTICES}err\n")));
    let notice = "error: Unable to use a TTY - container a did not allocate one\n";
    assert_eq!(watching.end(), ("out\n".to_owned(), format!("{notice}{NOTICES}err\n")));
    podlet.finish();
}

#[test]
fn a_reader_that_stops_holds_the_container() {
    let (podlet, _) = started("stdin: true", "read -r line; seq 1 400000; echo end");
    let mut attached = Attached::start(&podlet, &["-iq"]);
    attached.send("go\n");
    attached.expect("1\n");
    // More than all pipes and buffers on the way hold is still to come.
    assert!(container(&podlet.pod("web"), "a")["state"]["running"].is_object());
    let expected: String = (2..=400_000).map(|number| format!("{number}\n")).collect();
    attached.expect(&expected);
    attached.expect("end\n");
    assert_eq!(attached.end(), (String::new(), String::new()));
    succeeded(&podlet);
    assert_eq!(podlet.logs("web", "a").lines().count(), 400_001);
    podlet.finish();
}

#[test]
fn a_supervisor_that_is_started_anew_waits_for_who_was_attached() {
    const LINES: usize = 400_000;
    let (podlet, uid) = started("stdin: true", "read -r line; seq -f %07.0f 1 400000");
    let mut attached = Attached::start(&podlet, &["-i"]);
    attached.send("go\n");
    let (mut line, mut shown, mut next_kill) = (String::new(), 0, LINES);
    while attached.output.read_line(&mut line).unwrap() > 0 {
        shown += line.len();
        line.clear();
        if shown >= next_kill {
            next_kill += 2 * LINES;
            let pid = Part::Supervisor.wait(&uid);
            kills::send(pid, Signal::SIGKILL);
            until("another supervisor", || Part::Supervisor.pid(&uid).is_some_and(|other| other != pid));
        }
    }
    let (_, err) = attached.end();
    let told = err.lines().filter_map(|line| line.split_once(" bytes came while ")?.0.parse::<usize>().ok());
    // On a machine that is busy the client may come too late; what it then is not shown it hears of.
    if !err.contains("the container ended while") {
        assert_eq!(shown + told.sum::<usize>(), LINES * 8, "{err}");
    }
    succeeded(&podlet);
    let expected = (1..=LINES).map(|number| format!("{number:07}"));
    assert!(podlet.logs("web", "a").lines().eq(expected), "the log has all of it");
    podlet.finish();
}

#[test]
fn who_cannot_attach_is_told_why() {
    let (podlet, _) = started("tty: true", "echo up; sleep 1000");
    assert_eq!(
        podlet.fail(&["attach", "web", "-c", "b"]),
        "error: cannot attach to the container: container b is not valid for pod web out of: a\n"
    );
    assert_eq!(podlet.fail(&["attach"]), "error: at least 1 argument is required for attach\n");
    assert_eq!(
        podlet.fail(&["attach", "web", "--detach-keys=ctrl-"]),
        "error: could not bind detach keys: Unknown character: 'ctrl-'\n"
    );
    assert_eq!(podlet.logs("web", "a"), "up\r\n");
    podlet.finish();
}
