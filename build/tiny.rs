//! Builds the tiny programs in `pause/` (stage, pause, keeper) for [`include_bytes!`] in `src/linux/programs.rs`.
//!
//! By calling the compiler itself: no second cargo (which would wait for the first one's lock), no unstable feature. Linked
//! by the rust-lld that comes with rustup's toolchains, else by the C compiler's driver (a distribution's rustc has no
//! rust-lld); the latter makes them some 200 bytes larger.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt, fs};

/// No unwinding, no relocations, one segment: code and constants in one page where they fit.
const COMPILE: [&str; 8] = [
    "-Copt-level=z",
    "-Cpanic=abort",
    "-Cdebug-assertions=no",
    "-Coverflow-checks=no",
    "-Ccodegen-units=1",
    "-Crelocation-model=static",
    "-Cforce-unwind-tables=no",
    "-Ctarget-feature=+crt-static",
];
/// The compiler's own atomic functions for aarch64 ask the C library which instructions the processor has; there is none.
const COMPILE_AARCH64: [&str; 1] = ["-Ctarget-feature=-outline-atomics"];
const LLD: [&str; 3] = [
    "-Clinker=rust-lld",
    "-Clinker-flavor=ld.lld",
    "-Clink-args=-static --build-id=none -z norelro -z noseparate-code --no-rosegment --gc-sections --no-eh-frame-hdr",
];
const DRIVER: [&str; 1] = [
    "-Clink-args=-nostartfiles -nostdlib -static -no-pie -Wl,--build-id=none,-z,norelro,-z,noseparate-code,--gc-sections",
];

/// Compiles the three into `OUT_DIR`.
pub fn build() -> Result<(), String> {
    println!("cargo::rerun-if-changed=pause/src");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let out = PathBuf::from(variable("OUT_DIR")?);
    // Nothing unwinds here, and the tables for it would cost a page of memory.
    let script = out.join("discard.ld");
    fs::write(&script, "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) } } INSERT AFTER .text;\n")
        .map_err(|error| format!("{}: {error}", script.display()))?;
    let script = format!("-Clink-arg=-T{}", script.display());
    let library = out.join("libpause.rlib");
    compile(Path::new("pause/src/lib.rs"), "pause", &library, &["--crate-type=rlib"])?;
    let with_library = format!("--extern=pause={}", library.display());
    for name in ["stage", "pause", "keeper"] {
        let source = Path::new("pause/src/bin").join(name).with_extension("rs");
        let program = ["--crate-type=bin", "-Clto=fat", "-Cstrip=symbols", &with_library, &script];
        let output = out.join(name);
        compile(&source, name, &output, &[&program[..], &LLD].concat()).or_else(|lld| {
            let linker = env::var("RUSTC_LINKER").unwrap_or_else(|_| String::from("cc"));
            let linker = format!("-Clinker={linker}");
            compile(&source, name, &output, &[&program[..], &DRIVER, &[&linker]].concat()).map_err(|driver| {
                format!("could not build {name}, neither with rust-lld ({lld}) nor with cc ({driver})")
            })
        })?;
    }
    Ok(())
}

fn compile(source: &Path, name: &str, output: &Path, arguments: &[&str]) -> Result<(), String> {
    let target = variable("TARGET")?;
    let said = |what: &dyn fmt::Display| format!("{}: {what}", source.display());
    let result = Command::new(variable("RUSTC")?)
        .args(["--edition=2024", "--crate-name", name, "--target", &target])
        .args(COMPILE)
        .args(COMPILE_AARCH64.iter().filter(|_| target.starts_with("aarch64")))
        .args(arguments)
        .arg("-o")
        .arg(output)
        .arg(source)
        .output()
        .map_err(|error| said(&error))?;
    if result.status.success() { Ok(()) } else { Err(said(&String::from_utf8_lossy(&result.stderr))) }
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
