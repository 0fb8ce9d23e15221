//! How fast an image is unpacked, beside `podman load` and `umoci unpack` where they are installed, in runs side by side.
//!
//! ```text
//! debootstrap bookworm /var/tmp/root
//! cargo bench --bench images -- --runs 5                          an image of 30,000 small files
//! cargo bench --bench images -- --runs 5 --root /var/tmp/root     an image of that tree in its place
//! ```
//!
//! Run it as root on a quiet machine. Each image has one layer, packed by gzip as Docker packs it. Each program begins with an
//! empty store, and its files are in the page cache; podlet writes them out before it ends (`syncfs`), as the row says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use podlet::image::Digest;
use serde_json::json;

/// Files of the image of small files: as many as a large application of JavaScript's has.
const SMALL_FILES: usize = 30_000;

struct Words {
    runs: usize,
    /// A root file system that the image is made of, in place of small files.
    root: Option<PathBuf>,
    work: PathBuf,
}

fn main() {
    let words = words();
    let _ = fs::remove_dir_all(&words.work);
    fs::create_dir_all(&words.work).expect("a directory to work in");
    println!("| image | program | median s | least s | CPU s | beside podlet |\n|---|---|---|---|---|---|");
    match &words.root {
        Some(root) => measure("root file system", root, &words),
        None => measure("30,000 small files", &small_files(&words.work), &words),
    }
    fs::remove_dir_all(&words.work).expect("what was made can be removed");
}

/// A tree of many packages, twenty files each.
fn small_files(work: &Path) -> PathBuf {
    let small = work.join("small");
    for number in 0..SMALL_FILES {
        let directory = small.join(format!("node_modules/package-{}/lib", number / 20));
        if number % 20 == 0 {
            fs::create_dir_all(&directory).expect("a directory");
        }
        let text = format!("module.exports = {number};\n").repeat(1 + number % 60);
        fs::write(directory.join(format!("file-{number}.js")), text).expect("a file");
    }
    small
}

fn words() -> Words {
    let mut words = Words { runs: 5, root: None, work: std::env::temp_dir().join("podlet-bench-images") };
    let mut all = std::env::args().skip(1);
    while let Some(word) = all.next() {
        match word.as_str() {
            "--runs" => words.runs = all.next().and_then(|text| text.parse().ok()).expect("--runs NUMBER"),
            "--root" => words.root = all.next().map(PathBuf::from),
            "--work" => words.work = all.next().map(PathBuf::from).expect("--work DIRECTORY"),
            _ => {}
        }
    }
    words
}

/// One program in one form: its name, what makes its store empty, and the command.
struct Rival {
    name: &'static str,
    command: Vec<String>,
    store: PathBuf,
    samples: Vec<(Duration, Duration)>,
}

