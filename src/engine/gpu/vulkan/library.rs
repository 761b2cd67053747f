//! The system's Vulkan loader and an instance of our own.

use std::ffi::CStr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ash::vk;

use super::cache;
use crate::platform::why_not_loaded;

#[cfg(windows)]
const NAMES: [&str; 1] = ["vulkan-1.dll"];
#[cfg(target_os = "macos")]
const NAMES: [&str; 2] = ["libvulkan.1.dylib", "libMoltenVK.dylib"];
#[cfg(not(any(windows, target_os = "macos")))]
const NAMES: [&str; 1] = ["libvulkan.so.1"];

/// The loader and an instance. Both go with the last one that has them.
pub(in crate::engine::gpu) struct Library {
    pub(super) instance: ash::Instance,
    pub(super) entry: ash::Entry,
    // Last, so that the code is there until the end.
    _library: libloading::Library,
}

/// A device of the instance and what it tells of itself.
#[derive(Clone)]
pub(in crate::engine::gpu) struct Physical {
    pub(super) handle: vk::PhysicalDevice,
    /// Its number in the loader's order.
    pub index: u32,
    pub name: String,
    /// The driver and its version.
    pub driver: String,
    /// Bytes of its own memory.
    pub memory: u64,
    /// Whether it is hardware, not a CPU that emulates a GPU.
    pub hardware: bool,
    /// What it lacks, so that it can't be used.
    pub lacks: Option<String>,
    pub(super) cooperative: bool,
    pub(super) budget: bool,
    pub(super) rounds_to_nearest: bool,
    pub(super) subgroups: [u32; 2],
    pub(super) limits: vk::PhysicalDeviceLimits,
    pub(super) largest_allocation: u64,
    /// The name of the file with its compiled kernels.
    pub cache_name: String,
}

static SHARED: Mutex<Weak<Library>> = Mutex::new(Weak::new());

impl Physical {
    /// The least and the most lanes of its subgroups.
    pub(in crate::engine::gpu) fn subgroups(&self) -> [u32; 2] {
        self.subgroups
    }
}

