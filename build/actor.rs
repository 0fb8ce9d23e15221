//! Builds the program of `podlet.local/actor` and tells the crate where it lies.
//!
//! It uses the standard library, so the compiler is called directly, with the flags that make a small static program that
//! starts fast: no relocations to carry out, no unwinding, one code unit. Nothing of cargo's is asked (a build script must
//! not wait for cargo's lock).

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::hash::Hasher;
use std::path::PathBuf;
use std::process::Command;

/// Sets `PODLET_ACTOR` (the program's path) and `PODLET_ACTOR_KEY` (changes with its bytes) for the crate.
pub fn build() -> Result<(), String> {
    println!("cargo::rerun-if-changed=actor");
    println!("cargo::rerun-if-changed=build/actor.rs");
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let program = PathBuf::from(variable("OUT_DIR")?).join("actor");
    let mut command = Command::new(variable("RUSTC")?);
    command
        .args(["--edition=2024", "--crate-name=actor", "--crate-type=bin", "--target"])
        .arg(variable("TARGET")?)
        .args(["-Copt-level=z", "-Cpanic=abort", "-Clto=fat", "-Ccodegen-units=1", "-Cstrip=symbols"])
        .args(["-Ctarget-feature=+crt-static", "-Crelocation-model=static", "-Clink-arg=-Wl,--build-id=none"])
        // The first instructions read the clock (actor/system.rs), then go on to the C library's own start.
        .args(["-Clink-arg=-Wl,-e,actor_start", "-Dwarnings", "-o"])
        .arg(&program)
        .arg("actor/main.rs");
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        command.arg(format!("-Clinker={linker}"));
    }
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}"));
    }
    let bytes = std::fs::read(&program).map_err(|error| format!("{program:?}: {error}"))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    println!("cargo::rustc-env=PODLET_ACTOR={}", program.display());
    println!("cargo::rustc-env=PODLET_ACTOR_KEY={:016x}-{}", hasher.finish(), bytes.len());
    Ok(())
}