fn measure(what: &str, root: &Path, words: &Words) {
    let (layout, archive) = pack(root, &words.work);
    let at = |name: &str| words.work.join(name).display().to_string();
    let (layout_text, archive_text) = (layout.display().to_string(), archive.display().to_string());
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let rival =
        |name, store: &str, command| Rival { name, command, store: words.work.join(store), samples: Vec::new() };
    let podlet = env!("CARGO_BIN_EXE_podlet");
    let podman = ["podman", "--root", &at("podman"), "--runroot", &at("podman/run"), "--storage-driver", "overlay"];
    let mut rivals = vec![
        rival("**podlet image load**, archive", "podlet", list(&[podlet, "image", "load", "-q", "-i", &archive_text])),
        rival("podman load, archive", "podman", list(&[&podman[..], &["load", "-q", "-i", &archive_text]].concat())),
        rival("**podlet image load**, layout", "podlet", list(&[podlet, "image", "load", "-q", &layout_text])),
        rival(
            "umoci unpack, layout",
            "umoci",
            list(&["umoci", "unpack", "--image", &format!("{layout_text}:1"), &at("umoci")]),
        ),
    ];
    rivals.retain(|rival| Command::new(&rival.command[0]).arg("--version").output().is_ok());
    for run in 0..=words.runs {
        for rival in &mut rivals {
            let _ = fs::remove_dir_all(&rival.store);
            nix::unistd::sync();
            let sample = time(rival);
            // The first one warms up.
            if run > 0 {
                rival.samples.push(sample);
            }
            // podman leaves a mount there.
            let _ = Command::new("umount").arg(rival.store.join("overlay")).stderr(Stdio::null()).status();
            let _ = fs::remove_dir_all(&rival.store);
        }
    }
    let median = |samples: &[(Duration, Duration)], which: fn(&(Duration, Duration)) -> Duration| {
        let mut all: Vec<Duration> = samples.iter().map(which).collect();
        all.sort();
        (all[all.len() / 2].as_secs_f64(), all[0].as_secs_f64())
    };
    let mut own = 1.0;
    for rival in &rivals {
        let (middle, least) = median(&rival.samples, |sample| sample.0);
        let (cpu, _) = median(&rival.samples, |sample| sample.1);
        if rival.name.contains("podlet") {
            own = middle;
        }
        println!("| {what} | {} | {middle:.2} | {least:.2} | {cpu:.2} | {:.2} |", rival.name, middle / own);
    }
    for path in [layout, archive] {
        let _ = fs::remove_dir_all(&path);
        let _ = fs::remove_file(&path);
    }
}

fn time(rival: &Rival) -> (Duration, Duration) {
    let before = cpu_of_children();
    let began = Instant::now();
    let mut command = Command::new(&rival.command[0]);
    command.args(&rival.command[1..]).stdout(Stdio::null()).stderr(Stdio::inherit());
    for (variable, name) in [("PODLET_STATE_DIR", "state"), ("PODLET_RUN_DIR", "run"), ("PODLET_LOG_DIR", "logs")] {
        command.env(variable, rival.store.join(name));
    }
    let status = command.status().expect("it starts");
    assert!(status.success(), "{:?}", rival.command);
    (began.elapsed(), cpu_of_children() - before)
}

fn cpu_of_children() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).expect("always there");
    let whole = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec().unsigned_abs(), u32::try_from(time.tv_usec()).unwrap_or(0) * 1000)
    };
    whole(usage.user_time()) + whole(usage.system_time())
}

/// An OCI layout of one layer, as a directory and as an archive.
fn pack(root: &Path, work: &Path) -> (PathBuf, PathBuf) {
    let (layout, archive, tar) = (work.join("layout"), work.join("image.tar"), work.join("layer.tar"));
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a directory");
    let run = |program: &str, words: &[&str]| {
        let status = Command::new(program).args(words).status().unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(status.success(), "{program} {words:?}");
    };
    let text = |path: &Path| path.display().to_string();
    run("tar", &["-C", &text(root), "--exclude=./dev/*", "--exclude=./proc/*", "-cf", &text(&tar), "."]);
    let diff_id = Digest::of(&fs::read(&tar).expect("the layer")).to_string();
    run("gzip", &["-6", &text(&tar)]);
    let packed = work.join("layer.tar.gz");
    let put = |bytes: &[u8], kind: &str| {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).expect("a blob");
        json!({"mediaType": kind, "digest": digest.to_string(), "size": bytes.len()})
    };
    let layer = put(&fs::read(&packed).expect("the layer"), "application/vnd.oci.image.layer.v1.tar+gzip");
    fs::remove_file(packed).expect("the layer");
    let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    let config = put(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
    let mut described = put(manifest.to_string().as_bytes(), kind);
    described["annotations"] = json!({"org.opencontainers.image.ref.name": "1"});
    let index = json!({"schemaVersion": 2, "manifests": [described]});
    fs::write(layout.join("index.json"), index.to_string()).expect("the index");
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the layout");
    run("tar", &["-C", &text(&layout), "-cf", &text(&archive), "."]);
    (layout, archive)
}
