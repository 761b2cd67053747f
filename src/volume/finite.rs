//! Voxels that aren't numbers: how many there are and where, and what they are read as.

use half::f16;

use super::view::{Decode, Walk};
use super::{AxisMap, DType, Element, Volume};
use crate::parallel;

/// What happens to voxels whose intensity is NaN or infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// The run is refused before anything is computed: [`crate::Error::VoxelsNotFinite`].
    #[default]
    Refuse,
    /// They are read as 0, as ITK reads such files.
    Zero,
    /// They are read as the lowest 32-bit integer, which every clipping of intensities brings to its lower bound: air,
    /// for a CT model. A task that resamples the whole volume lets them take part and gives the lowest integer to all
    /// that they touch, as TotalSegmentator 2.18 does with NumPy on x86-64.
    Lowest,
}

impl NonFinite {
    /// What such voxels are read as.
    pub(crate) fn substitute(self) -> Option<f32> {
        match self {
            NonFinite::Refuse => None,
            NonFinite::Zero => Some(0.0),
            NonFinite::Lowest => Some(LOWEST as f32),
        }
    }
}

/// What [`NonFinite::Lowest`] gives.
pub(crate) const LOWEST: i32 = i32::MIN;

/// Voxels whose intensity is NaN or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonFiniteVoxels {
    /// How many, of all channels together.
    pub count: u64,
    /// The first channel that has some.
    pub channel: usize,
    /// The first of them there, along the volume's axes; axis 0 runs fastest.
    pub voxel: [usize; 3],
}

impl Volume<'_> {
    /// The voxels whose intensity isn't finite; `None` where all are. The same on any number of threads.
    pub(crate) fn non_finite(&self, threads: usize) -> Option<NonFiniteVoxels> {
        if !self.may_be_non_finite() {
            return None;
        }
        let look = match self.dtype() {
            DType::I8 => look::<i8>,
            DType::U8 => look::<u8>,
            DType::I16 => look::<i16>,
            DType::U16 => look::<u16>,
            DType::I32 => look::<i32>,
            DType::U32 => look::<u32>,
            DType::F16 => look::<f16>,
            DType::F32 => look::<f32>,
            DType::F64 => look::<f64>,
        };
        let map = self.memory_order();
        let (walk, shape) = self.walk(&map);
        let mut planes = vec![(0, [usize::MAX; 3]); self.channels() * shape[0]];
        parallel::for_each(threads, planes.iter_mut().enumerate(), |(n, found)| {
            let (bytes, decode) = self.stored_channel(n / shape[0]);
            *found = look(bytes, &walk, n % shape[0], shape, decode, &map);
        });
        let count = planes.iter().map(|(count, _)| count).sum();
        let channel = planes.iter().position(|(count, _)| *count > 0)? / shape[0];
        let of_channel = &planes[channel * shape[0]..][..shape[0]];
        let [z, y, x] = of_channel.iter().map(|(_, first)| *first).min()?;
        Some(NonFiniteVoxels { count, channel, voxel: [x, y, z] })
    }
}

