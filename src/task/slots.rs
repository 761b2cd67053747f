//! The plans of a task's models, of which a run has at most two with their weights in memory: the one that runs, and
//! the next, which is loaded meanwhile. Runs that are at the same model share its weights.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::{Error, Result};
use crate::inference::{Plan, PlanOptions};
use crate::model::Model;
use crate::model::task::Part;
use crate::progress::Cancel;
use crate::threads;

/// A model's plan, with or without weights.
pub(super) struct Slot {
    pub(super) part: Part,
    /// What the plan tells, which can't run.
    pub(super) told: Plan,
    options: PlanOptions,
    awake: Mutex<Awake>,
}

/// The plan that can run, while somebody has it.
struct Awake {
    /// Kept for the next run.
    kept: Option<Arc<Plan>>,
    shared: Weak<Plan>,
}

impl Slot {
    pub(super) fn new(part: &Part, options: &PlanOptions) -> Result<Self> {
        let plan = Arc::new(load(part, options)?);
        // The caller's flag is about the making of the plan, not about loading a model again.
        let options = PlanOptions { cancel: Cancel::new(), ..options.clone() };
        let told = plan.asleep();
        let awake = Mutex::new(Awake { shared: Arc::downgrade(&plan), kept: Some(plan) });
        Ok(Slot { part: part.clone(), told, options, awake })
    }

    /// Bytes that it has now. The weights as they were read are gone once its engines are made.
    pub(super) fn held_bytes(&self) -> u64 {
        self.now().map_or(0, |plan| plan.held_beside_weights())
    }

    /// The plan, if anybody has it.
    pub(super) fn now(&self) -> Option<Arc<Plan>> {
        self.awake.lock().unwrap_or_else(PoisonError::into_inner).shared.upgrade()
    }

    /// The plan with its weights. Of runs that want it at once one loads it.
    fn wake(&self) -> Result<Arc<Plan>> {
        let mut awake = self.awake.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = awake.shared.upgrade() {
            return Ok(plan);
        }
        let plan = Arc::new(load(&self.part, &self.options)?);
        awake.shared = Arc::downgrade(&plan);
        Ok(plan)
    }

    /// Forgets the weights when no run has them.
    pub(super) fn sleep(&self) {
        let kept = self.awake.lock().unwrap_or_else(PoisonError::into_inner).kept.take();
        drop(kept);
        crate::platform::return_freed_memory();
    }
}

/// The plans that a run has: the one that runs, or has run, and the next.
#[derive(Default)]
pub(super) struct Held {
    next: Option<(usize, Arc<Plan>)>,
}

impl Held {
    /// Runs the plan of one slot while the next one's weights are loaded, if there is a thread for that: else they are
    /// when it is the next one's turn.
    pub(super) fn run<T>(
        &mut self,
        slots: &[Slot],
        index: usize,
        work: impl FnOnce(&Plan) -> Result<T>,
    ) -> Result<T> {
        let plan = match self.next.take() {
            Some((at, plan)) if at == index => plan,
            _ => slots[index].wake()?,
        };
        let next = slots.get(index + 1);
        let loading = next.filter(|next| next.now().is_none());
        let (found, loaded) = std::thread::scope(|scope| {
            let loading = loading.and_then(|next| threads::spawn(scope, || next.wake()));
            let found = work(&plan);
            let loaded = loading.map(|loading| match loading.join() {
                Ok(loaded) => loaded,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            (found, loaded)
        });
        drop(plan);
        if slots.len() > 2 {
            slots[index].sleep();
        }
        let found = found?;
        self.next = match loaded {
            Some(loaded) => Some((index + 1, loaded?)),
            // Another run may have it: this one has it too before that one ends.
            None => next.and_then(Slot::now).map(|plan| (index + 1, plan)),
        };
        Ok(found)
    }
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
