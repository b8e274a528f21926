//! Ranges of whole numbers: pairs with both ends inclusive, sorted, neither overlapping nor adjoining.
//!
//! Source: `coalesce` and `internal::subtract`, `src/common/values.cpp` of Apache Mesos 1.11.0.

use std::cmp::Ordering;

/// Both ends belong to it.
pub(crate) type Pair = (u64, u64);

/// Sorted, with what overlaps or adjoins made one. Pairs that end before they begin are left out.
pub(crate) fn merged(mut pairs: Vec<Pair>) -> Vec<Pair> {
    pairs.retain(|(begin, end)| begin <= end);
    joined(pairs)
}

/// The same, but pairs that end before they begin stay, unless another takes them in.
pub(super) fn joined(mut pairs: Vec<Pair>) -> Vec<Pair> {
    pairs.sort_unstable();
    pairs.dedup_by(|next, last| {
        let is_one = next.0 <= last.1.saturating_add(1);
        if is_one {
            last.1 = last.1.max(next.1);
        }
        is_one
    });
    pairs
}

pub(crate) fn contains(own: &[Pair], other: &[Pair]) -> bool {
    other.iter().all(|&(begin, end)| {
        let holder = own.binary_search_by(|&(first, last)| {
            if last < begin {
                Ordering::Less
            } else if begin < first {
                Ordering::Greater
            } else {
                Ordering::Equal
            }
        });
        holder.is_ok_and(|at| end <= own[at].1)
    })
}

/// What of `own` is not in `other`.
pub(super) fn without(own: &[Pair], other: &[Pair]) -> Vec<Pair> {
    let mut left = Vec::with_capacity(own.len() + 1);
    let mut taken = other.iter().peekable();
    for &(first, last) in own {
        let mut begin = first;
        let mut is_used_up = false;
        while taken.next_if(|pair| pair.1 < begin).is_some() {}
        while let Some(&&(from, to)) = taken.peek() {
            if last < from {
                break;
            }
            if begin < from {
                left.push((begin, from - 1));
            }
            if last <= to {
                is_used_up = true;
                break;
            }
            begin = to + 1;
            taken.next();
        }
        if !is_used_up {
            left.push((begin, last));
        }
    }
    left
}

/// What is in both.
pub(super) fn common(own: &[Pair], other: &[Pair]) -> Vec<Pair> {
    without(own, &without(own, other))
}

/// The lowest `count` numbers, or as many as there are.
pub(super) fn lowest(own: &[Pair], mut count: u64) -> Vec<Pair> {
    let mut lowest = Vec::new();
    for &(begin, end) in own {
        let Some(more) = count.checked_sub(1) else {
            break;
        };
        let last = end.min(begin.saturating_add(more));
        lowest.push((begin, last));
        count = more - (last - begin);
    }
    lowest
}

/// How many numbers there are; the largest count stands for more.
pub(super) fn count(own: &[Pair]) -> u64 {
    own.iter().fold(0, |sum: u64, (begin, end)| {
        sum.saturating_add((end - begin).saturating_add(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_cut_and_filled() {
        let all = merged(vec![(7, 9), (1, 5), (6, 6), (20, 20)]);
        assert_eq!(all, [(1, 9), (20, 20)]);
        let left = without(&all, &[(0, 1), (3, 4), (9, 30)]);
        assert_eq!(left, [(2, 2), (5, 8)]);
        assert_eq!(
            common(&all, &[(0, 1), (3, 4), (9, 30)]),
            [(1, 1), (3, 4), (9, 9), (20, 20)]
        );
        assert!(contains(&all, &[(2, 9), (20, 20)]));
        assert!(!contains(&all, &[(9, 10)]));
        assert!(!contains(&all, &[(10, 10)]));
    }

    #[test]
    fn the_ends_of_all_numbers_are_numbers_too() {
        let all = [(0, u64::MAX)];
        assert_eq!(
            without(&all, &[(0, 0), (u64::MAX, u64::MAX)]),
            [(1, u64::MAX - 1)]
        );
        assert_eq!(without(&all, &all), []);
        assert_eq!(merged(vec![(0, u64::MAX), (5, 5)]), all);
        assert_eq!(count(&all), u64::MAX);
        assert_eq!(lowest(&all, u64::MAX), [(0, u64::MAX - 1)]);
    }

    #[test]
    fn the_lowest_come_first() {
        let all = [(1, 2), (5, 9)];
        assert_eq!(lowest(&all, 0), []);
        assert_eq!(lowest(&all, 2), [(1, 2)]);
        assert_eq!(lowest(&all, 4), [(1, 2), (5, 6)]);
        assert_eq!(lowest(&all, 99), all);
    }
}
