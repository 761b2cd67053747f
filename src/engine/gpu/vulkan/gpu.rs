//! One opened device, which all plans of the process share.

use std::collections::HashMap;
use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};

use ash::vk;

use super::cache::Folder;
use super::library::{Library, Physical};
use super::pipeline::{Key, Pipeline};
use super::{failure, injected};
use crate::error::{Error, Result};

/// What a device multiplies at once: rows, columns, depth; halves whose sums are in single precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::gpu) struct Matrix {
    pub m: u32,
    pub n: u32,
    pub k: u32,
}

/// An opened device. Its calls may come from any thread.
pub(in crate::engine::gpu) struct Gpu {
    pub(super) device: ash::Device,
    pub physical: Physical,
    /// The matrices that it multiplies, unless there are none or the user wants none.
    pub matrix: Option<Matrix>,
    /// Whether they are right and fast, once that was found out.
    pub good_matrices: OnceLock<bool>,
    /// Why its kernels around networks can't be used, once that was found out.
    pub checked: OnceLock<Option<String>>,
    pub(super) family: u32,
    pub(super) queue: Mutex<vk::Queue>,
    pub(super) layout: vk::PipelineLayout,
    pub(super) pipelines: Mutex<HashMap<Key, Arc<Pipeline>>>,
    /// What the driver keeps of compiled kernels, for the folders that plans have named.
    pub(super) cache: RwLock<vk::PipelineCache>,
    pub(super) folders: Mutex<Vec<Folder>>,
    lost: AtomicBool,
    // Last: the instance outlives its device.
    pub(super) library: Arc<Library>,
}

type Opened = Vec<(u32, Weak<Gpu>)>;

/// The opened devices by number.
static OPENED: Mutex<Opened> = Mutex::new(Vec::new());

