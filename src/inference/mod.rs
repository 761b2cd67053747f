//! A model made ready for a device, and a volume's way through it: the plan, what a run needs, the run.
//!
//! A [`Plan`] never changes and may be used by many threads; what a run changes is its own: a workspace that it takes
//! from a pool of the plan, tiles, sums and labels.

mod blending;
pub(crate) mod device;
mod finish;
mod inspect;
mod intensities;
mod maps;
mod memory;
mod network;
mod options;
mod pipeline;
mod plan;
mod prepare;
mod region;
mod report;
mod rows;
mod run;
mod runs;
mod slabs;
mod tile;
mod warnings;

#[cfg(test)]
mod concurrent_tests;
#[cfg(test)]
mod device_tests;
#[cfg(test)]
mod gpu_tests;
#[cfg(test)]
mod lack_tests;
#[cfg(test)]
mod tests;

pub use blending::Blending;
pub(crate) use device::{Backend, during};
pub(crate) use inspect::{Inspected, inspect};
pub use intensities::{Unusual, UnusualKind};
pub(crate) use memory::{ENGINE_BYTES, check_budget};
pub use options::{PlanOptions, PlanReport, WhenBusy};
pub use plan::Plan;
pub use report::{MemoryStep, RunReport};
pub(crate) use runs::{Runs, Turn};
pub use warnings::Warning;

pub use crate::parallel::Executor;
pub use crate::restore::{Map, MapBuffer};
