//! What Vulkan's answers mean for a plan.

use ash::vk;

use crate::error::Error;

/// The error of a call on a device of that name.
pub(super) fn error(device: &str, action: &str, result: vk::Result) -> Error {
    match result {
        vk::Result::ERROR_DEVICE_LOST => {
            Error::DeviceLost { device: device.to_owned(), reason: format!("failed to {action}") }
        }
        vk::Result::ERROR_OUT_OF_DEVICE_MEMORY | vk::Result::ERROR_OUT_OF_HOST_MEMORY => {
            Error::OutOfMemory { what: format!("{device} (to {action})"), bytes: 0 }
        }
        _ => {
            Error::Device { device: device.to_owned(), reason: format!("it failed to {action}: {result:?}") }
        }
    }
}

/// In tests, what the next calls answer instead of being made.
#[cfg(test)]
pub(crate) mod injected {
    use std::cell::Cell;

    use ash::vk;

    thread_local! {
        static NEXT: Cell<Option<(usize, vk::Result)>> = const { Cell::new(None) };
    }

    /// As long as `work` runs, this thread's call after `calls` others answers `result`. Returns whether it came to
    /// that.
    pub(crate) fn with<T>(calls: usize, result: vk::Result, work: impl FnOnce() -> T) -> (T, bool) {
        struct Restore;
        impl Drop for Restore {
            fn drop(&mut self) {
                NEXT.set(None);
            }
        }
        NEXT.set(Some((calls, result)));
        let _restore = Restore;
        let done = work();
        (done, NEXT.get().is_none())
    }

    pub(crate) fn take() -> Option<vk::Result> {
        match NEXT.get() {
            Some((0, result)) => {
                NEXT.set(None);
                Some(result)
            }
            Some((calls, result)) => {
                NEXT.set(Some((calls - 1, result)));
                None
            }
            None => None,
        }
    }
}

/// Outside of tests nothing is injected.
#[cfg(not(test))]
pub(crate) mod injected {
    use ash::vk;

    pub(crate) fn take() -> Option<vk::Result> {
        None
    }
}
