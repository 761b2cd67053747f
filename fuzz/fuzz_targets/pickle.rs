//! The pickle of a checkpoint, in an archive that is right.

#![no_main]

use libfuzzer_sys::fuzz_target;
use voxseg::checkpoint::Checkpoint;
use voxseg_fuzz::{read_all, write};
use zip::CompressionMethod;

fuzz_target!(|data: &[u8]| {
    let entries = [("data.pkl", data.to_vec()), ("data/0", vec![1; 64]), ("data/1", vec![2; 128])];
    let archive = write::zip(&entries, CompressionMethod::Stored);
    if let Ok(checkpoint) = Checkpoint::from_bytes("x.pth", archive.into()) {
        read_all(&checkpoint);
    }
});
