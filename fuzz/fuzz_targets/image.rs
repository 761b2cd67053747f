//! The tool's images: NIfTI, MetaImage and NRRD, by the first byte. The modules are the tool's own.

#![no_main]
#![allow(dead_code)]

#[path = "../../src/bin/voxseg/failure.rs"]
mod failure;
#[path = "../../src/bin/voxseg/gzip.rs"]
mod gzip;
#[path = "../../src/bin/voxseg/image_file.rs"]
mod image_file;
#[path = "../../src/bin/voxseg/metaimage.rs"]
mod metaimage;
#[path = "../../src/bin/voxseg/nifti.rs"]
mod nifti;
#[path = "../../src/bin/voxseg/nrrd.rs"]
mod nrrd;
#[path = "../../src/bin/voxseg/output.rs"]
mod output;
#[path = "../../src/bin/voxseg/source.rs"]
mod source;
#[path = "../../src/bin/voxseg/voxels.rs"]
mod voxels;
#[path = "../../src/bin/voxseg/warnings.rs"]
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
