//! Segmenting by prompts: a session is given its image once, then a user's points, boxes and strokes, and answers each
//! `vxs_session_run` with a mask of which it tells the box that changed. Models that take prompts say so in
//! `vxs_model_prompts`; sessions of one plan share its weights. One call at a time on a session, from any thread.

use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};

use super::args::{Growable, flag, init, output, read_or_default, reference, text, write};
use super::boundary::{boundary, free, guard, panic_text};
use super::cancel::vxs_cancel;
use super::error::{c_string, vxs_error, vxs_status};
use super::labels::{self, vxs_labels};
use super::plan::{filled_report, vxs_plan, vxs_plan_report};
use super::progress::{self, vxs_progress_callback};
use super::record::vxs_record;
use super::segment::{VXS_NON_FINITE_ERROR, non_finite, vxs_non_finite, vxs_run_options};
use super::version::vxs_bool;
use super::volume::{self, vxs_volume};
use crate::error::{Error, Result};
use crate::inference::Plan;
use crate::progress::Run;
use crate::session::{Session, SessionOptions, SessionReport};
use crate::task::AnyPlan;
use crate::volume::{Box3, Geometry};

/// An image that a user segments.
pub struct vxs_session {
    session: Mutex<Session>,
    /// What the model says of itself.
    about: serde_json::Value,
    poisoned: OnceLock<()>,
}

impl vxs_session {
    /// The session, for one call at a time.
    fn lock(&self) -> Result<MutexGuard<'_, Session>> {
        if self.poisoned.get().is_some() {
            return Err(Error::Poisoned);
        }
        match self.session.try_lock() {
            Ok(session) => Ok(session),
            Err(TryLockError::WouldBlock) => Err(Error::Busy),
            Err(TryLockError::Poisoned(_)) => Err(Error::Poisoned),
        }
    }

    /// What may panic; the session can only be freed then.
    pub(super) fn call<T>(&self, body: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let mut session = self.lock()?;
        guard(|| body(&mut session)).unwrap_or_else(|payload| {
            let _ = self.poisoned.set(());
            Err(Error::Panic { message: panic_text(payload.as_ref()) })
        })
    }
}

/// How a session answers. Fill it by `vxs_session_options_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_session_options {
    /// Set by `vxs_session_options_init`.
    pub struct_size: u32,
    /// Whether an object that goes on beyond the network's patch is looked at from further away, and then in parts. 1
    /// by default.
    pub autozoom: vxs_bool,
    /// What happens to voxels of the volume that are NaN or infinite. `VXS_NON_FINITE_ERROR` by default.
    pub non_finite: vxs_non_finite,
    /// Must be 0.
    pub reserved: u32,
    /// NULL by default.
    pub progress: vxs_progress_callback,
    /// Passed to `progress`.
    pub user_data: *mut c_void,
    /// A flag that stops the call; NULL (default) for none.
    pub cancel: *const vxs_cancel,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits, and an all-zero callback is
// None. A non-zero one is the caller's function by contract.
unsafe impl Growable for vxs_session_options {
    fn defaults() -> Self {
        vxs_session_options {
            struct_size: size_of::<Self>() as u32,
            autozoom: 1,
            non_finite: VXS_NON_FINITE_ERROR,
            reserved: 0,
            progress: None,
            user_data: null_mut(),
            cancel: null(),
        }
    }
}

/// What a run of a session did, or taking a prompt back. Fill it by `vxs_session_report_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_session_report {
    /// Set by `vxs_session_report_init`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The first voxel along each axis of the box of the mask that may have changed.
    pub changed_start: [u64; 3],
    /// The voxel behind the last one; equal to the first where nothing has changed.
    pub changed_end: [u64; 3],
    /// Times that the network ran.
    pub network_runs: u64,
    /// Voxels whose two classes differ in probability by at most 0.01, counted in each box that was looked at from
    /// near.
    pub near_ties: u64,
    /// How many times the network's patch was seen at last from far away: 1 where one patch was enough, 0 where nothing
    /// was asked for.
    pub zoom: f64,
    /// Seconds from the call to its return.
    pub total_seconds: f64,
}

