//! For tests: an engine whose device is the host with our kernels compiled as C++, and whose memory is as large as a test
//! says.

use std::sync::Arc;

use super::cuda::host_machine;
use super::room::room;
use super::{Engine, Job, Machine, Memory};
use crate::error::{Error, Result};

/// Computes each tile by a rule.
pub(crate) struct Beside {
    pub rule: fn(&[f32], &mut [f32]),
    /// Whether all that is around the network is done on the device.
    pub on_device: bool,
    pub batch: usize,
    pub narrowed: bool,
    /// Bytes of the device's memory that are free.
    pub free: u64,
    /// Numbers of a tile's input and scores.
    pub sizes: [usize; 2],
}

impl Engine for Beside {
    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let tiles = input.chunks_exact(self.sizes[0]).zip(output.chunks_exact_mut(self.sizes[1]));
        tiles.for_each(|(input, output)| (self.rule)(input, output));
        Ok(())
    }

    fn name(&self) -> String {
        "beside the host".into()
    }

    fn workspace_bytes(&self) -> u64 {
        0
    }

    fn device_bytes(&self) -> u64 {
        100
    }

    fn runs_elsewhere(&self) -> bool {
        true
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn narrowed(&self) -> bool {
        self.narrowed
    }

    fn one_tile_at_a_time(&mut self) -> Result<bool> {
        (self.batch, self.narrowed) = (1, true);
        Ok(true)
    }

    fn machine(&self) -> Option<Arc<dyn Machine>> {
        self.on_device.then(|| host_machine().clone())
    }

    fn cuts_and_blends(&self) -> bool {
        self.on_device
    }

    fn memory_for(&self, job: &Job) -> std::result::Result<Option<Memory>, String> {
        if !self.on_device {
            return Ok(None);
        }
        room(job.extent().bytes(), job.taken, None, Some(self.free)).map_err(|error| error.to_string())?;
        Memory::new(host_machine(), job, false).map(Some)
    }

    fn run_at(&mut self, from: u64, to: u64, _single: bool) -> Result<()> {
        let failed = |reason| Error::Runtime { action: "run beside the host".into(), reason };
        let mut bytes = vec![0; self.batch * self.sizes[0] * size_of::<f32>()];
        host_machine().download(from, &mut bytes).map_err(failed)?;
        let input: Vec<f32> = bytes.as_chunks().0.iter().map(|&four| f32::from_ne_bytes(four)).collect();
        let mut output = vec![0.0; self.batch * self.sizes[1]];
        self.run(&input, &mut output)?;
        let bytes: Vec<u8> = output.iter().flat_map(|value| value.to_ne_bytes()).collect();
        host_machine().upload(to, &bytes).map_err(failed)
    }
}
