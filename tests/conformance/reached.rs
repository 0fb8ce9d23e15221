//! Which rules decided while something was played.

use std::cell::RefCell;
use std::collections::BTreeSet;

use podlet::simulation::{Driver, Entry};

thread_local! {
    static REACHED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// All rules by which this pod was decided about.
pub fn note(driver: &Driver) {
    let rules = driver.timeline.iter().filter_map(|line| match &line.entry {
        Entry::Effect(effect) => Some(effect.rule.0.clone()),
        Entry::Note(note) => Some(note.rule.0.clone()),
        Entry::Input(_) | Entry::Status(_) => None,
    });
    REACHED.with_borrow_mut(|reached| reached.extend(rules));
}

/// The rules since this was last asked, in this thread.
pub fn take() -> BTreeSet<String> {
    REACHED.take()
}
