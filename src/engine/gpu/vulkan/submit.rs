//! Work for a device, in submissions that are short enough for the device's other users and for cancelling.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ash::vk;

use super::gpu::{ARGUMENTS, Gpu};
use super::memory::Buffer;
use super::pipeline::Pipeline;
use crate::error::{Error, Result};

/// A kernel's run.
pub(in crate::engine::gpu) struct Dispatch {
    pub pipeline: Arc<Pipeline>,
    /// At most 128 bytes, as the kernel's push constants lie.
    pub arguments: Vec<u8>,
    pub groups: [u32; 3],
    /// Multiply-adds, or what takes as long.
    pub cost: u64,
}

/// One thing to do, after all that stands before it.
pub(in crate::engine::gpu) enum Command<'a> {
    Dispatch(&'a Dispatch),
    /// `bytes` from an offset of one buffer to an offset of another.
    Copy {
        from: (&'a Buffer, u64),
        to: (&'a Buffer, u64),
        bytes: u64,
    },
    /// Zeros.
    Clear {
        buffer: &'a Buffer,
        offset: u64,
        bytes: u64,
    },
}

/// How long a submission should take: Windows resets a device that is busy for two seconds, and a window that waits for
/// the device stands still meanwhile.
const AIM: f64 = 0.05;
/// Below it a submission tells how long submitting takes, not how slow the device is.
const SHORT: f64 = 0.005;
/// Between two questions whether to go on.
const PATIENCE: Duration = Duration::from_millis(100);
/// Nothing takes that long on hardware.
const LIMIT: Duration = Duration::from_secs(60);
/// Multiply-adds a second before anything was measured: few, so that the first submissions are short.
const RATE_OF_HARDWARE: f64 = 2e11;
const RATE_OF_SOFTWARE: f64 = 5e8;

/// Commands that are recorded while others run.
struct Slot {
    commands: vk::CommandBuffer,
    done: vk::Fence,
    /// Since when it runs, and what it costs.
    running: Option<(Instant, u64)>,
}

/// Hands commands to a device's queue. One thread's at a time.
pub(in crate::engine::gpu) struct Submitter {
    gpu: Arc<Gpu>,
    pool: vk::CommandPool,
    slots: Vec<Slot>,
    next: usize,
    /// Multiply-adds a second, as measured.
    rate: f64,
    /// When the last submission ended, as far as was seen.
    ended: Instant,
}

impl Submitter {
    /// # Errors
    /// The driver's answer.
    pub(in crate::engine::gpu) fn new(gpu: &Arc<Gpu>) -> Result<Self> {
        let info = vk::CommandPoolCreateInfo::default()
            .queue_family_index(gpu.family)
            .flags(vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER);
        let device = &gpu.device;
        // SAFETY: the device is alive, and the family is its queue's.
        let pool = gpu.call("make commands", || unsafe { device.create_command_pool(&info, None) })?;
        let rate = if gpu.physical.hardware { RATE_OF_HARDWARE } else { RATE_OF_SOFTWARE };
        let ended = Instant::now();
        let mut submitter = Submitter { gpu: gpu.clone(), pool, slots: Vec::new(), next: 0, rate, ended };
        let info = vk::CommandBufferAllocateInfo::default().command_pool(pool).command_buffer_count(1);
        for _ in 0..2 {
            // SAFETY: the pool was made above; it frees its commands.
            let commands =
                gpu.call("make commands", || unsafe { device.allocate_command_buffers(&info) })?[0];
            let info = vk::FenceCreateInfo::default();
            // SAFETY: the device is alive.
            let done = gpu.call("make a fence", || unsafe { device.create_fence(&info, None) })?;
            submitter.slots.push(Slot { commands, done, running: None });
        }
        Ok(submitter)
    }

    /// Does all commands, one after the other, and waits for the last one. `check` is asked between submissions and
    /// while waiting; its error ends the run early.
    ///
    /// # Errors
    /// That of `check`, [`Error::DeviceLost`], the driver's answer. Nothing runs any more then.
    pub(in crate::engine::gpu) fn run(
        &mut self,
        commands: &[Command],
        check: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let result = self.submit_all(commands, check);
        // What is on its way uses the caller's memory.
        let rest = self.wait_for_all();
        result.and(rest)
    }

    fn submit_all(&mut self, commands: &[Command], check: &dyn Fn() -> Result<()>) -> Result<()> {
        let mut left = Pieces { commands, first: 0 };
        loop {
            let most = (self.rate * AIM) as u64;
            let batch = left.take(most.max(1));
            if batch.is_empty() {
                break;
            }
            check()?;
            let slot = self.next;
            self.wait(slot, check)?;
            self.submit(slot, &batch)?;
            self.next = (slot + 1) % self.slots.len();
        }
        // The older one first.
        for slot in [self.next, (self.next + 1) % self.slots.len()] {
            self.wait(slot, check)?;
        }
        Ok(())
    }

    fn submit(&mut self, slot: usize, batch: &[Piece]) -> Result<()> {
        let gpu = self.gpu.clone();
        let device = &gpu.device;
        let Slot { commands, done, .. } = self.slots[slot];
        let begin = vk::CommandBufferBeginInfo::default().flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        // SAFETY: the slot's last submission was waited for; the commands are recorded by this thread alone.
        gpu.call("record commands", || unsafe {
            device.reset_fences(&[done])?;
            device.begin_command_buffer(commands, &begin)?;
            for piece in batch {
                record(&gpu, commands, piece);
            }
            barrier(&gpu, commands);
            device.end_command_buffer(commands)
        })?;
        let list = [commands];
        let info = [vk::SubmitInfo::default().command_buffers(&list)];
        let queue = gpu.queue();
        // SAFETY: the queue is this device's, and locked; what the commands use outlives them, as whoever submits
        // waits.
        gpu.call("submit commands", || unsafe { device.queue_submit(*queue, &info, done) })?;
        let cost = batch.iter().map(Piece::cost).sum();
        self.slots[slot].running = Some((Instant::now(), cost));
        Ok(())
    }

    /// Waits for a slot's submission.
    fn wait(&mut self, slot: usize, check: &dyn Fn() -> Result<()>) -> Result<()> {
        let Some((started, cost)) = self.slots[slot].running else { return Ok(()) };
        let (gpu, done) = (self.gpu.clone(), self.slots[slot].done);
        while !self.is_done(done)? {
            if gpu.physical.hardware && started.elapsed() > LIMIT {
                gpu.lose();
                let reason = format!("it hasn't answered for {} s", LIMIT.as_secs());
                return Err(Error::DeviceLost { device: gpu.physical.name.clone(), reason });
            }
            check()?;
        }
        self.slots[slot].running = None;
        let seconds = started.max(self.ended).elapsed().as_secs_f64();
        self.ended = Instant::now();
        if cost > 0 && seconds > 0.0 {
            let least = if seconds < SHORT { self.rate } else { self.rate / 2.0 };
            self.rate = (cost as f64 / seconds).clamp(least, self.rate * 2.0);
        }
        Ok(())
    }

    fn is_done(&self, done: vk::Fence) -> Result<bool> {
        let (device, patience) = (&self.gpu.device, PATIENCE.as_nanos() as u64);
        // SAFETY: the fence is this device's.
        self.gpu.call("wait", || match unsafe { device.wait_for_fences(&[done], true, patience) } {
            Ok(()) => Ok(true),
            Err(vk::Result::TIMEOUT) => Ok(false),
            Err(result) => Err(result),
        })
    }

    /// Waits until nothing runs, whatever else goes wrong.
    fn wait_for_all(&mut self) -> Result<()> {
        let mut result = Ok(());
        for slot in 0..self.slots.len() {
            if let Err(error) = self.wait(slot, &|| Ok(())) {
                // Of a lost device nothing runs, and a failed question is asked again, of the whole device.
                // SAFETY: the device is alive.
                let idle = unsafe { self.gpu.device.device_wait_idle() };
                if idle == Err(vk::Result::ERROR_DEVICE_LOST) {
                    self.gpu.lose();
                }
                self.slots[slot].running = None;
                result = result.and(Err(error));
            }
        }
        result
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        // SAFETY: every run waits for its submissions.
        unsafe {
            for slot in &self.slots {
                self.gpu.device.destroy_fence(slot.done, None);
            }
            self.gpu.device.destroy_command_pool(self.pool, None);
        }
    }
}

/// A command, or groups `first..first + count` along x of a dispatch.
struct Piece<'a> {
    command: &'a Command<'a>,
    first: u32,
    count: u32,
}

impl Piece<'_> {
    fn cost(&self) -> u64 {
        match self.command {
            Command::Dispatch(dispatch) => {
                (u128::from(dispatch.cost) * u128::from(self.count) / u128::from(dispatch.groups[0].max(1)))
                    as u64
            }
            _ => 0,
        }
    }
}

