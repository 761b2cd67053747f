//! Arrays and kernels on an opened device for what is done around a network: commands are gathered until somebody waits
//! for what they give.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::arguments::groups;
use super::vulkan::{Buffer, Command, Dispatch, Gpu, Kind, Module, Stage, Submitter};
use crate::error::{Error, Result};

/// Bytes that cross to the device or back in one submission.
const STAGE: u64 = 4 << 20;
/// Commands that are gathered at most.
const GATHERED: usize = 512;
/// Invocations of a kernel's group.
const LANES: usize = 64;
/// Indices in kernels have 31 bits, and count halves.
const LARGEST: u64 = 1 << 32;

/// An opened device, as an engine hands it on.
#[derive(Clone)]
pub struct OpenedGpu(pub(super) Arc<Gpu>);

impl OpenedGpu {
    /// The first device; `None`, and a line that says so, where there is none.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Option<Self> {
        let opened = Gpu::open(0).inspect_err(|error| eprintln!("skipped: {error}"));
        opened.ok().map(OpenedGpu)
    }

    /// Room for what somebody found out about the device's kernels around networks: why they can't be used.
    pub(crate) fn checked(&self) -> &OnceLock<Option<String>> {
        &self.0.checked
    }
}

/// Arrays on a device, and commands for it. Any thread may use it; commands are done in the order in which they came.
pub(crate) struct Queue {
    gpu: Arc<Gpu>,
    state: Mutex<State>,
}

struct State {
    arrays: BTreeMap<u64, Buffer>,
    gathered: Vec<Gathered>,
    stage: Stage,
    /// Bytes of the stage that gathered commands read.
    staged: u64,
    // Behind the arrays, which its submissions use.
    submitter: Submitter,
}

enum Gathered {
    Dispatch(Dispatch),
    /// From an offset in the stage to an address.
    Upload {
        from: u64,
        to: u64,
        bytes: u64,
    },
    Clear {
        address: u64,
        bytes: u64,
    },
}

/// How a kernel runs.
pub(crate) struct Launch<'a> {
    /// Voxels of a line: an invocation has one of each line.
    pub voxels: usize,
    pub lines: usize,
    /// Multiply-adds of an invocation, or what takes as long.
    pub cost: u64,
    /// The kernel's push constants, at most 128 bytes.
    pub arguments: &'a [u8],
}

