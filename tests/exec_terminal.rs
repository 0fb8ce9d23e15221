//! `podlet exec -it` as one who types has it: keys, size, ends of all kinds, and what is left of a session whose client is
//! gone.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::process::Stdio;

use common::kills::{self, Part};
use common::podlet::{Podlet, container, processes_of, text, until};
use common::pty::Terminal;
use nix::sys::signal::Signal;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: a
    image: podlet.local/host
    command: [sh, -c, 'until [ -e /tmp/end ]; do sleep 0.02; done']
";

fn started() -> (Podlet, String) {
    let podlet = Podlet::new();
    podlet.apply(POD);
    let pod = podlet.wait("web", |pod| container(pod, "a")["state"]["running"].is_object());
    let uid = kills::uid(&pod);
    (podlet, uid)
}

/// The process of the pod that was started with this word.
fn process(uid: &str, word: &str) -> Option<i32> {
    processes_of(uid).into_iter().find(|pid| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|there| there == word.as_bytes())
    })
}

fn wait_for_process(uid: &str, word: &str) {
    until(&format!("a process with the word {word}"), || process(uid, word).is_some());
}

fn wait_for_no_process(uid: &str, word: &str) {
    until(&format!("no process with the word {word}"), || process(uid, word).is_none());
}

/// A shell in the container, which has said that it is ready.
fn shell(podlet: &Podlet) -> Terminal {
    let mut command = podlet.command(&["exec", "-it", "web", "--", "sh"]);
    command.env("PS1", "not the container's");
    let mut terminal = Terminal::start(command, 33, 101);
    terminal.wait_until_raw();
    terminal.send("PS1=; echo ready-$((40 + 2))\r");
    terminal.wait_for("ready-42\r\n");
    terminal
}

#[test]
fn keys_go_to_the_foreground_of_the_container_and_not_to_podlet() {
    let (podlet, uid) = started();
    let mut terminal = shell(&podlet);

    terminal.send("echo $TERM $(tty) $(stty size)\r");
    terminal.wait_for("xterm /dev/pts/0 33 101\r\n");
    terminal.send("until [ \"$(stty size)\" = '40 90' ]; do sleep 0.01; done; echo followed-$((1 + 1))\r");
    terminal.resize(40, 90);
    terminal.wait_for("followed-2\r\n");
    terminal.send(
        "sh -c 'trap \"echo told-\\$((1 + 1)); exit\" WINCH; echo set-$((2 + 2)); while :; do sleep 0.01; done'\r",
    );
    terminal.wait_for("set-4\r\n");
    terminal.resize(41, 90);
    terminal.wait_for("told-2\r\n");

    for (number, key, code) in [(5001, "\x03", 130), (5002, "\x1c", 131)] {
        terminal.send(&format!("sleep {number}\r"));
        wait_for_process(&uid, &number.to_string());
        terminal.send(key);
        terminal.send("echo code-$?\r");
        terminal.wait_for(&format!("code-{code}\r\n"));
    }
    terminal.send("sleep 5003\r");
    wait_for_process(&uid, "5003");
    terminal.send("\x1a");
    terminal.wait_for("Stopped");
    terminal.send("kill -9 %1; wait; echo on-$((1 + 1))\r");
    terminal.wait_for("on-2\r\n");

    // Ctrl-D ends the shell, and with it the session; its code is that of the last command.
    terminal.send("(exit 7)\r\x04");
    let (status, written) = terminal.end();
    assert_eq!(status.code(), Some(7), "{written}");
    assert!(written.ends_with("command terminated with exit code 7\r\n"), "{written}");
    until("nothing of the session is left", || process(&uid, "-i").is_none() && process(&uid, "5003").is_none());
    podlet.finish();
}

