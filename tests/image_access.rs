//! What else pulls meet: formats, who podlet is to a registry and how it gets there, and what a terminal shows. As root.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/image_source.rs"]
mod image_source;
#[path = "common/proxy.rs"]
mod proxy;
#[path = "common/registry.rs"]
mod registry;
#[path = "common/image.rs"]
mod scratch;

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use common::podlet::{Podlet, container, text, until};
use common::pty::Terminal;
use common::screen::Screen;
use image_source::{Layout, Tar, gzip, zstd};
use podlet::image::Digest;
use proxy::Proxy;
use registry::{Debian, Fake, PASSWORD, Request, Served, USER, base64_of, certificates, reply};
use scratch::Scratch;
use serde_json::{Value, json};

fn architecture() -> &'static str {
    if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }
}

/// An image in Docker's formats: each layer with its media type, as packed and as a tar stream.
fn docker_image(layers: &[(&str, Vec<u8>, Vec<u8>)]) -> Served {
    let diff_ids: Vec<String> = layers.iter().map(|(_, _, tar)| Digest::of(tar).to_string()).collect();
    let config = json!({"architecture": architecture(), "os": "linux", "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = serde_json::to_vec(&config).unwrap();
    let described = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "size": bytes.len(), "digest": Digest::of(bytes).to_string()});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": described("application/vnd.docker.container.image.v1+json", &config),
        "layers": layers.iter().map(|(kind, packed, _)| described(kind, packed)).collect::<Vec<_>>(),
    });
    let mut blobs: HashMap<_, _> =
        layers.iter().map(|(_, packed, _)| (Digest::of(packed).to_string(), packed.clone())).collect();
    blobs.insert(Digest::of(&config).to_string(), config);
    let names = layers.iter().map(|(_, packed, _)| Digest::of(packed).to_string()).collect();
    Served { manifest: serde_json::to_vec(&manifest).unwrap(), blobs, layers: names, others: HashMap::new() }
}

fn one_layer() -> Served {
    let tar = Tar::default().file("a", "content").end();
    docker_image(&[("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip(&tar), tar)])
}

#[test]
fn manifest_lists_of_docker_and_layers_of_all_packings() {
    let podlet = Podlet::new();
    let tar = |name: &str| Tar::default().file(name, &name.repeat(40_000)).end();
    let (a, b, c, d) = (tar("a"), tar("b"), tar("c"), tar("d"));
    let mut served = docker_image(&[
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip(&a), a),
        ("application/vnd.oci.image.layer.v1.tar+zstd", zstd(&b), b),
        ("application/vnd.docker.image.rootfs.diff.tar", c.clone(), c),
        // The type is wrong, as it sometimes is.
        ("application/vnd.oci.image.layer.v1.tar+gzip", zstd(&d), d),
    ]);
    let list = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
        "manifests": [
            {"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "digest": Digest::of(b"").to_string(),
             "size": 7, "platform": {"architecture": "s390x", "os": "linux"}},
            {"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "digest": served.manifest_digest(),
             "size": served.manifest.len(), "platform": {"architecture": architecture(), "os": "linux"}},
        ],
    });
    let list = serde_json::to_vec(&list).unwrap();
    let digest = Digest::of(&list).to_string();
    served.others.extend([
        ("many".to_owned(), list.clone()),
        (digest.clone(), list),
        (served.manifest_digest(), served.manifest.clone()),
    ]);
    let fake = Fake::new(move |request, stream| served.answer(request, stream));
    let name = format!("{}/team/app:many", fake.address);
    podlet.succeed(&["image", "pull", &name]);
    let seen: Value = serde_json::from_str(&podlet.succeed(&["image", "inspect", &name])).unwrap();
    for (layer, file) in seen["layerDirectories"].as_array().unwrap().iter().zip(["a", "b", "c", "d"]) {
        let read = fs::read_to_string(Path::new(layer.as_str().unwrap()).join(file)).unwrap();
        assert_eq!(read, file.repeat(40_000));
    }
    // The digest that the repository has it under is that of the list, as containerd has it.
    let expected = format!("{}/team/app@{digest}", fake.address);
    assert_eq!(podlet.succeed(&["image", "inspect", &name, "-o", "jsonpath={.repoDigest}"]), expected);
    assert!(podlet.fail(&["image", "inspect", &name, "--format", "{{.Id}}"]).contains("-o jsonpath="));
    podlet.finish();
}

