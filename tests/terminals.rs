//! What is printed does not depend on where: a narrow terminal wraps nothing, no locale changes a byte, times are UTC in JSON
//! and local in `describe`.

#![allow(clippy::unwrap_used)]

mod common;

use common::podlet::{Podlet, text};
use common::pty::Terminal;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: a-pod-with-a-rather-long-name, labels: {app: web, tier: front}}
spec:
  restartPolicy: Never
  containers:
  - {name: a, image: podlet.local/actor, args: [exit, '0']}
";
const NAME: &str = "a-pod-with-a-rather-long-name";

/// A pod that has ended: what is said of it changes no more, but for its age.
fn ended() -> Podlet {
    let podlet = Podlet::new();
    podlet.apply(POD);
    podlet.wait(NAME, |pod| pod["status"]["phase"] == "Succeeded");
    podlet
}

#[test]
fn a_narrow_terminal_wraps_nothing() {
    let podlet = ended();
    let verbs: [&[&str]; 3] = [
        &["get", "pods", "-o", "custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[*].image,UID:.metadata.uid"],
        &["get", "pods", "-o", "yaml"],
        &["api-resources", "-o", "wide"],
    ];
    for words in verbs {
        let piped = podlet.succeed(words);
        let mut terminal = Terminal::start(podlet.command(words), 24, 20);
        terminal.wait_for(piped.lines().last().unwrap());
        let shown = terminal.end().1.replace("\r\n", "\n");
        // The terminal's bytes are those of the pipe; whether a line is folded on the glass is for the terminal.
        assert_eq!(shown.len(), piped.len(), "{words:?}:\n{shown}\n{piped}");
        assert!(piped.lines().any(|line| line.len() > 20), "{words:?}");
    }
    podlet.succeed(&["delete", "pod", NAME]);
    podlet.finish();
}

#[test]
fn no_locale_changes_what_is_printed() {
    let podlet = ended();
    let said = |words: &[&str], locale: Option<&str>| {
        let mut command = podlet.command(words);
        command.env_remove("LC_ALL").env_remove("LANG").env_remove("LANGUAGE");
        if let Some(locale) = locale {
            command.env("LC_ALL", locale).env("LANG", locale).env("LANGUAGE", locale);
        }
        let output = command.output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let verbs: [&[&str]; 5] = [
        &["get", "pods", "-o", "json"],
        &["get", "pods", "--show-labels", "--no-headers", "-o", "name"],
        &["get", "pods", "--sort-by=.metadata.name", "-o", "yaml"],
        &["get", "pod", "nope"],
        &["apply", "-f", "/nope"],
    ];
    for words in verbs {
        let plain = said(words, None);
        for locale in ["C", "POSIX", "de_DE.UTF-8", "tr_TR.UTF-8", "ja_JP.eucJP", "nonsense"] {
            assert_eq!(said(words, Some(locale)), plain, "{words:?} in {locale}");
        }
    }
    podlet.succeed(&["delete", "pod", NAME]);
    podlet.finish();
}

#[test]
fn times_are_utc_for_programs_and_local_for_people() {
    let podlet = ended();
    let said = |words: &[&str], zone: &str| text(&podlet.command(words).env("TZ", zone).output().unwrap().stdout);
    let json = said(&["get", "pod", NAME, "-o", "json"], "Asia/Kolkata");
    assert_eq!(json, said(&["get", "pod", NAME, "-o", "json"], "UTC"));
    assert!(json.contains("Z\""), "{json}");
    let described = said(&["describe", "pod", NAME], "<+0530>-5:30");
    let started = described.lines().find(|line| line.starts_with("Start Time:")).unwrap();
    assert!(started.ends_with("+0530"), "{started}");
    podlet.succeed(&["delete", "pod", NAME]);
    podlet.finish();
}
