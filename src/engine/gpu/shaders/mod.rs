//! The kernels, as `cargo xtask shaders` compiles them.

use super::vulkan::Module;

/// Those of one kernel, for tensors of halves and of single numbers.
macro_rules! pair {
    ($name:literal) => {
        [
            Module { name: concat!($name, "_single"), spirv: include_bytes!(concat!($name, "_single.spv")) },
            Module { name: concat!($name, "_half"), spirv: include_bytes!(concat!($name, "_half.spv")) },
        ]
    };
}

/// Of all sources: other kernels have another.
pub(super) const CHECKSUM: &str = include_str!("checksum.txt");

pub(super) const CONV: [Module; 2] = pair!("conv");
/// Convolutions of the image, whose operands are single numbers in any case.
pub(super) const IMAGE: [Module; 2] = pair!("image");
/// Convolutions of halves by matrices.
pub(super) const MATRICES: Module =
    Module { name: "matrices_half", spirv: include_bytes!("matrices_half.spv") };
pub(super) const MAP: [Module; 2] = pair!("map");
pub(super) const SAMPLE: [Module; 2] = pair!("sample");
pub(super) const DEPTHWISE: [Module; 2] = pair!("depthwise");
pub(super) const LAYER_NORM: [Module; 2] = pair!("layer_norm");
pub(super) const ATTENTION: [Module; 2] = pair!("attention");
pub(super) const MEAN: [Module; 2] = pair!("mean");
pub(super) const ENDS: [Module; 2] = pair!("ends");
pub(super) const FINISH: Module = Module { name: "finish", spirv: include_bytes!("finish.spv") };

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    /// All sources in the order of their names.
    macro_rules! sources {
        ($($name:literal),*) => { [$(($name, include_str!($name))),*] };
    }

    #[test]
    fn kernels_are_those_of_their_sources() {
        let sources = sources!(
            "attention.comp",
            "common.glsl",
            "conv.comp",
            "depthwise.comp",
            "ends.comp",
            "finish.comp",
            "layer_norm.comp",
            "map.comp",
            "mean.comp",
            "sample.comp",
            "statistics.glsl"
        );
        let mut digest = Sha256::new();
        for (name, text) in sources {
            digest.update(name);
            digest.update(text);
        }
        let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, super::CHECKSUM.trim(), "run `cargo xtask shaders`");
    }
}