impl Queue {
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`], the driver's answer.
    pub(crate) fn new(opened: &OpenedGpu) -> Result<Self> {
        let gpu = opened.0.clone();
        let state = State {
            arrays: BTreeMap::new(),
            gathered: Vec::new(),
            stage: Stage::new(&gpu, STAGE)?,
            staged: 0,
            submitter: Submitter::new(&gpu)?,
        };
        Ok(Queue { gpu, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An array with nothing of meaning in it; its address.
    ///
    /// # Errors
    /// [`Error::MemoryBudget`] when the device has too little memory for it, or for arrays of that size at all;
    /// [`Error::DeviceLost`], the driver's answer.
    pub(crate) fn allocate(&self, bytes: u64) -> Result<u64> {
        if bytes >= LARGEST {
            return Err(Error::MemoryBudget { budget: LARGEST, needed: bytes });
        }
        let buffer = Buffer::new(&self.gpu, bytes, Kind::Device)?;
        let address = buffer.address;
        self.state().arrays.insert(address, buffer);
        Ok(address)
    }

    /// Gives back an array.
    pub(crate) fn free(&self, address: u64) {
        let mut state = self.state();
        // Whoever waits for them is told of an error; nothing runs any more then.
        let _ = state.flush();
        state.arrays.remove(&address);
    }

    /// Copies to the device, at the latest when somebody waits.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], the driver's answer.
    pub(crate) fn upload(&self, mut to: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.state();
        let mut left = bytes;
        while !left.is_empty() {
            if state.staged == STAGE {
                state.flush()?;
            }
            let from = state.staged;
            let (chunk, rest) = left.split_at(left.len().min((STAGE - from) as usize));
            state.stage.bytes_mut()[from as usize..][..chunk.len()].copy_from_slice(chunk);
            let bytes = chunk.len() as u64;
            state.staged += bytes;
            state.gather(Gathered::Upload { from, to, bytes })?;
            to += bytes;
            left = rest;
        }
        Ok(())
    }

    /// Copies from the device, behind all that was gathered.
    ///
    /// # Errors
    /// As [`Queue::finish`].
    pub(crate) fn download(&self, mut from: u64, bytes: &mut [u8]) -> Result<()> {
        let mut state = self.state();
        state.flush()?;
        for chunk in bytes.chunks_mut(STAGE as usize) {
            let State { arrays, stage, submitter, .. } = &mut *state;
            let length = chunk.len() as u64;
            let (array, offset) = array_of(arrays, from, length)?;
            let copy = Command::Copy { from: (array, offset), to: (&stage.buffer, 0), bytes: length };
            submitter.run(&[copy], &|| Ok(()))?;
            chunk.copy_from_slice(&stage.bytes()[..chunk.len()]);
            from += length;
        }
        Ok(())
    }

    /// Fills an array with zeros from its start on, to the next multiple of four bytes.
    ///
    /// # Errors
    /// As [`Queue::upload`].
    pub(crate) fn clear(&self, address: u64, bytes: u64) -> Result<()> {
        self.state().gather(Gathered::Clear { address, bytes: bytes.next_multiple_of(4) })
    }

    /// Runs a kernel of groups of 64.
    ///
    /// # Errors
    /// As [`Queue::upload`].
    pub(crate) fn launch(&self, kernel: Module, launch: &Launch) -> Result<()> {
        let &Launch { voxels, lines, cost, arguments } = launch;
        if voxels == 0 || lines == 0 {
            return Ok(());
        }
        let pipeline = self.gpu.pipeline(kernel, &[], 0)?;
        let dispatch = Dispatch {
            pipeline,
            arguments: arguments.into(),
            groups: groups(voxels.div_ceil(LANES), lines),
            cost: cost.saturating_mul((voxels * lines) as u64),
        };
        self.state().gather(Gathered::Dispatch(dispatch))
    }

    /// Waits until all that was gathered is done.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], the driver's answer. What wasn't done isn't done any more.
    pub(crate) fn finish(&self) -> Result<()> {
        self.state().flush()
    }
}

impl State {
    fn gather(&mut self, command: Gathered) -> Result<()> {
        self.gathered.push(command);
        if self.gathered.len() < GATHERED { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        self.staged = 0;
        if gathered.is_empty() {
            return Ok(());
        }
        let State { arrays, stage, submitter, .. } = self;
        let command = |one| -> Result<Command> {
            Ok(match one {
                &Gathered::Upload { from, to, bytes } => {
                    Command::Copy { from: (&stage.buffer, from), to: array_of(arrays, to, bytes)?, bytes }
                }
                &Gathered::Clear { address, bytes } => {
                    let (buffer, offset) = array_of(arrays, address, bytes)?;
                    Command::Clear { buffer, offset, bytes }
                }
                Gathered::Dispatch(dispatch) => Command::Dispatch(dispatch),
            })
        };
        let commands = gathered.iter().map(command).collect::<Result<Vec<_>>>()?;
        submitter.run(&commands, &|| Ok(()))
    }
}

/// The array in which so many bytes lie, and where.
fn array_of(arrays: &BTreeMap<u64, Buffer>, address: u64, bytes: u64) -> Result<(&Buffer, u64)> {
    let found = arrays.range(..=address).next_back().map(|(start, buffer)| (buffer, address - start));
    found.filter(|(buffer, offset)| offset + bytes <= buffer.bytes).ok_or_else(|| Error::Runtime {
        action: "copy on a GPU".into(),
        reason: format!("{bytes} bytes at {address:#x} aren't in an array of it"),
    })
}
