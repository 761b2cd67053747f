//! What a plan can run on.

use std::ffi::{CString, c_char};
use std::ptr::null;

use super::args::{Growable, init, output, reference, write};
use super::boundary::{boundary, getter};
use super::error::{c_string, vxs_error, vxs_status};
use crate::engine::{Device, DeviceInfo};
use crate::error::{Error, Result};

/// What runs the network: one of `VXS_DEVICE_*`.
pub type vxs_device = i32;

/// The fastest CPU engine of this build.
pub const VXS_DEVICE_CPU: i32 = 1;
/// ONNX Runtime on the CPU.
pub const VXS_DEVICE_ORT_CPU: i32 = 2;

/// The devices that were found. Immutable: any thread may read it.
pub struct vxs_device_list(Vec<(DeviceInfo, CString, CString)>);

/// One device. Fill it by `vxs_device_info_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_device_info {
    /// Set by `vxs_device_info_init`.
    pub struct_size: u32,
    /// What to put into `vxs_plan_options.device`.
    pub device: vxs_device,
    /// 1 when a plan can be made on it, else 0 and `reason` says why not.
    pub usable: i32,
    /// Must be 0.
    pub reserved: u32,
    /// Its name. Lives as long as the list.
    pub name: *const c_char,
    /// Why it can't be used; an empty string when it can. Lives as long as the list.
    pub reason: *const c_char,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits.
unsafe impl Growable for vxs_device_info {
    const FIRST_SIZE: usize = size_of::<Self>();

    fn defaults() -> Self {
        let struct_size = size_of::<Self>() as u32;
        vxs_device_info { struct_size, device: 0, usable: 0, reserved: 0, name: null(), reason: null() }
    }
}

pub(super) fn device(code: vxs_device, argument: &str) -> Result<Device> {
    match code {
        VXS_DEVICE_CPU => Ok(Device::Cpu),
        VXS_DEVICE_ORT_CPU => Ok(Device::OrtCpu),
        _ => Err(Error::argument(argument, code, "one of VXS_DEVICE_*")),
    }
}

pub(super) fn device_code(device: Device) -> vxs_device {
    match device {
        Device::Cpu => VXS_DEVICE_CPU,
        Device::OrtCpu => VXS_DEVICE_ORT_CPU,
    }
}

/// Writes the defaults; `size` is `sizeof(vxs_device_info)` as the caller's header has it.
///
/// # Safety
/// `info` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_device_info_init(info: *mut vxs_device_info, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(std::ptr::null_mut(), || init(info, size, "info")) }
}

/// Looks which devices there are. Loads ONNX Runtime when it can be found; when it can't, the devices that
/// need it are listed as unusable. Free the list with `vxs_device_list_free`. Any thread.
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
                let (name, reason) = (c_string(&info.name), c_string(info.reason.as_deref().unwrap_or("")));
                (info, name, reason)
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

/// Tells about one device. Any thread.
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
            let found = usize::try_from(index).ok().and_then(|index| list.0.get(index));
            let Some((device, name, reason)) = found else {
                return Err(Error::argument("index", index, format!("less than {}", list.0.len())));
            };
            let filled = vxs_device_info {
                device: device_code(device.device),
                usable: device.reason.is_none().into(),
                name: name.as_ptr(),
                reason: reason.as_ptr(),
                ..vxs_device_info::defaults()
            };
            write(info, filled, "info")
        })
    }
}

/// Frees a list and the strings that it lent. NULL is fine.
///
/// # Safety
/// `list` is NULL or a live list that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_device_list_free(list: *mut vxs_device_list) {
    if !list.is_null() {
        // SAFETY: made by `Box::into_raw`, freed once by the caller's guarantee.
        drop(unsafe { Box::from_raw(list) });
    }
}
