//! Asks a kernel to round to the nearest half, which Vulkan otherwise leaves to the driver.

const HEADER: usize = 5;
const ENTRY_POINT: u32 = 15;
const EXECUTION_MODE: u32 = 16;
const CAPABILITY: u32 = 17;
/// The capability `RoundingModeRTE` and the execution mode of that name, in core SPIR-V since 1.4.
const CAPABILITY_RTE: u32 = 4467;
const MODE_RTE: u32 = 4462;

/// The module with that mode for halves; its one entry point keeps those that it has.
pub(super) fn to_nearest(code: &[u32]) -> Vec<u32> {
    let (header, mut rest) = code.split_at(HEADER.min(code.len()));
    let mut words = header.to_vec();
    words.extend([2 << 16 | CAPABILITY, CAPABILITY_RTE]);
    let mut entry = None;
    while let Some(&first) = rest.first() {
        let (operation, length) = (first & 0xffff, (first >> 16) as usize);
        // Execution modes follow the entry points.
        if let Some(id) = entry.filter(|_| operation != ENTRY_POINT) {
            words.extend([4 << 16 | EXECUTION_MODE, id, MODE_RTE, 16]);
            entry = None;
        }
        let (instruction, others) = rest.split_at(length.clamp(1, rest.len()));
        if operation == ENTRY_POINT {
            entry = instruction.get(2).copied();
        }
        words.extend(instruction);
        rest = others;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_follows_the_entry_point() {
        let header = [0x0723_0203, 0x0001_0600, 0, 9, 0];
        let entry = [4 << 16 | ENTRY_POINT, 5, 7, 0];
        let local_size = [3 << 16 | EXECUTION_MODE, 7, 17];
        let code = [&header[..], &entry, &local_size].concat();
        let capability = [2 << 16 | CAPABILITY, CAPABILITY_RTE];
        let mode = [4 << 16 | EXECUTION_MODE, 7, MODE_RTE, 16];
        assert_eq!(to_nearest(&code), [&header[..], &capability, &entry, &mode, &local_size].concat());
    }

    #[test]
    fn what_is_no_module_ends() {
        for code in [&[][..], &[0, 0], &[0, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 0, 9 << 16 | ENTRY_POINT]] {
            assert!(to_nearest(code).len() >= code.len());
        }
    }
}