/// Commands that are left to do.
struct Pieces<'a> {
    commands: &'a [Command<'a>],
    /// The first group along x of the first command that is left.
    first: u32,
}

impl<'a> Pieces<'a> {
    /// Commands of at most that cost together, or one group's.
    fn take(&mut self, most: u64) -> Vec<Piece<'a>> {
        let (mut batch, mut cost) = (Vec::new(), 0);
        while let Some((command, rest)) = self.commands.split_first() {
            let Command::Dispatch(dispatch) = command else {
                batch.push(Piece { command, first: 0, count: 0 });
                self.commands = rest;
                continue;
            };
            let left = dispatch.groups[0] - self.first;
            let each = (dispatch.cost / u64::from(dispatch.groups[0].max(1))).max(1);
            let fit = ((most - cost) / each).min(u64::from(left)) as u32;
            let count = if batch.is_empty() { fit.max(1).min(left) } else { fit };
            if count == 0 && left > 0 {
                break;
            }
            let piece = Piece { command, first: self.first, count };
            cost = most.min(cost + piece.cost());
            batch.push(piece);
            self.first += count;
            if self.first < dispatch.groups[0] {
                break;
            }
            (self.commands, self.first) = (rest, 0);
        }
        batch
    }
}

/// # Safety
/// The commands are being recorded, and what the piece names is the device's.
unsafe fn record(gpu: &Gpu, commands: vk::CommandBuffer, piece: &Piece) {
    let device = &gpu.device;
    // Groups of one dispatch don't depend on each other.
    if piece.first == 0 {
        barrier(gpu, commands);
    }
    // SAFETY: the pipeline has this layout, arguments have at most its size; ranges lie within their buffers.
    unsafe {
        match piece.command {
            Command::Dispatch(dispatch) => {
                let [x, y, z] = [piece.count, dispatch.groups[1], dispatch.groups[2]];
                let bytes = &dispatch.arguments[..dispatch.arguments.len().min(ARGUMENTS)];
                device.cmd_bind_pipeline(commands, vk::PipelineBindPoint::COMPUTE, dispatch.pipeline.0);
                device.cmd_push_constants(commands, gpu.layout, vk::ShaderStageFlags::COMPUTE, 0, bytes);
                device.cmd_dispatch_base(commands, piece.first, 0, 0, x, y, z);
            }
            Command::Copy { from, to, bytes } => {
                #[cfg(test)]
                super::crossing::count(from.0, to.0, *bytes);
                let region = [vk::BufferCopy::default().src_offset(from.1).dst_offset(to.1).size(*bytes)];
                device.cmd_copy_buffer(commands, from.0.handle, to.0.handle, &region);
            }
            Command::Clear { buffer, offset, bytes } => {
                device.cmd_fill_buffer(commands, buffer.handle, *offset, *bytes, 0);
            }
        }
    }
}

