//! Pulls from registries: good ones, bad ones, and those that pods wait for. As root.
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

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::kills::{Part, send};
use common::podlet::{Podlet, container, text, until};
use image_source::{Layout, Tar};
use nix::sys::signal::Signal;
use podlet::image::Digest;
use proxy::Proxy;
use registry::{Debian, Fake, PASSWORD, Request, Served, USER, base64_of, reply};
use scratch::Scratch;
use serde_json::{Value, json};

/// An image of so many layers, each of some tens of kilobytes that do not compress.
fn image(podlet: &Podlet, layers: usize) -> (PathBuf, Served) {
    let noise = |seed: usize| {
        let mut state = seed as u64 + 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + (state >> 33) as u8 % 26)
        };
        (0..60_000).map(|_| next()).collect::<String>()
    };
    let layers: Vec<Vec<u8>> =
        (0..layers).map(|number| Tar::default().file(&format!("file-{number}"), &noise(number)).end()).collect();
    let path = podlet.root.join(format!("layout-{}", layers.len()));
    Layout::new(&layers).write(&path);
    let served = Served::of(&path);
    (path, served)
}

fn good(served: &Served) -> Fake {
    let served = served.clone();
    Fake::new(move |request, stream| served.answer(request, stream))
}

/// Nothing half is in the store.
fn nothing_left(podlet: &Podlet) {
    for directory in ["tmp", "locks"] {
        let left = fs::read_dir(podlet.root.join("state/images").join(directory)).into_iter().flatten().count();
        assert_eq!(left, 0, "{directory}");
    }
}

