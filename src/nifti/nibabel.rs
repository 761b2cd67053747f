//! The readings of nibabel 5.4 and of what MONAI 1.6 and nnU-Net 2.8 make of it: the affine of the header counts.

use super::{Chosen, Header, Reader};
use crate::error::{Error, Result};
use crate::volume::Geometry;

/// Rows of an affine in RAS coordinates.
type Affine = [[f64; 4]; 3];

/// A slope that isn't a number other than 0 means no scaling at all.
pub(super) fn scaling(header: &Header) -> Result<(f64, f64)> {
    if header.slope == 0.0 || !header.slope.is_finite() {
        return Ok((1.0, 0.0));
    }
    if !header.intercept.is_finite() {
        let reason = format!(
            "NIfTI header: scl_slope is {}, but scl_inter {}, which nibabel refuses; write a number there",
            header.slope, header.intercept
        );
        return Err(Error::Geometry { reason });
    }
    Ok((header.slope, header.intercept))
}

pub(super) fn geometry(header: &Header, reader: Reader) -> Result<(Geometry, Chosen)> {
    let fixed = Fixed::new(header);
    let chosen = match (fixed.sform_code, fixed.qform_code) {
        (0, 0) => Chosen::Nothing,
        (0, _) => Chosen::Qform,
        _ => Chosen::Sform,
    };
    let (affine, chosen) = match reader {
        Reader::Monai => fixed.mended(chosen)?,
        _ => (fixed.affine(chosen)?, chosen),
    };
    let lengths = lengths(&affine);
    let mut geometry = Geometry::with_shape(header.shape);
    for (row, values) in affine.iter().enumerate() {
        geometry.origin[row] = values[3];
        geometry.direction[row] = std::array::from_fn(|axis| values[axis] / lengths[axis]);
    }
    geometry.spacing = lengths;
    let geometry = geometry.ras_to_lps();
    if geometry.check().is_err() {
        return Ok((geometry, chosen));
    }
    let spacing = match reader {
        Reader::NibabelIo => fixed.pixdim,
        Reader::NibabelIoWithReorient if is_canonical(&geometry) => fixed.pixdim,
        // A reoriented image gets a header of its own, whose spacing has single precision.
        Reader::NibabelIoWithReorient => lengths.map(|length| f64::from(length as f32)),
        _ => lengths,
    };
    Ok((Geometry { spacing, ..geometry }, chosen))
}

fn is_canonical(geometry: &Geometry) -> bool {
    let map = crate::volume::AxisMap::closest_canonical(geometry);
    map.axis == [0, 1, 2] && map.flip == [false; 3]
}

fn lengths(affine: &Affine) -> [f64; 3] {
    [0, 1, 2].map(|axis| affine.iter().map(|row| row[axis] * row[axis]).sum::<f64>().sqrt())
}

/// NumPy's `allclose`.
fn close(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b || (a - b).abs() <= 1e-8 + 1e-5 * b.abs())
}

/// A header as nibabel holds it once it has opened a file: what can't be is set to what is usual.
struct Fixed<'a> {
    header: &'a Header,
    pixdim: [f64; 3],
    qfac: f64,
    qform_code: i32,
    sform_code: i32,
}

impl<'a> Fixed<'a> {
    fn new(header: &'a Header) -> Self {
        let code = |code: i32| if (0..=5).contains(&code) { code } else { 0 };
        let length = |length: f64| if length == 0.0 { 1.0 } else { length.abs() };
        // Only when one of them is not positive nibabel looks at them.
        let looked_at = header.pixdim.iter().any(|&length| length <= 0.0);
        Fixed {
            header,
            pixdim: if looked_at { header.pixdim.map(length) } else { header.pixdim },
            qfac: if header.qfac == -1.0 { -1.0 } else { 1.0 },
            qform_code: code(header.qform_code),
            sform_code: code(header.sform_code),
        }
    }

