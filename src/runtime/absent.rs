//! What stands in the place of ONNX Runtime in a build without it: nothing, and errors that say so.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The oldest ONNX Runtime that a build with it takes: its minor version.
pub const OLDEST: u32 = 24;

/// The opened ONNX Runtime, which this build never has.
#[derive(Debug)]
pub enum Runtime {}

/// A library with execution providers, and why it couldn't be registered, if it couldn't.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// Its file.
    pub path: PathBuf,
    /// ONNX Runtime's answer; `None` when it was registered.
    pub reason: Option<String>,
}

impl Runtime {
    /// Its version.
    pub fn version(&self) -> &str {
        match *self {}
    }

    /// The file that it came from.
    pub fn path(&self) -> &Path {
        match *self {}
    }

    pub(crate) fn version_c(&self) -> &CStr {
        match *self {}
    }

    pub(crate) fn path_c(&self) -> &CStr {
        match *self {}
    }

    /// The libraries of providers that were handed over so far.
    pub fn plugins(&self) -> Vec<Plugin> {
        match *self {}
    }
}

/// Refuses to register a library of execution providers.
///
/// # Errors
/// [`Error::RuntimeMissing`].
pub fn add_plugin(_: &Path) -> Result<()> {
    match *open(None)? {}
}

/// The runtime, which isn't there.
pub fn current() -> Option<&'static Runtime> {
    None
}

/// Refuses to open ONNX Runtime.
///
/// # Errors
/// [`Error::RuntimeMissing`].
pub fn open(_: Option<&Path>) -> Result<&'static Runtime> {
    let reason = "this build has none; GPUs, half precision, ONNX files and networks with attention need one that is \
                  made with the cargo feature `ort`";
    Err(Error::RuntimeMissing { reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::{Device, DeviceInfo, DeviceOptions, EngineRequest, Precision, devices};
    use crate::network::Network;
    use crate::progress::Cancel;

    #[test]
    fn what_needs_it_says_that_this_build_has_none() {
        let (options, cancel) = (DeviceOptions::default(), Cancel::new());
        let request = EngineRequest::new(Device::Cpu, [8; 3], Precision::F32, 1, &options, &cancel);
        let network = Arc::new(Network::onnx(Vec::new().into(), 1, 2));
        let error = request.engine(&network, 0).err().unwrap();
        assert!(error.status() == 301 && error.to_string().contains("this build has none"), "{error}");
        let all = devices();
        assert!(all[0].reason.is_none() && all[0].device == Device::Cpu);
        let without = |reason: &Option<String>| reason.as_ref().is_some_and(|text| text.contains("has none"));
        // Our own engines need no runtime.
        let own = |info: &DeviceInfo| matches!(info.device, Device::Cpu | Device::Gpu(_));
        assert!(all.iter().filter(|info| !own(info)).all(|info| without(&info.reason)));
        assert_eq!(Device::Best.resolve(), Device::Cpu);
    }
}
