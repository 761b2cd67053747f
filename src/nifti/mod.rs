//! NIfTI headers, read as the software reads them that a model was trained with: one header has several readings, and
//! networks know the spacing and the orientation of theirs.
//!
//! This is the only place that reads such headers: the tool and the Python wheel come here too. Voxels stay where they
//! are. docs/numerics.md has a table of the readings.

mod header;
mod itk;
mod nibabel;
mod svd;

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::volume::{DType, Geometry};
pub use header::{Header, Stored};

/// The software whose reading of a header counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reader {
    /// ITK 5.4, as SimpleITK, 3D Slicer and nnU-Net's `SimpleITKIO` use it: spacing from `pixdim` and its unit, the
    /// qform or the sform by their codes.
    #[default]
    Itk,
    /// nibabel 5.4, spacing from the columns of the affine: TotalSegmentator.
    Nibabel,
    /// nibabel 5.4, spacing from `pixdim`: nnU-Net's `NibabelIO`.
    NibabelIo,
    /// As [`Reader::NibabelIo`] for images along the patient's axes, else as [`Reader::Nibabel`]: nnU-Net's
    /// `NibabelIOWithReorient`.
    NibabelIoWithReorient,
    /// MONAI 1.6's `NibabelReader`: the affine that `pixdim` agrees with.
    Monai,
}

/// What a reader makes of a header.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The grid, in LPS coordinates.
    pub geometry: Geometry,
    /// Intensity = stored value · slope + intercept.
    pub slope: f64,
    /// See `slope`.
    pub intercept: f64,
    /// What the header contradicts itself in, and what counts here: one line, `None` for a header at one with itself.
    pub note: Option<String>,
}

impl Reader {
    /// All of them.
    pub fn all() -> [Reader; 5] {
        [Reader::Itk, Reader::Nibabel, Reader::NibabelIo, Reader::NibabelIoWithReorient, Reader::Monai]
    }

    /// Its name, as descriptions of models and the tool's options have it.
    pub fn name(self) -> &'static str {
        match self {
            Reader::Itk => "itk",
            Reader::Nibabel => "nibabel",
            Reader::NibabelIo => "nibabel-io",
            Reader::NibabelIoWithReorient => "nibabel-io-reorient",
            Reader::Monai => "monai",
        }
    }

    /// The reader of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|reader| reader.name() == name)
    }
}

impl Header {
    /// The grid and the scaling, as `reader` reads them.
    ///
    /// # Errors
    /// [`Error::Geometry`] for headers that the reader refuses as well, and for axes that are over a degree away from
    /// right angles.
    pub fn read(&self, reader: Reader) -> Result<Reading> {
        let _ours = Ours::enter();
        if !self.has_sound_offset() && reader != Reader::Itk {
            let reason = format!(
                "NIfTI header: vox_offset is {}, expected {} or more, as nibabel demands it",
                self.stored_offset,
                if self.version == 1 { 352 } else { 544 }
            );
            return Err(Error::Geometry { reason });
        }
        let mut notes = self.notes();
        let (slope, intercept) = match reader {
            Reader::Itk => itk::scaling(self),
            _ => nibabel::scaling(self)?,
        };
        if intercept == 0.0 && self.intercept != 0.0 && self.intercept.is_finite() {
            notes.push(format!(
                "scl_slope is {}, so that scl_inter {} doesn't count",
                self.slope, self.intercept
            ));
        } else if self.slope == 0.0 && intercept != 0.0 {
            notes.push(format!("scl_slope is 0, but scl_inter {} is added", self.intercept));
        } else if self.slope.is_finite() != self.intercept.is_finite() {
            // Both are NaN where nibabel writes what isn't scaled.
            let Header { slope: stored_slope, intercept: stored_intercept, .. } = self;
            notes.push(format!(
                "scl_slope is {stored_slope} and scl_inter {stored_intercept}; {slope} and {intercept} count"
            ));
        }
        let (geometry, chosen) = match reader {
            Reader::Itk => itk::geometry(self)?,
            _ => nibabel::geometry(self, reader)?,
        };
        notes.extend(self.contradictions(&geometry, chosen, reader));
        geometry.check().map_err(|error| match error {
            Error::Geometry { reason } => {
                Error::Geometry { reason: format!("{} of the NIfTI header: {reason}", chosen.name()) }
            }
            other => other,
        })?;
        let sheared = geometry.shear();
        if sheared > SHEAR_WORTH_A_NOTE {
            notes.push(format!("the axes are {sheared:.3} degrees away from right angles"));
        }
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        Ok(Reading { geometry, slope, intercept, note })
    }