    fn affine(&self, chosen: Chosen) -> Result<Affine> {
        Ok(match chosen {
            Chosen::Sform => self.header.srow,
            Chosen::Qform => self.qform()?,
            Chosen::Nothing => self.base(),
        })
    }

    /// The first axis to the left, the volume's middle at the origin.
    fn base(&self) -> Affine {
        let mut affine = [[0.0; 4]; 3];
        for (axis, row) in affine.iter_mut().enumerate() {
            let step = if axis == 0 { -self.pixdim[axis] } else { self.pixdim[axis] };
            row[axis] = step;
            row[3] = -step * ((self.header.shape[axis] as f64 - 1.0) / 2.0);
        }
        affine
    }

    fn qform(&self) -> Result<Affine> {
        let [x, y, z] = self.header.quaternion;
        let rest = 1.0 - (x * x + y * y + z * z);
        let epsilon = if self.header.version == 1 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let w = if rest.abs() < 3.0 * epsilon {
            0.0
        } else if rest >= 0.0 {
            rest.sqrt()
        } else {
            let length = (1.0 - rest).sqrt();
            let reason = format!(
                "qform of the NIfTI header: its quaternion (quatern_b, c, d) has length {length}, expected at most 1"
            );
            return Err(Error::Geometry { reason });
        };
        let norm = w * w + x * x + y * y + z * z;
        let s = 2.0 / norm;
        let [sx, sy, sz] = [x * s, y * s, z * s];
        let rotation = [
            [1.0 - (y * sy + z * sz), x * sy - w * sz, x * sz + w * sy],
            [x * sy + w * sz, 1.0 - (x * sx + z * sz), y * sz - w * sx],
            [x * sz - w * sy, y * sz + w * sx, 1.0 - (x * sx + y * sy)],
        ];
        let scale = [self.pixdim[0], self.pixdim[1], self.pixdim[2] * self.qfac];
        Ok(std::array::from_fn(|row| {
            let [a, b, c] = rotation[row];
            [a * scale[0], b * scale[1], c * scale[2], self.header.qoffset[row]]
        }))
    }

    /// MONAI's `correct_nifti_header_if_necessary`: where lengths of the affine's columns aren't `pixdim`, the form
    /// whose columns are takes its place.
    fn mended(&self, chosen: Chosen) -> Result<(Affine, Chosen)> {
        let affine = self.affine(chosen)?;
        if self.header.dimensions >= 5 || close(&self.zooms(), &self.columns(&affine)) {
            return Ok((affine, chosen));
        }
        let (sform, qform) = (self.header.srow, self.qform()?);
        let [sform_fits, qform_fits] = [&sform, &qform].map(|form| close(&self.columns(form), &self.zooms()));
        if self.sform_code != 0 {
            // The qform takes the sform's place in the header, and so the header's precision.
            let stored = |value: f64| if self.header.version == 1 { f64::from(value as f32) } else { value };
            return Ok(match (sform_fits, qform_fits) {
                (false, true) => (qform.map(|row| row.map(stored)), Chosen::Qform),
                _ => (affine, chosen),
            });
        }
        if self.qform_code != 0 && !qform_fits && sform_fits {
            return Ok((sform, Chosen::Sform));
        }
        Ok((affine, chosen))
    }

    /// `pixdim` as far as there are dimensions.
    fn zooms(&self) -> Vec<f64> {
        let mut zooms = self.pixdim.to_vec();
        zooms.extend((self.header.dimensions == 4).then_some(self.header.duration));
        zooms
    }

    /// Lengths of the columns of the 4×4 affine, as many as there are dimensions.
    fn columns(&self, affine: &Affine) -> Vec<f64> {
        let mut columns: Vec<f64> =
            lengths(affine).into_iter().map(|length| if length == 0.0 { 1.0 } else { length }).collect();
        if self.header.dimensions == 4 {
            columns.push((affine.iter().map(|row| row[3] * row[3]).sum::<f64>() + 1.0).sqrt());
        }
        columns
    }
}
