//! The plans of a task's models, of which at most two have their weights in memory: the one that runs, and the next,
//! which is loaded meanwhile.

use crate::engine::Device;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::task::Part;
use crate::plan::{Plan, PlanOptions};
use crate::progress::Cancel;
use crate::threads;

/// A model's plan, with or without weights.
pub(super) struct Slot {
    pub(super) part: Part,
    pub(super) plan: Plan,
    options: PlanOptions,
    awake: bool,
}

impl Slot {
    pub(super) fn new(part: &Part, options: &PlanOptions) -> Result<Self> {
        let plan = load(part, options)?;
        // The caller's flag is about the making of the plan, not about loading a model again.
        let options = PlanOptions { cancel: Cancel::new(), ..options.clone() };
        Ok(Slot { part: part.clone(), plan, options, awake: true })
    }

    /// Whether trimming costs nothing: elsewhere it takes the time of a tile.
    fn gives_memory_back(&self) -> bool {
        self.options.device.resolve() == Device::Cpu
    }

    /// Bytes that it keeps while another one runs.
    pub(super) fn kept_bytes(&self) -> u64 {
        if self.gives_memory_back() { self.plan.loaded_bytes() } else { self.plan.workspace_bytes() }
    }

    /// Bytes that it has now. The weights as they were read are gone once its engines are made.
    pub(super) fn held_bytes(&self) -> u64 {
        if self.awake { self.plan.held_beside_weights() } else { 0 }
    }

    pub(super) fn sleep(&mut self) {
        self.plan.sleep();
        self.awake = false;
        crate::platform::return_freed_memory();
    }
}

/// Runs the plan of one slot while the next one's weights are loaded, if there is a thread for that: else they are when it
/// is the next one's turn.
pub(super) fn run<T>(
    slots: &mut [Slot],
    index: usize,
    work: impl FnOnce(&mut Plan) -> Result<T>,
) -> Result<T> {
    let count = slots.len();
    let (before, after) = slots.split_at_mut(index + 1);
    let slot = &mut before[index];
    if !slot.awake {
        slot.plan = load(&slot.part, &slot.options)?;
        slot.awake = true;
    }
    let next = after.first_mut().filter(|next| !next.awake);
    let (found, loaded) = std::thread::scope(|scope| {
        let loading = next.as_ref().and_then(|next| {
            let (part, options) = (&next.part, &next.options);
            threads::spawn(scope, move || load(part, options))
        });
        let found = work(&mut slot.plan);
        let loaded = loading.map(|loading| match loading.join() {
            Ok(loaded) => loaded,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        (found, loaded)
    });
    if count > 2 {
        slot.sleep();
    } else if count == 2 && slot.gives_memory_back() {
        slot.plan.trim()?;
    }
    let found = found?;
    if let (Some(next), Some(loaded)) = (next, loaded) {
        next.plan = loaded?;
        next.awake = true;
    }
    Ok(found)
}

/// Opens a model again and makes its plan.
fn load(part: &Part, options: &PlanOptions) -> Result<Plan> {
    let model = Model::open(&part.path, &part.options)?;
    if model.identity() != part.identity {
        let reason = format!("{} has changed since the task was opened", part.path.display());
        return Err(Error::NotAModel { reason });
    }
    let plan = Plan::new(&model, options);
    drop(model);
    crate::platform::return_freed_memory();
    plan
}