/// Push constants of every pipeline: as many bytes as each device has.
pub(super) const ARGUMENTS: usize = 128;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    /// The device of that number in the loader's order, opened unless it is.
    ///
    /// # Errors
    /// [`Error::Device`] with the reason why it can't be used.
    pub(in crate::engine::gpu) fn open(index: u32) -> Result<Arc<Self>> {
        let unusable = |reason: String| Error::Device { device: super::super::name(index), reason };
        let mut opened = locked(&OPENED);
        opened.retain(|(_, gpu)| gpu.strong_count() > 0);
        let there = opened.iter().find(|(number, _)| *number == index);
        if let Some(gpu) = there.and_then(|(_, gpu)| gpu.upgrade()).filter(|gpu| !gpu.is_lost()) {
            return Ok(gpu);
        }
        let library = Library::open().map_err(unusable)?;
        let devices = library.devices().map_err(unusable)?;
        let count = devices.len();
        let Some(physical) = devices.into_iter().nth(index as usize) else {
            return Err(unusable(format!("Vulkan has {count} devices")));
        };
        if let Some(lacks) = physical.lacks.clone() {
            return Err(unusable(lacks));
        }
        let gpu = Arc::new(Self::new(library, physical)?);
        opened.retain(|(number, _)| *number != index);
        opened.push((index, Arc::downgrade(&gpu)));
        Ok(gpu)
    }

    fn new(library: Arc<Library>, physical: Physical) -> Result<Self> {
        let name = physical.name.clone();
        let failed = |action: &'static str| {
            let name = name.clone();
            move |result| failure::error(&name, action, result)
        };
        let instance = &library.instance;
        // SAFETY: the handle is this instance's.
        let families = unsafe { instance.get_physical_device_queue_family_properties(physical.handle) };
        let computes =
            |family: &vk::QueueFamilyProperties| family.queue_flags.contains(vk::QueueFlags::COMPUTE);
        let draws =
            |family: &vk::QueueFamilyProperties| family.queue_flags.contains(vk::QueueFlags::GRAPHICS);
        // The host's own windows are drawn by the others.
        let family = families
            .iter()
            .position(|family| computes(family) && !draws(family))
            .or_else(|| families.iter().position(computes))
            .ok_or_else(|| Error::Device { device: name.clone(), reason: "no queue of it computes".into() })?
            as u32;
        let wanted = std::env::var_os("VOXSEG_VULKAN_MATRICES").is_none_or(|value| value != "0");
        let matrix = if wanted { matrix_of(&library, &physical) } else { None };
        let priority = [0.5];
        let queues =
            [vk::DeviceQueueCreateInfo::default().queue_family_index(family).queue_priorities(&priority)];
        let mut v11 = vk::PhysicalDeviceVulkan11Features::default().storage_buffer16_bit_access(true);
        let mut v12 = vk::PhysicalDeviceVulkan12Features::default()
            .buffer_device_address(true)
            .shader_float16(true)
            .scalar_block_layout(true)
            .vulkan_memory_model(true);
        let mut v13 = vk::PhysicalDeviceVulkan13Features::default()
            .subgroup_size_control(true)
            .compute_full_subgroups(true)
            .synchronization2(true)
            .maintenance4(true);
        let mut matrices = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default().cooperative_matrix(true);
        let mut names: Vec<*const c_char> = Vec::new();
        if matrix.is_some() {
            names.push(ash::khr::cooperative_matrix::NAME.as_ptr());
        }
        if physical.budget {
            names.push(ash::ext::memory_budget::NAME.as_ptr());
        }
        let mut info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&names)
            .push_next(&mut v11)
            .push_next(&mut v12)
            .push_next(&mut v13);
        if matrix.is_some() {
            info = info.push_next(&mut matrices);
        }
        if let Some(result) = injected::take() {
            return Err(failed("open the device")(result));
        }
        // SAFETY: the handle is this instance's; the features were found there; the structures live until the call
        // returns.
        let device = unsafe { instance.create_device(physical.handle, &info, None) }
            .map_err(failed("open the device"))?;
        // SAFETY: the queue was asked for above.
        let queue = unsafe { device.get_device_queue(family, 0) };
        let range = [vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(ARGUMENTS as u32)];
        let layout = vk::PipelineLayoutCreateInfo::default().push_constant_ranges(&range);
        // SAFETY: the device is alive; on failure it is destroyed here, and nothing else was made of it.
        let layout = unsafe {
            device.create_pipeline_layout(&layout, None).map_err(|result| {
                device.destroy_device(None);
                failed("lay out arguments")(result)
            })?
        };
        // Without one, kernels are compiled all the same.
        // SAFETY: the device is alive.
        let cache = unsafe { device.create_pipeline_cache(&vk::PipelineCacheCreateInfo::default(), None) };
        Ok(Gpu {
            device,
            physical,
            matrix,
            good_matrices: OnceLock::new(),
            checked: OnceLock::new(),
            family,
            queue: Mutex::new(queue),
            layout,
            pipelines: Mutex::default(),
            cache: RwLock::new(cache.unwrap_or_default()),
            folders: Mutex::default(),
            lost: AtomicBool::new(false),
            library,
        })
    }

    /// Makes a call that may fail.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], which also marks the device, or what else the answer means.
    pub(super) fn call<T>(
        &self,
        action: &str,
        call: impl FnOnce() -> std::result::Result<T, vk::Result>,
    ) -> Result<T> {
        injected::take().map_or_else(call, Err).map_err(|result| {
            if result == vk::Result::ERROR_DEVICE_LOST {
                self.lose();
            }
            failure::error(&self.physical.name, action, result)
        })
    }

    /// Nobody can use it any more; the next plan opens a new one.
    pub(in crate::engine::gpu) fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }

    pub(in crate::engine::gpu) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Bytes of shared memory that kernels should need at most: a device may have more, but then fewer groups run at
    /// once.
    pub(in crate::engine::gpu) fn shared_memory(&self) -> usize {
        self.physical.limits.max_compute_shared_memory_size.min(32 << 10) as usize
    }

    /// The lanes of a subgroup that kernels ask for: at most 64, as the sums of a convolution are shared out.
    pub(in crate::engine::gpu) fn lanes(&self) -> u32 {
        let [least, most] = self.physical.subgroups;
        most.min(64).max(least)
    }

    pub(super) fn pipelines(&self) -> MutexGuard<'_, HashMap<Key, Arc<Pipeline>>> {
        locked(&self.pipelines)
    }

    /// Kernels that it has compiled.
    pub(super) fn compiled(&self) -> usize {
        self.pipelines().len()
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, vk::Queue> {
        locked(&self.queue)
    }

    /// Bytes of its memory that nobody has, as far as the driver tells.
    pub(in crate::engine::gpu) fn free_memory(&self) -> Option<u64> {
        if !self.physical.budget {
            return Some(self.physical.memory);
        }
        let mut budget = vk::PhysicalDeviceMemoryBudgetPropertiesEXT::default();
        let mut all = vk::PhysicalDeviceMemoryProperties2::default().push_next(&mut budget);
        // SAFETY: the handle is this instance's, and its device has the extension.
        unsafe {
            self.library.instance.get_physical_device_memory_properties2(self.physical.handle, &mut all);
        }
        let heaps = all.memory_properties;
        let own =
            |index: &usize| heaps.memory_heaps[*index].flags.contains(vk::MemoryHeapFlags::DEVICE_LOCAL);
        let free = |index: usize| budget.heap_budget[index].saturating_sub(budget.heap_usage[index]);
        Some((0..heaps.memory_heap_count as usize).filter(own).map(free).sum())
    }
}

/// The first of the sizes that the kernels are written for.
fn matrix_of(library: &Library, physical: &Physical) -> Option<Matrix> {
    if !physical.cooperative {
        return None;
    }
    let functions = ash::khr::cooperative_matrix::Instance::new(&library.entry, &library.instance);
    // SAFETY: the handle is this instance's, and its device has the extension.
    let found =
        unsafe { functions.get_physical_device_cooperative_matrix_properties(physical.handle) }.ok()?;
    let (half, single) = (vk::ComponentTypeKHR::FLOAT16, vk::ComponentTypeKHR::FLOAT32);
    let sizes = [(16, 16, 16), (8, 16, 16), (16, 8, 16), (16, 8, 8), (8, 8, 8)];
    sizes.into_iter().map(|(m, n, k)| Matrix { m, n, k }).find(|&Matrix { m, n, k }| {
        found.iter().any(|there| {
            [there.m_size, there.n_size, there.k_size] == [m, n, k]
                && [there.a_type, there.b_type] == [half, half]
                && [there.c_type, there.result_type] == [single, single]
                && there.scope == vk::ScopeKHR::SUBGROUP
        })
    })
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // SAFETY: the last one that had it is gone, and with it every buffer and submission; a lost device may be
        // waited for too. Nothing uses the handles afterwards.
        unsafe {
            let _ = self.device.device_wait_idle();
            for (_, pipeline) in self.pipelines().drain() {
                self.device.destroy_pipeline(pipeline.0, None);
            }
            self.device.destroy_pipeline_cache(*self.cache(), None);
            self.device.destroy_pipeline_layout(self.layout, None);
            self.device.destroy_device(None);
        }
    }
}
