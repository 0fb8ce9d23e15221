//! Builds the small programs that podlet embeds.

#[path = "build/actor.rs"]
mod actor;
#[path = "build/tiny.rs"]
mod tiny;

fn main() -> Result<(), String> {
    tiny::build()?;
    actor::build()
}
