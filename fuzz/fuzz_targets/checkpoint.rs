//! Checkpoints of torch as whole files: zip archives, and the format before 1.6.

#![no_main]

use libfuzzer_sys::fuzz_target;
use voxseg::checkpoint::Checkpoint;
use voxseg_fuzz::{file, read_all};

fuzz_target!(|data: &[u8]| {
    if let Ok(checkpoint) = Checkpoint::from_bytes("x.pth", file(data)) {
        read_all(&checkpoint);
    }
});
