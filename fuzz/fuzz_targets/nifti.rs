//! NIfTI headers, as each of the readers reads them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use voxseg::nifti::{Header, Reader};

fuzz_target!(|data: &[u8]| {
    if let Ok(header) = Header::parse(data) {
        for reader in Reader::all() {
            if let Ok(reading) = header.read(reader) {
                assert!(reading.geometry.check().is_ok(), "{reader:?}: {reading:?}");
            }
        }
        let _ = (header.dtype(), header.stored.size());
    }
});
