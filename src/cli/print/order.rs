//! The order that Go's `sort.Sort` gives: kubectl sorts events and `--sort-by` with it, and it is not stable, so equals come
//! out in an order of its own, which is seen in the output. This is that algorithm (pattern-defeating quicksort, after
//! Orson Peters, with Go's constants), over any slice.

/// Which way a range seems to run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hint {
    Unknown,
    Increasing,
    Decreasing,
}

/// Ranges up to this length are sorted by insertion.
const INSERTION: usize = 12;
/// From this length on the pivot is a median of medians.
const NINTHER: usize = 50;
/// Each of four medians swaps at most three times.
const MOST_SWAPS: usize = 4 * 3;

/// Sorts as Go's `sort.Sort` does.
pub fn sort_like_go<T>(items: &mut [T], mut less: impl FnMut(&T, &T) -> bool) {
    let limit = usize::BITS - items.len().leading_zeros();
    Sort { items, less: &mut less }.range(0, None, limit);
}

struct Sort<'a, T, L: FnMut(&T, &T) -> bool> {
    items: &'a mut [T],
    less: &'a mut L,
}

impl<T, L: FnMut(&T, &T) -> bool> Sort<'_, T, L> {
    fn less(&mut self, i: usize, j: usize) -> bool {
        match (self.items.get(i), self.items.get(j)) {
            (Some(a), Some(b)) => (self.less)(a, b),
            _ => false,
        }
    }

    fn swap(&mut self, i: usize, j: usize) {
        self.items.swap(i, j);
    }

    fn range(&mut self, mut from: usize, to: Option<usize>, mut limit: u32) {
        let mut to = to.unwrap_or(self.items.len());
        let (mut balanced, mut partitioned) = (true, true);
        loop {
            let length = to - from;
            if length <= INSERTION {
                return self.by_insertion(from, to);
            }
            if limit == 0 {
                return self.by_heap(from, to);
            }
            if !balanced {
                self.break_patterns(from, to);
                limit -= 1;
            }
            let (mut pivot, mut hint) = self.choose_pivot(from, to);
            if hint == Hint::Decreasing {
                if let Some(range) = self.items.get_mut(from..to) {
                    range.reverse();
                }
                pivot = (to - 1) - (pivot - from);
                hint = Hint::Increasing;
            }
            if balanced && partitioned && hint == Hint::Increasing && self.nearly_sorted(from, to) {
                return;
            }
            // The element before the range is a pivot of an earlier round: nothing in the range is less than it. If this
            // pivot is not greater, it equals the smallest, and all its equals are put aside at once.
            if from > 0 && !self.less(from - 1, pivot) {
                from = self.partition_equal(from, to, pivot);
                continue;
            }
            let (middle, was_partitioned) = self.partition(from, to, pivot);
            partitioned = was_partitioned;
            let (left, right) = (middle - from, to - middle);
            if left < right {
                balanced = left >= length / 8;
                self.range(from, Some(middle), limit);
                from = middle + 1;
            } else {
                balanced = right >= length / 8;
                self.range(middle + 1, Some(to), limit);
                to = middle;
            }
        }
    }

    fn by_insertion(&mut self, from: usize, to: usize) {
        for i in from + 1..to {
            let mut j = i;
            while j > from && self.less(j, j - 1) {
                self.swap(j, j - 1);
                j -= 1;
            }
        }
    }

    fn by_heap(&mut self, from: usize, to: usize) {
        let length = to - from;
        for root in (0..=(length.saturating_sub(1)) / 2).rev() {
            self.sift_down(root, length, from);
        }
        for end in (0..length).rev() {
            self.swap(from, from + end);
            self.sift_down(0, end, from);
        }
    }

    fn sift_down(&mut self, mut root: usize, end: usize, first: usize) {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                return;
            }
            if child + 1 < end && self.less(first + child, first + child + 1) {
                child += 1;
            }
            if !self.less(first + root, first + child) {
                return;
            }
            self.swap(first + root, first + child);
            root = child;
        }
    }

    /// Moves the pivot to where it belongs, what is less before it; says where, and whether nothing had to be moved.
    fn partition(&mut self, from: usize, to: usize, pivot: usize) -> (usize, bool) {
        self.swap(from, pivot);
        let (mut i, mut j) = (from + 1, to - 1);
        let mut moved = false;
        loop {
            while i <= j && self.less(i, from) {
                i += 1;
            }
            while i <= j && !self.less(j, from) {
                j -= 1;
            }
            if i > j {
                self.swap(j, from);
                return (j, !moved);
            }
            self.swap(i, j);
            moved = true;
            i += 1;
            j -= 1;
        }
    }

    /// Moves what equals the pivot to the front; says where the rest begins.
    fn partition_equal(&mut self, from: usize, to: usize, pivot: usize) -> usize {
        self.swap(from, pivot);
        let (mut i, mut j) = (from + 1, to - 1);
        loop {
            while i <= j && !self.less(from, i) {
                i += 1;
            }
            while i <= j && self.less(from, j) {
                j -= 1;
            }
            if i > j {
                return i;
            }
            self.swap(i, j);
            i += 1;
            j -= 1;
        }
    }

    /// Mends at most five pairs that are out of order; says whether the range is sorted then.
    fn nearly_sorted(&mut self, from: usize, to: usize) -> bool {
        let mut i = from + 1;
        for _ in 0..5 {
            while i < to && !self.less(i, i - 1) {
                i += 1;
            }
            if i == to {
                return true;
            }
            if to - from < NINTHER {
                return false;
            }
            self.swap(i, i - 1);
            if i - from >= 2 {
                let mut j = i - 1;
                while j >= 1 && self.less(j, j - 1) {
                    self.swap(j, j - 1);
                    j -= 1;
                }
            }
            if to - i >= 2 {
                let mut j = i + 1;
                while j < to && self.less(j, j - 1) {
                    self.swap(j, j - 1);
                    j += 1;
                }
            }
        }
        false
    }

    /// Scatters three elements, always the same way, so that a bad pattern does not stay bad.
    fn break_patterns(&mut self, from: usize, to: usize) {
        let length = to - from;
        if length < 8 {
            return;
        }
        let mut random = length as u64;
        let modulus = 1_u64 << (u64::BITS - (length as u64).leading_zeros());
        let middle = from + (length / 4) * 2 - 1;
        for step in 0..3 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let mut other = usize::try_from(random & (modulus - 1)).unwrap_or(0);
            if other >= length {
                other -= length;
            }
            self.swap(middle + step, from + other);
        }
    }

    fn choose_pivot(&mut self, from: usize, to: usize) -> (usize, Hint) {
        let length = to - from;
        let mut swaps = 0;
        let (mut i, mut j, mut k) = (from + length / 4, from + length / 4 * 2, from + length / 4 * 3);
        if length >= 8 {
            if length >= NINTHER {
                i = self.median(i - 1, i, i + 1, &mut swaps);
                j = self.median(j - 1, j, j + 1, &mut swaps);
                k = self.median(k - 1, k, k + 1, &mut swaps);
            }
            j = self.median(i, j, k, &mut swaps);
        }
        match swaps {
            0 => (j, Hint::Increasing),
            MOST_SWAPS => (j, Hint::Decreasing),
            _ => (j, Hint::Unknown),
        }
    }

    fn median(&mut self, a: usize, b: usize, c: usize, swaps: &mut usize) -> usize {
        let (a, b) = self.ordered(a, b, swaps);
        let (b, _) = self.ordered(b, c, swaps);
        self.ordered(a, b, swaps).1
    }

    fn ordered(&mut self, a: usize, b: usize, swaps: &mut usize) -> (usize, usize) {
        if self.less(b, a) {
            *swaps += 1;
            return (b, a);
        }
        (a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::sort_like_go;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorts_whatever_comes(mut items in proptest::collection::vec(0_u8..30, 0..300)) {
            let mut expected = items.clone();
            expected.sort_unstable();
            sort_like_go(&mut items, |a, b| a < b);
            prop_assert_eq!(items, expected);
        }

        #[test]
        fn sorts_what_runs_up_and_down(length in 0_usize..400, bend in 0_usize..400) {
            let mut items: Vec<usize> = (0..length).map(|i| if i < bend { i } else { length * 2 - i }).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            sort_like_go(&mut items, |a, b| a < b);
            prop_assert_eq!(items, expected);
        }
    }
}
