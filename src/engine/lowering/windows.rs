//! The windows within which voxels attend to each other, and what is added to their scores (Liu et al., "Swin
//! Transformer", 2021).

/// Added to the scores of voxels that only meet in a window because the last one continues at the origin.
pub(in crate::engine) const APART: f32 = -100.0;

/// The windows of one volume.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Windows {
    pub size: [usize; 3],
    /// Voxels of a window per axis.
    pub window: [usize; 3],
    /// Voxels along each axis at which the first window starts; 0 where a window is as long as the volume.
    pub shift: [usize; 3],
    /// Windows per axis.
    pub count: [usize; 3],
}

impl Windows {
    pub(in crate::engine) fn new(size: [usize; 3], window: [usize; 3], shift: [usize; 3]) -> Self {
        let whole = |axis: usize| size[axis] <= window[axis];
        let window: [usize; 3] = std::array::from_fn(|axis| window[axis].min(size[axis]));
        Windows {
            size,
            window,
            shift: std::array::from_fn(|axis| if whole(axis) { 0 } else { shift[axis] }),
            count: std::array::from_fn(|axis| size[axis] / window[axis]),
        }
    }

    /// Voxels of a window.
    pub(in crate::engine) fn tokens(&self) -> usize {
        self.window.iter().product()
    }

    /// Windows in all, slab by slab along axis 0.
    pub(in crate::engine) fn len(&self) -> usize {
        self.count.iter().product()
    }

    /// Where the voxels of a window lie in the shifted volume.
    fn places(&self, window: usize) -> impl Iterator<Item = [usize; 3]> + use<> {
        let (size, at) = (self.window, unravel(window, self.count));
        (0..self.tokens()).map(move |token| {
            let token = unravel(token, size);
            std::array::from_fn(|axis| at[axis] * size[axis] + token[axis])
        })
    }

    /// Index in the volume of each voxel of a window.
    pub(in crate::engine) fn indices(&self, window: usize) -> impl Iterator<Item = usize> + use<> {
        let (shift, size) = (self.shift, self.size);
        self.places(window).map(move |place| {
            let at = |axis: usize| (place[axis] + shift[axis]) % size[axis];
            (at(0) * size[1] + at(1)) * size[2] + at(2)
        })
    }

    /// Which stretch of each axis a window's voxels belong to, as one number: voxels of two stretches are [`APART`].
    pub(in crate::engine) fn stretches(&self, window: usize) -> impl Iterator<Item = u8> + use<> {
        let windows = *self;
        self.places(window).map(move |place| {
            (0..3).fold(0, |stretches, axis| stretches * 3 + windows.stretch(axis, place[axis]))
        })
    }

    /// Of the last window, the part before the volume's end and the part that continues at its origin are stretches of
    /// their own.
    fn stretch(&self, axis: usize, place: usize) -> u8 {
        let (size, shift) = (self.size[axis], self.shift[axis]);
        match place {
            _ if shift == 0 => 0,
            place if place < size - self.window[axis] => 0,
            place if place < size - shift => 1,
            _ => 2,
        }
    }
}

/// The place of a row-major index.
fn unravel(index: usize, size: [usize; 3]) -> [usize; 3] {
    [index / size[2] / size[1], index / size[2] % size[1], index % size[2]]
}

/// The row of the table of relative places for two tokens of a whole window.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct RelativePlaces {
    window: [usize; 3],
}

impl RelativePlaces {
    pub(in crate::engine) fn new(window: [usize; 3]) -> Self {
        RelativePlaces { window }
    }

    /// What a token contributes: the row of a query and a key is `of(query) + centre() − of(key)`.
    pub(in crate::engine) fn of(&self, token: usize) -> usize {
        self.row(unravel(token, self.window))
    }

    /// The row of two equal tokens.
    pub(in crate::engine) fn centre(&self) -> usize {
        self.row(self.window.map(|size| size - 1))
    }

    /// Rows of the table.
    pub(in crate::engine) fn len(&self) -> usize {
        self.window.iter().map(|size| 2 * size - 1).product()
    }

    fn row(&self, place: [usize; 3]) -> usize {
        (0..3).fold(0, |row, axis| row * (2 * self.window[axis] - 1) + place[axis])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voxel_is_in_one_window() {
        for (size, shift) in [([6, 8, 10], [0, 0, 0]), ([6, 8, 10], [1, 2, 2]), ([2, 8, 3], [1, 2, 2])] {
            let windows = Windows::new(size, [3, 4, 5], shift);
            let mut indices: Vec<usize> =
                (0..windows.len()).flat_map(|window| windows.indices(window)).collect();
            indices.sort_unstable();
            assert!(indices.into_iter().eq(0..size.iter().product()), "{windows:?}");
        }
    }

    /// Voxels of a window are apart exactly when they are further from each other than a window reaches.
    #[test]
    fn only_voxels_that_are_far_apart_are_masked() {
        for size in [[6, 8, 10], [6, 4, 15], [2, 8, 10]] {
            let windows = Windows::new(size, [3, 4, 5], [1, 2, 2]);
            let mut masked = 0;
            for window in 0..windows.len() {
                let voxels: Vec<([usize; 3], u8)> = windows
                    .indices(window)
                    .map(|index| unravel(index, size))
                    .zip(windows.stretches(window))
                    .collect();
                for (query, key) in voxels.iter().flat_map(|query| voxels.iter().map(move |key| (query, key)))
                {
                    let near = (0..3).all(|axis| query.0[axis].abs_diff(key.0[axis]) < windows.window[axis]);
                    assert_eq!(query.1 == key.1, near, "{query:?} {key:?}");
                    masked += usize::from(!near);
                }
            }
            assert!(masked > 0);
        }
    }

    #[test]
    fn rows_of_relative_places() {
        let places = RelativePlaces::new([2, 2, 3]);
        let row = |query, key| places.of(query) + places.centre() - places.of(key);
        let expected = |place: [usize; 3]| (place[0] * 3 + place[1]) * 5 + place[2];
        assert_eq!(places.len(), 3 * 3 * 5);
        // Tokens 0 and 3 are at [0, 0, 0] and [0, 1, 0].
        assert_eq!(
            [row(3, 3), row(0, 3), row(3, 0)],
            [expected([1, 1, 2]), expected([1, 0, 2]), expected([1, 2, 2])]
        );
        assert_eq!([row(0, 11), row(11, 0)], [0, places.len() - 1]);
    }
}
