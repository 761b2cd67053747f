//! What stands in the place of ONNX Runtime's engines in a build without it.

use std::sync::Arc;

use super::{DeviceInfo, Engine, EngineRequest, Provider};
use crate::error::Result;
use crate::network::Network;
use crate::runtime::{self, Runtime};

/// Refuses a network that our own engine doesn't run.
pub(super) fn engine(_: &EngineRequest, _: &Arc<Network>, _: u64) -> Result<Arc<dyn Engine>> {
    match *runtime::open(None)? {}
}

/// The devices of a runtime that can't be there.
pub(super) fn devices(runtime: &'static Runtime, _: Provider) -> Vec<DeviceInfo> {
    match *runtime {}
}
