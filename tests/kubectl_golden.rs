//! podlet prints what kubectl 1.36 prints. `tests/data/kubectl` holds recordings of kubectl against a real API server:
//! pods with their events, the instant, and what each command printed. The same pods are put into kept state here, the
//! clock is set to that instant, and whole texts are compared.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "common/directory.rs"]
mod directory;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use directory::Directory;
use podlet::cli::{self, Caller, Clock};
use podlet::paths::Paths;
use podlet::supervisor::kept::KEPT_VERSION;
use serde_json::Value;

struct World {
    root: Directory,
    paths: Paths,
}

impl World {
    fn new(name: &str, pods: &[Value], events: &[Value]) -> World {
        let root = Directory::new(name);
        let [run, state, logs] = ["run", "state", "logs"].map(|name| root.0.join(name));
        let paths = Paths { run, state, logs };
        for pod in pods {
            let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let (namespace, name, uid) = (text("/metadata/namespace"), text("/metadata/name"), text("/metadata/uid"));
            let about = |event: &&Value| event.pointer("/involvedObject/name").and_then(Value::as_str) == Some(name);
            let events = Value::Array(events.iter().filter(about).cloned().collect());
            let kept = serde_json::json!({
                "version": KEPT_VERSION, "bootId": "", "ended": true, "pod": pod, "events": events,
            });
            write(&paths.name(namespace, name), uid.as_bytes());
            write(&paths.pod_manifest(uid), &serde_json::to_vec(pod).unwrap());
            write(&paths.pod_kept(uid), &serde_json::to_vec(&kept).unwrap());
        }
        World { root, paths }
    }

