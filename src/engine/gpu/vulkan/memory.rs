//! Buffers on the device, found by their addresses, and memory that both the host and the device reach.

use std::sync::Arc;

use ash::vk;

use super::gpu::Gpu;
use crate::engine::room::room;
use crate::error::{Error, Result};

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::gpu) enum Kind {
    /// The device's own.
    Device,
    /// The host's, which the device reads and writes.
    Host,
}

/// Memory of one purpose. It must not be dropped while a submission that uses it runs: whoever submits waits.
pub(in crate::engine::gpu) struct Buffer {
    gpu: Arc<Gpu>,
    pub(super) handle: vk::Buffer,
    pub(super) memory: vk::DeviceMemory,
    pub address: u64,
    pub bytes: u64,
    #[cfg(test)]
    pub(super) kind: Kind,
}

/// Bytes of padding so that each buffer may be read in sixteens.
const UNIT: u64 = 16;

impl Buffer {
    /// Memory with nothing of meaning in it.
    ///
    /// # Errors
    /// [`Error::MemoryBudget`] when the device's memory is too little, [`Error::DeviceLost`], and what else the
    /// driver answers.
    pub(in crate::engine::gpu) fn new(gpu: &Arc<Gpu>, bytes: u64, kind: Kind) -> Result<Self> {
        let bytes = bytes.max(UNIT).next_multiple_of(UNIT);
        let lacking = |free: Option<u64>| Error::MemoryBudget { budget: free.unwrap_or(0), needed: bytes };
        if kind == Kind::Device {
            if bytes > gpu.physical.largest_allocation {
                return Err(lacking(Some(gpu.physical.largest_allocation)));
            }
            room(bytes, 0, None, gpu.free_memory())?;
        }
        let usage = vk::BufferUsageFlags::STORAGE_BUFFER
            | vk::BufferUsageFlags::SHADER_DEVICE_ADDRESS
            | vk::BufferUsageFlags::TRANSFER_SRC
            | vk::BufferUsageFlags::TRANSFER_DST;
        let info = vk::BufferCreateInfo::default().size(bytes).usage(usage);
        let device = &gpu.device;
        // SAFETY: the device is alive; the structure lives until the call returns.
        let handle = gpu.call("make a buffer", || unsafe { device.create_buffer(&info, None) })?;
        let mut buffer = Buffer {
            gpu: gpu.clone(),
            handle,
            memory: vk::DeviceMemory::null(),
            address: 0,
            bytes,
            #[cfg(test)]
            kind,
        };
        // SAFETY: the buffer was made above.
        let needs = unsafe { device.get_buffer_memory_requirements(handle) };
        let mut by_address =
            vk::MemoryAllocateFlagsInfo::default().flags(vk::MemoryAllocateFlags::DEVICE_ADDRESS);
        let info = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(memory_type(gpu, needs.memory_type_bits, kind)?)
            .push_next(&mut by_address);
        // SAFETY: as above. A null handle is all right for the buffer's end.
        let allocated = gpu.call("take memory", || unsafe { device.allocate_memory(&info, None) });
        buffer.memory = match allocated {
            // The driver's own answer to a lack of memory, whatever it told before.
            Err(Error::OutOfMemory { what, .. }) => match kind {
                Kind::Device => return Err(lacking(gpu.free_memory())),
                Kind::Host => return Err(Error::OutOfMemory { what, bytes }),
            },
            allocated => allocated?,
        };
        // SAFETY: the memory was allocated for this buffer, is large enough, and is bound once.
        gpu.call("bind memory", || unsafe { device.bind_buffer_memory(handle, buffer.memory, 0) })?;
        let info = vk::BufferDeviceAddressInfo::default().buffer(handle);
        // SAFETY: the buffer has memory, and was made to have an address.
        buffer.address = unsafe { device.get_buffer_device_address(&info) };
        Ok(buffer)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: no submission uses it: see the type. Freed once; mapped memory is unmapped thereby.
        unsafe {
            self.gpu.device.destroy_buffer(self.handle, None);
            self.gpu.device.free_memory(self.memory, None);
        }
    }
}

/// The memory type of a purpose: the device's own without the host's access where there is such, the host's with its
/// cache.
fn memory_type(gpu: &Gpu, allowed: u32, kind: Kind) -> Result<u32> {
    use vk::MemoryPropertyFlags as Flags;
    // SAFETY: the handle is this instance's.
    let all = unsafe { gpu.library.instance.get_physical_device_memory_properties(gpu.physical.handle) };
    let find = |with: Flags, without: Flags| {
        all.memory_types_as_slice().iter().zip(0_u32..).find_map(|(kind, index)| {
            let flags = kind.property_flags;
            let fits = allowed >> index & 1 == 1 && flags.contains(with) && !flags.intersects(without);
            fits.then_some(index)
        })
    };
    let shared = Flags::HOST_VISIBLE | Flags::HOST_COHERENT;
    match kind {
        Kind::Device => find(Flags::DEVICE_LOCAL, Flags::HOST_VISIBLE)
            .or_else(|| find(Flags::DEVICE_LOCAL, Flags::empty())),
        Kind::Host => {
            find(shared | Flags::HOST_CACHED, Flags::empty()).or_else(|| find(shared, Flags::empty()))
        }
    }
    .ok_or_else(|| Error::Device {
        device: gpu.physical.name.clone(),
        reason: format!("it has no memory of the kind {kind:?}"),
    })
}

/// Memory of the host that the device reaches, mapped as long as it lives.
pub(in crate::engine::gpu) struct Stage {
    pub buffer: Buffer,
    start: *mut u8,
}

// SAFETY: the mapped memory belongs to this value alone, and is reached through `&self` or `&mut self` only.
unsafe impl Send for Stage {}

impl Stage {
    /// # Errors
    /// As [`Buffer::new`].
    pub(in crate::engine::gpu) fn new(gpu: &Arc<Gpu>, bytes: u64) -> Result<Self> {
        let buffer = Buffer::new(gpu, bytes, Kind::Host)?;
        let (size, flags) = (vk::WHOLE_SIZE, vk::MemoryMapFlags::empty());
        // SAFETY: the memory is the host's to map, and isn't mapped yet.
        let start =
            gpu.call("map memory", || unsafe { gpu.device.map_memory(buffer.memory, 0, size, flags) })?;
        Ok(Stage { buffer, start: start.cast() })
    }

    /// What is there; what a submission writes there is seen after that was waited for.
    pub(in crate::engine::gpu) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for the buffer's size, as long as it lives; the device writes only in submissions, which are
        // waited for.
        unsafe { std::slice::from_raw_parts(self.start, self.buffer.bytes as usize) }
    }

    pub(in crate::engine::gpu) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as `bytes`, and this is the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.buffer.bytes as usize) }
    }
}