    /// The type of its voxels in this library, `None` for 64-bit integers, which it doesn't take.
    pub fn dtype(&self) -> Option<DType> {
        match self.stored {
            Stored::Library(dtype) => Some(dtype),
            Stored::I64 | Stored::U64 => None,
        }
    }

    /// What every reader mends without a word.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(axis) = self.mended_axis {
            notes.push(format!("dim[{axis}] isn't positive and is taken for 1"));
        }
        if !self.has_sound_offset() {
            notes.push(format!(
                "vox_offset is {}, voxels are read from byte {} on",
                self.stored_offset, self.data_offset
            ));
        }
        notes
    }

    /// Where the parts of the header that tell the grid say different things.
    fn contradictions(&self, read: &Geometry, chosen: Chosen, reader: Reader) -> Vec<String> {
        let mut notes = Vec::new();
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-3 * a.abs().max(b.abs());
        let pixdim = self.pixdim.map(f64::abs);
        let columns = self.sform_lengths();
        if self.sform_code > 0 && (0..3).any(|axis| !near(columns[axis], pixdim[axis])) {
            notes.push(format!(
                "pixdim says {} mm, the sform {} mm; {} mm count",
                listed(pixdim),
                listed(columns),
                listed(read.spacing)
            ));
        }
        // Where nibabel takes the sform it looks at nothing else.
        if reader == Reader::Itk || reader == Reader::NibabelIo || chosen != Chosen::Sform {
            for (axis, length) in self.pixdim.into_iter().enumerate() {
                let taken = match reader {
                    _ if length == 0.0 => "1 is taken".to_owned(),
                    Reader::Itk if !length.is_finite() => "1 is taken".to_owned(),
                    Reader::Itk if length < 0.0 => "the axis is turned round, as ITK does it".to_owned(),
                    _ if length < 0.0 => format!("{} is taken", -length),
                    _ => continue,
                };
                notes.push(format!("pixdim[{}] is {length}: {taken}", axis + 1));
            }
        }
        let quaternion: f64 = self.quaternion.iter().map(|part| part * part).sum();
        if chosen == Chosen::Qform && (quaternion.is_nan() || quaternion > 1.0 + 1e-5) {
            notes.push("the qform's quaternion isn't one of length 1; its direction counts".into());
        }
        if chosen == Chosen::Sform && self.srow.as_flattened().iter().any(|number| !number.is_finite()) {
            notes.push("the sform has values that are no numbers, which are taken for 0".into());
        }
        let unit = self.unit();
        if unit != 1.0 {
            let word = if unit > 1.0 { "metres" } else { "micrometres" };
            let rule = match reader {
                Reader::Itk => "they are turned into millimetres, as ITK does it",
                _ => "they are taken for millimetres, as nibabel does it",
            };
            notes.push(format!("lengths are in {word}: {rule}"));
        }
        match chosen {
            Chosen::Nothing => notes.push(match reader {
                Reader::Itk => {
                    "neither qform nor sform is coded: axes are taken for left, back and head".into()
                }
                _ => "neither qform nor sform is coded: axes are taken for left, front and head".into(),
            }),
            Chosen::Qform | Chosen::Sform => {
                if let Some(angle) = self.forms_differ() {
                    notes.push(format!("qform and sform {angle}; the {} counts", chosen.name()));
                }
            }
        }
        notes
    }
}

/// Shears below are those of rounding, in degrees.
const SHEAR_WORTH_A_NOTE: f64 = 0.01;

/// The part of a header that a grid's axes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    Qform,
    Sform,
    Nothing,
}

impl Chosen {
    fn name(self) -> &'static str {
        match self {
            Chosen::Qform => "qform",
            Chosen::Sform => "sform",
            Chosen::Nothing => "pixdim",
        }
    }
}

fn listed(lengths: [f64; 3]) -> String {
    lengths.map(|length| format!("{}", (length * 1e6).round() / 1e6)).join("×")
}
