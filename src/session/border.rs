//! Whether an object goes on beyond what the network saw.

use ndarray::{Array3, Axis};

/// Voxels of a border plane that differ: so many are a change in any case, so few are none.
const SURE: usize = 1500;
const FEW: usize = 100;
/// A change between these in which the object grows or shrinks by this share there counts, too.
const SHARE: f64 = 0.2;

/// Whether the border planes of a mask differ enough from those of the mask before.
pub(super) fn changed(before: &Array3<u8>, now: &Array3<u8>) -> bool {
    (0..3).any(|axis| {
        let last = before.len_of(Axis(axis)).saturating_sub(1);
        [0, last].into_iter().any(|index| {
            let [old, new] = [before, now].map(|mask| mask.index_axis(Axis(axis), index));
            let [a, b] =
                [&old, &new].map(|plane| plane.iter().map(|&value| usize::from(value)).sum::<usize>());
            let differing = old.iter().zip(&new).filter(|(old, new)| old != new).count();
            let relative = a.max(b) as f64 / (a.min(b) as f64).max(1e-5) - 1.0;
            differing > SURE || (differing > FEW && relative > SHARE)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_border_planes_count() {
        let before = Array3::<u8>::zeros((50, 50, 50));
        let with = |plane: usize, count: usize| {
            let mut now = before.clone();
            now.index_axis_mut(Axis(2), plane).iter_mut().take(count).for_each(|value| *value = 1);
            now
        };
        assert!(!changed(&before, &with(20, 2500)));
        assert!(!changed(&before, &with(49, 100)));
        assert!(changed(&before, &with(49, 101)));
        // A border that only moves counts when most of it does.
        let (mut first, mut moved) = (before.clone(), before.clone());
        first.index_axis_mut(Axis(0), 0).iter_mut().take(1000).for_each(|value| *value = 1);
        moved.index_axis_mut(Axis(0), 0).iter_mut().skip(300).take(1000).for_each(|value| *value = 1);
        assert!(!changed(&first, &moved));
    }
}
