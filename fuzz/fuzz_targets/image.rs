//! The tool's images: NIfTI, MetaImage and NRRD, by the first byte. The modules are the tool's own.

#![no_main]
#![allow(dead_code)]

#[path = "../../tool/src/failure.rs"]
mod failure;
#[path = "../../tool/src/gzip.rs"]
mod gzip;
#[path = "../../tool/src/image_file.rs"]
mod image_file;
#[path = "../../tool/src/metaimage.rs"]
mod metaimage;
#[path = "../../tool/src/nifti.rs"]
mod nifti;
#[path = "../../tool/src/nrrd.rs"]
mod nrrd;
#[path = "../../tool/src/output.rs"]
mod output;
#[path = "../../tool/src/source.rs"]
mod source;
#[path = "../../tool/src/voxels.rs"]
mod voxels;
#[path = "../../tool/src/warnings.rs"]
mod warnings;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, file)) = data.split_first() else { return };
    let path = voxseg_fuzz::path(match kind {
        b'n' => ".nii",
        b'z' => ".nii.gz",
        b'm' => ".mha",
        _ => ".nrrd",
    });
    // A header may name any file for its voxels; only its own folder's are there to be read.
    if std::fs::write(&path, file).is_ok() {
        let _ = image_file::ImageFile::read(&path);
        let _ = image_file::files(&path);
    }
    let _ = std::fs::remove_file(&path);
});