/// A registry that wants a user and a password for each request.
fn guarded(served: Served) -> Fake {
    let right = format!("Basic {}", base64_of(&format!("{USER}:{PASSWORD}")));
    Fake::new(move |request, stream| match request.header("authorization") == Some(&right) {
        true => served.answer(request, stream),
        false => reply(request, stream, "401 Unauthorized", &[("www-authenticate", "Basic realm=\"r\"")], b""),
    })
}

fn program(directory: &Path, name: &str, script: &str) {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn path_with(directory: &Path) -> String {
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap())
}

#[test]
fn docker_files_name_programs_that_keep_the_secrets() {
    let podlet = Podlet::new();
    let fake = guarded(one_layer());
    let server = fake.address.to_string();
    let docker = podlet.root.join("docker");
    fs::create_dir(&docker).unwrap();
    let answer = json!({"ServerURL": server, "Username": USER, "Secret": PASSWORD}).to_string();
    program(&podlet.root, "docker-credential-good", &format!("[ \"$1 $(cat)\" = 'get {server}' ] && echo '{answer}'"));
    program(&podlet.root, "docker-credential-empty", "echo 'credentials not found in native keychain'; exit 1");
    program(&podlet.root, "docker-credential-broken", "echo no JSON");
    let pull = |tag: &str, file: Value| {
        fs::write(docker.join("config.json"), file.to_string()).unwrap();
        let mut command = podlet.command(&["image", "pull", &format!("{server}/a:{tag}")]);
        command.env("DOCKER_CONFIG", &docker).env("PATH", path_with(&podlet.root));
        command.env("HOME", podlet.root.join("nobody")).env("XDG_RUNTIME_DIR", podlet.root.join("nobody"));
        let output = command.output().unwrap();
        (output.status.success(), text(&output.stderr).to_owned())
    };
    // The store of all, and a helper for one registry, which comes before it; entries of the file are only its list then.
    assert_eq!(pull("1", json!({"credsStore": "good", "auths": {&server: {}}})), (true, String::new()));
    assert_eq!(pull("2", json!({"credsStore": "empty", "credHelpers": {&server: "good"}})), (true, String::new()));
    let (success, said) = pull("3", json!({"credsStore": "empty"}));
    assert!(!success && said.contains("pull access denied") && !said.contains("Note"), "{said}");
    for (helper, why) in [
        ("absent", "docker-credential-absent, which"),
        ("broken", "did not answer with JSON"),
        ("../evil", "is no name of a program"),
    ] {
        let (success, said) = pull("4", json!({"credsStore": helper}));
        assert!(!success && said.contains("access denied") && said.contains(why), "{helper}: {said}");
        let auth = base64_of(&format!("{USER}:{PASSWORD}"));
        // What is wrong is told when the pull goes well all the same.
        let (success, said) =
            pull(&format!("5{}", helper.len()), json!({"credsStore": helper, "auths": {&server: {"auth": auth}}}));
        assert!(success && said.contains(why), "{helper}: {said}");
    }
    podlet.finish();
}

