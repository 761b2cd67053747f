//! ITK 5.4's reading: spacing from `pixdim` and its unit, axes and origin from the qform or the sform. Which of the two
//! counts follows from their codes, and from single-precision comparisons with tolerances of their own.

use super::svd::{self, Matrix};
use super::{Chosen, Header};
use crate::error::{Error, Result};
use crate::volume::Geometry;

/// Rows of a matrix in RAS coordinates, in the single precision that ITK keeps them in.
type Form = [[f32; 4]; 3];

/// A slope of 0 means 1, and the intercept counts all the same; what isn't a number is 0.
pub(super) fn scaling(header: &Header) -> (f64, f64) {
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    let slope = finite(header.slope);
    (if slope.abs() < f64::EPSILON { 1.0 } else { slope }, finite(header.intercept))
}

pub(super) fn geometry(header: &Header) -> Result<(Geometry, Chosen)> {
    let lengths =
        header.pixdim.map(|length| if length == 0.0 || !length.is_finite() { 1.0 } else { length as f32 });
    let mut geometry = Geometry::with_shape(header.shape);
    let unit = header.unit();
    geometry.spacing = lengths.map(|length| f64::from(length) * unit);
    let (form, chosen) = match choose(header, lengths)? {
        Some((form, chosen)) => (form, chosen),
        None => return Ok((forward(geometry), Chosen::Nothing)),
    };
    for (row, values) in form.iter().enumerate() {
        let values = values.map(f64::from);
        geometry.origin[row] = values[3] * unit;
        geometry.direction[row] = [values[0], values[1], values[2]];
    }
    for axis in 0..3 {
        let length = geometry.direction.iter().map(|row| row[axis] * row[axis]).sum::<f64>().sqrt();
        if length > 0.0 {
            geometry.direction.iter_mut().for_each(|row| row[axis] /= length);
        }
    }
    Ok((forward(geometry.ras_to_lps()), chosen))
}

/// The same grid with positive spacing: a negative one turns its axis round.
fn forward(mut geometry: Geometry) -> Geometry {
    for axis in 0..3 {
        if geometry.spacing[axis] < 0.0 {
            geometry.spacing[axis] = -geometry.spacing[axis];
            geometry.direction.iter_mut().for_each(|row| row[axis] = 0.0 - row[axis]);
        }
    }
    geometry
}

/// The form that counts; `None` where neither is coded.
fn choose(header: &Header, lengths: [f32; 3]) -> Result<Option<(Form, Chosen)>> {
    let (has_qform, has_sform) = (header.qform_code > 0, header.sform_code > 0);
    if !has_qform && !has_sform {
        return Ok(None);
    }
    let qform = if has_qform { qform(header, lengths) } else { Form::default() };
    let finite = |value: f64| if value.is_finite() { value as f32 } else { 0.0 };
    let sform = if has_sform { header.srow.map(|row| row.map(finite)) } else { Form::default() };
    let prefers_sform = if has_sform && is_orthogonal(&sform) {
        !has_qform || header.sform_code == 1 || are_alike(&sform, &qform)
    } else {
        has_qform && are_equal(&sform, &qform)
    };
    if prefers_sform {
        Ok(Some((sform, Chosen::Sform)))
    } else if has_qform {
        Ok(Some((qform, Chosen::Qform)))
    } else {
        Err(sheared(header))
    }
}

/// ITK reads no grid whose axes aren't at right angles.
fn sheared(header: &Header) -> Error {
    let lengths = header.sform_lengths();
    let mut grid = Geometry::with_shape(header.shape);
    for row in 0..3 {
        grid.direction[row] = std::array::from_fn(|axis| header.srow[row][axis] / lengths[axis]);
    }
    let angle = grid.shear();
    let what = if angle.is_finite() {
        format!(
            "its axes are {angle:.2} degrees away from right angles, and there is no qform to use instead"
        )
    } else {
        "it is no grid, and there is no qform to use instead".into()
    };
    Error::Geometry {
        reason: format!(
            "sform of the NIfTI header: {what}; ITK, which this model's images are read with, refuses it too. Resample the \
             image to right angles, or write a qform"
        ),
    }
}

