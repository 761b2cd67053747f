//! `voxseg convert`: the same voxels in another file format.

use std::path::Path;

use crate::failure::Outcome;
use crate::image_file::{ImageFile, check_name};

/// Reads one file and writes it as another, with voxels, type and geometry kept.
pub fn convert(from: &Path, to: &Path) -> Outcome<()> {
    check_name(to)?;
    ImageFile::read(from)?.write(to)
}
