//! `podlet up` on a terminal: the live line below the logs, Ctrl-C, and a terminal that is left clean.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;

use common::podlet::Podlet;
use common::pty::Terminal;
use common::screen::Screen;

/// Writes many lines at once, then is there until it is told to end, and says so.
fn manifest(grace: u32) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: shown}}
spec:
  terminationGracePeriodSeconds: {grace}
  containers:
  - name: many
    image: podlet.local/host
    command: [sh, -c, 'i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i + 1)); done; exec sleep 100000']
  - {{name: b, image: podlet.local/actor, args: ['on', TERM, report, ',', print, ready, ',', sleep, forever]}}
"
    )
}

fn up(podlet: &Podlet, grace: u32, environment: &[(&str, &str)], columns: u16) -> Terminal {
    let path = podlet.root.join("pod.yaml");
    fs::write(&path, manifest(grace)).unwrap();
    let mut command = podlet.command(&["up", &path.display().to_string()]);
    command.env("NO_COLOR", "").envs(environment.iter().copied());
    Terminal::start(command, 24, columns)
}

#[test]
fn the_live_line_stands_below_whole_lines_and_goes_away() {
    let podlet = Podlet::new();
    // Nobody waits for `many`, which does not hear SIGTERM.
    let mut terminal = up(&podlet, 1, &[], 60);
    let mut seen = terminal.wait_for("line 299");
    seen += &terminal.wait_for("pod/shown: Running (2/2 ready) - Ctrl-C ends");
    assert_eq!(Screen::after(&seen, 60).lines().last().unwrap(), "pod/shown: Running (2/2 ready) - Ctrl-C ends");
    assert!(seen.contains("\x1b[36mmany |\x1b[0m line 0"), "each container has its colour");

    // As wide as there is room for it.
    terminal.resize(24, 30);
    // One byte is one character here.
    let cut: String = "\x1b[2mpod/shown: Run… - Ctrl-C ends".bytes().map(char::from).collect();
    terminal.wait_for(&cut);
    terminal.resize(24, 60);
    terminal.wait_for("\x1b[2mpod/shown: Running (2/2 ready) - Ctrl-C ends");

    terminal.send("\x03");
    terminal.wait_for("received SIGTERM");
    let (status, written) = terminal.end();
    assert_eq!(status.code(), Some(130));
    let lines = Screen::after(&written, 60).lines();
    let many: Vec<&String> = lines.iter().filter(|line| line.contains("line ")).collect();
    assert_eq!(
        many,
        (0..300).map(|number| format!("many | line {number}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
    assert!(lines.iter().any(|line| line == "Ending the pods in order; Ctrl-C again ends them at once."), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("ready)")), "the live line is gone: {lines:#?}");
    assert_eq!(podlet.succeed(&["get", "pods", "-o", "name"]), "");

    // Twice: an hour of grace is not waited for.
    let mut terminal = up(&podlet, 3600, &[], 60);
    terminal.wait_for("Running (2/2 ready) - Ctrl-C ends");
    terminal.send("\x03");
    terminal.wait_for("Ctrl-C ends at once");
    terminal.send("\x03");
    let (status, written) = terminal.end();
    assert_eq!(status.code(), Some(130));
    assert!(written.contains("Ending the pods at once."), "{written}");
    assert_eq!(podlet.succeed(&["get", "pods", "-o", "name"]), "");
    podlet.finish();
}

#[test]
fn who_wants_no_escape_codes_gets_none() {
    let podlet = Podlet::new();
    for (variable, value, line) in [("NO_COLOR", "1", true), ("TERM", "dumb", false)] {
        let mut terminal = up(&podlet, 1, &[(variable, value)], 80);
        terminal.wait_for("line 299");
        if line {
            terminal.wait_for("(2/2 ready) - Ctrl-C ends");
        }
        terminal.send("\x03");
        let (status, written) = terminal.end();
        assert_eq!(status.code(), Some(130));
        assert!(!written.contains('\x1b'), "{variable}: {written:?}");
        assert_eq!(written.contains("ready)"), line, "{variable}: {written:?}");
        let lines = Screen::after(&written, 80).lines();
        assert!(lines.iter().any(|line| line == "many | line 299"), "{lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("ready)")), "the live line is gone: {lines:#?}");
    }
    podlet.finish();
}
