//! The reference data that some tests compare with. It lies beside the repository, or where `VOXSEG_REFERENCE` points;
//! tests that need it say so and pass where it is absent.

use std::io::Read;
use std::path::{Path, PathBuf};

/// Models of every kind that opens, by their paths in it.
pub const MODELS: [&str; 10] = [
    "nnunet/public/Dataset902_BrainAniso/nnUNetTrainer__nnUNetResEncUNetMPlans__3d_fullres",
    "nnunet/public/Dataset903_Cardiac2D/nnUNetTrainer__nnUNetPlans__2d",
    "nnunet/public/Dataset904_Regions/nnUNetTrainer__nnUNetPlans__3d_fullres",
    "nnunet/public/Dataset905_Cascade/nnUNetTrainer__nnUNetPlans__3d_cascade_fullres",
    "nnunet/public/Dataset906_OldPlans/nnUNetTrainer__nnUNetPlans__3d_fullres",
    "monai/public/auto3dseg_ct/model",
    "monai/public/auto3dseg_mr_aniso/model",
    "monai/public/bundle_spleen_unet/bundle",
    "monai/public/bundle_wholebody/bundle",
    "bugs/models/onnx_external/net.onnx",
];

/// The folder of all of it, which may be absent.
pub fn folder() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // Packages' tests run in folders of their own.
    repository.join(std::env::var_os("VOXSEG_REFERENCE").unwrap_or("../shared/reference".into()))
}

/// The path of a file or folder of it; without one, says that a test is skipped.
pub fn path(name: &str) -> Option<PathBuf> {
    let path = folder().join(name);
    if !path.exists() {
        eprintln!("skipped: the reference data has no {name} here");
        return None;
    }
    Some(path)
}

/// A file of it; without one, says that a test is skipped.
pub fn file(name: &str) -> Option<Vec<u8>> {
    Some(contents(&path(name)?))
}

/// What a file holds, without the compression where it is a gzip file.
///
/// # Panics
/// Where it can't be read.
pub fn contents(path: &Path) -> Vec<u8> {
    let file = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if !file.starts_with(&[0x1f, 0x8b]) {
        return file;
    }
    let mut contents = Vec::new();
    let inflated = flate2::read::MultiGzDecoder::new(&file[..]).read_to_end(&mut contents);
    inflated.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    contents
}
