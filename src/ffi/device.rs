//! Processors that a plan can run on. `VXS_DEVICE_CPU` is there always and needs no other library; the list tells
//! which of the others can be used here, and why the rest can't.

use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};

use super::args::{Growable, at, init, output, reference, write};
use super::boundary::{boundary, free, getter};
use super::error::{c_string, vxs_error, vxs_status};
use super::version::vxs_bool;
use crate::engine::{Device, DeviceInfo, Provider};
use crate::error::{Error, Result};

/// What runs the network: one of `VXS_DEVICE_*`.
pub type vxs_device = i32;

/// Our own CPU engine, which needs no other library. ONNX files and half precision are left to ONNX Runtime.
pub const VXS_DEVICE_CPU: i32 = 1;
/// ONNX Runtime on the CPU.
pub const VXS_DEVICE_ORT_CPU: i32 = 2;
/// NVIDIA GPUs through CUDA and cuDNN.
pub const VXS_DEVICE_CUDA: i32 = 3;
/// NVIDIA GPUs through TensorRT, which compiles a network for minutes.
pub const VXS_DEVICE_TENSORRT: i32 = 4;
/// Our own engine on any vendor's GPU, which needs nothing but its Vulkan driver. It runs every
/// network but ONNX files.
pub const VXS_DEVICE_GPU: i32 = 5;
/// Any GPU on Windows, through Direct3D 12.
pub const VXS_DEVICE_DIRECTML: i32 = 6;
/// Intel processors (index 0) and GPUs (from index 1 on).
pub const VXS_DEVICE_OPENVINO: i32 = 7;
/// Apple's GPUs and neural engines.
pub const VXS_DEVICE_COREML: i32 = 8;
/// AMD GPUs through ROCm.
pub const VXS_DEVICE_MIGRAPHX: i32 = 9;
/// The first GPU that can be used, in the order of the list of devices, without TensorRT and without software that
/// emulates a GPU; `VXS_DEVICE_GPU` only if it has all that the networks need. Else `VXS_DEVICE_CPU`.
pub const VXS_DEVICE_BEST: i32 = 100;

/// The devices that were found. Immutable: any thread may read it.
pub struct vxs_device_list(Vec<(DeviceInfo, CString, CString, CString)>);

/// One device. Fill it by `vxs_device_info_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_device_info {
    /// Set by `vxs_device_info_init`.
    pub struct_size: u32,
    /// What to put into `vxs_plan_options.device`.
    pub device: vxs_device,
    /// Its number among the devices of its kind: what to put into `vxs_plan_options.device_index`.
    pub index: u32,
    /// Whether a plan can be made on it; `reason` says why not.
    pub usable: vxs_bool,
    /// Whether it is hardware of its own, as far as is known: no CPU, and no software that emulates a GPU.
    pub hardware: vxs_bool,
    /// Must be 0.
    pub reserved: u32,
    /// Its name. Lives as long as the list.
    pub name: *const c_char,
    /// Why it can't be used; an empty string when it can. Lives as long as the list.
    pub reason: *const c_char,
    /// Its driver and the driver's version; an empty string when unknown. Lives as long as the list.
    pub driver: *const c_char,
    /// Bytes of its own memory; 0 when unknown or it has none.
    pub memory_bytes: u64,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits.
unsafe impl Growable for vxs_device_info {
    fn defaults() -> Self {
        vxs_device_info {
            struct_size: size_of::<Self>() as u32,
            device: 0,
            index: 0,
            usable: 0,
            hardware: 0,
            reserved: 0,
            name: null(),
            reason: null(),
            driver: null(),
            memory_bytes: 0,
        }
    }
}

/// The code of each provider.
const PROVIDERS: [(vxs_device, Provider); 6] = [
    (VXS_DEVICE_CUDA, Provider::Cuda),
    (VXS_DEVICE_TENSORRT, Provider::TensorRt),
    (VXS_DEVICE_DIRECTML, Provider::DirectMl),
    (VXS_DEVICE_OPENVINO, Provider::OpenVino),
    (VXS_DEVICE_COREML, Provider::CoreMl),
    (VXS_DEVICE_MIGRAPHX, Provider::MiGraphX),
];