fn images(podlet: &Podlet) -> usize {
    let listed: Value = serde_json::from_str(&podlet.succeed(&["image", "ls", "-o", "json"])).unwrap();
    listed["images"].as_array().unwrap().len()
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

#[test]
fn an_image_comes_in_and_is_asked_for_once() {
    let podlet = Podlet::new();
    let (_, served) = image(&podlet, 4);
    let fake = good(&served);
    let name = format!("{}/team/app:1", fake.address);
    let output = podlet.run(&["image", "pull", &name]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // In a pipe there are no bars.
    assert_eq!(text(&output.stderr), "");
    assert!(text(&output.stdout).starts_with(&format!("{name} pulled (")), "{}", text(&output.stdout));
    let seen: Value = serde_json::from_str(&podlet.succeed(&["image", "inspect", &name])).unwrap();
    assert_eq!(seen["digest"], served.manifest_digest());
    let layers = seen["layerDirectories"].as_array().unwrap();
    for (number, layer) in layers.iter().enumerate() {
        assert!(Path::new(layer.as_str().unwrap()).join(format!("file-{number}")).exists());
    }
    assert_eq!(fake.asked_for("/blobs/").len(), 5, "{:?}", fake.asked());

    let asked = fake.asked().len();
    assert_eq!(podlet.succeed(&["image", "pull", &name]), format!("{name} is up to date\n"));
    assert_eq!(fake.asked()[asked..].iter().map(|request| request.method.as_str()).collect::<Vec<_>>(), ["HEAD"]);
    // Another name for the same image fetches nothing.
    let by_digest = format!("{}/team/app@{}", fake.address, served.manifest_digest());
    assert_eq!(podlet.succeed(&["image", "pull", "-q", &by_digest]).trim(), seen["id"].as_str().unwrap());
    assert_eq!(fake.asked_for("/blobs/").len(), 5);
    assert_eq!(images(&podlet), 2);
    nothing_left(&podlet);
    let absent = podlet.fail(&["image", "pull", &format!("{}/team/app:absent", fake.address)]);
    let full = format!("{}/team/app:absent", fake.address);
    let expected =
        format!("error: failed to pull and unpack image \"{full}\": failed to resolve image: {full}: not found\n");
    assert_eq!(absent, expected);
    podlet.finish();
}

#[test]
fn the_manifest_for_this_machine_is_chosen() {
    let podlet = Podlet::new();
    let (_, mut served) = image(&podlet, 1);
    let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let digest = served.manifest_digest();
    let other = Digest::of(b"other").to_string();
    let index = served.add_index(
        "many",
        &[
            (other.as_str(), 5, json!({"os": "windows", "architecture": architecture})),
            (other.as_str(), 5, json!({"os": "linux", "architecture": "s390x"})),
            (other.as_str(), 5, json!({"os": "linux", "architecture": architecture, "variant": "v99"})),
            (digest.as_str(), served.manifest.len(), json!({"os": "linux", "architecture": architecture})),
            (other.as_str(), 5, json!({"os": "unknown", "architecture": "unknown"})),
        ],
    );
    served.add_index("none", &[(other.as_str(), 5, json!({"os": "linux", "architecture": "s390x"}))]);
    let fake = good(&served);
    podlet.succeed(&["image", "pull", &format!("{}/a:many", fake.address)]);
    let name = format!("{}/a@{index}", fake.address);
    // The digest of the index means the image, too.
    let seen: Value = serde_json::from_str(&podlet.succeed(&["image", "inspect", &name])).unwrap();
    assert_eq!((&seen["digest"], &seen["index"]), (&Value::from(digest.as_str()), &Value::from(index.as_str())));
    let none = podlet.fail(&["image", "pull", &format!("{}/a:none", fake.address)]);
    assert!(none.contains("no match for platform in manifest: not found") && none.contains("linux/s390x"), "{none}");
    nothing_left(&podlet);
    podlet.finish();
}

#[test]
fn a_cut_layer_is_taken_up_where_it_was_cut() {
    for ranges in [true, false] {
        let podlet = Podlet::new();
        let (_, served) = image(&podlet, 1);
        let layer = served.layers[0].clone();
        let half = served.blobs[&layer].len() / 2;
        let cuts = AtomicUsize::new(0);
        let answers = served.clone();
        let fake = Fake::new(move |request, stream| {
            if !request.path.ends_with(&layer) {
                return answers.answer(request, stream);
            }
            let blob = &answers.blobs[&layer];
            if cuts.fetch_add(1, Ordering::Relaxed) == 0 {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", blob.len());
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(&blob[..half]);
                return;
            }
            match ranges {
                true => answers.answer(request, stream),
                // One that knows no ranges.
                false => reply(request, stream, "200 OK", &[], blob),
            }
        });
        podlet.succeed(&["image", "pull", &format!("{}/a:1", fake.address)]);
        let asked = fake.asked_for(&served.layers[0]);
        assert_eq!(asked.iter().map(Request::start).collect::<Vec<_>>(), [0, half], "{asked:?}");
        nothing_left(&podlet);
        podlet.finish();
    }
}

/// A settings file with what only podlet has.
fn settings(podlet: &Podlet, images: &str) -> PathBuf {
    let path = podlet.root.join("settings.yaml");
    let head = "kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\n";
    fs::write(&path, format!("{head}podlet: {{images: {{{images}}}}}\n")).unwrap();
    path
}

#[test]
fn a_registry_that_falls_silent_is_asked_again_after_the_time_that_the_settings_say() {
    let podlet = Podlet::new();
    let (_, served) = image(&podlet, 1);
    let layer = served.layers[0].clone();
    let half = served.blobs[&layer].len() / 2;
    let (answers, asked) = (served.clone(), AtomicBool::new(false));
    let fake = Fake::new(move |request, stream| {
        if !request.path.ends_with(&layer) || asked.swap(true, Ordering::Relaxed) {
            return answers.answer(request, stream);
        }
        let blob = &answers.blobs[&layer];
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", blob.len()).as_bytes());
        let _ = stream.write_all(&blob[..half]);
        // Nothing more, until the other side goes.
        let _ = std::io::copy(stream, &mut std::io::sink());
    });
    let mut pull = podlet.command(&["image", "pull", "-v", &format!("{}/a:1", fake.address)]);
    let output = pull.env("PODLET_CONFIG", settings(&podlet, "stallTimeout: 1s")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("no answer within 1 s"), "{}", text(&output.stderr));
    let asked = fake.asked_for(&served.layers[0]);
    assert_eq!(asked.iter().map(Request::start).collect::<Vec<_>>(), [0, half], "{asked:?}");
    nothing_left(&podlet);
    podlet.finish();
}

#[test]
fn what_an_image_may_cost_is_set_for_commands_and_pods() {
    let podlet = Podlet::new();
    let (layout, served) = image(&podlet, 2);
    let fake = good(&served);
    let name = format!("{}/a:1", fake.address);
    for (limit, expected) in [
        ("maxBytes: 64Ki", "the image unpacks to more than 65536 bytes, its limit"),
        ("maxFiles: 1", "the image has more than 1 files"),
        ("maxLayers: 1", "the image has more than 1 layers"),
    ] {
        let settings = settings(&podlet, limit);
        for words in [&["image", "pull", name.as_str()][..], &["image", "load", layout.to_str().unwrap()]] {
            let output = podlet.command(words).env("PODLET_CONFIG", &settings).output().unwrap();
            assert!(!output.status.success() && text(&output.stderr).contains(expected), "{}", text(&output.stderr));
        }
        nothing_left(&podlet);
    }
    let manifest = manifest("web", &name, &json!({}));
    let path = podlet.root.join("pod.json");
    fs::write(&path, manifest).unwrap();
    let mut apply = podlet.command(&["apply", path.to_str().unwrap()]);
    let output = apply.env("PODLET_CONFIG", settings(&podlet, "maxFiles: 1")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let waiting = |pod: &Value| container(pod, "c")["state"]["waiting"].clone();
    let pod = podlet.wait("web", |pod| waiting(pod)["reason"] == "ImagePullBackOff");
    let message = waiting(&pod)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the image has more than 1 files"), "{message}");
    podlet.finish();
}

/// What a registry sends in place of the layer, and what is said of it.
type Lie = (&'static str, Box<dyn Fn(&Served, &Request, &mut TcpStream) + Send + Sync>, &'static str);

#[test]
fn what_is_wrong_is_refused_and_leaves_nothing() {
    let lies: Vec<Lie> = vec![
        (
            "another content",
            Box::new(|served, request, stream| {
                let mut blob = served.blobs[&served.layers[0]].clone();
                // The time in gzip's header: what it unpacks to is the same.
                blob[4] ^= 1;
                reply(request, stream, "200 OK", &[], &blob);
            }),
            "has the digest sha256:",
        ),
        (
            "another length",
            Box::new(|_, request, stream| reply(request, stream, "200 OK", &[], b"short")),
            "bytes, the server sends 5",
        ),
        (
            "more than it should have, for ever",
            Box::new(|served, _, stream| {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(&served.blobs[&served.layers[0]]);
                while stream.write_all(&[0; 4096]).is_ok() {}
            }),
            "longer than the",
        ),
        (
            "another part than was asked for",
            Box::new(|served, request, stream| {
                let blob = &served.blobs[&served.layers[0]];
                if request.start() > 0 {
                    return reply(request, stream, "206 Partial Content", &[("content-range", "bytes 0-9/10")], b"x");
                }
                let _ =
                    stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", blob.len()).as_bytes());
                let _ = stream.write_all(&blob[..99]);
            }),
            "the server sends \"bytes 0-9/10\"",
        ),
        (
            "leads in a circle",
            Box::new(|_, request, stream| reply(request, stream, "307 Moved", &[("location", &request.path)], b"")),
            "leads on more than 10 times",
        ),
        (
            "errors without end",
            Box::new(|_, request, stream| reply(request, stream, "503 Busy", &[("retry-after", "0")], b"")),
            "503 Service Unavailable",
        ),
        (
            "is never there",
            Box::new(|_, request, stream| reply(request, stream, "404 Not Found", &[], b"")),
            ": not found",
        ),
    ];
    for (what, lie, expected) in lies {
        let podlet = Podlet::new();
        let (_, served) = image(&podlet, 2);
        let answers = served.clone();
        let fake = Fake::new(move |request, stream| match request.path.ends_with(&answers.layers[0]) {
            true => lie(&answers, request, stream),
            false => answers.answer(request, stream),
        });
        let name = format!("{}/a:1", fake.address);
        let said = podlet.fail(&["image", "pull", &name]);
        let beginning = format!("error: failed to pull and unpack image \"{name}\": ");
        assert!(said.starts_with(&beginning) && said.contains(expected), "{what}: {said}");
        assert_eq!(images(&podlet), 0, "{what}");
        nothing_left(&podlet);
        podlet.finish();
    }
}

#[test]
fn documents_without_end_are_given_up() {
    let podlet = Podlet::new();
    let fake = Fake::new(|request, stream| {
        if request.method == "HEAD" {
            return reply(request, stream, "200 OK", &[], b"");
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"schemaVersion\":2,");
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    let said = podlet.fail(&["image", "pull", &format!("{}/a:1", fake.address)]);
    assert!(said.contains("has more than 4194304 bytes"), "{said}");
    nothing_left(&podlet);
    podlet.finish();
}

#[test]
fn a_busy_registry_is_waited_for() {
    let podlet = Podlet::new();
    let (_, served) = image(&podlet, 1);
    let busy = AtomicUsize::new(0);
    let answers = served.clone();
    let fake = Fake::new(move |request, stream| match busy.fetch_add(1, Ordering::Relaxed) {
        0 | 2 => reply(request, stream, "429 Too Many Requests", &[("retry-after", "1")], b""),
        _ => answers.answer(request, stream),
    });
    podlet.succeed(&["image", "pull", &format!("{}/a:1", fake.address)]);
    // One that wants to be left alone for an hour is.
    let fake =
        Fake::new(|request, stream| reply(request, stream, "429 Too Many Requests", &[("retry-after", "3600")], b""));
    let said = podlet.fail(&["image", "pull", &format!("{}/a:1", fake.address)]);
    assert!(said.contains("429 Too Many Requests"), "{said}");
    podlet.finish();
}

/// Writes a file of credentials for a server.
fn auth_file(podlet: &Podlet, server: &str, user: &str) -> String {
    let path = podlet.root.join("auth.json");
    let auth = base64_of(&format!("{user}:{PASSWORD}"));
    fs::write(&path, json!({"auths": {server: {"auth": auth}}}).to_string()).unwrap();
    path.display().to_string()
}

#[test]
fn a_registry_that_is_never_content_is_given_up() {
    let podlet = Podlet::new();
    let fake = Fake::new(|request, stream| {
        if request.path.starts_with("/token") {
            return reply(request, stream, "200 OK", &[], br#"{"token":"t"}"#);
        }
        let host = request.header("host").unwrap();
        let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
        reply(request, stream, "401 Unauthorized", &[("www-authenticate", &challenge)], b"");
    });
    let auth = auth_file(&podlet, &fake.address.to_string(), USER);
    let said = podlet.fail(&["image", "pull", &format!("--authfile={auth}"), &format!("{}/a:1", fake.address)]);
    assert!(said.contains("pull access denied, repository does not exist or may require authorization"), "{said}");
    assert!(!said.contains(PASSWORD));
    // Twice as the user, twice as nobody, and a token each time.
    assert!(fake.asked().len() <= 8, "{:?}", fake.asked());
    podlet.finish();
}

#[test]
fn credentials_go_to_the_registry_and_its_tokens_and_nowhere_else() {
    let podlet = Podlet::new();
    let (_, served) = image(&podlet, 2);
    let blobs = good(&served);
    let elsewhere = blobs.address;
    let answers = served.clone();
    let fake = Fake::new(move |request, stream| {
        if request.path.starts_with("/token") {
            let basic = format!("Basic {}", base64_of(&format!("{USER}:{PASSWORD}")));
            let known = request.header("authorization") == Some(&basic);
            let scope = "scope=repository%3Ateam%2Fapp%3Apull&service=the%20service&account=alice";
            return match known && request.path == format!("/token?{scope}") {
                true => reply(request, stream, "200 OK", &[], br#"{"access_token":"sesame","expires_in":300}"#),
                false => reply(request, stream, "401 Unauthorized", &[], b""),
            };
        }
        if request.header("authorization") != Some("Bearer sesame") {
            let host = request.header("host").unwrap();
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"the service\"");
            return reply(request, stream, "401 Unauthorized", &[("www-authenticate", &challenge)], b"");
        }
        if request.path.contains("/blobs/") {
            let location = format!("http://{elsewhere}{}", request.path);
            return reply(request, stream, "307 Temporary Redirect", &[("location", &location)], b"");
        }
        answers.answer(request, stream);
    });
    let server = fake.address.to_string();
    // The most particular entry is asked first; nobody is asked last.
    let auth = auth_file(&podlet, &server, USER);
    let name = format!("{server}/team/app:1");
    podlet.succeed(&["image", "pull", &format!("--authfile={auth}"), &name]);
    assert_eq!(blobs.asked().len(), 3);
    let carried = blobs.asked().into_iter().find(|request| request.headers.contains_key("authorization"));
    assert!(carried.is_none(), "{carried:?}");
    // One token serves for all.
    assert_eq!(fake.asked_for("/token").len(), 1);

    // The same by the variable, and by a program that Docker's file names.
    let mut command = podlet.command(&["image", "pull", &format!("{server}/team/app@{}", served.manifest_digest())]);
    assert!(command.env("REGISTRY_AUTH_FILE", &auth).status().unwrap().success());
    let home = podlet.root.join("home");
    fs::create_dir_all(home.join(".docker")).unwrap();
    fs::write(home.join(".docker/config.json"), json!({"credHelpers": {&server: "test"}}).to_string()).unwrap();
    let helper = podlet.root.join("docker-credential-test");
    let answer = json!({"ServerURL": server, "Username": USER, "Secret": PASSWORD});
    let script = format!("#!/bin/sh\n[ \"$1 $(cat)\" = 'get {server}' ] && echo '{answer}'\n");
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", podlet.root.display(), std::env::var("PATH").unwrap());
    let mut command = podlet.command(&["image", "pull", &format!("{server}/team/app:2")]);
    command.env("HOME", &home).env("PATH", path).env_remove("XDG_RUNTIME_DIR");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    podlet.finish();
}

#[test]
fn identity_tokens_get_tokens() {
    let podlet = Podlet::new();
    let (_, served) = image(&podlet, 1);
    let answers = served.clone();
    let fake = Fake::new(move |request, stream| {
        if request.path == "/token" && request.method == "POST" {
            let right = ["grant_type=refresh_token", "refresh_token=r%2Ft", "service=s"];
            return match right.iter().all(|part| request.body.contains(part)) {
                true => reply(request, stream, "200 OK", &[], br#"{"access_token":"sesame"}"#),
                false => reply(request, stream, "400 Bad Request", &[], request.body.as_bytes()),
            };
        }
        if request.header("authorization") != Some("Bearer sesame") {
            let host = request.header("host").unwrap();
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\",scope=\"repository:a:pull\"");
            return reply(request, stream, "401 Unauthorized", &[("www-authenticate", &challenge)], b"");
        }
        answers.answer(request, stream);
    });
    let auth = podlet.root.join("auth.json");
    let server = fake.address.to_string();
    fs::write(&auth, json!({"auths": {&server: {"identitytoken": "r/t"}}}).to_string()).unwrap();
    podlet.succeed(&["image", "pull", &format!("--authfile={}", auth.display()), &format!("{server}/a:1")]);
    podlet.finish();
}

#[test]
fn debians_registry_with_tls_and_users() {
    let podlet = Podlet::new();
    let (layout, _) = image(&podlet, 3);
    let debian = Debian::new(&podlet.root.join("registry"));
    debian.push(&layout, "team/app:1");
    let name = format!("{}/team/app:1", debian.server);
    let auth = podlet.root.join("auth.json");
    fs::write(&auth, debian.auth()).unwrap();
    let authfile = format!("--authfile={}", auth.display());

    let said = podlet.fail(&["image", "pull", &authfile, &name]);
    let expected = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    assert!(said.contains(expected) && said.contains("/etc/containers/certs.d/"), "{said}");
    let pull = |words: &[&str]| podlet.command(words).env("SSL_CERT_FILE", &debian.authority).output().unwrap();
    let denied = pull(&["image", "pull", &name]);
    assert!(text(&denied.stderr).contains("pull access denied"), "{}", text(&denied.stderr));
    let pulled = pull(&["image", "pull", &authfile, &name]);
    assert!(pulled.status.success(), "{}", text(&pulled.stderr));
    let wrong = auth_file(&podlet, &debian.server, "mallory");
    let denied = pull(&["image", "pull", &format!("--authfile={wrong}"), &format!("{}/team/app:2", debian.server)]);
    assert!(!denied.status.success() && !text(&denied.stderr).contains(PASSWORD), "{}", text(&denied.stderr));
    // Without believing anyone, if the user says so.
    fs::write(&auth, debian.auth()).unwrap();
    let unverified = podlet.run(&["image", "pull", &authfile, "--tls-verify=false", &name.replace(":1", "@sha256:0")]);
    assert!(!unverified.status.success());
    podlet.succeed(&["image", "rm", &name]);
    podlet.succeed(&["image", "pull", &authfile, "--tls-verify=false", &name]);
    drop(debian);
    podlet.finish();
}

#[test]
fn mirrors_come_first_and_blocked_registries_never() {
    let podlet = Podlet::new();
    let (_, served) = image(&podlet, 1);
    let (mirror, broken) = (good(&served), Fake::new(|request, stream| reply(request, stream, "500 No", &[], b"")));
    let file = podlet.root.join("registries.conf");
    let conf = format!(
        "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n\
         [[registry.mirror]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}/hub\"\n\
         [[registry]]\nlocation = \"bad.example\"\nblocked = true\n",
        broken.address, mirror.address
    );
    fs::write(&file, conf).unwrap();
    let run = |name: &str| podlet.command(&["image", "pull", name]).env("CONTAINERS_REGISTRIES_CONF", &file).output();
    let output = run("busybox:1").unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).split(' ').next(), Some("docker.io/library/busybox:1"));
    assert!(!mirror.asked_for("/v2/hub/library/busybox/manifests/1").is_empty(), "{:?}", mirror.asked());
    assert!(text(&output.stderr).contains(&format!("mirror {}", broken.address)), "{}", text(&output.stderr));
    let blocked = run("bad.example/x:1").unwrap();
    assert!(text(&blocked.stderr).contains("registry bad.example is blocked in registries.conf"));
    podlet.finish();
}

#[test]
fn proxies_lead_there() {
    let podlet = Podlet::new();
    let (_, served) = image(&podlet, 1);
    let fake = good(&served);
    let proxy = Proxy::new("registry.test", fake.address, None);
    let name = "registry.test/a:1";
    let run = |except: &str| {
        let mut command = podlet.command(&["image", "pull", "--tls-verify=false", name]);
        let address = format!("http://user:{PASSWORD}@{}", proxy.address);
        command.env("HTTPS_PROXY", &address).env("http_proxy", &address).env("NO_PROXY", except).output().unwrap()
    };
    let output = run("other.test");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let asked = proxy.asked();
    assert!(asked.contains("CONNECT registry.test:443 "), "{asked}");
    let output = run("test");
    let said = text(&output.stderr);
    assert!(said.contains("lookup registry.test: no such host") && !said.contains(PASSWORD), "{said}");
    podlet.finish();
}

#[test]
fn a_killed_pull_leaves_nothing_and_an_ended_one_cleans_up() {
    let podlet = Podlet::new();
    let (_, served) = image(&podlet, 3);
    let answers = served.clone();
    let fake = Fake::new(move |request, stream| {
        if !request.path.ends_with(&answers.layers[1]) {
            return answers.answer(request, stream);
        }
        let blob = &answers.blobs[&answers.layers[1]];
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", blob.len()).as_bytes());
        let _ = stream.write_all(&blob[..1000]);
        // Nothing more comes, until the other side goes.
        let _ = stream.read(&mut [0]);
    });
    let name = format!("{}/a:1", fake.address);
    let store = podlet.root.join("state/images");
    let count = |directory: &str| fs::read_dir(store.join(directory)).into_iter().flatten().count();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let before = fake.asked_for(&served.layers[1]).len();
        let mut child = podlet.command(&["image", "pull", &name]).stderr(Stdio::piped()).spawn().unwrap();
        until("the layer is asked for", || fake.asked_for(&served.layers[1]).len() > before);
        send(i32::try_from(child.id()).unwrap(), signal);
        let status = child.wait().unwrap();
        if signal == Signal::SIGKILL {
            assert_eq!(count("tmp"), 1);
        } else {
            assert_eq!(status.code(), Some(128 + signal as i32));
            nothing_left(&podlet);
        }
        assert_eq!(images(&podlet), 0);
    }
    // The next writer sweeps.
    podlet.succeed(&["image", "pull", &format!("{}/b:1", good(&served).address)]);
    nothing_left(&podlet);
    podlet.finish();
}

#[test]
fn pulls_of_one_layer_are_one() {
    let podlet = Podlet::new();
    let (_, served) = image(&podlet, 2);
    let gate = Arc::new(Gate::default());
    let (answers, waits) = (served.clone(), Arc::clone(&gate));
    let fake = Fake::new(move |request, stream| {
        if answers.layers.iter().any(|layer| request.path.ends_with(layer)) {
            waits.pass();
        }
        answers.answer(request, stream);
    });
    let names: Vec<String> = (0..3).map(|number| format!("{}/a:{number}", fake.address)).collect();
    let pulls: Vec<_> = names.iter().map(|name| podlet.command(&["image", "pull", name]).spawn().unwrap()).collect();
    // All of them know the image, and two layers are on their way, side by side.
    until("all have asked for the configuration", || fake.asked_for("/blobs/").len() == 5);
    gate.open();
    for mut pull in pulls {
        assert!(pull.wait().unwrap().success());
    }
    for layer in &served.layers {
        assert_eq!(fake.asked_for(layer).len(), 1);
    }
    assert_eq!(images(&podlet), 3);
    nothing_left(&podlet);
    podlet.finish();
}

/// A pod of one container with busybox as its image, which the fake registry has.
fn busybox(podlet: &Podlet) -> Served {
    let shell = fs::read("/bin/busybox").unwrap();
    let layer = Tar::default().directory("bin").entry(tar::EntryType::Regular, b"bin/sh", b"", &shell);
    let mut bytes = layer.0;
    // Executable: the mode is in the second header.
    bytes[512 + 100..512 + 107].copy_from_slice(b"0000755");
    let sum: u32 = (512..1024)
        .map(|at| if (512 + 148..512 + 156).contains(&at) { u32::from(b' ') } else { u32::from(bytes[at]) })
        .sum();
    bytes[512 + 148..512 + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let path = podlet.root.join("layout-busybox");
    Layout::new(&[Tar(bytes).end()]).write(&path);
    Served::of(&path)
}

fn manifest(name: &str, image: &str, more: &Value) -> String {
    let mut spec = json!({
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "c", "image": image, "command": ["sh", "-c", "while :; do sleep 1; done"]}],
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}).to_string()
}

fn events(podlet: &Podlet, name: &str) -> Vec<(String, String)> {
    let all = podlet.succeed(&["events", "--for", &format!("pod/{name}"), "-o", "json"]);
    let all: Value = serde_json::from_str(&all).unwrap();
    let pair = |event: &Value| (event["reason"].as_str().unwrap().into(), event["message"].as_str().unwrap().into());
    all["items"].as_array().unwrap().iter().map(pair).collect()
}

fn runs(pod: &Value) -> bool {
    container(pod, "c")["state"]["running"].is_object()
}

#[test]
fn a_pods_image_is_pulled_and_told_as_a_kubelet_tells_it() {
    let podlet = Podlet::new();
    let served = busybox(&podlet);
    let fake = good(&served);
    let image = format!("{}/busybox:1", fake.address);
    podlet.apply(&manifest("web", &image, &json!({})));
    podlet.wait("web", runs);
    let told = events(&podlet, "web");
    let find = |reason: &str| told.iter().find(|(found, _)| found == reason).unwrap().1.clone();
    assert_eq!(find("Pulling"), format!("Pulling image \"{image}\""));
    let pulled = find("Pulled");
    let size: usize = served.blobs.iter().filter(|(_, blob)| **blob != served.manifest).map(|(_, b)| b.len()).sum();
    assert!(pulled.starts_with(&format!("Successfully pulled image \"{image}\" in ")), "{pulled}");
    assert!(
        pulled.ends_with(&format!(" including waiting). Image size: {} bytes.", size + served.manifest.len())),
        "{pulled}"
    );
    // Once more it is there.
    podlet.apply(&manifest("again", &image, &json!({})));
    podlet.wait("again", runs);
    let present = format!("Container image \"{image}\" already present on machine and can be accessed by the pod");
    assert!(events(&podlet, "again").contains(&("Pulled".to_owned(), present)));

    let absent = format!("{}/busybox:absent", fake.address);
    podlet.apply(&manifest("absent", &absent, &json!({"restartPolicy": "Never"})));
    podlet.wait("absent", |pod| container(pod, "c")["state"]["waiting"]["reason"] == "ImagePullBackOff");
    let failure = format!("failed to pull and unpack image \"{absent}\": failed to resolve image: {absent}: not found");
    let told = events(&podlet, "absent");
    assert!(told.contains(&("Failed".to_owned(), format!("Failed to pull image \"{absent}\": {failure}"))), "{told:?}");
    let message = podlet.pod("absent")["status"]["containerStatuses"][0]["state"]["waiting"]["message"].clone();
    assert_eq!(message, format!("Back-off pulling image \"{absent}\": ErrImagePull: {failure}"));
    nothing_left(&podlet);
    podlet.finish();
}

#[test]
fn policy_always_asks_each_time_and_never_not_at_all() {
    let podlet = Podlet::new();
    let fake = good(&busybox(&podlet));
    let image = format!("{}/busybox", fake.address);
    podlet.succeed(&["image", "pull", &image]);
    let asked = fake.asked().len();
    podlet.apply(&manifest("always", &image, &json!({})));
    podlet.wait("always", runs);
    assert_eq!(fake.asked()[asked..].iter().map(|request| request.method.as_str()).collect::<Vec<_>>(), ["HEAD"]);
    let asked = fake.asked().len();
    let never =
        manifest("never", &image, &json!({})).replace("\"command\"", "\"imagePullPolicy\":\"Never\",\"command\"");
    podlet.apply(&never);
    podlet.wait("never", runs);
    assert_eq!(fake.asked().len(), asked);
    podlet.finish();
}

#[test]
fn secrets_open_private_registries_and_are_told_to_nobody() {
    let podlet = Podlet::new();
    busybox(&podlet);
    let debian = Debian::new(&podlet.root.join("registry"));
    debian.push(&podlet.root.join("layout-busybox"), "team/app:1");
    let image = format!("{}/team/app:1", debian.server);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": debian.auth()},
    });
    let pod = manifest("web", &image, &json!({"imagePullSecrets": [{"name": "keys"}]}));
    let apply = |text: &str| {
        let mut command = podlet.command(&["apply", "-f", "-"]);
        command.env("SSL_CERT_FILE", &debian.authority).stdin(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    };
    apply(&manifest("lost", &image, &json!({"imagePullSecrets": [{"name": "gone"}]})));
    podlet.wait("lost", |pod| container(pod, "c")["state"]["waiting"]["reason"] == "ImagePullBackOff");
    let told = events(&podlet, "lost");
    let unable = "Unable to retrieve some image pull secrets (gone); attempting to pull the image may not succeed.";
    assert!(told.contains(&("FailedToRetrieveImagePullSecret".to_owned(), unable.to_owned())), "{told:?}");
    assert!(told.iter().any(|(_, message)| message.contains("pull access denied")), "{told:?}");

    apply(&format!("{secret}\n---\n{pod}"));
    podlet.wait("web", runs);
    // The password is where `apply` has put the Secret, and in no other file of podlet's.
    let password = base64_of(&format!("{USER}:{PASSWORD}"));
    let found = std::process::Command::new("grep")
        .args(["-rlaE", &format!("{PASSWORD}|{password}")])
        .args(["run", "state", "logs"].map(|name| podlet.root.join(name)))
        .output()
        .unwrap();
    let found = text(&found.stdout);
    assert!(found.lines().all(|path| path.contains("/state/secrets/")), "{found}");
    drop(debian);
    podlet.finish();
}

#[test]
fn a_pull_survives_its_supervisor_and_ends_with_its_pod() {
    let podlet = Podlet::new();
    let served = busybox(&podlet);
    let gate = Arc::new(Gate::default());
    let (answers, waits) = (served.clone(), Arc::clone(&gate));
    let gone = Arc::new(AtomicBool::new(false));
    let noticed = Arc::clone(&gone);
    let fake = Fake::new(move |request, stream| {
        if request.path.contains("/never/blobs/") {
            let _ = stream.read(&mut [0]);
            return noticed.store(true, Ordering::Relaxed);
        }
        if request.path.ends_with(&answers.layers[0]) {
            waits.pass();
        }
        answers.answer(request, stream);
    });
    podlet.apply(&manifest("web", &format!("{}/busybox:1", fake.address), &json!({})));
    until("the layer is asked for", || !fake.asked_for(&served.layers[0]).is_empty());
    let uid = podlet.pod("web")["metadata"]["uid"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        let supervisor = Part::Supervisor.wait(&uid);
        send(supervisor, Signal::SIGKILL);
        until("another supervisor", || Part::Supervisor.pid(&uid).is_some_and(|pid| pid != supervisor));
    }
    gate.open();
    podlet.wait("web", runs);
    assert_eq!(fake.asked_for(&served.layers[0]).len(), 1);
    let told = events(&podlet, "web");
    assert_eq!(told.iter().filter(|(reason, _)| reason == "Pulling").count(), 1, "{told:?}");

    podlet.apply(&manifest("slow", &format!("{}/never:1", fake.address), &json!({})));
    until("the configuration is asked for", || !fake.asked_for("/never/blobs/").is_empty());
    std::thread::sleep(Duration::from_millis(100));
    podlet.succeed(&["delete", "pod", "slow"]);
    until("the connection ends", || gone.load(Ordering::Relaxed));
    nothing_left(&podlet);
    podlet.finish();
}
