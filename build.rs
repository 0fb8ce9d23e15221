//! Builds the small programs that podlet embeds.

#[path = "build/actor.rs"]
mod actor;

fn main() -> Result<(), String> {
    actor::build()
}
