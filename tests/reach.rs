//! What reaches into a running pod: `cp`, `port-forward`, `top`.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Child, Stdio};

use common::podlet::{Podlet, text, until};
use serde_json::{Value, json};

fn pod(name: &str, containers: Value) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": containers,
            "volumes": [{"name": "data", "emptyDir": {}}]}
    })
    .to_string()
}

fn actor(name: &str, args: &[&str]) -> Value {
    json!({"name": name, "image": "podlet.local/actor", "args": args, "volumeMounts": [{"name": "data", "mountPath": "/data"}]})
}

/// Exit code, stdout, stderr.
fn run(podlet: &Podlet, words: &[&str]) -> (Option<i32>, String, String) {
    let output = podlet.run(words);
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn running(podlet: &Podlet, name: &str) {
    podlet.wait(name, |pod| pod["status"]["phase"] == "Running");
}

#[test]
fn files_go_in_and_out_without_a_tar() {
    let podlet = Podlet::new();
    podlet.apply(&pod("web", json!([actor("a", &["sleep", "forever"]), actor("b", &["sleep", "forever"])])));
    running(&podlet, "web");
    let here = podlet.root.join("tree");
    fs::create_dir_all(here.join("sub")).unwrap();
    fs::write(here.join("sub/script"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(here.join("sub/script"), fs::Permissions::from_mode(0o750)).unwrap();
    std::os::unix::fs::chown(here.join("sub/script"), Some(1234), Some(5678)).unwrap();
    // A name that is no UTF-8, and a file of which nothing but the end is there.
    let odd = std::ffi::OsStr::from_bytes(b"odd-\xff");
    fs::write(here.join(odd), "odd").unwrap();
    let sparse = fs::File::create(here.join("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    symlink("sub/script", here.join("link")).unwrap();
    let (from, back) = (here.display().to_string(), podlet.root.join("back"));
    podlet.succeed(&["cp", &from, "web:/data/copied", "-c", "b"]);
    // What is there takes the source into it. Both containers see the volume.
    podlet.succeed(&["cp", &from, "default/web:/data/copied"]);
    let (code, _, err) = run(&podlet, &["cp", "web:/data/copied", back.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("Defaulted container \"a\" out of: a, b\n"), "{err}");
    assert!(err.contains("warning: skipping symlink: ") && err.contains("-> \"sub/script\""), "{err}");
    for part in ["", "tree/"] {
        assert_eq!(fs::read_to_string(back.join(part).join("sub/script")).unwrap(), "#!/bin/sh\n");
        assert_eq!(fs::read_to_string(back.join(part).join(odd)).unwrap(), "odd");
        let sparse = fs::metadata(back.join(part).join("sparse")).unwrap();
        assert_eq!((sparse.len(), sparse.blocks()), (1 << 40, 0));
    }
    assert!(!back.join("link").exists() && fs::symlink_metadata(back.join("link")).is_err());
    assert_eq!(fs::metadata(back.join("sub/script")).unwrap().permissions().mode() & 0o777, 0o750);
    // What is in a directory goes into one that is there; a file goes into it by its name; over itself it goes, too.
    let file = back.join("script");
    for _ in 0..2 {
        podlet.succeed(&["cp", "web:/data/copied/sub", back.to_str().unwrap()]);
        podlet.succeed(&["cp", "web:/data/copied/sub/script", back.to_str().unwrap()]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "#!/bin/sh\n");
    }
    // A mount point is written over, and standard output written to.
    let (code, out, _) = run(&podlet, &["cp", "web:/etc/hosts", "/dev/stdout"]);
    assert!(code == Some(0) && out.contains("localhost"), "{code:?} {out}");
    podlet.succeed(&["cp", file.to_str().unwrap(), "web:/etc/hosts"]);
    assert_eq!(podlet.succeed(&["exec", "web", "--", "/actor", "read", "/etc/hosts"]), "#!/bin/sh\n");
    for (words, said) in [
        (&["cp", "/nope.txt", "web:/x"][..], "error: /nope.txt doesn't exist in local filesystem\n"),
        (&["cp", "a", "b"], "error: one of src or dest must be a remote file specification\n"),
        (&["cp", "web:/a", "web:/b"], "error: one of src or dest must be a local file specification\n"),
        (&["cp", "a"], "error: source and destination are required\n"),
        (&["cp", "web:", "x"], "error: filepath can not be empty\n"),
        (&["cp", ":x", "x"], "error: filespec must match the canonical format: [[namespace/]pod:]file/path\n"),
        (&["cp", "nope:/x", "x"], "Error from server (NotFound): pods \"nope\" not found\n"),
        (&["cp", "web:/x", "x", "-c", "c"], "error: container c is not valid for pod web out of: a, b\n"),
        (&["cp", "web:/nope", "here", "-c", "a"], "error: web:/nope: No such file or directory\n"),
    ] {
        assert_eq!(run(&podlet, words), (Some(1), String::new(), said.to_owned()), "{words:?}");
    }
    let missing = podlet.fail(&["cp", file.to_str().unwrap(), "web:/no/such/file", "-c", "a"]);
    assert!(missing.contains("make it first: podlet exec -n default web -- mkdir -p /no/such"), "{missing}");
    podlet.finish();
}

/// The container is the attacker: links out of it, pipes, devices, names that speak to terminals.
#[test]
fn a_hostile_container_gets_nothing_of_the_machine() {
    let podlet = Podlet::new();
    podlet.apply(&pod("web", json!([actor("a", &["sleep", "forever"])])));
    running(&podlet, "web");
    let trap = podlet.root.join("trap");
    fs::create_dir(&trap).unwrap();
    symlink("/etc", trap.join("out")).unwrap();
    symlink("../../../../../../etc/passwd", trap.join("up")).unwrap();
    symlink("/proc/self/root/etc/shadow", trap.join("magic")).unwrap();
    fs::write(trap.join("bell\u{7}\u{1b}]0;x\n"), "x").unwrap();
    podlet.succeed(&["cp", trap.to_str().unwrap(), "web:/data/trap"]);
    // Into it: what the link names is the container's own.
    let mark = format!("podlet-cp-{}", std::process::id());
    let file = podlet.root.join(&mark);
    fs::write(&file, "x").unwrap();
    podlet.succeed(&["cp", file.to_str().unwrap(), "web:/data/trap/out/"]);
    assert!(!std::path::Path::new("/etc").join(&mark).exists());
    assert_eq!(podlet.succeed(&["exec", "web", "--", "/actor", "read", &format!("/etc/{mark}")]), "x");
    // Out of it: no link is followed but the one that is named, and that one inside.
    let back = podlet.root.join("back");
    let (code, _, err) = run(&podlet, &["cp", "web:/data/trap", back.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    assert!(!err.contains('\u{1b}') && !err.contains('\u{7}'), "{err:?}");
    let there: Vec<_> = fs::read_dir(&back).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(there, ["bell\u{7}\u{1b}]0;x\n"]);
    podlet.succeed(&["cp", "web:/data/trap/up", back.join("passwd").to_str().unwrap()]);
    let passwd = fs::read_to_string(back.join("passwd")).unwrap();
    assert_eq!(passwd, podlet.succeed(&["exec", "web", "--", "/actor", "read", "/etc/passwd"]));
    assert!(podlet.fail(&["cp", "web:/data/trap/magic", "/dev/null"]).contains("web:/data/trap/magic: "));
    // Devices are no files.
    let (code, _, err) = run(&podlet, &["cp", "web:/dev/zero", back.join("zero").to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (Some(0), "warning: skipping /dev/zero: neither a file nor a directory\n"));
    podlet.finish();
}

/// A container's own user is the owner of what it is given, as if its tar had made it.
#[test]
fn files_are_given_to_the_containers_user() {
    let podlet = Podlet::new();
    let mut container = actor("a", &["sleep", "forever"]);
    container["securityContext"] = json!({"runAsUser": 4321, "runAsGroup": 8765});
    container["workingDir"] = json!("/data");
    podlet.apply(&pod("web", json!([container])));
    running(&podlet, "web");
    let file = podlet.root.join("file");
    fs::write(&file, "x").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4777)).unwrap();
    // A path without a beginning is of its working directory.
    podlet.succeed(&["cp", file.to_str().unwrap(), "web:file"]);
    let volume = podlet.root.join("state/pods");
    let found = walk(&volume).into_iter().find(|path| path.ends_with("data/file")).unwrap();
    let metadata = fs::metadata(found).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (4321, 8765, 0o755));
    podlet.finish();
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path()] }).collect()
}

/// `podlet port-forward` and what it has said.
struct Forward {
    child: Child,
    said: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Forward {
    fn start(podlet: &Podlet, words: &[&str]) -> Forward {
        let words: Vec<&str> = ["port-forward"].iter().chain(words).copied().collect();
        let mut child = podlet.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Forward { child, said }
    }

    fn line(&mut self) -> String {
        self.said.next().unwrap().unwrap()
    }

    /// The port of the next `Forwarding from ADDRESS:PORT -> REMOTE`.
    fn port(&mut self, address: &str, remote: u16) -> u16 {
        let line = self.line();
        let port = line.strip_prefix(&format!("Forwarding from {address}:"));
        let port = port.and_then(|rest| rest.strip_suffix(&format!(" -> {remote}")));
        port.unwrap_or_else(|| panic!("{line}")).parse().unwrap()
    }

    /// How it ended, and what it said on stderr.
    fn end(mut self) -> (Option<i32>, String) {
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), err)
    }
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.starts_with("HTTP/1.1 200")
}

#[test]
fn ports_lead_to_what_listens_at_the_pods_loopback() {
    let podlet = Podlet::new();
    let mut server = actor("a", &["serve-http", "8080", "address=127.0.0.1,", "serve-tcp", "9090", "reply=tcp"]);
    server["ports"] =
        json!([{"name": "http", "containerPort": 8080}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]);
    podlet.apply(&pod("web", json!([server])));
    running(&podlet, "web");
    let mut forward = Forward::start(&podlet, &["--address", "127.0.0.1", "pod/web", ":http", ":9090", ":7"]);
    let (http, tcp, nothing) =
        (forward.port("127.0.0.1", 8080), forward.port("127.0.0.1", 9090), forward.port("127.0.0.1", 7));
    until("the server answers through the port", || answers(http));
    assert_eq!(forward.line(), format!("Handling connection for {http}"));
    // Both ways, and each way's end by itself.
    until("the other one, too", || {
        let mut stream = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
        let _ = stream.write_all(b"x\n");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.contains("tcp")
    });
    // Nothing listens there: that connection ends, and no other does.
    let mut refused = TcpStream::connect(("127.0.0.1", nothing)).unwrap();
    assert_eq!(refused.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(answers(http));
    // A restart of the container is no end.
    podlet.succeed(&["restart", "web", "-c", "a"]);
    until("the restarted server answers", || answers(http));
    // A port that is taken is told, and the others are served.
    let mut second = Forward::start(&podlet, &["--address", "127.0.0.1", "web", &format!("{http}:8080"), ":9090"]);
    second.port("127.0.0.1", 9090);
    let none = podlet.fail(&["port-forward", "--address=127.0.0.1", "web", &format!("{http}:8080")]);
    assert!(
        none.contains(&format!(
            "Unable to listen on port {http}: Listeners failed to create with the following errors"
        )),
        "{none}"
    );
    assert!(
        none.ends_with(&format!("error: unable to listen on any of the requested ports: [{{{http} 8080}}]\n")),
        "{none}"
    );
    // Ctrl-C is a good end.
    let pid = nix::unistd::Pid::from_raw(second.child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(second.end().0, Some(0));
    for (words, err) in [
        (&["port-forward", "web", "abc"][..], "error: Pod 'web' does not have a named port 'abc'\n"),
        (&["port-forward", "web", "53"], "error: UDP protocol is not supported for 53\n"),
        (&["port-forward", "web", "80:"], "error: remote port cannot be empty\n"),
        (&["port-forward", "web", "1:2:3"], "error: invalid port format '1:2:3'\n"),
        (
            &["port-forward", "web", "70000"],
            "error: error parsing local port '70000': strconv.ParseUint: parsing \"70000\": value out of range\n",
        ),
        (&["port-forward", "--address", "x", "web", "80"], "error: x is not a valid IP\n"),
        (&["port-forward", "nope", "80"], "Error from server (NotFound): pods \"nope\" not found\n"),
        (
            &["port-forward", "web"],
            "error: TYPE/NAME and list of ports are required for port-forward\nSee 'podlet port-forward -h' for help and examples\n",
        ),
    ] {
        assert_eq!(run(&podlet, words), (Some(1), String::new(), err.to_owned()), "{words:?}");
    }
    // With the pod the session ends.
    podlet.succeed(&["delete", "pod", "web"]);
    let (code, err) = forward.end();
    assert_eq!(code, Some(1));
    let refusal =
        format!("error: forwarding {nothing} -> 7: localhost:7 in the pod does not answer: Connection refused\n");
    assert!(err.contains(&refusal) && err.ends_with("error: lost connection to pod\n"), "{err}");
    podlet.finish();
}

#[test]
fn use_is_told_by_pod_and_by_container() {
    let podlet = Podlet::new();
    let busy = ["log", "forever", "rate=200000/s"];
    podlet.apply(&pod(
        "web",
        json!([actor("busy", &busy), actor("large", &["allocate", "100Mi/s", "until=64Mi,", "sleep", "forever"])]),
    ));
    podlet.apply(
        &pod("idle", json!([actor("a", &["sleep", "forever"])]))
            .replace("\"name\":\"idle\"", "\"name\":\"idle\",\"namespace\":\"shop\""),
    );
    running(&podlet, "web");
    let cells = |words: &[&str]| -> Vec<Vec<String>> {
        let table = podlet.succeed(words);
        table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let number = |cell: &str| cell.trim_end_matches(|c: char| c.is_alphabetic()).parse::<u64>().unwrap();
    until("the memory is touched", || {
        let rows = cells(&["top", "pod", "web", "--containers", "--sort-by=memory"]);
        assert_eq!(rows[0], ["POD", "NAME", "CPU(cores)", "MEMORY(bytes)"]);
        rows[1][1] == "large" && number(&rows[1][3]) >= 64
    });
    until("the busy one is seen to be", || {
        let rows = cells(&["top", "pods", "--containers", "--sort-by", "cpu"]);
        rows[1][1] == "busy" && number(&rows[1][2]) > 0
    });
    podlet.succeed(&["wait", "--for=jsonpath={.status.phase}=Running", "pod/idle", "-n", "shop"]);
    let rows = cells(&["top", "pod", "-A", "--sum"]);
    assert_eq!(rows[0], ["NAMESPACE", "NAME", "CPU(cores)", "MEMORY(bytes)"]);
    assert_eq!(
        (rows[1][0].as_str(), rows[1][1].as_str(), rows[2][0].as_str(), rows[2][1].as_str()),
        ("default", "web", "shop", "idle")
    );
    assert_eq!((rows[3].len(), rows[4].len()), (2, 2));
    for (words, said) in [
        (&["top", "pod", "--sort-by=x"][..], "error: --sort-by accepts only cpu or memory\n"),
        (&["top", "pod", "nope"], "Error from server (NotFound): pods \"nope\" not found\n"),
        (&["top", "pod", "web", "-l", "a=b"], "error: only one of NAME or selector can be provided\n"),
    ] {
        assert_eq!(run(&podlet, words), (Some(1), String::new(), said.to_owned()), "{words:?}");
    }
    assert_eq!(
        run(&podlet, &["top", "pod", "-n", "void"]),
        (Some(0), String::new(), "No resources found in void namespace.\n".to_owned())
    );
    podlet.succeed(&["delete", "pod", "idle", "-n", "shop", "--now"]);
    podlet.finish();
}