#[test]
fn a_paste_arrives_whole_and_output_is_not_changed() {
    let (podlet, uid) = started();
    let mut terminal = shell(&podlet);
    terminal.send("stty -echo; cat > /tmp/paste; echo took-$((1 + 1))\r");
    until("cat reads", || process(&uid, "cat").is_some());
    let paste: String = (0..4000).map(|number| format!("{number:06} {}\r", "x".repeat(60))).collect();
    terminal.send(&paste);
    terminal.send("\x04");
    terminal.wait_for("took-2\r\n");
    terminal.send("exit\r");
    let (status, _) = terminal.end();
    assert!(status.success());
    let there = podlet.run(&["exec", "web", "--", "cat", "/tmp/paste"]).stdout;
    assert!(text(&there) == paste.replace('\r', "\n"), "{} bytes of {}", there.len(), paste.len());

    // The line discipline's own changes off, each byte comes as it is.
    let bytes: Vec<u8> = (0..200_000u32).map(|number| (number * 7 % 256) as u8).collect();
    let script = "stty raw; i=0; while [ $i -lt 10 ]; do cat /tmp/bytes; i=$((i + 1)); done";
    let mut put = podlet.command(&["exec", "-i", "web", "--", "sh", "-c", "cat > /tmp/bytes"]);
    let mut put = put.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut put.stdin.take().unwrap(), &bytes).unwrap();
    assert!(put.wait().unwrap().success());
    let terminal = Terminal::start(podlet.command(&["exec", "-it", "web", "--", "sh", "-c", script]), 24, 80);
    let (status, written) = terminal.end();
    assert!(status.success());
    let expected: String = bytes.repeat(10).into_iter().map(char::from).collect();
    assert!(written == expected, "{} bytes of {}", written.chars().count(), bytes.len() * 10);
    podlet.finish();
}

#[test]
fn the_terminal_is_given_back_however_the_session_ends() {
    let (podlet, uid) = started();
    // Each end checks that the terminal is as it was (Terminal::end).
    let exec =
        |script: &str| Terminal::start(podlet.command(&["exec", "-it", "web", "--", "sh", "-c", script]), 24, 80).end();
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143), ("kill -KILL $$", 137)] {
        assert_eq!(exec(script).0.code(), Some(code), "{script}");
    }
    let refused = Terminal::start(podlet.command(&["exec", "-it", "web", "--", "/no/such"]), 24, 80);
    let (status, written) = refused.end();
    assert_eq!(status.code(), Some(1));
    assert!(written.contains("/no/such"), "{written}");

    // The client is told to end.
    let mut terminal = shell(&podlet);
    terminal.send("sleep 5010\r");
    wait_for_process(&uid, "5010");
    kills::send(terminal.pid(), Signal::SIGTERM);
    assert_eq!(terminal.end().0.code(), Some(143));
    wait_for_no_process(&uid, "5010");

    // The supervisor is lost: the session goes on, and the next one tells its code.
    let mut terminal = shell(&podlet);
    let old = Part::Supervisor.wait(&uid);
    kills::send(old, Signal::SIGKILL);
    terminal.send("echo goes-$((1 + 1))\r");
    terminal.wait_for("goes-2\r\n");
    until("another supervisor", || Part::Supervisor.pid(&uid).is_some_and(|new| new != old));
    terminal.send("exit 9\r");
    assert_eq!(terminal.end().0.code(), Some(9));

    // The container ends, and is started again: what was in it is gone, and one can go in anew.
    let mut terminal = shell(&podlet);
    terminal.send("touch /tmp/end\r");
    let (status, written) = terminal.end();
    assert_eq!(status.code(), Some(137), "{written}");
    podlet.wait("web", |pod| {
        container(pod, "a")["restartCount"] == 1 && container(pod, "a")["state"]["running"].is_object()
    });
    let mut terminal = shell(&podlet);
    terminal.send("exit\r");
    assert!(terminal.end().0.success());

    // The pod is deleted.
    let terminal = shell(&podlet);
    podlet.succeed(&["delete", "pod", "web", "--now"]);
    let (status, written) = terminal.end();
    assert_eq!(status.code(), Some(137), "{written}");
    podlet.finish();
}