/// Takes away what a test has put outside of its directory.
struct Elsewhere(PathBuf);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn under_sudo_the_callers_files_count_and_that_is_said() {
    let podlet = Podlet::new();
    let fake = guarded(one_layer());
    let server = fake.address.to_string();
    // Some user of the machine who is not logged in.
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let is_free = |user: &Vec<&str>| user[2] != "0" && !Path::new("/run/user").join(user[2]).exists();
    let user = users.into_iter().find(is_free).expect("a user beside root");
    let runtime = Path::new("/run/user").join(user[2]);
    let above = (!Path::new("/run/user").exists()).then(|| Elsewhere("/run/user".into()));
    let files = Elsewhere(runtime.clone());
    fs::create_dir_all(runtime.join("containers")).unwrap();
    let file = runtime.join("containers/auth.json");
    let pull = |tag: &str| {
        let mut command = podlet.command(&["image", "pull", &format!("{server}/a:{tag}")]);
        command.env("SUDO_USER", user[0]).env("PATH", path_with(&podlet.root)).env_remove("XDG_RUNTIME_DIR");
        let output = command.env("HOME", podlet.root.join("nobody")).output().unwrap();
        (output.status.success(), text(&output.stderr).to_owned())
    };
    let auth = base64_of(&format!("{USER}:{PASSWORD}"));
    fs::write(&file, json!({"auths": {&server: {"auth": auth}}}).to_string()).unwrap();
    let said = format!("Note: credentials of {}, who called sudo, are used: {}\n", user[0], file.display());
    assert_eq!(pull("1"), (true, said));
    // A program is asked as that user, not as root.
    let answer = json!({"Username": USER, "Secret": PASSWORD}).to_string();
    let script = format!("[ \"$(id -u) $(id -G)\" = '{} {}' ] && echo '{answer}'", user[2], user[3]);
    program(&podlet.root, "docker-credential-own", &script);
    fs::write(&file, json!({"credsStore": "own"}).to_string()).unwrap();
    let said = format!("Note: credentials of {}, who called sudo, are used: docker-credential-own\n", user[0]);
    assert_eq!(pull("2"), (true, said));
    // Nobody waits for a pipe that lies there.
    fs::remove_file(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let (success, said) = pull("3");
    assert!(!success && said.contains("access denied"), "{said}");
    drop((files, above));
    podlet.finish();
}

fn busybox() -> Served {
    let shell = fs::read("/bin/busybox").unwrap();
    let change = |header: &mut tar::Header| header.set_mode(0o755);
    let layer =
        Tar::default().directory("bin").changed(tar::EntryType::Regular, b"bin/busybox", b"", &shell, change).end();
    docker_image(&[("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip(&layer), layer)])
}

fn manifest(name: &str, image: &str, more: &Value) -> String {
    let mut spec = json!({
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "c", "image": image, "command": ["/bin/busybox", "sleep", "100000"]}],
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}).to_string()
}

fn runs(pod: &Value) -> bool {
    container(pod, "c")["state"]["running"].is_object()
}

#[test]
fn each_secret_is_tried_of_both_types() {
    let podlet = Podlet::new();
    let served = busybox();
    let fake = guarded(served.clone());
    let server = fake.address.to_string();
    let secret = |name: &str, kind: &str, key: &str, content: &Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "stringData": {key: content.to_string()}}).to_string()
    };
    let entry = |password: &str| json!({&server: {"username": USER, "password": password}});
    let old = "kubernetes.io/dockercfg";
    let new = "kubernetes.io/dockerconfigjson";
    let documents = [
        secret("wrong", new, ".dockerconfigjson", &json!({"auths": entry("not-it")})),
        secret("right", old, ".dockercfg", &entry(PASSWORD)),
        secret("opaque", "Opaque", ".dockercfg", &entry(PASSWORD)),
        secret("evil", new, ".dockerconfigjson", &json!({"credsStore": "evil", "auths": {}})),
        manifest(
            "web",
            &format!("{server}/app:1"),
            &json!({"imagePullSecrets": [{"name": "evil"}, {"name": "wrong"}, {"name": "right"}]}),
        ),
        manifest("shut", &format!("{server}/app:2"), &json!({"imagePullSecrets": [{"name": "opaque"}]})),
    ];
    // A pod names no program of the machine.
    program(&podlet.root, "docker-credential-evil", &format!("touch {}/evil", podlet.root.display()));
    let mut command = podlet.command(&["apply", "-f", "-"]);
    command.env("PATH", path_with(&podlet.root)).env("HOME", podlet.root.join("nobody"));
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(documents.join("\n---\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let pod = podlet.wait("web", runs);
    // As a kubelet with containerd shows it.
    assert_eq!(container(&pod, "c")["imageID"], format!("{server}/app@{}", served.manifest_digest()));
    podlet.wait("shut", |pod| container(pod, "c")["state"]["waiting"]["reason"] == "ImagePullBackOff");
    let message = podlet.pod("shut")["status"]["containerStatuses"][0]["state"]["waiting"]["message"].to_string();
    assert!(message.contains("pull access denied"), "{message}");
    assert!(!podlet.root.join("evil").exists());
    // An image that runs is not removed, whatever it is called by.
    let kept = podlet.fail(&["image", "rm", &format!("{server}/app:1")]);
    assert!(kept.contains("is in use by a pod"), "{kept}");
    podlet.succeed(&["image", "prune", "--all"]);
    podlet.succeed(&["image", "prune", "--all"]);
    podlet.succeed(&["exec", "web", "--", "/bin/busybox", "true"]);
    podlet.finish();
}

#[test]
fn certificates_on_both_sides() {
    let podlet = Podlet::new();
    let layout = podlet.root.join("layout");
    Layout::new(&[Tar::default().file("a", "content").end()]).write(&layout);
    let directory = podlet.root.join("registry");
    let debian = Debian::asking_for_certificates(&directory);
    debian.push(&layout, "app:1");
    let auth = podlet.root.join("auth.json");
    fs::write(&auth, debian.auth()).unwrap();
    let name = format!("{}/app:1", debian.server);
    let pull = || podlet.run(&["image", "pull", &format!("--authfile={}", auth.display()), &name]);
    let own = Path::new("/etc/containers/certs.d").join(&debian.server);
    let existed: Vec<bool> = own.ancestors().skip(1).take(2).map(Path::exists).collect();
    fs::create_dir_all(&own).unwrap();
    let cleared = Elsewhere(own.clone());
    fs::copy(&debian.authority, own.join("ca.crt")).unwrap();
    // The authority alone does not open it.
    let output = pull();
    assert!(!output.status.success() && text(&output.stderr).contains("tls: "), "{}", text(&output.stderr));
    for entry in fs::read_dir(certificates(&directory)).unwrap().flatten() {
        fs::copy(entry.path(), own.join(entry.file_name())).unwrap();
    }
    fs::remove_file(own.join("client.key")).unwrap();
    let output = pull();
    assert!(text(&output.stderr).contains("client.key beside it"), "{}", text(&output.stderr));
    // Another one's key.
    fs::copy(directory.join("tls.key"), own.join("client.key")).unwrap();
    let output = pull();
    assert!(
        text(&output.stderr).contains("cannot be shown to a server: keys may not be consistent"),
        "{}",
        text(&output.stderr)
    );
    fs::copy(directory.join("client.key"), own.join("client.key")).unwrap();
    let output = pull();
    assert!(output.status.success(), "{}", text(&output.stderr));
    drop(cleared);
    for (directory, existed) in own.ancestors().skip(1).zip(existed) {
        if !existed {
            let _ = fs::remove_dir(directory);
        }
    }
    drop(debian);
    podlet.finish();
}

/// Through the proxy TLS is spoken with the registry: the proxy sees names and nothing else.
#[test]
fn through_a_proxy_with_a_password_to_a_private_authority() {
    let podlet = Podlet::new();
    let layout = podlet.root.join("layout");
    Layout::new(&[Tar::default().file("a", "content").end()]).write(&layout);
    let debian = Debian::new(&podlet.root.join("registry"));
    debian.push(&layout, "app:1");
    let login = format!("proxy user:{PASSWORD}");
    let proxy = Proxy::new("registry.test", debian.server.parse().unwrap(), Some(base64_of(&login)));
    let auth = podlet.root.join("auth.json");
    let both = base64_of(&format!("{USER}:{PASSWORD}"));
    fs::write(&auth, json!({"auths": {"registry.test": {"auth": both}}}).to_string()).unwrap();
    let pull = |user: &str, authority: bool| {
        let mut command = podlet.command(&["image", "pull", "registry.test/app:1"]);
        command.env("HTTPS_PROXY", format!("http://{user}@{}", proxy.address)).env("REGISTRY_AUTH_FILE", &auth);
        if authority {
            command.env("SSL_CERT_FILE", &debian.authority);
        }
        let output = command.output().unwrap();
        (output.status.success(), text(&output.stderr).to_owned())
    };
    let right = format!("proxy%20user:{PASSWORD}");
    let (success, said) = pull("proxy%20user:wrong", true);
    assert!(!success && said.contains("proxyconnect tcp: ") && said.contains("407"), "{said}");
    let (success, said) = pull(&right, false);
    assert!(!success && said.contains("certificate signed by unknown authority"), "{said}");
    assert_eq!(pull(&right, true), (true, String::new()));
    let heads = proxy.asked();
    assert!(heads.contains("CONNECT registry.test:443 ") && !heads.contains("registry.test:80"), "{heads}");
    assert!(!heads.contains("app") && !heads.contains(&both), "{heads}");
    drop(debian);
    podlet.finish();
}

/// Waits until a test lets it go on.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        let mut open = self.0.lock().unwrap();
        while !*open {
            open = self.1.wait(open).unwrap();
        }
    }
}