// SAFETY: repr(C), starts with struct_size; integers and floats accept any bits.
unsafe impl Growable for vxs_session_report {
    fn defaults() -> Self {
        vxs_session_report {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            changed_start: [0; 3],
            changed_end: [0; 3],
            network_runs: 0,
            near_ties: 0,
            zoom: 0.0,
            total_seconds: 0.0,
        }
    }
}

/// Writes the defaults. `size` is `sizeof(vxs_session_options)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `options` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_options_init(
    options: *mut vxs_session_options,
    size: u64,
) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(options, size, "options")) }
}

/// Writes the defaults. `size` is `sizeof(vxs_session_report)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `report` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_report_init(report: *mut vxs_session_report, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(report, size, "report")) }
}

/// The plan of a model.
fn of_model(plan: &vxs_plan) -> Result<&Plan> {
    match plan.plan()? {
        AnyPlan::Model(plan) => Ok(plan),
        AnyPlan::Task(_) => Err(Error::unsupported("a session with a task")),
    }
}

/// Tells what a session with `volume` will need, before it is begun. Only the volume's grid is looked at, its buffers
/// may be NULL.
///
/// Returns `VXS_UNSUPPORTED_MODEL` for a model that takes no prompts, `VXS_GEOMETRY`, `VXS_POISONED`. Any thread.
///
/// # Safety
/// `plan` is NULL or a live plan; `volume` is NULL or a filled structure; `report` is NULL or was filled by
/// `vxs_plan_report_init`; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_estimate(
    plan: *const vxs_plan,
    volume: *const vxs_volume,
    report: *mut vxs_plan_report,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let plan = of_model(reference(plan, "plan")?)?;
            let (geometry, ..) = volume::geometry(&super::args::read(volume, "volume")?)?;
            let found = Session::estimate(plan, &geometry)?;
            write(report, filled_report(&found), "report")
        })
    }
}

/// Begins with an image: reads and normalises it, keeps a copy. The mask is empty. Free the session with
/// `vxs_session_free`; it keeps what it needs of the plan.
///
/// Returns `VXS_UNSUPPORTED_MODEL` for a model that takes no prompts, a status from 101 to 107 for the arguments,
/// `VXS_CANCELLED`, `VXS_MEMORY_BUDGET`, `VXS_OUT_OF_MEMORY`, `VXS_POISONED`. Any thread.
///
/// # Safety
/// `plan` is NULL or a live plan; `volume` is NULL or a filled structure whose buffers are valid for their stated
/// sizes; `options` is NULL (defaults) or a filled structure; `session` is NULL or writable; `error` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_create(
    plan: *const vxs_plan,
    volume: *const vxs_volume,
    options: *const vxs_session_options,
    session: *mut *mut vxs_session,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let handle = reference(plan, "plan")?;
            let plan = of_model(handle)?;
            let volume = volume::borrow(volume)?;
            let options = read_or_default(options, "options")?;
            let place = output(session, "session")?;
            if options.reserved != 0 {
                return Err(Error::argument("options.reserved", options.reserved, "0"));
            }
            let settings = SessionOptions { autozoom: flag(options.autozoom, "options.autozoom")? };
            let run = progress::run(options.progress, options.user_data, options.cancel);
            let mut run = run.with_non_finite(non_finite(options.non_finite)?);
            let session = Mutex::new(Session::new(plan, &volume, settings, &mut run)?);
            let about = handle.about.clone();
            *place = Box::into_raw(Box::new(vxs_session { session, about, poisoned: OnceLock::new() }));
            Ok(())
        })
    }
}

