//! A caller's buffers in the memory of a device, which the host works on as copies.

use std::ffi::c_void;
use std::sync::Arc;

use crate::buffer;
use crate::error::{Error, Result};
use crate::inference::{Backend, during};

/// A copy of a buffer in a device's memory.
pub(super) fn fetch(
    machine: &dyn Backend,
    pointer: *const c_void,
    size: u64,
    argument: &'static str,
) -> Result<Vec<u8>> {
    if pointer.is_null() && size > 0 {
        return Err(Error::NullPointer { argument });
    }
    let address = pointer as u64;
    let expected = "memory of the GPU that the plan runs on";
    machine.check(address).map_err(|found| Error::argument(argument, found, expected))?;
    let length = usize::try_from(size).unwrap_or(usize::MAX);
    let mut bytes = buffer::zeroed(&format!("a copy of `{argument}`"), length)?;
    let copied = machine.finish_all().and_then(|()| machine.download(address, &mut bytes));
    copied.map_err(during("copy a buffer from the device"))?;
    Ok(bytes)
}

/// A buffer of the caller's that is written on a device.
pub(super) struct Target {
    machine: Arc<dyn Backend>,
    address: u64,
}

impl Target {
    /// The buffer, and a copy of it: what lies between voxels stays as it is.
    pub(super) fn new(
        machine: Arc<dyn Backend>,
        pointer: *mut c_void,
        size: u64,
        argument: &'static str,
    ) -> Result<(Self, Vec<u8>)> {
        let bytes = fetch(&*machine, pointer, size, argument)?;
        Ok((Target { machine, address: pointer as u64 }, bytes))
    }

    /// Replaces it by a copy.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<()> {
        let copied = self.machine.upload(self.address, bytes).and_then(|()| self.machine.finish());
        copied.map_err(during("copy the labels to the device"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::device::host_backend;

    /// On the host as a device: a copy comes and goes, and what isn't the device's memory is refused by name.
    #[test]
    fn buffers_come_and_go() {
        let machine = host_backend();
        let mut there: Vec<u8> = (0..100).collect();
        let pointer = there.as_mut_ptr().cast::<c_void>();
        let copy = fetch(&**machine, pointer, 100, "volume.data").unwrap();
        assert!(copy.iter().copied().eq(0..100));
        let (target, mut copy) = Target::new(machine.clone(), pointer, 100, "labels.data").unwrap();
        copy.fill(7);
        target.put(&copy).unwrap();
        // SAFETY: what `pointer` was made from is alive; the device, which is the host, wrote it.
        assert!((0..100).all(|at| unsafe { pointer.cast::<u8>().add(at).read() } == 7));
        let error = fetch(&**machine, std::ptr::null(), 100, "volume.data").unwrap_err();
        assert!(matches!(error, Error::NullPointer { argument: "volume.data" }));
        let error = fetch(&**machine, pointer, u64::MAX, "labels.data").unwrap_err();
        assert!(matches!(&error, Error::OutOfMemory { .. }), "{error}");
    }
}
