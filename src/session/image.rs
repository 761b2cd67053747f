//! A session's image: the volume's intensities along the network's axes, by their mean and deviation where there is
//! something, as nnInteractive has them.

use ndarray::{Array4, Axis};

use crate::error::{Error, Result};
use crate::volume::{AxisMap, Volume};
use crate::{buffer, parallel};

/// Sums of a plane, and of its rows and columns.
#[derive(Default)]
struct PlaneSums {
    rows: Vec<f64>,
    columns: Vec<f64>,
}

/// The image of a volume: channel, z, y, x.
pub(super) fn image(volume: &Volume, threads: usize) -> Result<Array4<f32>> {
    let map = AxisMap::identity().transposed([2, 1, 0]);
    let shape = map.apply(volume.geometry().shape);
    let mut image = buffer::zeros("an image", [volume.channels(), shape[0], shape[1], shape[2]])?;
    for (channel, mut out) in image.outer_iter_mut().enumerate() {
        let Some(out) = out.as_slice_mut() else { continue };
        volume.read(channel, &map, [0; 3], shape, out, threads);
    }
    let [z, y, x] = extent(&image, shape, threads)?;
    let inside = image.index_axis(Axis(0), 0);
    let inside = inside.slice(ndarray::s![z[0]..z[1], y[0]..y[1], x[0]..x[1]]);
    let count = inside.len() as f64;
    // Plane by plane, so that the sum is the same for any number of threads.
    let sum = |of: &(dyn Fn(f64) -> f64 + Sync)| -> Result<f64> {
        let mut planes = buffer::zeroed("sums of planes", inside.len_of(Axis(0)))?;
        let pairs = planes.iter_mut().zip(inside.outer_iter());
        parallel::for_each(threads, pairs, |(sum, plane)| {
            *sum = plane.iter().map(|&value| of(value.into())).sum::<f64>();
        });
        Ok(planes.iter().sum())
    };
    let mean = sum(&|value| value)? / count;
    let deviation = (sum(&|value| (value - mean).powi(2))? / (count - 1.0)).sqrt();
    if !(deviation > 0.0 && deviation.is_finite()) {
        let found = format!("intensities of mean {mean} and deviation {deviation}");
        return Err(Error::argument("volume", found, "an image with contrast"));
    }
    let (mean, deviation) = (mean as f32, deviation as f32);
    for mut channel in image.outer_iter_mut() {
        parallel::for_each(threads, channel.axis_iter_mut(Axis(0)), |mut plane| {
            plane.iter_mut().for_each(|value| *value = (*value - mean) / deviation);
        });
    }
    Ok(image)
}

/// The box of planes along each axis whose sum isn't zero: first, and behind the last.
fn extent(image: &Array4<f32>, shape: [usize; 3], threads: usize) -> Result<[[usize; 2]; 3]> {
    let mut sums = buffer::collect("sums of planes", (0..shape[0]).map(|_| PlaneSums::default()))?;
    parallel::try_for_each(threads, sums.iter_mut().enumerate(), |(z, sums)| {
        sums.rows = buffer::zeroed("sums of rows", shape[1])?;
        sums.columns = buffer::zeroed("sums of columns", shape[2])?;
        for channel in image.outer_iter() {
            for (row, line) in sums.rows.iter_mut().zip(channel.index_axis(Axis(0), z).outer_iter()) {
                for (column, &value) in sums.columns.iter_mut().zip(&line) {
                    *row += f64::from(value);
                    *column += f64::from(value);
                }
            }
        }
        Ok(())
    })?;
    let planes = buffer::collect("sums of planes", sums.iter().map(|sums| sums.rows.iter().sum::<f64>()))?;
    let (mut rows, mut columns) =
        (buffer::zeroed("sums of rows", shape[1])?, buffer::zeroed("sums of columns", shape[2])?);
    for sums in &sums {
        rows.iter_mut().zip(&sums.rows).for_each(|(all, one): (&mut f64, _)| *all += one);
        columns.iter_mut().zip(&sums.columns).for_each(|(all, one): (&mut f64, _)| *all += one);
    }
    let ends = |sums: &[f64]| {
        let first = sums.iter().position(|&sum| sum != 0.0)?;
        Some([first, sums.iter().rposition(|&sum| sum != 0.0)? + 1])
    };
    match (ends(&planes), ends(&rows), ends(&columns)) {
        (Some(z), Some(y), Some(x)) => Ok([z, y, x]),
        _ => Err(Error::argument("volume", "only zeros", "an image with contrast")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{DType, Geometry, Layout};

    fn normalized(values: &[f32]) -> Result<Array4<f32>> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let shape = [values.len(), 1, 1];
        let layout = Layout::dense(shape, DType::F32);
        image(&Volume::new(Geometry::with_shape(shape), DType::F32, layout, vec![&bytes]).unwrap(), 2)
    }

    #[test]
    fn zeros_around_dont_count_for_the_mean() {
        let image = normalized(&[0.0, 0.0, 1.0, 0.0, 2.0, 0.0]).unwrap();
        // 1, 0 and 2 have the mean 1 and the deviation 1.
        assert_eq!(image.iter().copied().collect::<Vec<_>>(), [-1.0, -1.0, 0.0, -1.0, 1.0, -1.0]);
    }

    #[test]
    fn an_image_without_contrast_is_refused() {
        for values in [&[0.0, 0.0][..], &[3.0, 3.0], &[5.0]] {
            assert!(matches!(normalized(values), Err(Error::InvalidArgument { .. })), "{values:?}");
        }
    }
}