/// An image of two layers, of which the second one stops half-way until the gate is open.
fn half(gate: &Arc<Gate>) -> (Fake, Served) {
    let noise = |seed: u64| {
        let mut state = seed;
        let next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + (state >> 33) as u8 % 26)
        };
        std::iter::repeat_with(next).take(300_000).collect::<String>()
    };
    let layers = [1, 2].map(|seed| Tar::default().file("x", &noise(seed)).end());
    let layers = layers.map(|tar| ("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip(&tar), tar));
    let served = docker_image(&layers);
    let (answers, gate) = (served.clone(), Arc::clone(gate));
    let fake = Fake::new(move |request: &Request, stream: &mut TcpStream| {
        if !request.path.ends_with(&answers.layers[1]) {
            return answers.answer(request, stream);
        }
        let blob = &answers.blobs[&answers.layers[1]];
        let (first, second) = blob.split_at(blob.len() / 2 + 1);
        let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", blob.len());
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(first);
        gate.pass();
        let _ = stream.write_all(second);
    });
    (fake, served)
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    for columns in [60, 120] {
        let podlet = Podlet::new();
        let gate = Arc::new(Gate::default());
        let (fake, served) = half(&gate);
        let name = format!("{}/team/app:1", fake.address);
        let mut command = podlet.command(&["image", "pull", &name]);
        command.env_remove("NO_COLOR");
        let mut terminal = Terminal::start(command, 24, columns);
        // The bars are as long as there is room for.
        let (done, to_come) = if columns == 60 { (6, 7) } else { (12, 12) };
        let half = format!("[{}>{}] ", "=".repeat(done - 1), " ".repeat(to_come));
        let mut seen = terminal.wait_for("1 of 2 layers [");
        seen += &terminal.wait_for(&half);
        // The frame whole.
        seen += &terminal.wait_for("/s\r\n");
        let lines = Screen::after(&seen, columns.into()).lines();
        let short = &served.layers[1]["sha256:".len()..][..12];
        assert!(lines.iter().any(|line| line.starts_with(&format!("{name}: pulling"))), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with(&format!("  {short} {half}"))), "{lines:#?}");
        assert!(lines.iter().all(|line| line.chars().count() < columns.into()), "{lines:#?}");
        gate.open();
        let (status, all) = terminal.end();
        assert!(status.success(), "{all}");
        // Of all that nothing is left but what was done.
        let lines = Screen::after(&all, columns.into()).lines();
        let lines: Vec<&String> = lines.iter().filter(|line| !line.is_empty()).collect();
        assert!(lines.len() == 1 && lines[0].starts_with(&format!("{name} pulled (")), "{lines:#?}");
        podlet.finish();
    }
}