/// What stands before is done, and seen by what follows and by the host.
fn barrier(gpu: &Gpu, commands: vk::CommandBuffer) {
    use vk::{AccessFlags2 as Access, PipelineStageFlags2 as Stage};
    let all = [vk::MemoryBarrier2::default()
        .src_stage_mask(Stage::COMPUTE_SHADER | Stage::ALL_TRANSFER)
        .src_access_mask(Access::SHADER_WRITE | Access::TRANSFER_WRITE)
        .dst_stage_mask(Stage::COMPUTE_SHADER | Stage::ALL_TRANSFER | Stage::HOST)
        .dst_access_mask(
            Access::SHADER_READ
                | Access::SHADER_WRITE
                | Access::TRANSFER_READ
                | Access::TRANSFER_WRITE
                | Access::HOST_READ,
        )];
    let info = vk::DependencyInfo::default().memory_barriers(&all);
    // SAFETY: the commands are being recorded; the structures live until the call returns.
    unsafe { gpu.device.cmd_pipeline_barrier2(commands, &info) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submissions_hold_what_fits_and_all_of_it() {
        let dispatch = |cost, x| Dispatch {
            pipeline: Arc::new(Pipeline(vk::Pipeline::null())),
            arguments: Vec::new(),
            groups: [x, 1, 1],
            cost,
        };
        let dispatches = [dispatch(100, 10), dispatch(5, 1), dispatch(1000, 4), dispatch(0, 3)];
        let commands: Vec<Command> = dispatches.iter().map(Command::Dispatch).collect();
        for most in [1, 7, 30, 99, 100, 300, 5000] {
            let mut left = Pieces { commands: &commands, first: 0 };
            let mut done = [0; 4];
            loop {
                let batch = left.take(most);
                if batch.is_empty() {
                    break;
                }
                let cost: u64 = batch.iter().map(Piece::cost).sum();
                assert!(cost <= most || batch.len() == 1 && batch[0].count == 1, "{most}: {cost}");
                for piece in batch {
                    let Command::Dispatch(dispatch) = piece.command else { unreachable!("only those") };
                    let index = dispatches.iter().position(|one| std::ptr::eq(one, *dispatch)).unwrap();
                    assert_eq!(piece.first, done[index]);
                    done[index] += piece.count;
                }
            }
            assert_eq!(done, [10, 1, 4, 3]);
        }
    }
}
