//! Builds the small programs that podlet embeds, and says how podlet is linked.

#[path = "build/actor.rs"]
mod actor;
#[path = "build/tiny.rs"]
mod tiny;

fn main() -> Result<(), String> {
    link_in_place();
    tiny::build()?;
    actor::build()
}

/// The static program is linked to run where the linker puts it. Were it position-independent, each start would work through
/// 24,000 relocations and touch 70 pages more, a third of a millisecond, and an `apply` starts podlet twice. What that gives
/// up is that code and constants lie at another address in each process; stack, heap and mappings still do. The same is so
/// of what Go builds, podman and the kubelet among it; podlet's readers of what others have written have no `unsafe`.
fn link_in_place() {
    let set =
        |variable: &str, value: &str| std::env::var(variable).is_ok_and(|text| text.split(',').any(|one| one == value));
    if set("CARGO_CFG_TARGET_ENV", "gnu") && set("CARGO_CFG_TARGET_FEATURE", "crt-static") {
        println!("cargo::rustc-link-arg-bin=podlet=-static");
        println!("cargo::rustc-link-arg-bin=podlet=-no-pie");
    }
}