#[test]
fn a_terminal_without_colours_gets_one_line_and_no_codes() {
    let podlet = Podlet::new();
    let gate = Arc::new(Gate::default());
    let (fake, _) = half(&gate);
    let mut command = podlet.command(&["image", "pull", &format!("{}/app:1", fake.address)]);
    command.env("NO_COLOR", "1");
    let mut terminal = Terminal::start(command, 24, 60);
    terminal.wait_for(": 1 of 2 layers [");
    gate.open();
    let (status, all) = terminal.end();
    assert!(status.success() && !all.contains('\x1b'), "{all:?}");
    podlet.finish();
}

/// Two pods want the same layers: the second one's event tells what it has waited.
#[test]
fn what_was_spent_waiting_is_told() {
    let podlet = Podlet::new();
    let gate = Arc::new(Gate::default());
    let served = busybox();
    let (answers, waits) = (served.clone(), Arc::clone(&gate));
    let fake = Fake::new(move |request, stream| {
        if request.path.ends_with(&answers.layers[0]) {
            waits.pass();
        }
        answers.answer(request, stream);
    });
    let apply = |name: &str| podlet.apply(&manifest(name, &format!("{}/{name}:1", fake.address), &json!({})));
    apply("first");
    until("the layer is asked for", || !fake.asked_for(&served.layers[0]).is_empty());
    apply("second");
    until("the second one knows the layer", || fake.asked_for("/second/blobs/").len() == 1);
    // So that the waiting is not too short to be told.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    gate.open();
    let told = |name: &str| {
        podlet.wait(name, runs);
        let all = podlet.succeed(&["events", "--for", &format!("pod/{name}"), "-o", "json"]);
        let all: Value = serde_json::from_str(&all).unwrap();
        let pulled = all["items"].as_array().unwrap().iter().find(|event| event["reason"] == "Pulled").unwrap();
        let message = pulled["message"].as_str().unwrap().to_owned();
        let (before, after) = message.split_once(" in ").unwrap();
        let (pulling, rest) = after.split_once(" (").unwrap();
        assert!(before.starts_with("Successfully pulled image"));
        (pulling.to_owned(), rest.split(' ').next().unwrap().to_owned())
    };
    let (pulling, with_waiting) = told("first");
    assert_eq!(pulling, with_waiting);
    let (pulling, with_waiting) = told("second");
    assert_ne!(pulling, with_waiting);
    assert_eq!(fake.asked_for(&served.layers[0]).len(), 1);
    podlet.finish();
}