impl Library {
    /// The process's instance, made when nobody has one.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(in crate::engine::gpu) fn open() -> Result<Arc<Self>, String> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = shared.upgrade() {
            return Ok(library);
        }
        let library = Arc::new(Self::load()?);
        *shared = Arc::downgrade(&library);
        Ok(library)
    }

    fn load() -> Result<Self, String> {
        let none = |error: libloading::Error| {
            format!("there is no Vulkan driver: {}", why_not_loaded(NAMES[0], &error))
        };
        // SAFETY: the system's Vulkan loader, whose initialisation is meant to run in any process; the function has the
        // type that its specification gives.
        let (library, get) = unsafe {
            let mut opened = libloading::Library::new(NAMES[0]);
            for &name in &NAMES[1..] {
                opened = opened.or_else(|_| libloading::Library::new(name));
            }
            let library = opened.map_err(none)?;
            let get: vk::PFN_vkGetInstanceProcAddr =
                *library.get(b"vkGetInstanceProcAddr\0").map_err(none)?;
            (library, get)
        };
        // SAFETY: the function is the loader's, which stays loaded as long as the entry is used.
        let entry = unsafe { ash::Entry::from_static_fn(ash::StaticFn { get_instance_proc_addr: get }) };
        let failed = |result: vk::Result| format!("Vulkan's loader makes no instance: {result:?}");
        let application = vk::ApplicationInfo::default()
            .application_name(c"voxseg")
            .engine_name(c"voxseg")
            .api_version(vk::API_VERSION_1_3);
        // SAFETY: called before an instance exists, as it may be.
        let extensions = unsafe { entry.enumerate_instance_extension_properties(None) }.map_err(failed)?;
        let portability = ash::khr::portability_enumeration::NAME;
        let has = extensions.iter().any(|found| found.extension_name_as_c_str() == Ok(portability));
        let names = [portability.as_ptr()];
        let mut info = vk::InstanceCreateInfo::default().application_info(&application);
        if has {
            info = info
                .enabled_extension_names(&names)
                .flags(vk::InstanceCreateFlags::ENUMERATE_PORTABILITY_KHR);
        }
        // SAFETY: the structures live until the call returns.
        let instance = unsafe { entry.create_instance(&info, None) }.map_err(failed)?;
        Ok(Library { instance, entry, _library: library })
    }

    /// Its devices, those included that can't be used.
    ///
    /// # Errors
    /// The loader's answer.
    pub(in crate::engine::gpu) fn devices(&self) -> Result<Vec<Physical>, String> {
        // SAFETY: the instance is alive.
        let handles = unsafe { self.instance.enumerate_physical_devices() }
            .map_err(|result| format!("Vulkan's loader lists no devices: {result:?}"))?;
        Ok(handles.into_iter().zip(0..).map(|(handle, index)| self.physical(handle, index)).collect())
    }

    fn physical(&self, handle: vk::PhysicalDevice, index: u32) -> Physical {
        let mut v11 = vk::PhysicalDeviceVulkan11Properties::default();
        let mut v12 = vk::PhysicalDeviceVulkan12Properties::default();
        let mut v13 = vk::PhysicalDeviceVulkan13Properties::default();
        let mut m3 = vk::PhysicalDeviceMaintenance3Properties::default();
        // SAFETY: the handle is this instance's. Only structures of the version that the device has are chained.
        let mut properties = unsafe { self.instance.get_physical_device_properties(handle) };
        let recent = properties.api_version >= vk::API_VERSION_1_3;
        let mut extensions = Vec::new();
        let mut lacks = Vec::new();
        if recent {
            let mut all = vk::PhysicalDeviceProperties2::default()
                .push_next(&mut v11)
                .push_next(&mut v12)
                .push_next(&mut v13)
                .push_next(&mut m3);
            // SAFETY: as above.
            unsafe { self.instance.get_physical_device_properties2(handle, &mut all) };
            properties = all.properties;
            lacks = self.lacking(handle);
            // SAFETY: as above.
            extensions =
                unsafe { self.instance.enumerate_device_extension_properties(handle) }.unwrap_or_default();
        } else {
            lacks.push("Vulkan 1.3");
        }
        let has = |name: &CStr| extensions.iter().any(|found| found.extension_name_as_c_str() == Ok(name));
        let text = |text: Result<&CStr, _>| match text {
            Ok::<_, std::ffi::FromBytesUntilNulError>(text) => text.to_string_lossy().into_owned(),
            Err(_) => String::new(),
        };
        let driver = [text(v12.driver_name_as_c_str()), text(v12.driver_info_as_c_str())];
        // SAFETY: as above.
        let heaps = unsafe { self.instance.get_physical_device_memory_properties(handle) };
        let own = |heap: &&vk::MemoryHeap| heap.flags.contains(vk::MemoryHeapFlags::DEVICE_LOCAL);
        let cache_name = cache::name(&properties, &v11);
        Physical {
            handle,
            index,
            name: text(properties.device_name_as_c_str()),
            driver: driver.join(" ").trim().to_owned(),
            memory: heaps.memory_heaps_as_slice().iter().filter(own).map(|heap| heap.size).sum(),
            hardware: properties.device_type != vk::PhysicalDeviceType::CPU,
            lacks: (!lacks.is_empty()).then(|| format!("it lacks {}", lacks.join(", "))),
            cooperative: has(ash::khr::cooperative_matrix::NAME),
            budget: has(ash::ext::memory_budget::NAME),
            rounds_to_nearest: v12.shader_rounding_mode_rte_float16 == vk::TRUE,
            subgroups: [v13.min_subgroup_size, v13.max_subgroup_size],
            limits: properties.limits,
            largest_allocation: m3.max_memory_allocation_size.min(v13.max_buffer_size),
            cache_name,
        }
    }

    /// The features that the kernels need and a device lacks.
    fn lacking(&self, handle: vk::PhysicalDevice) -> Vec<&'static str> {
        let mut v11 = vk::PhysicalDeviceVulkan11Features::default();
        let mut v12 = vk::PhysicalDeviceVulkan12Features::default();
        let mut v13 = vk::PhysicalDeviceVulkan13Features::default();
        let mut all = vk::PhysicalDeviceFeatures2::default()
            .push_next(&mut v11)
            .push_next(&mut v12)
            .push_next(&mut v13);
        // SAFETY: the handle is this instance's, and its device has version 1.3.
        unsafe { self.instance.get_physical_device_features2(handle, &mut all) };
        [
            (v11.storage_buffer16_bit_access, "halves in buffers"),
            (v12.shader_float16, "halves in shaders"),
            (v12.buffer_device_address, "addresses of buffers"),
            (v12.scalar_block_layout, "scalar layouts"),
            (v12.vulkan_memory_model, "Vulkan's memory model"),
            (v13.subgroup_size_control, "a choice of subgroup sizes"),
            (v13.compute_full_subgroups, "full subgroups"),
            (v13.synchronization2, "synchronization2"),
            (v13.maintenance4, "maintenance4"),
        ]
        .into_iter()
        .filter_map(|(there, name)| (there == vk::FALSE).then_some(name))
        .collect()
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: whoever made something of the instance holds the library, so nothing is left.
        unsafe { self.instance.destroy_instance(None) };
    }
}
