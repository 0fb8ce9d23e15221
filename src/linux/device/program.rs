//! The eBPF program by which a cgroup v2 hierarchy is told which devices may be opened.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use crate::linux::syscall::bpf_descriptor;

/// Character devices that may be read and written, `None` for any minor: null, zero, full, random, urandom, tty, console,
/// ptmx, pseudo-terminals. mknod alone is allowed for every device: a node cannot be opened for being there.
pub const ALLOWED: [(u32, Option<u32>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// One eBPF instruction, bpf(2): `struct bpf_insn`.
fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> [u8; 8] {
    let [o0, o1] = offset.to_ne_bytes();
    let [i0, i1, i2, i3] = immediate.to_ne_bytes();
    [code, destination | source << 4, o0, o1, i0, i1, i2, i3]
}

/// The program: r1 points to `struct bpf_cgroup_dev_ctx { access_type, major, minor }`; the answer is in r0.
fn program() -> Vec<u8> {
    const LOAD_WORD: u8 = 0x61;
    const MOVE: u8 = 0xbf;
    const MOVE_NUMBER: u8 = 0xb7;
    const AND: u8 = 0x57;
    const SHIFT_RIGHT: u8 = 0x77;
    const JUMP_IF_EQUAL: u8 = 0x15;
    const JUMP_UNLESS_EQUAL: u8 = 0x55;
    const EXIT: u8 = 0x95;
    const CHARACTER_DEVICE: i32 = 2;
    const MKNOD: i32 = 1;
    let mut code = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(MOVE, 3, 2, 0, 0),
        instruction(AND, 2, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, 3, 0, 0, 16),
        instruction(LOAD_WORD, 4, 1, 4, 0),
        instruction(LOAD_WORD, 5, 1, 8, 0),
        // Nothing but mknod: allowed.
        instruction(MOVE_NUMBER, 0, 0, 0, 1),
        instruction(JUMP_UNLESS_EQUAL, 3, 0, 1, MKNOD),
        instruction(EXIT, 0, 0, 0, 0),
        instruction(JUMP_IF_EQUAL, 2, 0, 2, CHARACTER_DEVICE),
        instruction(MOVE_NUMBER, 0, 0, 0, 0),
        instruction(EXIT, 0, 0, 0, 0),
    ];
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    for (major, minor) in ALLOWED {
        match minor {
            Some(minor) => {
                code.push(instruction(JUMP_UNLESS_EQUAL, 4, 0, 2, number(major)));
                code.push(instruction(JUMP_UNLESS_EQUAL, 5, 0, 1, number(minor)));
            }
            None => code.push(instruction(JUMP_UNLESS_EQUAL, 4, 0, 1, number(major))),
        }
        code.push(instruction(EXIT, 0, 0, 0, 0));
    }
    code.push(instruction(MOVE_NUMBER, 0, 0, 0, 0));
    code.push(instruction(EXIT, 0, 0, 0, 0));
    code.concat()
}

fn load() -> io::Result<OwnedFd> {
    const BPF_PROG_LOAD: u32 = 5;
    const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
    let code = program();
    let license = c"Apache-2.0";
    let mut attributes = Vec::with_capacity(48);
    attributes.extend_from_slice(&BPF_PROG_TYPE_CGROUP_DEVICE.to_ne_bytes());
    attributes.extend_from_slice(&u32::try_from(code.len() / 8).unwrap_or(0).to_ne_bytes());
    // `code` and `license` outlive the call.
    attributes.extend_from_slice(&(code.as_ptr() as u64).to_ne_bytes());
    attributes.extend_from_slice(&(license.as_ptr() as u64).to_ne_bytes());
    attributes.resize(48, 0);
    bpf_descriptor(BPF_PROG_LOAD, &mut attributes)
}

/// The loaded program, or why this machine does not take it; tried once in a process.
pub fn loaded() -> Result<&'static OwnedFd, &'static io::Error> {
    static LOADED: OnceLock<io::Result<OwnedFd>> = OnceLock::new();
    LOADED.get_or_init(load).as_ref()
}

/// Whether device rules can be given to a cgroup v2 hierarchy here.
pub fn by_program() -> bool {
    loaded().is_ok()
}
