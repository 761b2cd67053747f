//! Test-time mirroring: a tile's scores averaged over its mirror images (nnU-Net's
//! `_internal_maybe_mirror_and_predict`).

use crate::buffer;
use crate::error::Result;

/// Runs a network on a tile and its mirror images.
pub struct Mirrored {
    patch: [usize; 3],
    combinations: Vec<Vec<usize>>,
    sum: Vec<f32>,
    one: Vec<f32>,
}

impl Mirrored {
    /// `axes`: the patch's axes that may be mirrored; `count`: length of the network's output.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn new(patch: [usize; 3], axes: &[usize], count: usize) -> Result<Self> {
        let scores = |scores| buffer::zeroed("a tile's scores", scores);
        Ok(Mirrored {
            patch,
            combinations: Self::combinations(axes),
            sum: scores(count)?,
            one: scores(if axes.is_empty() { 0 } else { count })?,
        })
    }

    /// The axes that each mirror image runs backwards along, as bits.
    pub fn flips(axes: &[usize]) -> Vec<i32> {
        let bits = |axes: &Vec<usize>| axes.iter().map(|axis| 1 << axis).sum();
        Self::combinations(axes).iter().map(bits).collect()
    }

    /// Shorter combinations first, as the reference sums them.
    fn combinations(axes: &[usize]) -> Vec<Vec<usize>> {
        let mut combinations: Vec<Vec<usize>> = (1_usize..1 << axes.len())
            .map(|bits| (0..axes.len()).filter(|bit| bits >> bit & 1 == 1).map(|bit| axes[bit]).collect())
            .collect();
        let place = |axis: &usize| axes.iter().position(|known| known == axis);
        combinations.sort_by_key(|combination: &Vec<usize>| {
            (combination.len(), combination.iter().map(place).collect::<Vec<_>>())
        });
        combinations
    }

    /// The scores of `input`, which is mirrored in place on the way and comes back as it was.
    ///
    /// # Errors
    /// The network's.
    pub fn run(
        &mut self,
        input: &mut [f32],
        mut network: impl FnMut(&[f32], &mut [f32]) -> Result<()>,
    ) -> Result<&[f32]> {
        network(input, &mut self.sum)?;
        for axes in &self.combinations {
            axes.iter().for_each(|&axis| flip(input, self.patch, axis));
            network(input, &mut self.one)?;
            axes.iter().for_each(|&axis| flip(input, self.patch, axis));
            axes.iter().for_each(|&axis| flip(&mut self.one, self.patch, axis));
            self.sum.iter_mut().zip(&self.one).for_each(|(sum, one)| *sum += one);
        }
        if !self.combinations.is_empty() {
            let count = (self.combinations.len() + 1) as f32;
            self.sum.iter_mut().for_each(|sum| *sum /= count);
        }
        Ok(&self.sum)
    }
}

impl Mirrored {
    /// Exchanges the buffer of the last scores for another of that size.
    pub fn swap_scores(&mut self, scores: &mut Vec<f32>) {
        debug_assert_eq!(self.sum.len(), scores.len(), "size of the scores");
        std::mem::swap(&mut self.sum, scores);
    }
}

/// Reverses one axis of a field of whole patches.
fn flip(values: &mut [f32], patch: [usize; 3], axis: usize) {
    let inner: usize = patch[axis + 1..].iter().product();
    for block in values.chunks_exact_mut(patch[axis] * inner) {
        if inner == 1 {
            block.reverse();
            continue;
        }
        let mut rows = block.chunks_exact_mut(inner);
        while let (Some(first), Some(last)) = (rows.next(), rows.next_back()) {
            first.swap_with_slice(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_one_axis() {
        let mut values: Vec<f32> = (0..12).map(|n| n as f32).collect();
        flip(&mut values, [1, 2, 3], 1);
        assert_eq!(values, [3., 4., 5., 0., 1., 2., 9., 10., 11., 6., 7., 8.]);
        flip(&mut values, [1, 2, 3], 2);
        assert_eq!(values, [5., 4., 3., 2., 1., 0., 11., 10., 9., 8., 7., 6.]);
    }

    #[test]
    fn averages_over_all_combinations_and_undoes_them() {
        let mut seen = Vec::new();
        let mut input = vec![0.0, 1.0, 2.0, 3.0];
        let mut mirrored = Mirrored::new([1, 2, 2], &[1, 2], 4).unwrap();
        let scores = mirrored.run(&mut input, |input, output| {
            seen.push(input.to_vec());
            output.copy_from_slice(input);
            Ok(())
        });
        assert_eq!(scores.unwrap(), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(seen, [[0., 1., 2., 3.], [2., 3., 0., 1.], [1., 0., 3., 2.], [3., 2., 1., 0.]]);
        assert_eq!(input, [0.0, 1.0, 2.0, 3.0]);
    }
}