fn rotation(form: &Form) -> Matrix {
    form.map(|[x, y, z, _]| [x, y, z])
}

/// Whether the sform is invertible and its axes, at unit length, are at right angles within 1e-4.
fn is_orthogonal(sform: &Form) -> bool {
    let mut axes = rotation(sform);
    for axis in 0..3 {
        let length = axes.iter().map(|row| row[axis] * row[axis]).sum::<f32>().sqrt();
        if length == 0.0 {
            return false;
        }
        axes.iter_mut().for_each(|row| row[axis] /= length);
    }
    (0..3).all(|a| {
        (0..3).all(|b| {
            let product: f32 = (0..3).map(|n| axes[a][n] * axes[b][n]).sum();
            let expected = if a == b { 1.0 } else { 0.0 };
            f64::from((product - expected).abs()) <= 1e-4
        })
    })
}

/// Whether both forms are the same but for rounding.
fn are_equal(sform: &Form, qform: &Form) -> bool {
    let axes =
        (0..3).all(|row| (0..3).all(|axis| f64::from((sform[row][axis] - qform[row][axis]).abs()) <= 1e-5));
    axes && (0..3).map(|row| (sform[row][3] - qform[row][3]).abs()).sum::<f32>() <= 1e-7
}

/// Whether both forms have the same origin, singular values and left singular vectors within 1e-4. The latter aren't
/// unique where spacing is the same along two axes, so that the decomposition follows ITK's step by step.
fn are_alike(sform: &Form, qform: &Form) -> bool {
    let near = |a: f32, b: f32| f64::from((a - b).abs()) <= 1e-4;
    if (0..3).any(|row| !near(sform[row][3], qform[row][3])) {
        return false;
    }
    let (Some((left, values)), Some((other_left, other_values))) =
        (svd::left(rotation(sform)), svd::left(rotation(qform)))
    else {
        return false;
    };
    if (0..3).any(|n| !near(values[n], other_values[n])) {
        return false;
    }
    // The inverse of an orthogonal matrix is its transpose.
    (0..3).all(|a| {
        (0..3).all(|b| {
            let product: f32 = (0..3).map(|n| left[a][n] * other_left[b][n]).sum();
            near(product, if a == b { 1.0 } else { 0.0 })
        })
    })
}

fn qform(header: &Header, lengths: [f32; 3]) -> Form {
    // The format knows positive lengths only.
    let matrix =
        quaternion_matrix(header, lengths.map(|length| if length > 0.0 { f64::from(length) } else { 1.0 }));
    let finite = |value: f64| if value.is_finite() { value as f32 } else { 0.0 };
    std::array::from_fn(|row| {
        let [x, y, z] = matrix[row].map(|value| value as f32);
        [x, y, z, finite(header.qoffset[row])]
    })
}

/// The rotation of the header's quaternion with its columns times lengths, as NIfTI's own library computes it.
pub(super) fn quaternion_matrix(header: &Header, lengths: [f64; 3]) -> [[f64; 3]; 3] {
    let [mut b, mut c, mut d] = header.quaternion.map(|value| if value.is_finite() { value } else { 0.0 });
    let rest = 1.0 - (b * b + c * c + d * d);
    let a = if rest < 1e-7 {
        let scale = 1.0 / (b * b + c * c + d * d).sqrt();
        [b, c, d] = [b * scale, c * scale, d * scale];
        0.0
    } else {
        rest.sqrt()
    };
    let [x, y, z] = [lengths[0], lengths[1], if header.qfac < 0.0 { -lengths[2] } else { lengths[2] }];
    [
        [(a * a + b * b - c * c - d * d) * x, 2.0 * (b * c - a * d) * y, 2.0 * (b * d + a * c) * z],
        [2.0 * (b * c + a * d) * x, (a * a + c * c - b * b - d * d) * y, 2.0 * (c * d - a * b) * z],
        [2.0 * (b * d - a * c) * x, 2.0 * (c * d + a * b) * y, (a * a + d * d - c * c - b * b) * z],
    ]
}