    /// Exit code, stdout, stderr.
    fn run(&self, args: &[String], now: &str) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut caller = Caller {
            paths: self.paths.clone(),
            clock: Clock::Fixed(now.parse().unwrap()),
            out: &mut out,
            err: &mut err,
            out_terminal: false,
            err_terminal: false,
            colour: false,
        };
        let words = std::iter::once("podlet").chain(args.iter().map(String::as_str)).map(OsString::from);
        let code = cli::run(words, &mut caller);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn rows(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kubectl").join(file);
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

/// Collects differences, so that one run shows them all.
#[derive(Default)]
struct Differences {
    compared: usize,
    texts: Vec<String>,
}

impl Differences {
    fn compare(&mut self, what: &str, expected: &str, found: &str) {
        self.compared += 1;
        if expected != found {
            let at = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
            let at = at.map_or_else(
                || format!("one is longer:\n--- expected\n{expected}\n--- found\n{found}"),
                |(a, b)| format!("\n  kubectl {a:?}\n  podlet  {b:?}"),
            );
            self.texts.push(format!("{what}: {at}"));
        }
    }

    fn finish(self, at_least: usize) {
        assert!(self.texts.is_empty(), "{} of {} differ:\n{}", self.texts.len(), self.compared, self.texts.join("\n"));
        assert!(self.compared >= at_least, "only {} comparisons", self.compared);
    }
}

/// Goes through one-pod recordings.
fn one_pod(family: &str, at_least: usize) {
    let mut differences = Differences::default();
    for row in rows(&format!("{family}.jsonl")) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let case = text(&row["case"]);
        let pods = std::slice::from_ref(&row["pod"]);
        let world = World::new(&format!("{family}-{case}"), pods, row["events"].as_array().unwrap());
        let name = text(&row["pod"]["metadata"]["name"]);
        let now = text(&row["now"]);
        let commands: [(&str, Vec<String>); 7] = [
            ("get", words(&["get", "pod", &name])),
            ("get-wide", words(&["get", "pod", &name, "-o", "wide"])),
            ("get-labels", words(&["get", "pod", &name, "--show-labels"])),
            ("get-name", words(&["get", "pod", &name, "-o", "name"])),
            ("describe", words(&["describe", "pod", &name])),
            ("events", words(&["events", "--for", &format!("pod/{name}")])),
            ("get-events", words(&["get", "events"])),
        ];
        for (file, args) in commands {
            let (code, out, err) = world.run(&args, &now);
            differences.compare(&format!("{case} {file}"), &text(&row["printed"][file]), &(out + &err));
            assert_eq!(code, 0, "{case} {file}");
        }
        // The object itself, byte for byte.
        let mut expected = Vec::new();
        cli::print::json(&row["pod"], &mut expected).unwrap();
        let (_, out, _) = world.run(&words(&["get", "pod", &name, "-o", "json"]), &now);
        differences.compare(&format!("{case} json"), std::str::from_utf8(&expected).unwrap(), &out);
    }
    differences.finish(at_least);
}

#[test]
fn pods_that_a_kubelet_ran_are_printed_as_kubectl_prints_them() {
    one_pod("observed", 80 * 8);
}

#[test]
fn pods_made_up_for_the_printing_rules_are_printed_as_kubectl_prints_them() {
    one_pod("made", 38 * 8);
}

#[test]
fn lists_are_printed_as_kubectl_prints_them() {
    let mut differences = Differences::default();
    for row in rows("lists.jsonl") {
        let case = row["case"].as_str().unwrap();
        let pods = row["pods"].as_array().unwrap();
        let world = World::new(&format!("list-{case}"), pods, row["events"].as_array().unwrap());
        for command in row["commands"].as_array().unwrap() {
            let args: Vec<String> = serde_json::from_value(command["args"].clone()).unwrap();
            let (code, out, err) = world.run(&args, command["now"].as_str().unwrap());
            let expected = format!("{}{}", command["stdout"].as_str().unwrap(), command["stderr"].as_str().unwrap());
            differences.compare(&format!("{case} {}", args.join(" ")), &expected, &(out + &err));
            assert_eq!(Some(u64::from(code)), command["exit"].as_u64(), "{case} {args:?}");
        }
        let now = row["commands"][0]["now"].as_str().unwrap();
        let mut expected = Vec::new();
        let list =
            serde_json::json!({"apiVersion": "v1", "items": pods, "kind": "List", "metadata": {"resourceVersion": ""}});
        cli::print::json(&list, &mut expected).unwrap();
        let (_, out, _) = world.run(&words(&["get", "pods", "-o", "json"]), now);
        differences.compare(&format!("{case} json"), std::str::from_utf8(&expected).unwrap(), &out);
        let (_, out, _) = world.run(&words(&["get", "pods", "-o", "yaml"]), now);
        differences.compare(&format!("{case} yaml"), row["yaml"].as_str().unwrap(), &out);
    }
    differences.finish(206);
}

/// Needs containers that run, or belongs to another part of podlet's command line.
fn needs_a_run(args: &[String]) -> bool {
    let first = args.first().map(String::as_str).unwrap_or_default();
    let later = ["--request-timeout", "--context", "--as", "--watch-only"];
    // The server's answer of that recording names the recorder's own node.
    let of_its_node = args.iter().any(|a| a == "i1");
    let of_a_file = args.iter().any(|a| a == "ok.yaml");
    // A pod of a recording has ended here, and what it will never be is told at once; what cannot be read is told with its
    // place, and without kubectl's words.
    let never_or_unread = first == "wait" && args.iter().any(|a| a == "--timeout=1s")
        || first == "create" && !args.iter().any(|a| a == "ok.yaml");
    matches!(first, "apply")
        || never_or_unread
        || of_a_file && !matches!(first, "replace" | "create")
        || of_its_node
        || args.iter().any(|a| later.iter().any(|flag| a.starts_with(flag)) || a == "all")
}

#[test]
fn errors_are_worded_as_kubectl_words_them() {
    let mut differences = Differences::default();
    let mut rows = rows("errors.jsonl").into_iter();
    let pods = rows.next().unwrap()["pods"].as_array().unwrap().clone();
    for command in rows {
        let args: Vec<String> = serde_json::from_value(command["args"].clone()).unwrap();
        if needs_a_run(&args) {
            continue;
        }
        let before: Vec<String> = serde_json::from_value(command["pods_before"].clone()).unwrap();
        let there = |pod: &&Value| before.iter().any(|name| pod["metadata"]["name"] == name.as_str());
        let mut there: Vec<Value> = pods.iter().filter(there).cloned().collect();
        // Made from a file in the recording: only that it is there matters.
        if before.iter().any(|name| name == "fresh") {
            let mut fresh = pods[0].clone();
            fresh["metadata"]["name"] = "fresh".into();
            fresh["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000".into();
            there.push(fresh);
        }
        let world = World::new("errors", &there, &[]);
        let mut args = args;
        for (name, content) in command["files"].as_object().into_iter().flatten() {
            write(&world.root.0.join(name), content.as_str().unwrap().as_bytes());
            for arg in args.iter_mut().filter(|arg| *arg == name) {
                *arg = world.root.0.join(name).to_str().unwrap().to_owned();
            }
        }
        let (code, out, err) = world.run(&args, command["now"].as_str().unwrap());
        let err = err.replace(&format!("{}/", world.root.0.display()), "");
        let text = |key: &str| command[key].as_str().unwrap().replace("kubectl", "podlet");
        let what = args.join(" ");
        differences.compare(&format!("{what} (stdout)"), &text("stdout"), &out);
        differences.compare(&format!("{what} (stderr)"), &text("stderr"), &err);
        differences.compare(&format!("{what} (exit)"), &command["exit"].to_string(), &code.to_string());
    }
    differences.finish(220);
}

/// `explain`: k8s-openapi has the API's descriptions, but not what a server adds to them of each possible value.
#[test]
fn fields_are_explained_as_kubectl_explains_them() {
    let mut differences = Differences::default();
    let world = World::new("explain", &[], &[]);
    for command in rows("explain.jsonl") {
        let args: Vec<String> = serde_json::from_value(command["args"].clone()).unwrap();
        let (code, out, err) = world.run(&args, "2026-11-24T00:40:00Z");
        let what = args.join(" ");
        differences.compare(&format!("{what} (stdout)"), &without_values(command["stdout"].as_str().unwrap()), &out);
        differences.compare(&format!("{what} (exit)"), &command["exit"].to_string(), &code.to_string());
        assert!(err.is_empty() || err.starts_with("Note: "), "{err}");
    }
    differences.finish(22);
}

/// Without the paragraphs that name each possible value.
fn without_values(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut within = false;
    for line in text.lines() {
        if line.trim() == "Possible enum values:" {
            within = true;
            // The blank line before it goes with it.
            kept.pop();
        } else if within && line.trim().is_empty() {
            within = false;
        }
        if !within {
            kept.push(line);
        }
    }
    kept.join("\n") + "\n"
}

/// `jsonpath` and `custom-columns`. What `..` finds comes in the order of a Go map, another one each time: there the words
/// are compared in the order of the alphabet.
#[test]
fn templates_find_what_kubectls_find() {
    let mut differences = Differences::default();
    let mut rows = rows("jsonpath.jsonl").into_iter();
    let pods = rows.next().unwrap()["pods"].as_array().unwrap().clone();
    let world = World::new("jsonpath", &pods, &[]);
    for command in rows {
        let mut args: Vec<String> = serde_json::from_value(command["args"].clone()).unwrap();
        for (name, content) in command["files"].as_object().into_iter().flatten() {
            let path = world.root.0.join(name);
            write(&path, content.as_str().unwrap().as_bytes());
            for arg in &mut args {
                *arg = arg.replace(name, path.to_str().unwrap());
            }
        }
        let (code, out, err) = world.run(&args, "2026-11-24T00:40:00Z");
        let what = args.join(" ");
        let any_order = |text: &str| {
            let mut words: Vec<&str> = text.split(' ').collect();
            words.sort_unstable();
            if what.contains("..") { words.join(" ") } else { text.to_owned() }
        };
        differences.compare(
            &format!("{what} (stdout)"),
            &any_order(command["stdout"].as_str().unwrap()),
            &any_order(&out),
        );
        differences.compare(&format!("{what} (stderr)"), command["stderr"].as_str().unwrap(), &err);
        differences.compare(&format!("{what} (exit)"), &command["exit"].to_string(), &code.to_string());
    }
    differences.finish(280);
}