/// A run of a session with a run's options.
///
/// # Safety
/// `options` is NULL or a filled structure.
unsafe fn run_of(options: *const vxs_run_options) -> Result<Run<'static>> {
    // SAFETY: by the caller's guarantee.
    let options = unsafe { read_or_default(options, "options") }?;
    if options.map_count != 0 {
        return Err(Error::argument("options.map_count", options.map_count, "0, for a session"));
    }
    if options.region_count != 0 || options.on_labels.is_some() {
        let found = "regions, or a function for labels";
        return Err(Error::argument("options", found, "neither, for a session"));
    }
    if !options.record.is_null() {
        return Err(Error::argument("options.record", "a place", "NULL: vxs_session_record makes it"));
    }
    // SAFETY: by the caller's guarantee.
    Ok(unsafe { progress::run(options.progress, options.user_data, options.cancel) })
}

/// Answers the prompts since the last run; of several the last decides where the network looks. Without any nothing
/// happens. A model that takes `VXS_PROMPT_POINT_PER_LABEL` answers to all points so far, and once without any. On
/// anything but `VXS_OK` mask and prompts are as before and it can run again, except after `VXS_INTERNAL_ERROR`. Of
/// `options`, `progress`, `user_data` and `cancel` are used; maps, regions, a function for labels and a record must not
/// be asked for. `report` may be NULL.
///
/// Returns `VXS_CANCELLED`, `VXS_BUSY` where the session is in use, or its plan has no place for a run and its options
/// don't let it wait, `VXS_INFERENCE_FAILED`, `VXS_OUT_OF_MEMORY`, `VXS_POISONED`. Any thread.
///
/// # Safety
/// `session` is NULL or a live session; `options` is NULL (defaults) or a filled structure; `report` is NULL (not
/// wanted) or was filled by `vxs_session_report_init`; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_run(
    session: *mut vxs_session,
    options: *const vxs_run_options,
    report: *mut vxs_session_report,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` rules NULL out.
    unsafe {
        boundary(error, || {
            let session = reference(session.cast_const(), "session")?;
            let mut run = run_of(options)?;
            if !report.is_null() {
                // A wrong structure is refused before the work and not after.
                super::args::read(report.cast_const(), "report")?;
            }
            let found = session.call(|session| session.run(&mut run))?;
            tell(report, &found)
        })
    }
}

/// Fills a report, if it is wanted.
///
/// # Safety
/// `report` is NULL or was filled by `vxs_session_report_init`.
unsafe fn tell(report: *mut vxs_session_report, found: &SessionReport) -> Result<()> {
    if report.is_null() {
        return Ok(());
    }
    let [changed_start, changed_end] = found.changed;
    let filled = vxs_session_report {
        changed_start,
        changed_end,
        network_runs: found.network_runs as u64,
        near_ties: found.near_ties as u64,
        zoom: found.zoom,
        total_seconds: found.total_seconds,
        ..vxs_session_report::defaults()
    };
    // SAFETY: by the caller's guarantee.
    unsafe { write(report, filled, "report") }
}

/// Takes the last prompt back, and all that runs have written since: up to 16 prompts in a row. `report` tells the box
/// of the mask that may have changed, and may be NULL.
///
/// Returns `VXS_INVALID_ARGUMENT` where there is no prompt left, `VXS_BUSY`, `VXS_POISONED`. Any thread.
///
/// # Safety
/// `session` is NULL or a live session; `report` is NULL (not wanted) or was filled by `vxs_session_report_init`;
/// `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_undo(
    session: *mut vxs_session,
    report: *mut vxs_session_report,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` rules NULL out.
    unsafe {
        boundary(error, || {
            let session = reference(session.cast_const(), "session")?;
            if !report.is_null() {
                super::args::read(report.cast_const(), "report")?;
            }
            let changed = session.call(|session| session.undo())?;
            tell(report, &SessionReport { changed, ..SessionReport::default() })
        })
    }
}

/// Begins again with the same image, for the next object: no prompts, an empty mask, nothing to take back.
///
/// Returns `VXS_BUSY`, `VXS_POISONED`. Any thread.
///
/// # Safety
/// `session` is NULL or a live session; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_reset(
    session: *mut vxs_session,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` rules NULL out.
    unsafe {
        boundary(error, || {
            let session = reference(session.cast_const(), "session")?;
            session.call(|session| {
                session.reset();
                Ok(())
            })
        })
    }
}

