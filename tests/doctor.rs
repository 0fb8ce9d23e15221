//! `podlet doctor` through the binary: root's machine serves, an ordinary user is told what lacks, nothing is left behind.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::process::CommandExt;

use common::podlet::{Podlet, text};
use serde_json::Value;

fn finding<'a>(report: &'a Value, subject: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["subject"] == subject).unwrap_or_else(|| panic!("{subject}: {report:#}"))
}

/// The machine that runs the tests of pods can run pods.
#[test]
fn a_machine_that_serves() {
    let podlet = Podlet::new();
    let report: Value = serde_json::from_str(&podlet.succeed(&["doctor", "-o", "json"])).unwrap();
    assert_eq!(report["podsCanRun"], true, "{report:#}");
    for subject in ["kernel", "privileges", "namespaces", "cgroups", "seccomp", "state directory"] {
        assert_eq!(finding(&report, subject)["verdict"], "good", "{report:#}");
    }
    assert_eq!(finding(&report, "system calls")["found"], "15 of 15 that pods need", "{report:#}");
    // Whatever is not good says what it means and what to do.
    for finding in report["findings"].as_array().unwrap().iter().filter(|finding| finding["verdict"] != "good") {
        assert!(finding["means"].is_string() && finding["remedy"].is_string(), "{finding}");
    }
    let page = podlet.succeed(&["doctor"]);
    assert!(page.ends_with("\nPods can run here.\n"), "{page}");
    assert_eq!(fs::read_dir(&podlet.root).unwrap().count(), 0, "something is left in {}", podlet.root.display());
    podlet.finish();
}

#[test]
fn an_ordinary_user_is_told_what_lacks() {
    let podlet = Podlet::new();
    let program = podlet.root.join("podlet");
    fs::copy(common::podlet::PROGRAM, &program).unwrap();
    let doctor = |arguments: &[&str]| {
        std::process::Command::new(&program)
            .arg("doctor")
            .args(arguments)
            .env("PODLET_STATE_DIR", podlet.root.join("state"))
            .uid(65534)
            .gid(65534)
            .output()
            .unwrap()
    };
    let output = doctor(&["-o", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["podsCanRun"], false);
    for subject in ["CAP_SYS_ADMIN", "CAP_SETUID", "network namespaces", "overlay", "state directory"] {
        assert_eq!(finding(&report, subject)["verdict"], "missing", "{report:#}");
    }
    assert!(finding(&report, "CAP_SYS_ADMIN")["remedy"].as_str().unwrap().contains("sudo"));
    // Every capability lacks for the same reason: the page gives the way out of it once, behind the last.
    let page = text(&doctor(&[]).stdout);
    assert!(page.contains("missing  CAP_SETUID "), "{page}");
    assert_eq!(page.matches("run podlet as root (sudo)").count(), 1, "{page}");
    podlet.finish();
}
