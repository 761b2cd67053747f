//! For tests: an engine whose device is the host with our kernels compiled as C++, and whose memory is as large as a
//! test says.

use std::sync::Mutex;

use super::host_backend;
use crate::engine::{DeviceEngine, DeviceMemory, Engine, EngineInfo, Workspace, room};
use crate::error::Result;

/// Computes each tile by a rule.
pub(crate) struct Beside {
    pub rule: fn(&[f32], &mut [f32]),
    /// Whether all that is around the network is done on the device.
    pub on_device: bool,
    /// Tiles at once, and whether those are fewer than were asked for.
    pub batch: Mutex<(usize, bool)>,
    /// Bytes of the device's memory that are free.
    pub free: u64,
    /// Numbers of a tile's input and scores.
    pub sizes: [usize; 2],
}

impl Engine for Beside {
    fn info(&self) -> EngineInfo {
        let (batch, narrowed) = *self.batch.lock().unwrap();
        EngineInfo {
            name: "beside the host".into(),
            batch,
            narrowed,
            device_bytes: 100,
            runs_elsewhere: true,
            ..EngineInfo::default()
        }
    }

    fn run(&self, _: &mut Workspace, input: &[f32], output: &mut [f32]) -> Result<()> {
        let tiles = input.chunks_exact(self.sizes[0]).zip(output.chunks_exact_mut(self.sizes[1]));
        tiles.for_each(|(input, output)| (self.rule)(input, output));
        Ok(())
    }

    fn one_tile_at_a_time(&self) -> Result<bool> {
        *self.batch.lock().unwrap() = (1, true);
        Ok(true)
    }

    fn trim(&self) -> Result<()> {
        Ok(())
    }

    fn device(&self) -> Option<&dyn DeviceEngine> {
        self.on_device.then_some(self)
    }
}

impl DeviceEngine for Beside {
    fn memory(&self) -> DeviceMemory {
        DeviceMemory::Host
    }

    fn room(&self, bytes: u64, taken: u64) -> Result<()> {
        room(bytes, taken, None, Some(self.free))
    }

    fn may_overflow(&self) -> bool {
        false
    }

    fn run_at(
        &self,
        workspace: &mut Workspace,
        tiles: usize,
        from: u64,
        to: u64,
        _single: bool,
    ) -> Result<()> {
        let mut bytes = vec![0; tiles * self.sizes[0] * size_of::<f32>()];
        host_backend().download(from, &mut bytes)?;
        let input: Vec<f32> = bytes.as_chunks().0.iter().map(|&four| f32::from_ne_bytes(four)).collect();
        let mut output = vec![0.0; tiles * self.sizes[1]];
        self.run(workspace, &input, &mut output)?;
        let bytes: Vec<u8> = output.iter().flat_map(|value| value.to_ne_bytes()).collect();
        host_backend().upload(to, &bytes)
    }
}