/// How many voxels of a plane aren't finite, and the first of them, as [axis 2, axis 1, axis 0] of the volume.
fn look<T: Element>(
    bytes: &[u8],
    walk: &Walk,
    plane: usize,
    shape: [usize; 3],
    decode: Decode,
    map: &AxisMap,
) -> (u64, [usize; 3]) {
    let wrong = |stored: &[u8]| !decode.intensity::<T>(stored).is_finite();
    let (mut count, mut first) = (0, [usize::MAX; 3]);
    for row in 0..shape[1] {
        let in_row: u64 = match walk.row(plane, row).next() {
            // Without gaps, so that the compiler sees it.
            Some(start) if walk.strides[2] == T::SIZE as isize => {
                let stored = bytes[start..start + T::SIZE * shape[2]].chunks_exact(T::SIZE);
                stored.map(|stored| u64::from(wrong(stored))).sum()
            }
            _ => walk.row(plane, row).map(|at| u64::from(wrong(&bytes[at..at + T::SIZE]))).sum(),
        };
        if in_row == 0 {
            continue;
        }
        count += in_row;
        for (column, at) in walk.row(plane, row).enumerate() {
            if wrong(&bytes[at..at + T::SIZE]) {
                let [x, y, z] = map.undo([plane, row, column]);
                first = first.min([z, y, x]);
            }
        }
    }
    (count, first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Geometry, Layout};

    const SHAPE: [usize; 3] = [7, 5, 4];

    /// Voxel bytes of a channel in which these voxels have the value and all others count up.
    fn bytes<const N: usize>(
        wrong: &[[usize; 3]],
        layout: Layout,
        stored: impl Fn(Option<usize>) -> [u8; N],
    ) -> Vec<u8> {
        let mut bytes = vec![0xFF; 4096];
        for z in 0..SHAPE[2] {
            for y in 0..SHAPE[1] {
                for x in 0..SHAPE[0] {
                    let strides = layout.strides.iter().zip([x, y, z]);
                    let at = layout.offset as isize
                        + strides.map(|(stride, index)| stride * index as isize).sum::<isize>();
                    let value = (!wrong.contains(&[x, y, z])).then_some(x + 10 * y + 100 * z);
                    bytes[at as usize..][..N].copy_from_slice(&stored(value));
                }
            }
        }
        bytes
    }

    fn volume(dtype: DType, layout: Layout, channels: Vec<&[u8]>) -> Volume<'_> {
        Volume::new(Geometry::with_shape(SHAPE), dtype, layout, channels).unwrap()
    }

    #[test]
    fn counted_and_placed_whatever_the_layout() {
        let wrong = [[6, 4, 1], [0, 2, 1], [3, 1, 3]];
        let layouts = [
            Layout::dense(SHAPE, DType::F32),
            // The last axis fastest, with a gap; flipped; rows with gaps.
            Layout { offset: 8, strides: [4 * 4 * 5 + 16, 4 * 4, 4] },
            Layout { offset: 4 * 6, strides: [-4, 4 * 7, 4 * 35] },
            Layout { offset: 0, strides: [8, 64, 512] },
        ];
        for layout in layouts {
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0xFFFF_FFFF)] {
                let stored = |n: Option<usize>| n.map_or(value, |n| n as f32).to_ne_bytes();
                let channel = bytes(&wrong, layout, stored);
                let clean = bytes(&[], layout, stored);
                for threads in [1, 2, 5] {
                    let found = volume(DType::F32, layout, vec![&channel]).non_finite(threads);
                    assert_eq!(found, Some(NonFiniteVoxels { count: 3, channel: 0, voxel: [0, 2, 1] }));
                    let found =
                        volume(DType::F32, layout, vec![&clean, &channel, &channel]).non_finite(threads);
                    assert_eq!(found, Some(NonFiniteVoxels { count: 6, channel: 1, voxel: [0, 2, 1] }));
                    assert_eq!(volume(DType::F32, layout, vec![&clean; 3]).non_finite(threads), None);
                }
            }
        }
    }

    #[test]
    fn every_type_and_byte_order() {
        let one = Some(NonFiniteVoxels { count: 1, channel: 0, voxel: [2, 0, 3] });
        macro_rules! check {
            ($dtype:expr, $to:expr) => {{
                let (to, layout) = ($to, Layout::dense(SHAPE, $dtype));
                let mut stored = bytes(&[[2, 0, 3]], layout, |n| to(n).to_ne_bytes());
                assert_eq!(volume($dtype, layout, vec![&stored]).non_finite(2), one);
                stored.chunks_exact_mut($dtype.size()).for_each(<[u8]>::reverse);
                let swapped = volume($dtype, layout, vec![&stored]).with_swapped_bytes(true);
                assert_eq!(swapped.non_finite(2), one);
            }};
        }
        check!(DType::F16, |n: Option<usize>| n.map_or(f16::INFINITY, |n| f16::from_f32(n as f32)));
        check!(DType::F32, |n: Option<usize>| n.map_or(f32::NAN, |n| n as f32));
        check!(DType::F64, |n: Option<usize>| n.map_or(f64::NAN, |n| n as f64));
        // Finite as stored, and not as an intensity.
        check!(DType::F64, |n: Option<usize>| n.map_or(-1e300, |n| n as f64));
    }

    #[test]
    fn scaling_can_leave_single_precision() {
        let layout = Layout::dense(SHAPE, DType::I16);
        let stored = bytes(&[[2, 0, 3]], layout, |n| n.map_or(-1, |_| 0_i16).to_ne_bytes());
        let scaled = |slope, intercept| {
            volume(DType::I16, layout, vec![&stored]).with_scaling(slope, intercept).unwrap()
        };
        let one = Some(NonFiniteVoxels { count: 1, channel: 0, voxel: [2, 0, 3] });
        assert_eq!(scaled(1e300, 0.0).non_finite(2), one);
        assert_eq!(scaled(1.0, 1e300).non_finite(2).map(|found| found.count), Some(140));
        assert!(!scaled(2.0, -1024.0).may_be_non_finite() && scaled(1e36, 0.0).may_be_non_finite());
        assert_eq!(scaled(1e36, 0.0).non_finite(2), None);
    }

    #[test]
    fn read_as_something_else() {
        let layout = Layout::dense(SHAPE, DType::F32);
        let stored = |n: Option<usize>| n.map_or(f32::NEG_INFINITY, |n| n as f32).to_ne_bytes();
        let channel = bytes(&[[0, 0, 0], [2, 0, 0]], layout, stored);
        let map = AxisMap::identity().transposed([2, 1, 0]);
        for (how, expected) in [(NonFinite::Zero, 0.0), (NonFinite::Lowest, -2_147_483_648.0)] {
            let volume = volume(DType::F32, layout, vec![&channel]).with_substitute(how.substitute());
            let mut row = [0.0; 4];
            volume.read(0, &map, [0; 3], [1, 1, 4], &mut row, 1);
            assert_eq!(row, [expected, 1.0, expected, 3.0]);
        }
        assert_eq!(NonFinite::default().substitute(), None);
    }
}
