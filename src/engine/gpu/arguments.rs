//! What a kernel is told with each dispatch.

/// Groups along x before a dispatch goes on along z: `ALONG_X` of `shaders/common.glsl`. Vulkan promises 65,535.
const ALONG_X: usize = 32768;

/// Groups of a dispatch: so many turns of so many shares. There may be some turns more than asked for.
pub(super) fn groups(turns: usize, shares: usize) -> [u32; 3] {
    let along_x = turns.clamp(1, ALONG_X);
    [along_x as u32, shares.max(1) as u32, turns.div_ceil(ALONG_X).max(1) as u32]
}

/// Push constants in the making: addresses first, as these are aligned to eight bytes.
#[derive(Default)]
pub(super) struct Arguments(Vec<u8>);

impl Arguments {
    pub(super) fn addresses<const N: usize>(mut self, addresses: [u64; N]) -> Self {
        self.0.extend(addresses.iter().flat_map(|address| address.to_ne_bytes()));
        self
    }

    pub(super) fn words<const N: usize>(mut self, words: [u32; N]) -> Self {
        self.0.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        self
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_dispatch_has_more_groups_than_every_device_takes() {
        for turns in [0, 1, 7, ALONG_X - 1, ALONG_X, ALONG_X + 1, 1 << 28] {
            let [x, y, z] = groups(turns, 3);
            assert!(x <= 65535 && z <= 65535 && y == 3);
            assert!(x as usize * z as usize >= turns);
        }
    }
}
