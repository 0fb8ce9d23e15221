//! Images from directories, tar files, OCI layouts and `docker save`, good ones and hostile ones.
//! Needs root: owners, whiteouts and `trusted.` attributes are root's.
#![allow(clippy::unwrap_used)]

#[path = "common/image.rs"]
mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use podlet::image::{Digest, Image, ImageError, Limits, Overrides, Store};
use serde_json::json;
use tar::{EntryType, Header};

use common::Scratch;

/// A tar archive built header by header, since no well-meaning writer makes hostile ones.
#[derive(Clone, Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn entry(mut self, kind: EntryType, name: &[u8], link: &[u8], content: &[u8]) -> Tar {
        let mut header = Header::new_ustar();
        {
            let old = header.as_old_mut();
            old.name[..name.len()].copy_from_slice(name);
            old.linkname[..link.len()].copy_from_slice(link);
        }
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: &str) -> Tar {
        self.entry(EntryType::Regular, name.as_bytes(), b"", content.as_bytes())
    }

    fn directory(self, name: &str) -> Tar {
        self.entry(EntryType::Directory, name.as_bytes(), b"", b"")
    }

    fn symlink(self, name: &str, target: &str) -> Tar {
        self.entry(EntryType::Symlink, name.as_bytes(), target.as_bytes(), b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Tar {
        self.entry(EntryType::Link, name.as_bytes(), target.as_bytes(), b"")
    }

    fn pax(self, records: &[(&str, &str)]) -> Tar {
        let mut content = String::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest..).find(|length| *length == rest + length.to_string().len()).unwrap();
            content.push_str(&format!("{length} {key}={value}\n"));
        }
        self.entry(EntryType::XHeader, b"PaxHeader", b"", content.as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A store in a scratch directory, with a canary beside it that no archive may touch.
struct World {
    scratch: Scratch,
    store: Store,
}

impl World {
    fn new(name: &str) -> World {
        let scratch = Scratch::new(name);
        fs::create_dir(scratch.path().join("outside")).unwrap();
        fs::write(scratch.path().join("outside/canary"), "alive").unwrap();
        let store = Store::open(&scratch.path().join("images"));
        World { scratch, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn import(&self, source: &Path) -> Result<Image, ImageError> {
        self.store.import(source, Some("localhost/test:1"), &Overrides::default(), Limits::default())?;
        self.store.find("localhost/test:1")
    }

    fn import_tar(&self, bytes: &[u8]) -> Result<Image, ImageError> {
        let path = self.path("archive.tar");
        fs::write(&path, bytes).unwrap();
        self.import(&path)
    }

    /// The canary lives, and nothing is left of what was not finished.
    fn check(&self, what: &str) {
        assert_eq!(fs::read_to_string(self.path("outside/canary")).unwrap(), "alive", "{what}");
        assert_eq!(fs::read_dir(self.path("outside")).unwrap().count(), 1, "{what}");
        assert_eq!(fs::read_dir(self.path("images/tmp")).unwrap().count(), 0, "{what}");
    }

    /// An OCI layout of these layers; `change` may spoil it.
    fn layout(&self, layers: &[Vec<u8>], change: impl FnOnce(&mut Layout)) -> PathBuf {
        let mut layout = Layout::new(layers);
        change(&mut layout);
        let path = self.path("layout");
        let _ = fs::remove_dir_all(&path);
        layout.write(&path);
        path
    }
}

/// The parts of a layout before it is written.
struct Layout {
    blobs: Vec<(String, Vec<u8>)>,
    config: serde_json::Value,
    layers: Vec<serde_json::Value>,
    manifest_extra: serde_json::Value,
    platform: serde_json::Value,
    index: Option<serde_json::Value>,
}

impl Layout {
    fn new(layers: &[Vec<u8>]) -> Layout {
        let packed: Vec<Vec<u8>> = layers.iter().map(|layer| gzip(layer)).collect();
        let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
        let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        Layout {
            layers: packed
                .iter()
                .map(|layer| {
                    json!({
                        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                        "digest": Digest::of(layer).to_string(),
                        "size": layer.len(),
                    })
                })
                .collect(),
            blobs: packed.into_iter().map(|layer| (Digest::of(&layer).hex().to_owned(), layer)).collect(),
            config: json!({
                "architecture": architecture,
                "os": "linux",
                "config": {"Cmd": ["sh"], "Env": ["A=1"], "Labels": {"podlet.dev/x": "y"}, "Volumes": {"/../../v": {}}},
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
                "history": [{"created_by": "a test"}],
            }),
            manifest_extra: json!({}),
            platform: json!({"os": "linux", "architecture": architecture}),
            index: None,
        }
    }

    fn write(self, path: &Path) {
        let blobs = path.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for (name, bytes) in &self.blobs {
            fs::write(blobs.join(name), bytes).unwrap();
        }
        let put = |value: &serde_json::Value| {
            let bytes = serde_json::to_vec(value).unwrap();
            let digest = Digest::of(&bytes);
            fs::write(blobs.join(digest.hex()), &bytes).unwrap();
            json!({"digest": digest.to_string(), "size": bytes.len()})
        };
        let mut manifest = json!({"schemaVersion": 2, "config": put(&self.config), "layers": self.layers});
        manifest.as_object_mut().unwrap().extend(self.manifest_extra.as_object().unwrap().clone());
        let mut descriptor = put(&manifest);
        descriptor["mediaType"] = json!("application/vnd.oci.image.manifest.v1+json");
        descriptor["platform"] = self.platform;
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": "localhost/from-layout:2"});
        let index = self.index.unwrap_or(json!({"schemaVersion": 2, "manifests": [descriptor]}));
        fs::write(path.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }
}

fn read(image: &Image, layer: usize, path: &str) -> String {
    fs::read_to_string(image.layers[layer].join(path)).unwrap()
}

#[test]
fn a_tar_file_plain_or_gzip_keeps_what_it_says() {
    let world = World::new("tar");
    let archive = Tar::default()
        .directory("./")
        .directory("etc/")
        .file("/etc/absolute", "inside")
        .file("a/b/c/deep", "parents are made")
        .symlink("link", "/etc")
        .file("link/through", "within the root")
        .hard_link("hard", "etc/absolute")
        .pax(&[("path", "long/name"), ("uid", "1234"), ("mtime", "5.5"), ("SCHILY.xattr.user.x", "y\nz")])
        .file("short", "renamed by PAX")
        .entry(EntryType::Fifo, b"pipe", b"", b"")
        .file("dup", "first")
        .file("dup", "second")
        .end();
    for (what, bytes) in [("plain", archive.clone()), ("gzip", gzip(&archive))] {
        let image = world.import_tar(&bytes).unwrap();
        assert_eq!(image.layers.len(), 1, "{what}");
        assert_eq!(read(&image, 0, "etc/absolute"), "inside");
        assert_eq!(read(&image, 0, "a/b/c/deep"), "parents are made");
        assert_eq!(read(&image, 0, "etc/through"), "within the root");
        assert_eq!(read(&image, 0, "dup"), "second");
        let stat = |path: &str| fs::symlink_metadata(image.layers[0].join(path)).unwrap();
        assert_eq!(stat("hard").ino(), stat("etc/absolute").ino());
        assert_eq!(
            (stat("long/name").uid(), stat("long/name").mtime(), stat("long/name").mtime_nsec()),
            (1234, 5, 500_000_000)
        );
        assert_eq!(stat("etc").mtime(), 1_000_000_000);
        assert!(stat("pipe").file_type().is_fifo());
        assert_eq!(xattr::get(image.layers[0].join("long/name"), "user.x").unwrap().unwrap(), b"y\nz");
        assert_eq!(image.config.env.len(), 1);
        world.check(what);
    }
}

#[test]
fn hostile_archives_touch_nothing_outside() {
    let world = World::new("hostile");
    let outside = world.path("outside").to_string_lossy().into_owned();
    let up = format!("{}{outside}", "../".repeat(9).trim_end_matches('/'));
    let refused: Vec<(&str, Vec<u8>, &str)> = vec![
        ("dots", Tar::default().file("../canary", "x").end(), "leads out"),
        ("dots inside", Tar::default().file("a/../../canary", "x").end(), "leads out"),
        ("dots by PAX", Tar::default().pax(&[("path", "../../canary")]).file("x", "x").end(), "leads out"),
        ("hard link out", Tar::default().hard_link("x", "../../../outside/canary").end(), "leads out"),
        (
            "hard link to absolute",
            Tar::default().hard_link("x", &format!("{outside}/canary")).end(),
            "not in the same layer",
        ),
        (
            "hard link through a link",
            Tar::default().symlink("d", &outside).hard_link("x", "d/canary").end(),
            "not in the same layer",
        ),
        ("hard link to a directory", Tar::default().directory("d").hard_link("x", "d").end(), "is no file"),
        ("hard link to the root", Tar::default().hard_link("x", "./").end(), "is the root"),
        ("device", Tar::default().entry(EntryType::Char, b"null", b"", b"").end(), "is a device"),
        ("block device", Tar::default().entry(EntryType::Block, b"x/sda", b"", b"").end(), "is a device"),
        ("whiteout of nothing", Tar::default().file(".wh.", "").end(), "whiteout of no file"),
        ("whiteout of the directory", Tar::default().file("a/.wh..", "").end(), "whiteout of no file"),
        ("whiteout of its parent", Tar::default().file("a/.wh...", "").end(), "whiteout of no file"),
        (
            "trusted attribute",
            Tar::default().pax(&[("SCHILY.xattr.trusted.overlay.opaque", "y")]).directory("d").end(),
            "overlayfs is steered",
        ),
        (
            "redirect",
            Tar::default().pax(&[("SCHILY.xattr.trusted.overlay.redirect", "/etc")]).directory("d").end(),
            "overlayfs is steered",
        ),
        (
            "user.overlay",
            Tar::default().pax(&[("SCHILY.xattr.user.overlay.opaque", "y")]).directory("d").end(),
            "overlayfs is steered",
        ),
        ("two sizes", Tar::default().pax(&[("size", "4096")]).file("x", "y").end(), "two sizes"),
        ("sparse", Tar::default().pax(&[("GNU.sparse.major", "1")]).file("x", "y").end(), "sparse"),
        ("user -1", Tar::default().pax(&[("uid", "4294967295")]).file("x", "y").end(), "impossible user"),
        ("truncated", Tar::default().file("x", &"y".repeat(5000)).end()[..2048].to_vec(), "damaged"),
        ("truncated gzip", gzip(&Tar::default().file("x", &"y".repeat(50_000)).end())[..60].to_vec(), "damaged"),
        ("no archive", b"hello".repeat(500), "damaged"),
        ("file as a parent", Tar::default().file("f", "").file("f/x", "").end(), "Not a directory"),
        ("dangling parent", Tar::default().symlink("d", "nowhere").file("d/x", "").end(), "could not make"),
        ("loop of links", Tar::default().symlink("d", "d").file("d/x", "").end(), "could not enter"),
        ("unknown type", Tar::default().entry(EntryType::new(b'Z'), b"x", b"", b"").end(), "unknown type"),
        ("a file as the root", Tar::default().file("./", "").symlink("/", "x").end(), "root is not a directory"),
        (
            "a name of a mebibyte",
            Tar::default().pax(&[("path", &"x/".repeat(600_000))]).file("x", "").end(),
            "extension header",
        ),
        ("empty", Vec::new(), "holds no files"),
        ("empty archive", vec![0; 10_240], "holds no files"),
        ("zstd", b"\x28\xb5\x2f\xfd        ".to_vec(), "zstd"),
    ];
    for (what, bytes, why) in refused {
        let error = match world.import_tar(&bytes) {
            Ok(_) => panic!("{what} should be refused"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(why), "{what}: {error}");
        assert!(!error.contains('\n') && error.len() < 5000, "{what}: {error}");
        world.check(what);
        assert!(matches!(world.store.find("localhost/test:1"), Err(ImageError::Absent(_))), "{what}");
    }
    // What is confined instead: links may point anywhere, but no write follows them out.
    let confined: Vec<(&str, Vec<u8>)> = vec![
        (
            "link out, then replaced",
            Tar::default().symlink("canary", &format!("{outside}/canary")).file("canary", "x").end(),
        ),
        ("link up, then through", Tar::default().symlink("d", "../../../../..").file("d/canary", "x").end()),
        (
            "absolute link, made inside first",
            Tar::default()
                .directory(outside.trim_start_matches('/'))
                .symlink("d", &outside)
                .file("d/canary", "x")
                .end(),
        ),
        ("link replaced by a directory", Tar::default().symlink("d", &up).directory("d").file("d/canary", "x").end()),
        (
            "hard link to a link",
            Tar::default().symlink("s", &format!("{outside}/canary")).hard_link("h", "s").file("h", "x").end(),
        ),
        ("directory replaced by a link", Tar::default().file("d/f", "").symlink("d", &outside).end()),
        ("link to itself", Tar::default().file("f", "kept").hard_link("f", "f").end()),
        ("absolute names", Tar::default().file(&format!("{outside}/canary"), "x").end()),
    ];
    for (what, bytes) in confined {
        world.import_tar(&bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        world.check(what);
    }
}

#[test]
fn whiteouts_become_those_of_overlayfs() {
    let world = World::new("whiteouts");
    let lower =
        Tar::default().file("gone", "").file("kept", "").file("d/old", "").file("e/old", "").file("f/old", "").end();
    let upper = Tar::default()
        .file(".wh.gone", "")
        .file("d/.wh..wh..opq", "")
        .file("d/new", "")
        // Before or after: what the layer brings itself stays.
        .file(".wh.kept", "")
        .file("kept", "new")
        .file(".wh.e", "")
        .file("e/new", "")
        .directory("f")
        .file("f/new", "")
        .file(".wh.f", "")
        .file(".wh..wh.plnk", "")
        .end();
    let image = world.import(&world.layout(&[lower, upper], |_| {})).unwrap();
    let gone = fs::symlink_metadata(image.layers[1].join("gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert_eq!(read(&image, 1, "kept"), "new");
    for directory in ["d", "e", "f"] {
        let opaque = xattr::get(image.layers[1].join(directory), "trusted.overlay.opaque").unwrap();
        assert_eq!(opaque.as_deref(), Some(&b"y"[..]), "{directory}");
        assert!(image.layers[1].join(directory).join("new").exists());
        assert_eq!(image.layers[1].join(directory).metadata().unwrap().mode() & 0o7777, 0o755);
    }
    assert_eq!(xattr::get(&image.layers[1], "trusted.overlay.opaque").unwrap(), None);
    world.check("whiteouts");
}

#[test]
fn an_oci_layout_comes_in_with_its_own_name_and_id() {
    let world = World::new("oci");
    let layers = [Tar::default().file("a", "1").end(), Tar::default().file("b", "2").end()];
    let path = world.layout(&layers, |_| {});
    let imported = world.store.import(&path, None, &Overrides::default(), Limits::default()).unwrap();
    assert_eq!(imported.record.name, "localhost/from-layout:2");
    let image = world.store.find("localhost/from-layout:2").unwrap();
    assert_eq!((read(&image, 0, "a"), read(&image, 1, "b")), ("1".to_owned(), "2".to_owned()));
    assert_eq!(image.config.cmd, ["sh"]);
    assert!(image.binds.is_empty());
    let by_digest = world.store.find(&format!("localhost/from-layout@{}", imported.record.digest)).unwrap();
    assert_eq!(by_digest, image);
    let inspection = world.store.inspect("localhost/from-layout:2").unwrap();
    assert_eq!(inspection.configuration["history"][0]["created_by"], "a test");

    // The same as a tar file, with other words for the configuration: layers are shared, labels kept, the ID is another.
    let archive = world.path("layout.tar");
    let mut builder = tar::Builder::new(fs::File::create(&archive).unwrap());
    builder.append_dir_all(".", &path).unwrap();
    builder.into_inner().unwrap();
    let overrides = Overrides {
        entrypoint: Some(vec!["/a".to_owned()]),
        env: vec!["A=2".to_owned(), "B=3".to_owned()],
        user: Some("7".to_owned()),
        ..Overrides::default()
    };
    world.store.import(&archive, Some("localhost/other:1"), &overrides, Limits::default()).unwrap();
    let other = world.store.find("localhost/other:1").unwrap();
    assert_eq!(other.layers, image.layers);
    assert_ne!(other.id, image.id);
    assert_eq!((other.config.entrypoint, other.config.cmd), (vec!["/a".to_owned()], vec![]));
    assert_eq!((other.config.env, other.config.user), (vec!["A=2".to_owned(), "B=3".to_owned()], Some("7".to_owned())));
    let labels = &world.store.inspect("localhost/other:1").unwrap().configuration["config"]["Labels"];
    assert_eq!(labels["podlet.dev/x"], "y");
    world.check("oci");
}

#[test]
fn a_layout_that_lies_is_refused() {
    let world = World::new("lies");
    let layer = || vec![Tar::default().file("a", "1").end()];
    let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    type Change = Box<dyn Fn(&mut Layout)>;
    let cases: Vec<(&str, Change, &str)> = vec![
        ("blob altered", Box::new(move |l| flip(&mut l.blobs[0].1)), ""),
        ("blob longer", Box::new(|l| l.blobs[0].1.extend([0; 100])), "longer than"),
        (
            "blob shorter",
            Box::new(|l| {
                l.blobs[0].1.pop();
            }),
            "",
        ),
        ("blob missing", Box::new(|l| l.blobs.clear()), "has no file"),
        ("another layer's blob", Box::new(|l| l.blobs[0].1 = gzip(&Tar::default().file("evil", "").end())), ""),
        ("size too small", Box::new(|l| l.layers[0]["size"] = json!(1)), "longer than"),
        (
            "diff ID of another",
            Box::new(|l| l.config["rootfs"]["diff_ids"][0] = json!(Digest::of(b"x").to_string())),
            "unpacks to",
        ),
        ("too few diff IDs", Box::new(|l| l.config["rootfs"]["diff_ids"] = json!([])), "lists 1 layers"),
        (
            "digest is a path",
            Box::new(|l| l.layers[0]["digest"] = json!("sha256:../../../../outside/canary")),
            "not a digest",
        ),
        (
            "diff ID is a path",
            Box::new(|l| l.config["rootfs"]["diff_ids"][0] = json!("sha256:../../x")),
            "not a digest",
        ),
        (
            "index and manifest at once",
            Box::new(|l| l.manifest_extra = json!({"manifests": []})),
            "either an index or a manifest",
        ),
        (
            "another machine's",
            Box::new(|l| l.platform = json!({"os": "linux", "architecture": "s390x"})),
            "no image for linux/",
        ),
        (
            "another machine's by its configuration",
            Box::new(|l| l.config["architecture"] = json!("s390x")),
            "the image is for linux/s390x",
        ),
        ("windows", Box::new(|l| l.config["os"] = json!("windows")), "the image is for windows/"),
        ("NUL in the environment", Box::new(|l| l.config["config"]["Env"] = json!(["A=\0"])), "NUL"),
        ("environment is a text", Box::new(|l| l.config["config"]["Env"] = json!("A=1")), "not what it should be"),
        ("no index", Box::new(|l| l.index = Some(json!(7))), "not what it should be"),
        ("nothing in the index", Box::new(|l| l.index = Some(json!({"manifests": []}))), "no image for"),
        (
            "index of a large blob",
            Box::new(|l| l.index = Some(json!({"manifests": [{"digest": Digest::of(b"x").to_string(), "size": 1}]}))),
            "has no file",
        ),
        (
            "600 layers",
            Box::new(|l| {
                l.layers = vec![l.layers[0].clone(); 600];
                l.config["rootfs"]["diff_ids"] = json!(vec![l.config["rootfs"]["diff_ids"][0].clone(); 600]);
            }),
            "more than 128 layers",
        ),
    ];
    for (what, change, why) in cases {
        let path = world.layout(&layer(), |layout| change(layout));
        let error = match world.import(&path) {
            Ok(_) => panic!("{what} should be refused"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(why), "{what}: {error}");
        world.check(what);
        assert!(matches!(world.store.find("localhost/test:1"), Err(ImageError::Absent(_))), "{what}");
    }
    // Blobs behind links, and pipes in place of files, are not opened.
    let path = world.layout(&layer(), |_| {});
    fs::rename(path.join("blobs"), world.path("blobs")).unwrap();
    symlink(world.path("blobs"), path.join("blobs")).unwrap();
    assert!(world.import(&path).unwrap_err().to_string().contains("has no file"));
}

#[test]
fn bombs_end_at_the_limits() {
    let world = World::new("bombs");
    let zeros = Tar::default().file("zeros", &"\0".repeat(80 << 20)).end();
    let many = (0..300).fold(Tar::default(), |tar, n| tar.file(&format!("f{n}"), "")).end();
    let import = |bytes: &[u8], limits: Limits| {
        let path = world.path("bomb.tar.gz");
        fs::write(&path, bytes).unwrap();
        world.store.import(&path, Some("localhost/test:1"), &Overrides::default(), limits)
    };
    for (what, bytes, limits, why) in [
        ("ratio", gzip(&zeros), Limits::default(), "taken for a bomb"),
        ("bytes", gzip(&zeros), Limits { bytes: 1 << 20, ..Limits::default() }, "its limit"),
        ("bytes, plain", zeros.clone(), Limits { bytes: 1 << 20, ..Limits::default() }, "its limit"),
        ("files", many, Limits { files: 299, ..Limits::default() }, "more than 299 files"),
    ] {
        let error = import(&bytes, limits).unwrap_err().to_string();
        assert!(error.contains(why), "{what}: {error}");
        world.check(what);
    }
    import(&gzip(&zeros), Limits { ratio: 2000, ..Limits::default() }).unwrap();
    // In a layout too, where layers are not copied first.
    let path = world.layout(&[zeros], |_| {});
    let error = world.store.import(&path, Some("localhost/l:1"), &Overrides::default(), Limits::default());
    assert!(error.is_ok(), "the layer is known already");
}

#[test]
fn a_directory_comes_in_whole_and_the_same_each_time() {
    let world = World::new("directory");
    let root = world.path("root");
    fs::create_dir_all(root.join("etc/x")).unwrap();
    fs::write(root.join("etc/file"), "content").unwrap();
    fs::set_permissions(root.join("etc/file"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::hard_link(root.join("etc/file"), root.join("second")).unwrap();
    std::os::unix::fs::lchown(root.join("etc/x"), Some(5), Some(6)).unwrap();
    symlink("/outside/../..", root.join("link")).unwrap();
    let long = "n".repeat(200);
    fs::write(root.join(&long), "long").unwrap();
    xattr::set(root.join("etc/file"), "user.mime", b"a\0b").unwrap();
    fs::create_dir(root.join("dev")).unwrap();
    nix::sys::stat::mknod(
        &root.join("dev/null"),
        nix::sys::stat::SFlag::S_IFCHR,
        nix::sys::stat::Mode::empty(),
        nix::sys::stat::makedev(1, 3),
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();

    let imported =
        world.store.import(&root, Some("localhost/dir:1"), &Overrides::default(), Limits::default()).unwrap();
    assert_eq!(imported.notes.len(), 2, "{:?}", imported.notes);
    let image = world.store.find("localhost/dir:1").unwrap();
    let stat = |path: &str| fs::symlink_metadata(image.layers[0].join(path)).unwrap();
    assert_eq!(stat("etc/file").mode() & 0o7777, 0o4711);
    assert_eq!(stat("etc/file").ino(), stat("second").ino());
    assert_eq!((stat("etc/x").uid(), stat("etc/x").gid()), (5, 6));
    assert_eq!(fs::read_link(image.layers[0].join("link")).unwrap(), Path::new("/outside/../.."));
    assert_eq!(read(&image, 0, &long), "long");
    assert_eq!(xattr::get(image.layers[0].join("etc/file"), "user.mime").unwrap().unwrap(), b"a\0b");
    assert!(!image.layers[0].join("dev/null").exists());
    let again = world.store.import(&root, Some("localhost/dir:2"), &Overrides::default(), Limits::default()).unwrap();
    assert_eq!(again.record.id, imported.record.id);
    world.check("directory");

    for (path, why) in [(world.path("nothing"), "No such file"), (world.scratch.path().to_owned(), "store itself")] {
        let error = world.store.import(&path, Some("localhost/x:1"), &Overrides::default(), Limits::default());
        assert!(error.unwrap_err().to_string().contains(why));
    }
    fs::create_dir(world.path("empty")).unwrap();
    let nameless = world.store.import(&root, None, &Overrides::default(), Limits::default()).unwrap_err();
    assert!(nameless.to_string().contains("give a name"));
    for name in ["podlet.local/host", "podlet.local/actor:latest", "Bad Name"] {
        assert!(world.store.import(&root, Some(name), &Overrides::default(), Limits::default()).is_err(), "{name}");
    }
}

#[test]
fn an_archive_of_docker_save_comes_in() {
    let world = World::new("docker");
    let layer = Tar::default().file("a", "docker").end();
    let config = json!({"os": "linux", "architecture": if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }, "config": {"Entrypoint": ["/a"]}, "rootfs": {"diff_ids": [Digest::of(&layer).to_string()]}});
    let manifest = json!([{"Config": "config.json", "RepoTags": ["busybox:9"], "Layers": ["x/layer.tar"]}]);
    let text = String::from_utf8(layer).unwrap();
    let archive = Tar::default()
        .file("x/layer.tar", &text)
        .file("config.json", &config.to_string())
        .file("manifest.json", &manifest.to_string())
        .end();
    fs::write(world.path("docker.tar"), archive).unwrap();
    let imported =
        world.store.import(&world.path("docker.tar"), None, &Overrides::default(), Limits::default()).unwrap();
    assert_eq!(imported.record.name, "docker.io/library/busybox:9");
    let image = world.store.find("busybox:9").unwrap();
    assert_eq!(read(&image, 0, "a"), "docker");
    assert_eq!(image.config.entrypoint, ["/a"]);
}

#[test]
fn names_share_layers_and_the_last_one_takes_them_along() {
    let world = World::new("remove");
    let busybox = common::import_busybox(&world.store);
    assert_eq!(busybox.config.cmd, ["sh"]);
    assert_eq!(fs::read_link(busybox.layers[0].join("bin/sh")).unwrap(), Path::new("busybox"));
    // The same once more: its links are of another second perhaps, and so its layer is another one.
    let busybox = common::import_busybox(&world.store);
    let image = world.import_tar(&Tar::default().file("a", "").end()).unwrap();
    fs::copy(world.path("archive.tar"), world.path("b.tar")).unwrap();
    world
        .store
        .import(&world.path("b.tar"), Some("localhost/test:2"), &Overrides::default(), Limits::default())
        .unwrap();
    let names = |store: &Store| store.list().unwrap().into_iter().map(|record| record.name).collect::<Vec<_>>();
    assert_eq!(names(&world.store), ["localhost/busybox:1", "localhost/test:1", "localhost/test:2"]);

    assert_eq!(world.store.remove("localhost/test:1", &[]).unwrap().deleted, None);
    assert!(image.layers[0].exists());
    let error = world.store.remove("localhost/test:2", std::slice::from_ref(&image.id)).unwrap_err();
    assert_eq!(error.to_string(), "localhost/test:2 is in use by a pod; delete the pod first");
    assert_eq!(world.store.remove("localhost/test:2", &[]).unwrap().deleted, Some(image.id.clone()));
    assert!(!image.layers[0].exists());
    assert!(busybox.layers[0].exists());
    assert!(matches!(world.store.remove("localhost/test:2", &[]), Err(ImageError::Absent(_))));

    // A newer image under the same name leaves the old one's layers to the pod that uses them.
    let old = world.import_tar(&Tar::default().file("old", "").end()).unwrap();
    let new = world.import_tar(&Tar::default().file("new", "").end()).unwrap();
    world.store.remove("localhost/busybox:1", std::slice::from_ref(&old.id)).unwrap();
    assert!(old.layers[0].exists() && new.layers[0].exists());
    world.store.remove("localhost/test:1", &[]).unwrap();
    assert!(!old.layers[0].exists() && !new.layers[0].exists());
    assert_eq!(names(&world.store), [""; 0]);
    world.check("remove");
}

#[test]
fn a_writer_that_died_leaves_nothing_for_long() {
    let world = World::new("crash");
    world.import_tar(&Tar::default().file("a", "").end()).unwrap();
    // As a killed process leaves it: a directory in tmp that nobody holds, deeper than any path can name.
    let mut directory = fs::File::open(world.path("images/tmp")).unwrap();
    for _ in 0..3000 {
        use nix::fcntl::{OFlag, openat};
        use nix::sys::stat::{Mode, mkdirat};
        mkdirat(&directory, "left", Mode::from_bits_truncate(0o700)).unwrap();
        directory = openat(&directory, "left", OFlag::O_DIRECTORY, Mode::empty()).unwrap().into();
    }
    drop(directory);
    world.import_tar(&Tar::default().file("b", "").end()).unwrap();
    world.check("crash");
}

#[test]
fn two_writers_of_one_image_do_not_meet() {
    let world = World::new("two");
    let archive = (0..200).fold(Tar::default(), |tar, n| tar.file(&format!("d{}/f{n}", n % 7), "x")).end();
    fs::write(world.path("a.tar"), &archive).unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let world = &world;
            scope.spawn(move || {
                let name = format!("localhost/two:{}", number % 2);
                let store = world.store.clone();
                store.import(&world.path("a.tar"), Some(&name), &Overrides::default(), Limits::default()).unwrap();
                store.find(&name).unwrap();
                store.find("podlet.local/actor").unwrap();
            });
        }
    });
    assert_eq!(world.store.list().unwrap().len(), 3);
    world.check("two");
}
