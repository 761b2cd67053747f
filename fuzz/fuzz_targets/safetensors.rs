//! safetensors files.

#![no_main]

use libfuzzer_sys::fuzz_target;
use voxseg::checkpoint::SafeTensors;
use voxseg_fuzz::file;

fuzz_target!(|data: &[u8]| {
    if let Ok(tensors) = SafeTensors::from_bytes("x.safetensors", file(data)) {
        for (_, tensor) in tensors.tensors() {
            let _ = tensors.read_f32(tensor);
        }
    }
});
