//! Put into the woven program: which mutant is chosen. The first assertion that fails ends the whole program.

use std::sync::OnceLock;

/// Whether it is this one.
pub fn is(number: u32) -> bool {
    static CHOSEN: OnceLock<Option<u32>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let chosen = std::env::var("MUTANT").ok().and_then(|text| text.parse().ok());
        if chosen.is_some() {
            std::panic::set_hook(Box::new(|_| std::process::exit(101)));
        }
        chosen
    });
    *chosen == Some(number)
}
