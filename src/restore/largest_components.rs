//! MONAI's `KeepLargestConnectedComponent` on label maps.

use crate::recipe::LargestComponents;
use ndarray::Array3;

use super::components::{Sets, bytes_of_runs};
use crate::{Error, Result, buffer};

impl LargestComponents {
    /// Refuses values that mean nothing.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], which names the field.
    pub fn check(&self) -> Result<()> {
        if !(1..=3).contains(&self.connectivity) {
            return Err(Error::argument("connectivity", self.connectivity, "1, 2 or 3"));
        }
        if self.components == 0 {
            return Err(Error::argument("num_components", 0, "at least 1"));
        }
        Ok(())
    }

    /// Bytes that [`LargestComponents::apply`] needs for labels of this shape, beside the labels.
    pub fn bytes(&self, shape: [usize; 3]) -> u64 {
        let voxels = shape.iter().map(|&length| length as u64).product::<u64>();
        // Neighbours of different labels are runs of their own, and each may be a component.
        bytes_of_runs(shape, shape[2]) + voxels * size_of::<(u32, u16, u32)>() as u64
    }

    /// Applies the rule to labels of less than 2^32 voxels.
    ///
    /// # Errors
    /// As [`LargestComponents::check`]; [`Error::OutOfMemory`].
    pub fn apply(&self, labels: &mut Array3<u16>) -> Result<()> {
        self.check()?;
        let listed = self.labels.as_ref().map(|listed| {
            let mut inside = vec![false; listed.iter().max().map_or(0, |&label| usize::from(label) + 1)];
            listed.iter().for_each(|&label| inside[usize::from(label)] = true);
            inside
        });
        let kind = |label: u16| {
            let inside = match &listed {
                // Removed voxels become 0, so that its own components don't matter by themselves.
                Some(inside) => {
                    (!self.independent || label != 0) && inside.get(usize::from(label)) == Some(&true)
                }
                None => label != 0,
            };
            inside.then_some(if self.independent { label } else { 0 })
        };
        let mut sets = Sets::find(labels.view(), kind, self.connectivity)?;
        let mut found = sets.components(labels.view(), kind)?;
        found.sort_unstable_by_key(|&(first, kind, voxels)| (kind, voxels, first));
        let ranked = found.chunk_by(|a, b| a.1 == b.1);
        let largest = ranked.flat_map(|kind| kind.iter().rev().take(self.components));
        let mut kept = buffer::collect("the pieces of labels", largest.map(|&(first, ..)| first))?;
        kept.sort_unstable();
        sets.clear(labels, kind, 0, |first, _| kept.binary_search(&first).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn applied(rule: &LargestComponents, rows: [[u16; 5]; 5]) -> [[u16; 5]; 5] {
        let mut labels = Array3::from_shape_fn((1, 5, 5), |(_, y, x)| rows[y][x]);
        rule.apply(&mut labels).unwrap();
        std::array::from_fn(|y| std::array::from_fn(|x| labels[(0, y, x)]))
    }

    #[test]
    fn equals_the_examples_of_monai() {
        let rows = [[0, 0, 1, 0, 0], [0, 2, 1, 1, 1], [1, 2, 1, 0, 0], [1, 2, 0, 1, 0], [2, 2, 0, 0, 2]];
        let rule = |independent, connectivity| LargestComponents {
            labels: Some(vec![1, 2]),
            independent,
            connectivity,
            components: 1,
        };
        let union = [[0, 0, 1, 0, 0], [0, 2, 1, 1, 1], [1, 2, 1, 0, 0], [1, 2, 0, 0, 0], [2, 2, 0, 0, 0]];
        assert_eq!(applied(&rule(false, 1), rows), union);
        let each = [[0, 0, 1, 0, 0], [0, 2, 1, 1, 1], [0, 2, 1, 0, 0], [0, 2, 0, 0, 0], [2, 2, 0, 0, 0]];
        assert_eq!(applied(&rule(true, 1), rows), each);
        assert_eq!(applied(&rule(false, 2), rows), rows);
    }

    #[test]
    fn of_equals_the_later_stays() {
        let line = |rule: &LargestComponents| {
            let mut labels = Array3::from_shape_vec((1, 1, 9), vec![1, 0, 1, 3, 1, 0, 2, 2, 5]).unwrap();
            rule.apply(&mut labels).unwrap();
            labels.into_raw_vec_and_offset().0
        };
        let mut rule = LargestComponents { labels: None, independent: true, connectivity: 3, components: 1 };
        assert_eq!(line(&rule), [0, 0, 0, 3, 1, 0, 2, 2, 5]);
        rule.components = 2;
        assert_eq!(line(&rule), [0, 0, 1, 3, 1, 0, 2, 2, 5]);
        rule = LargestComponents { labels: Some(vec![1, 0]), ..rule };
        assert_eq!(line(&rule), [0, 0, 1, 3, 1, 0, 2, 2, 5]);
        rule.independent = false;
        rule.components = 1;
        assert_eq!(line(&rule), [1, 0, 1, 3, 0, 0, 2, 2, 5]);
    }

    #[test]
    fn bad_rules_are_refused() {
        let rule = LargestComponents { labels: None, independent: true, connectivity: 3, components: 1 };
        for bad in [
            LargestComponents { connectivity: 0, ..rule.clone() },
            LargestComponents { connectivity: 4, ..rule.clone() },
            LargestComponents { components: 0, ..rule.clone() },
        ] {
            assert!(matches!(bad.apply(&mut Array3::zeros((1, 1, 1))), Err(Error::InvalidArgument { .. })));
        }
    }

    /// Sizes and last-come order by flood fill, one label at a time.
    fn flood(labels: &Array3<u16>, rule: &LargestComponents) -> Array3<u16> {
        let mut out = labels.clone();
        let mut kinds: Vec<Vec<u16>> = (1..5).map(|label| vec![label]).collect();
        if let Some(listed) = &rule.labels {
            kinds.retain(|kind| listed.contains(&kind[0]));
        }
        if !rule.independent {
            kinds = vec![kinds.concat()];
        }
        for kind in kinds {
            let mut component = Array3::<usize>::zeros(labels.dim());
            let mut sizes = Vec::new();
            for (at, label) in labels.indexed_iter() {
                if component[at] > 0 || !kind.contains(label) {
                    continue;
                }
                sizes.push((0, sizes.len() + 1));
                let id = sizes.len();
                component[at] = id;
                let mut open = vec![at];
                while let Some((z, y, x)) = open.pop() {
                    sizes[id - 1].0 += 1;
                    let near = |n: usize| n.saturating_sub(1)..n + 2;
                    let all =
                        near(z).flat_map(|z| near(y).flat_map(move |y| near(x).map(move |x| (z, y, x))));
                    for next in all {
                        let hops = u8::from(next.0 != z) + u8::from(next.1 != y) + u8::from(next.2 != x);
                        let inside = labels.get(next).is_some_and(|label| kind.contains(label));
                        if inside && hops <= rule.connectivity && component[next] == 0 {
                            component[next] = id;
                            open.push(next);
                        }
                    }
                }
            }
            sizes.sort_unstable();
            let kept: Vec<usize> = sizes.iter().rev().take(rule.components).map(|&(_, id)| id).collect();
            out.zip_mut_with(&component, |label, id| {
                if *id > 0 && !kept.contains(id) {
                    *label = 0;
                }
            });
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn equals_flood_fill(
            shape in proptest::array::uniform3(1_usize..8),
            listed in proptest::option::of(proptest::collection::vec(1_u16..5, 0..4)),
            independent in any::<bool>(), connectivity in 1_u8..4, components in 1_usize..4,
            full in 1_u64..100, seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let labels = Array3::from_shape_simple_fn(shape, || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if (state >> 40) % 100 < full { (state >> 33) as u16 % 5 } else { 0 }
            });
            let rule = LargestComponents { labels: listed, independent, connectivity, components };
            let mut found = labels.clone();
            rule.apply(&mut found).unwrap();
            prop_assert_eq!(found, flood(&labels, &rule));
        }
    }
}