#[test]
fn a_lost_client_hangs_up_what_it_was_running() {
    let (podlet, uid) = started();
    let mentioned = |file: &str| text(&podlet.run(&["exec", "web", "--", "cat", file]).stdout);
    // A shell tells of its child's end by signal; to a pipe that nobody reads it is not to write.
    let hears = |file: &str| {
        format!(
            "exec 2> /dev/null; trap 'echo hung up >> {file}; exit' HUP; echo up-$((1 + 1)); while :; do sleep 0.01; done"
        )
    };

    // Something that does not go by itself; it is looked at again below.
    let stubborn = "trap '' HUP; sleep 5020 & sleep 5021";
    let mut command = podlet.command(&["exec", "web", "--", "sh", "-c", stubborn]);
    let mut client = command.stdout(Stdio::null()).spawn().unwrap();
    wait_for_process(&uid, "5020");
    wait_for_process(&uid, "5021");
    client.kill().unwrap();
    client.wait().unwrap();

    // Killed, with a terminal of its own. The kernel tells the leader and the foreground group, which may be two signals.
    let exec = |file: &str| podlet.command(&["exec", "-it", "web", "--", "sh", "-c", &hears(file)]);
    let mut terminal = Terminal::start(exec("/tmp/killed"), 24, 80);
    terminal.wait_for("up-2\r\n");
    terminal.kill();
    until("the command is told", || mentioned("/tmp/killed").starts_with("hung up\n"));

    // The terminal that it was typed on is taken away.
    let mut terminal = Terminal::start(exec("/tmp/away"), 24, 80);
    terminal.wait_for("up-2\r\n");
    assert_eq!(terminal.hang_up().code(), Some(129));
    until("the command is told", || mentioned("/tmp/away").starts_with("hung up\n"));

    // Killed, over pipes.
    let mut command = podlet.command(&["exec", "-i", "web", "--", "sh", "-c", &hears("/tmp/pipes")]);
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 5];
    std::io::Read::read_exact(client.stdout.as_mut().unwrap(), &mut line).unwrap();
    assert_eq!(&line, b"up-2\n");
    client.kill().unwrap();
    client.wait().unwrap();
    until("the command is told", || mentioned("/tmp/pipes").starts_with("hung up\n"));

    // Killed before anything is known of the command: that ends, too, or was never begun.
    for _ in 0..20 {
        let mut command = podlet.command(&["exec", "web", "--", "sleep", "5030"]);
        let mut client = command.spawn().unwrap();
        until("the client connects", || {
            let sockets = fs::read_dir(format!("/proc/{}/fd", client.id())).into_iter().flatten().flatten();
            let mut links = sockets.filter_map(|entry| fs::read_link(entry.path()).ok());
            links.any(|link| link.to_string_lossy().starts_with("socket:")) || client.try_wait().unwrap().is_some()
        });
        client.kill().unwrap();
        client.wait().unwrap();
    }
    wait_for_no_process(&uid, "5030");

    // What ignored it is killed in the end, with what it has begun.
    wait_for_no_process(&uid, "5020");
    wait_for_no_process(&uid, "5021");
    podlet.finish();
}

#[test]
fn without_a_terminal_there_is_none() {
    let (podlet, _) = started();
    let mut command = podlet.command(&["exec", "-it", "web", "--", "sh", "-c", "tty; cat"]);
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut client.stdin.take().unwrap(), b"passed on, to its end\n").unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "Unable to use a TTY - input is not a terminal or the right kind of file\n");
    assert_eq!(text(&output.stdout), "not a tty\npassed on, to its end\n");
    assert!(output.status.success());
    podlet.finish();
}

#[test]
fn nothing_goes_into_a_container_that_does_not_run() {
    let podlet = Podlet::new();
    podlet.apply(
        "
apiVersion: v1
kind: Pod
metadata: {name: broken}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: a, image: podlet.local/host, command: [/etc]}
  - {name: b, image: podlet.local/actor, args: [sleep, forever]}
",
    );
    let pod = podlet.wait("broken", |pod| {
        container(pod, "b")["state"]["running"].is_object()
            && container(pod, "a")["lastState"]["terminated"].is_object()
    });
    let ended = &container(&pod, "a")["lastState"]["terminated"];
    assert_eq!((&ended["reason"], &ended["exitCode"]), (&"StartError".into(), &128.into()));
    assert_eq!(ended["message"], "exec: \"/etc\": is a directory");
    let not_found = "error: Internal error occurred: unable to upgrade connection: container not found (\"a\")\n";
    assert_eq!(podlet.fail(&["exec", "broken", "-c", "a", "--", "true"]), not_found);
    let terminal = Terminal::start(podlet.command(&["exec", "-it", "broken", "-c", "a", "--", "sh"]), 24, 80);
    let (status, written) = terminal.end();
    assert_eq!((status.code(), written), (Some(1), not_found.replace('\n', "\r\n")));
    podlet.finish();
}
