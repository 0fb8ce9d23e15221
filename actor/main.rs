//! The program of the image `podlet.local/actor`: behaves as its arguments say, well or badly, so that a pod's behaviour
//! can be shown and tested without an image from anywhere. `docs/actor.md` has the whole language.

mod system;

fn main() {
    let (monotonic, boottime) = system::first_clocks();
    println!("monotonic {monotonic}\nboottime {boottime}");
    let _ = (system::signal_number, system::react, system::die, system::make_child, system::monotonic);
    let _ = (system::Reaction::Ignore, system::Reaction::Report, system::Reaction::Exit { code: 0, after: 0, loud: false });
    std::thread::sleep(std::time::Duration::MAX);
}
