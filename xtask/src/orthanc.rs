//! What the tests of the plug-in for Orthanc need: the server, its header, DCMTK, and a validator of DICOM objects.

use std::path::Path;

use crate::{Result, root, setup};

const PACKAGES: [&str; 6] =
    ["orthanc", "orthanc-dev", "libjsoncpp-dev", "dcmtk", "libdcmtk-dev", "dicom3tools"];

/// The definitions that `tests/orthanc` is configured with, or what is missing. `prefix` holds an installed voxseg.
pub fn definitions(prefix: &Path) -> Result<Vec<String>> {
    setup::packages(&PACKAGES)?;
    Ok(vec![
        format!("-DCMAKE_PREFIX_PATH={}", prefix.display()),
        format!("-DVOXSEG_LABELS={}", root().join("target/demo/labels.raw").display()),
    ])
}