/// Writes a box of the mask, from voxel `start` to before voxel `end`, into `labels`: 1 for the object, else 0;
/// the model's labels where it takes `VXS_PROMPT_POINT_PER_LABEL`. The
/// buffer has the box's shape; with the strides and the offset of a larger one only the box is written there. Without
/// `start` and `end` (both NULL) the box is the whole volume.
///
/// Returns `VXS_INVALID_ARGUMENT` for a box that isn't in the volume, `VXS_BUFFER_TOO_SMALL`, `VXS_BUSY`,
/// `VXS_OUT_OF_MEMORY`, `VXS_POISONED`. Any thread.
///
/// # Safety
/// `session` is NULL or a live session; `start` and `end` are NULL or hold three values; `labels` is NULL or a filled
/// structure whose buffer is valid for its stated size and used by nothing else; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_labels(
    session: *mut vxs_session,
    start: *const u64,
    end: *const u64,
    labels: *const vxs_labels,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let session = reference(session.cast_const(), "session")?;
            session.call(|session| {
                let region = if start.is_null() && end.is_null() {
                    [[0; 3], session.geometry().shape.map(|length| length as u64)]
                } else {
                    [
                        *reference(start.cast::<[u64; 3]>(), "start")?,
                        *reference(end.cast::<[u64; 3]>(), "end")?,
                    ]
                };
                let on_host = |argument| {
                    Err(Error::argument(argument, "memory of a device", "memory of the host, for a session"))
                };
                session.check_box(region)?;
                let mut place = labels::Place::new(labels, on_host)?;
                let [[x, y, z], [to_x, to_y, to_z]] = region;
                let shape = [to_x - x, to_y - y, to_z - z].map(|length| length as usize);
                let grid = Geometry::with_shape(shape);
                session.labels(region, &mut place.borrow(&grid, Box3::whole(shape))?)
            })
        })
    }
}

/// Makes the record of a session: the model with hashes of its weights, a hash of the image, the prompts and runs since
/// it began or was reset, a hash of the mask (docs/schemas/session.schema.json). `vxs_session_replay` does them again.
/// Free it with `vxs_record_free`.
///
/// Returns `VXS_BUSY`, `VXS_POISONED`. Any thread.
///
/// # Safety
/// `session` is NULL or a live session; `record` is NULL or writable; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_record(
    session: *mut vxs_session,
    record: *mut *mut vxs_record,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let handle = reference(session.cast_const(), "session")?;
            let place = output(record, "record")?;
            let made = handle.call(|session| Ok(session.record(&handle.about)))?;
            *place = Box::into_raw(Box::new(vxs_record(c_string(&made.to_string()))));
            Ok(())
        })
    }
}

/// Resets the session and does what a record says; the mask is then the same to the last voxel. `options` as for
/// `vxs_session_run`. After a failure a part of it was done.
///
/// Returns `VXS_INVALID_ARGUMENT` for a record of another model, image or setting, and for one that can't be read;
/// and as `vxs_session_run`. Any thread.
///
/// # Safety
/// `session` is NULL or a live session; `record` is NULL or a NUL-terminated string; `options` is NULL (defaults) or a
/// filled structure; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_replay(
    session: *mut vxs_session,
    record: *const c_char,
    options: *const vxs_run_options,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let handle = reference(session.cast_const(), "session")?;
            let wrong =
                |error: serde_json::Error| Error::argument("record", error, "the record of a session");
            let record = serde_json::from_str(text(record, "record")?).map_err(wrong)?;
            let mut run = run_of(options)?;
            handle.call(|session| session.replay(&record, &handle.about, &mut run))
        })
    }
}

/// Frees a session that no call uses. NULL is fine. Any thread.
///
/// # Safety
/// `session` is NULL or a live session that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_free(session: *mut vxs_session) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(session) };
}