pub(super) fn device(code: vxs_device, index: u32) -> Result<Device> {
    let found = match code {
        VXS_DEVICE_CPU => Some(Device::Cpu),
        VXS_DEVICE_ORT_CPU => Some(Device::OrtCpu),
        VXS_DEVICE_BEST => Some(Device::Best),
        VXS_DEVICE_GPU => Some(Device::Gpu(index)),
        _ => PROVIDERS.iter().find(|entry| entry.0 == code).map(|entry| Device::Provider(entry.1, index)),
    };
    match found {
        Some(Device::Provider(..) | Device::Gpu(_)) => {}
        Some(_) if index != 0 => {
            return Err(Error::argument(
                "options.device_index",
                index,
                "0 for a device that is the only one of its kind",
            ));
        }
        _ => {}
    }
    found.ok_or_else(|| Error::argument("options.device", code, "one of VXS_DEVICE_*"))
}

/// The code of a device and its number among its provider's.
pub(super) fn device_code(device: Device) -> (vxs_device, u32) {
    match device {
        Device::Cpu => (VXS_DEVICE_CPU, 0),
        Device::OrtCpu => (VXS_DEVICE_ORT_CPU, 0),
        Device::Best => (VXS_DEVICE_BEST, 0),
        Device::Gpu(index) => (VXS_DEVICE_GPU, index),
        Device::Provider(provider, index) => {
            let found = PROVIDERS.iter().find(|entry| entry.1 == provider);
            (found.map_or(0, |entry| entry.0), index)
        }
    }
}

/// Writes the defaults. `size` is `sizeof(vxs_device_info)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `info` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_device_info_init(info: *mut vxs_device_info, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(info, size, "info")) }
}

/// Looks which devices there are: the CPU's, our own engine's GPUs, then each provider's, and for a kind without one an
/// entry that says why. Opens the system's Vulkan loader, and loads ONNX Runtime when it can be found; when it can't,
/// the devices that need it are listed as unusable. To know whether a provider that ONNX Runtime was built with can be
/// used, its libraries are loaded. Free the list with `vxs_device_list_free`.
///
/// Returns `VXS_OK`: what can't be used is no error. Any thread.
///
/// # Safety
/// `list` is NULL or writable; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_device_list_open(
    list: *mut *mut vxs_device_list,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `output` rules NULL out.
    unsafe {
        boundary(error, || {
            let list = output(list, "list")?;
            let named = |info: DeviceInfo| {
                let (name, driver) = (c_string(&info.name), c_string(&info.driver));
                let reason = c_string(info.reason.as_deref().unwrap_or(""));
                (info, name, reason, driver)
            };
            let devices = crate::engine::devices().into_iter().map(named).collect();
            *list = Box::into_raw(Box::new(vxs_device_list(devices)));
            Ok(())
        })
    }
}

/// Number of devices; 0 for NULL. Any thread.
///
/// # Safety
/// `list` is NULL or a live list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_device_list_count(list: *const vxs_device_list) -> u64 {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(0, || unsafe { list.as_ref() }.map_or(0, |list| list.0.len() as u64))
}

/// Tells about one device.
///
/// Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
///
/// # Safety
/// `list` is NULL or a live list; `info` is NULL or was filled by `vxs_device_info_init`; `error` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_device_list_get(
    list: *const vxs_device_list,
    index: u64,
    info: *mut vxs_device_info,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` and `write` rule NULL out.
    unsafe {
        boundary(error, || {
            let list = reference(list, "list")?;
            let (device, name, reason, driver) = at(&list.0, index)?;
            let (code, index) = device_code(device.device);
            let filled = vxs_device_info {
                device: code,
                usable: device.reason.is_none().into(),
                index,
                name: name.as_ptr(),
                reason: reason.as_ptr(),
                driver: driver.as_ptr(),
                memory_bytes: device.memory.unwrap_or(0),
                hardware: device.hardware.into(),
                ..vxs_device_info::defaults()
            };
            write(info, filled, "info")
        })
    }
}

/// Frees a list and the strings that it lent. NULL is fine. Any thread.
///
/// # Safety
/// `list` is NULL or a live list that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_device_list_free(list: *mut vxs_device_list) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(list) };
}