/// An image whose VOLUMEs are what most images have, and one that is not there.
fn image_with_volumes(podlet: &Podlet) {
    let shell = fs::read("/bin/busybox").unwrap();
    let layer = Tar::default()
        .directory("bin")
        .changed(tar::EntryType::Regular, b"bin/sh", b"", &shell, |header| header.set_mode(0o755))
        .changed(tar::EntryType::Directory, b"data", b"", b"", |header| {
            header.set_mode(0o1770);
            header.set_uid(7);
        })
        .file("data/kept", "of the image\n")
        .symlink("data/link", "kept");
    let mut layout = Layout::new(&[layer.end()]);
    layout.config["config"]["Volumes"] = json!({"/data": {}, "/made": {}, "/mounted/": {}});
    let path = podlet.root.join("layout-volumes");
    layout.write(&path);
    podlet.succeed(&["image", "import", path.to_str().unwrap(), "localhost/volumes:1"]);
}

/// What containerd makes of an image's VOLUMEs: writable though the root is not, with what the image has there, no overlay, gone
/// with the container. A volume of the pod's at the path is in its place.
#[test]
fn volumes_of_an_image_are_directories_of_the_containers_own() {
    let podlet = Podlet::new();
    image_with_volumes(&podlet);
    // An applet of busybox needs no file of its own. The shell's complaints are not looked at.
    let script = "exec 2>/dev/null; cat /data/link; stat -c '%a %u' /data; stat -f -c %T /data; stat -f -c %T /made; \
        echo more >> /data/kept && echo new > /made/file && echo written; (echo x > /root-file) || echo refused; \
        ls /made /mounted; cat /data/kept; touch /mounted/there; exit 1";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{
                "name": "c", "image": "localhost/volumes:1", "command": ["sh", "-c", script],
                "securityContext": {"readOnlyRootFilesystem": true},
                "volumeMounts": [{"name": "v", "mountPath": "/mounted"}],
            }],
        }
    });
    podlet.apply(&pod.to_string());
    // The second instance has ended, and waits for its back-off.
    podlet.wait("web", |pod| {
        let status = container(pod, "c");
        status["restartCount"].as_u64() >= Some(1) && status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    });
    let disk = std::process::Command::new("busybox").args(["stat", "-f", "-c", "%T"]).arg(&podlet.root).output();
    let disk = text(&disk.unwrap().stdout);
    let expected = format!(
        "of the image\n1770 7\n{disk}{disk}written\nrefused\n/made:\nfile\n\n/mounted:\nthere\nof the image\nmore\n"
    );
    // In the pod's own volume there is what the first instance left.
    assert_eq!(podlet.logs("web", "c"), expected);
    podlet.finish();
}

/// Or nothing at all, where the settings say so: then the root is read-only there, too.
#[test]
fn the_settings_can_leave_an_images_volumes_out() {
    let podlet = Podlet::new();
    image_with_volumes(&podlet);
    let settings = podlet.root.join("settings.yaml");
    let head = "kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\n";
    fs::write(&settings, format!("{head}podlet: {{images: {{ignoreVolumes: true}}}}\n")).unwrap();
    let script = "cat /data/link; (echo x > /data/new) 2>/dev/null || echo refused; test -e /made || echo none";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "c", "image": "localhost/volumes:1", "command": ["sh", "-c", script],
                "securityContext": {"readOnlyRootFilesystem": true},
            }],
        }
    });
    let manifest = podlet.root.join("pod.json");
    fs::write(&manifest, pod.to_string()).unwrap();
    let applied =
        podlet.command(&["apply", manifest.to_str().unwrap()]).env("PODLET_CONFIG", &settings).output().unwrap();
    assert!(applied.status.success(), "{}", text(&applied.stderr));
    podlet.wait("web", |pod| pod["status"]["phase"] == "Succeeded");
    assert_eq!(podlet.logs("web", "c"), "of the image\nrefused\nnone\n");
    podlet.finish();
}
