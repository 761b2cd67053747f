//! Where tensors lie in the arena.

/// Memory that is needed from one step to another, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub bytes: u64,
    pub first: usize,
    pub last: usize,
}

/// Addresses are multiples of it.
const UNIT: u64 = 256;

/// Offsets so that what is needed at the same step doesn't overlap, the largest first, each as low as it fits; and the
/// bytes of all.
pub(super) fn place(lives: &[Life]) -> (Vec<u64>, u64) {
    let bytes = |id: usize| lives[id].bytes.max(1).next_multiple_of(UNIT);
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&id| (std::cmp::Reverse(bytes(id)), id));
    let mut offsets = vec![0; lives.len()];
    let (mut placed, mut end) = (Vec::<usize>::new(), 0);
    for id in order {
        let together =
            |&&other: &&usize| lives[other].first <= lives[id].last && lives[id].first <= lives[other].last;
        let mut taken: Vec<(u64, u64)> = placed
            .iter()
            .filter(together)
            .map(|&other| (offsets[other], offsets[other] + bytes(other)))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, stop) in taken {
            if offset + bytes(id) <= start {
                break;
            }
            offset = offset.max(stop);
        }
        offsets[id] = offset;
        end = end.max(offset + bytes(id));
        placed.push(id);
    }
    (offsets, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_together_lies_apart() {
        let life = |bytes, first, last| Life { bytes, first, last };
        let lives = [
            life(5000, 0, 2),
            life(3000, 1, 3),
            life(5000, 3, 5),
            life(16, 0, usize::MAX),
            life(9000, 4, 6),
            life(0, 2, 2),
        ];
        let (offsets, end) = place(&lives);
        for (a, x) in lives.iter().enumerate() {
            assert!(offsets[a].is_multiple_of(UNIT) && offsets[a] + x.bytes <= end);
            for (b, y) in lives.iter().enumerate().filter(|&(b, _)| b != a) {
                let together = x.first <= y.last && y.first <= x.last;
                let apart = offsets[a] + x.bytes <= offsets[b] || offsets[b] + y.bytes <= offsets[a];
                assert!(!together || apart, "{a} and {b}");
            }
        }
        // The most that is alive at a time: steps 4 and 5.
        assert_eq!(end, 9216 + 5120 + 256);
    }
}
