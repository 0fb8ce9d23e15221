//! The unified diff that comes with a refused change of a pod: three lines of context, no file names.
//!
//! Line for line what the API server prints, so the matching is Ratcliff and Obershelp's as Python's difflib (and its Go
//! port, which the server uses) has it: the longest common block first, then left and right of it; lines that make up
//! more than a hundredth of 200 lines or more begin no block.

use std::collections::HashMap;

const CONTEXT: usize = 3;

/// A block of equal lines.
#[derive(Clone, Copy)]
struct Block {
    a: usize,
    b: usize,
    size: usize,
}

/// The difference between two texts; empty when there is none.
pub fn unified_diff(a: &str, b: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split('\n').collect(), b.split('\n').collect());
    let mut text = String::new();
    for hunk in hunks(&changes(&a, &b)) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        text.push_str(&format!("@@ -{} +{} @@\n", range(first.a.0, last.a.1), range(first.b.0, last.b.1)));
        for op in &hunk {
            let mut lines = |mark: char, lines: Option<&[&str]>| {
                for line in lines.unwrap_or_default() {
                    text.push(mark);
                    text.push_str(line);
                    text.push('\n');
                }
            };
            if op.equal {
                lines(' ', a.get(op.a.0..op.a.1));
            } else {
                lines('-', a.get(op.a.0..op.a.1));
                lines('+', b.get(op.b.0..op.b.1));
            }
        }
    }
    text
}

fn range(start: usize, stop: usize) -> String {
    match stop - start {
        1 => format!("{}", start + 1),
        0 => format!("{start},0"),
        length => format!("{},{length}", start + 1),
    }
}

/// Lines of `a` and of `b` that are equal, or stand for each other.
#[derive(Clone, Copy)]
struct Op {
    equal: bool,
    a: (usize, usize),
    b: (usize, usize),
}

fn changes(a: &[&str], b: &[&str]) -> Vec<Op> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (j, line) in b.iter().enumerate() {
        places.entry(line).or_default().push(j);
    }
    if b.len() >= 200 {
        places.retain(|_, indices| indices.len() <= b.len() / 100 + 1);
    }
    let mut blocks = Vec::new();
    let mut todo = vec![(0, a.len(), 0, b.len())];
    while let Some((a_low, a_high, b_low, b_high)) = todo.pop() {
        let block = longest(a, b, &places, (a_low, a_high), (b_low, b_high));
        if block.size > 0 {
            todo.push((a_low, block.a, b_low, block.b));
            todo.push((block.a + block.size, a_high, block.b + block.size, b_high));
            blocks.push(block);
        }
    }
    blocks.sort_by_key(|block| (block.a, block.b));
    blocks.push(Block { a: a.len(), b: b.len(), size: 0 });
    let (mut i, mut j, mut ops) = (0, 0, Vec::<Op>::new());
    for block in blocks {
        if i < block.a || j < block.b {
            ops.push(Op { equal: false, a: (i, block.a), b: (j, block.b) });
        }
        (i, j) = (block.a + block.size, block.b + block.size);
        match ops.last_mut() {
            // Blocks that touch are one.
            Some(last) if last.equal && last.a.1 == block.a && last.b.1 == block.b => (last.a.1, last.b.1) = (i, j),
            _ if block.size > 0 => ops.push(Op { equal: true, a: (block.a, i), b: (block.b, j) }),
            _ => {}
        }
    }
    ops
}

fn longest(
    a: &[&str],
    b: &[&str],
    places: &HashMap<&str, Vec<usize>>,
    (a_low, a_high): (usize, usize),
    (b_low, b_high): (usize, usize),
) -> Block {
    let mut best = Block { a: a_low, b: b_low, size: 0 };
    let mut lengths: HashMap<usize, usize> = HashMap::new();
    for (i, line) in a.iter().enumerate().take(a_high).skip(a_low) {
        let mut next = HashMap::new();
        for &j in places.get(line).into_iter().flatten().filter(|j| (b_low..b_high).contains(j)) {
            let size = 1 + j.checked_sub(1).and_then(|before| lengths.get(&before)).copied().unwrap_or_default();
            next.insert(j, size);
            if size > best.size {
                best = Block { a: i + 1 - size, b: j + 1 - size, size };
            }
        }
        lengths = next;
    }
    // Popular lines begin no block, but may lengthen one.
    while best.a > a_low && best.b > b_low && a.get(best.a - 1) == b.get(best.b - 1) {
        best = Block { a: best.a - 1, b: best.b - 1, size: best.size + 1 };
    }
    while best.a + best.size < a_high
        && best.b + best.size < b_high
        && a.get(best.a + best.size) == b.get(best.b + best.size)
    {
        best.size += 1;
    }
    best
}

/// Changes with their context; equal stretches of more than twice the context part two hunks.
fn hunks(ops: &[Op]) -> Vec<Vec<Op>> {
    let mut ops = ops.to_vec();
    if let Some(first) = ops.first_mut().filter(|op| op.equal) {
        first.a.0 = first.a.0.max(first.a.1.saturating_sub(CONTEXT));
        first.b.0 = first.b.0.max(first.b.1.saturating_sub(CONTEXT));
    }
    if let Some(last) = ops.last_mut().filter(|op| op.equal) {
        last.a.1 = last.a.1.min(last.a.0 + CONTEXT);
        last.b.1 = last.b.1.min(last.b.0 + CONTEXT);
    }
    let (mut hunks, mut hunk) = (Vec::new(), Vec::new());
    for op in ops {
        if op.equal && op.a.1 - op.a.0 > 2 * CONTEXT {
            let head = Op { equal: true, a: (op.a.0, op.a.0 + CONTEXT), b: (op.b.0, op.b.0 + CONTEXT) };
            hunk.push(head);
            hunks.push(std::mem::take(&mut hunk));
            hunk.push(Op { equal: true, a: (op.a.1 - CONTEXT, op.a.1), b: (op.b.1 - CONTEXT, op.b.1) });
        } else {
            hunk.push(op);
        }
    }
    hunks.push(hunk);
    hunks.retain(|hunk| hunk.iter().any(|op| !op.equal));
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_ranges_and_hunks() {
        assert_eq!(unified_diff("a\nb", "a\nb"), "");
        assert_eq!(unified_diff("a", "b"), "@@ -1 +1 @@\n-a\n+b\n");
        let a = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12";
        let b = a.replace("1\n2\n", "1\nx\n").replace("12", "12\ny");
        assert_eq!(
            unified_diff(a, &b),
            "@@ -1,5 +1,5 @@\n 1\n-2\n+x\n 3\n 4\n 5\n@@ -10,3 +10,4 @@\n 10\n 11\n 12\n+y\n"
        );
    }
}
