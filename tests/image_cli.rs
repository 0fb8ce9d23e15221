//! `podlet image` through the binary, as root: import with its words, list, inspect, remove, and what a pod's use forbids.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::podlet::{Podlet, text};
use serde_json::Value;

/// A root file system with one program.
fn make_root(podlet: &Podlet) -> String {
    let root = podlet.root.join("rootfs");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::write(root.join("bin/app"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("bin/app"), fs::Permissions::from_mode(0o755)).unwrap();
    root.display().to_string()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn an_image_comes_in_is_seen_and_goes() {
    let podlet = Podlet::new();
    let root = make_root(&podlet);
    let words = [
        "image",
        "import",
        &root,
        "localhost/mine:1",
        "--entrypoint=/bin/app",
        r#"--cmd=["-v", "a b"]"#,
        "--env=A=1",
        "-e",
        "B=2",
        "--user=1000:2000",
        "--workdir=/bin",
        "--stop-signal=SIGQUIT",
    ];
    assert_eq!(podlet.succeed(&words), "localhost/mine:1 imported\n");

    let seen = json(&podlet.succeed(&["image", "inspect", "localhost/mine:1"]));
    let config = &seen["config"];
    assert_eq!(config["Entrypoint"], serde_json::json!(["/bin/app"]));
    assert_eq!(config["Cmd"], serde_json::json!(["-v", "a b"]));
    assert!(config["Env"].as_array().unwrap().contains(&Value::from("B=2")), "{config}");
    assert_eq!((&config["User"], &config["WorkingDir"]), (&Value::from("1000:2000"), &Value::from("/bin")));
    assert_eq!(config["StopSignal"], "SIGQUIT");
    let layer = seen["layerDirectories"][0].as_str().unwrap();
    assert!(fs::metadata(format!("{layer}/bin/app")).is_ok(), "{layer}");

    let listed = json(&podlet.succeed(&["image", "ls", "-o", "json"]));
    assert_eq!(listed["images"][0]["name"], "localhost/mine:1");
    assert_eq!(listed["images"][0]["id"], seen["id"]);
    let table = podlet.succeed(&["image", "ls"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["IMAGE", "TAG", "IMAGE", "ID", "AGE", "SIZE"]);
    let id = seen["id"].as_str().unwrap().trim_start_matches("sha256:");
    assert_eq!(lines[1][..3], ["localhost/mine", "1", &id[..13]]);
    assert_eq!(podlet.succeed(&["image", "ls", "-o", "name"]), "localhost/mine:1\n");

    // By the beginning of its ID, as it was listed.
    let removed = podlet.succeed(&["image", "rm", &id[..13]]);
    assert_eq!(removed, format!("localhost/mine:1 removed, with its files (sha256:{id})\n"));
    assert!(fs::metadata(layer).is_err(), "the layer is still there");
    let output = podlet.run(&["image", "ls"]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), "No images in the store.\n".to_owned()));
    podlet.finish();
}

#[test]
fn what_is_wrong_is_told_and_nothing_comes_in() {
    let podlet = Podlet::new();
    let root = make_root(&podlet);
    let said = podlet.fail(&["image", "import", &root, "localhost/mine:1", "--cmd=sh -c true"]);
    assert!(said.contains(r#"perhaps '["sh","-c","true"]' is meant"#), "{said}");
    let said = podlet.fail(&["image", "import", &root, "localhost/mine:1", "--env=NOTHING"]);
    assert!(said.contains("expected KEY=value"), "{said}");
    let said = podlet.fail(&["image", "import", &root]);
    assert!(said.contains("give a name as well"), "{said}");
    let said = podlet.fail(&["image", "import", &root, "podlet.local/host"]);
    assert!(said.contains("one of podlet's own images"), "{said}");
    let said = podlet.fail(&["image", "rm", "localhost/none:1"]);
    assert!(said.contains("localhost/none:1 is not in podlet's image store"), "{said}");
    let said = podlet.fail(&["image", "ls", "-o", "xml"]);
    assert!(said.contains("allowed formats are: json,jsonpath,jsonpath-as-json,name,wide,yaml"), "{said}");
    let said = podlet.fail(&["image", "inspect", "podlet.local/actor", "-o", "custom-columns=A:.id"]);
    assert!(said.contains("allowed formats are: json,jsonpath,jsonpath-as-json,yaml"), "{said}");
    assert_eq!(podlet.succeed(&["image", "ls", "-o", "name"]), "");
    podlet.finish();
}

/// An image whose name a pod's manifest has is not taken from under it.
#[test]
fn an_image_in_use_stays() {
    let podlet = Podlet::new();
    let store = podlet::image::Store::open(&podlet.root.join("state/images"));
    let image = busybox(&store);
    podlet.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  - \
         {name: app, image: 'localhost/busybox:1', command: [sleep, '1000']}\n",
    );
    let said = podlet.fail(&["image", "rm", "localhost/busybox:1"]);
    assert!(said.contains("localhost/busybox:1 is in use by a pod; delete the pod first"), "{said}");
    assert!(image.layers.iter().all(|layer| layer.is_dir()));
    podlet.succeed(&["delete", "pod", "web", "--now"]);
    podlet.succeed(&["image", "rm", "localhost/busybox:1"]);
    assert!(image.layers.iter().all(|layer| !layer.exists()));
    podlet.finish();
}

#[path = "common/image.rs"]
mod images;
use images::import_busybox as busybox;

/// An ordinary user is told in one line what to type; nothing is made.
#[test]
fn an_ordinary_user_gets_one_line() {
    use std::os::unix::process::CommandExt;
    let podlet = Podlet::new();
    let program = podlet.root.join("podlet");
    fs::copy(common::podlet::PROGRAM, &program).unwrap();
    let manifest = podlet.root.join("pod.yaml");
    fs::write(
        &manifest,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - {name: a, image: podlet.local/actor}\n",
    )
    .unwrap();
    let (program, manifest) = (program.display().to_string(), manifest.display().to_string());
    for words in [vec!["apply", &manifest], vec!["image", "import", "/etc/hostname", "localhost/a:1"]] {
        let mut command = std::process::Command::new(&program);
        let output = command.args(&words).envs(podlet.environment()).uid(65534).gid(65534).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("needs root") && said.contains("type: sudo env PODLET_LOG_DIR="), "{said}");
        assert!(said.trim_end().ends_with(&format!("{program} {}", words.join(" "))), "{said}");
    }
    assert!(!podlet.root.join("state").exists() && !podlet.root.join("run").exists());
    podlet.finish();
}

/// What a program printed; it must be installed and succeed.
fn tool(program: &str, words: &[&str]) -> String {
    let output = std::process::Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{program} (see ./check's packages): {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn what_is_saved_is_loaded_by_podlet_and_skopeo() {
    let podlet = Podlet::new();
    let root = make_root(&podlet);
    podlet.succeed(&["image", "import", &root, "localhost/mine:1", "--entrypoint=/bin/app"]);
    assert_eq!(
        podlet.succeed(&["image", "tag", "localhost/mine:1", "localhost/other:2"]),
        "localhost/other:2 tagged\n"
    );
    let id = json(&podlet.succeed(&["image", "inspect", "localhost/mine:1"]))["id"].clone();
    let archive = podlet.root.join("images.tar").display().to_string();
    podlet.succeed(&["image", "save", "-o", &archive, "localhost/mine:1", "localhost/other:2"]);
    for name in ["localhost/mine:1", "localhost/other:2"] {
        let inspected = tool("skopeo", &["inspect", "--config", &format!("docker-archive:{archive}:{name}")]);
        assert_eq!(json(&inspected)["config"]["Entrypoint"], serde_json::json!(["/bin/app"]));
    }
    let layout = podlet.root.join("layout").display().to_string();
    podlet.succeed(&["image", "save", "--format=oci-dir", "-o", &layout, "localhost/mine:1"]);
    tool("skopeo", &["inspect", &format!("oci:{layout}:localhost/mine:1")]);

    podlet.succeed(&["image", "rm", "localhost/mine:1", "localhost/other:2"]);
    let loaded = podlet.succeed(&["image", "load", "-i", &archive]);
    assert_eq!(loaded, "Loaded image: localhost/mine:1\nLoaded image: localhost/other:2\n");
    assert_eq!(json(&podlet.succeed(&["image", "inspect", "localhost/other:2"]))["id"], id);
    podlet.succeed(&["image", "load", &layout]);
    // By pipes.
    let saved = podlet.command(&["image", "save", "localhost/mine:1"]).output().unwrap();
    let mut load = podlet.command(&["image", "load"]);
    let mut child = load.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &saved.stdout).unwrap();
    assert_eq!(text(&child.wait_with_output().unwrap().stdout), "Loaded image: localhost/mine:1\n");
    assert!(podlet.fail(&["image", "save", "podlet.local/host"]).contains("cannot be saved"));

    // An image that loses its last name to another one is left until it is pruned.
    fs::write(podlet.root.join("rootfs/new"), "x").unwrap();
    for name in ["localhost/mine:1", "localhost/other:2"] {
        podlet.succeed(&["image", "import", &root, name]);
    }
    let layers = || fs::read_dir(podlet.root.join("state/images/layers")).unwrap().count();
    let before = layers();
    podlet.succeed(&["image", "prune"]);
    assert_eq!(layers(), before - 1);
    let pruned = podlet.succeed(&["image", "prune", "--all"]);
    assert!(pruned.contains("localhost/mine:1 removed\n") && pruned.ends_with(" reclaimed\n"), "{pruned}");
    assert_eq!(layers(), 0);
    podlet.finish();
}

#[test]
fn images_of_umoci_buildah_and_skopeo_load() {
    let podlet = Podlet::new();
    let root = make_root(&podlet);
    let at = |name: &str| podlet.root.join(name).display().to_string();
    // umoci: two layers, the second takes away and adds.
    let (layout, image) = (at("umoci"), format!("{}:v1", at("umoci")));
    tool("umoci", &["init", "--layout", &layout]);
    tool("umoci", &["new", "--image", &image]);
    tool("umoci", &["insert", "--image", &image, &root, "/"]);
    fs::write(podlet.root.join("more"), "more").unwrap();
    tool("umoci", &["insert", "--image", &image, &at("more"), "/bin/more"]);
    tool("umoci", &["insert", "--image", &image, "--whiteout", "/bin/app"]);
    tool("umoci", &["config", "--image", &image, "--config.cmd", "/bin/more"]);
    assert_eq!(podlet.succeed(&["image", "load", &layout]), "Loaded image: localhost/umoci:v1\n");
    let seen = json(&podlet.succeed(&["image", "inspect", "localhost/umoci:v1"]));
    let top = seen["layerDirectories"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(
        &fs::symlink_metadata(format!("{top}/bin/app")).unwrap().file_type()
    ));
    // skopeo: the same as Docker's exporter and as podman write it.
    for (kind, name) in [("docker-archive", "docker.tar"), ("oci-archive", "oci.tar")] {
        let target = format!("{kind}:{}:localhost/{kind}:1", at(name));
        tool("skopeo", &["--insecure-policy", "copy", &format!("oci:{image}"), &target]);
        assert_eq!(podlet.succeed(&["image", "load", "-i", &at(name)]), format!("Loaded image: localhost/{kind}:1\n"));
        let loaded = json(&podlet.succeed(&["image", "inspect", &format!("localhost/{kind}:1")]));
        assert_eq!(loaded["layers"], seen["layers"]);
    }
    // buildah, from nothing.
    let storage = ["--root", &at("buildah"), "--runroot", &at("buildah-run"), "--storage-driver", "vfs"];
    let buildah = |words: &[&str]| tool("buildah", &[&storage[..], words].concat());
    let container = buildah(&["from", "scratch"]).trim().to_owned();
    buildah(&["copy", &container, &root, "/"]);
    buildah(&["config", "--cmd", "/bin/app", &container]);
    buildah(&["commit", "-q", &container, &format!("oci-archive:{}:localhost/built:1", at("built.tar"))]);
    assert_eq!(podlet.succeed(&["image", "load", &at("built.tar")]), "Loaded image: localhost/built:1\n");
    buildah(&["rm", &container]);
    podlet.finish();
}

/// skopeo's `dir:` is no file system, though it is a directory and no layout.
#[test]
fn skopeos_own_form_is_not_taken_for_a_file_system() {
    let podlet = Podlet::new();
    let directory = podlet.root.join("of-skopeo");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("version"), "Directory Transport Version: 1.1\n").unwrap();
    fs::write(directory.join("manifest.json"), "{}").unwrap();
    let path = directory.to_str().unwrap();
    for words in [&["image", "load", "-i", path][..], &["image", "import", path, "localhost/x:1"]] {
        let said = podlet.fail(words);
        assert!(said.contains("skopeo copy dir:") && said.contains("oci-archive:"), "{said}");
    }
    podlet.finish();
}
