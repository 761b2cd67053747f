//! What a user asks of a session: points, boxes, strokes and masks. A prompt is checked and kept when it is given; the
//! next `vxs_session_run` answers it.

use super::args::reference;
use super::boundary::{boundary, getter};
use super::error::{vxs_error, vxs_status};
use super::model::vxs_model;
use super::session::vxs_session;
use super::volume::{self, vxs_volume};
use crate::error::Error;
use crate::session::{Mask, Prompt, PromptKind};

/// Prompts that a model takes: `VXS_PROMPT_*` together.
pub type vxs_prompts = u64;

/// A voxel of the object, or of what isn't the object.
pub const VXS_PROMPT_POINT: u64 = 1;
/// Boxes that are one voxel thick along an axis.
pub const VXS_PROMPT_BOX_2D: u64 = 2;
/// Any boxes.
pub const VXS_PROMPT_BOX_3D: u64 = 4;
/// A stroke within the object, or outside.
pub const VXS_PROMPT_SCRIBBLE: u64 = 8;
/// What a closed line in a slice encloses.
pub const VXS_PROMPT_LASSO: u64 = 16;
/// The object as it is known so far. All prompts before are forgotten.
pub const VXS_PROMPT_MASK: u64 = 32;

/// A voxel of one of the model's labels, the background included.
pub const VXS_PROMPT_POINT_PER_LABEL: u64 = 64;

/// The prompts that a model takes, `VXS_PROMPT_*` together; 0 for one that segments volumes by itself, and for NULL.
/// Any thread.
///
/// # Safety
/// `model` is NULL or a live model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_prompts(model: *const vxs_model) -> vxs_prompts {
    getter(0, || {
        // SAFETY: NULL or live, by the caller's guarantee.
        let model = unsafe { model.as_ref() }.and_then(|model| model.model.model());
        let bit = |kind: PromptKind| match kind {
            PromptKind::Point => VXS_PROMPT_POINT,
            PromptKind::Box2d => VXS_PROMPT_BOX_2D,
            PromptKind::Box3d => VXS_PROMPT_BOX_3D,
            PromptKind::Scribble => VXS_PROMPT_SCRIBBLE,
            PromptKind::Lasso => VXS_PROMPT_LASSO,
            PromptKind::Mask => VXS_PROMPT_MASK,
            PromptKind::PointPerLabel => VXS_PROMPT_POINT_PER_LABEL,
        };
        model.map_or(0, |model| model.prompts().into_iter().fold(0, |bits, kind| bits | bit(kind)))
    })
}

/// Takes a point: the voxel of the volume that is nearest to `at`, three numbers along the volume's axes where a
/// voxel's centre has whole numbers. `label` is 1 for a voxel of the object, 0 for one of what isn't the object; for a
/// model that takes `VXS_PROMPT_POINT_PER_LABEL`, one of its labels. The next `vxs_session_run` answers it.
///
/// Returns `VXS_INVALID_ARGUMENT` for a place outside of the volume or a prompt that the model doesn't take, and
/// nothing has changed then; `VXS_BUSY`, `VXS_OUT_OF_MEMORY`, `VXS_POISONED`. Any thread.
///
/// # Safety
/// `session` is NULL or a live session; `at` is NULL or holds three values; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_point(
    session: *mut vxs_session,
    at: *const f64,
    label: u32,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` rules NULL out.
    unsafe {
        boundary(error, || {
            let session = reference(session.cast_const(), "session")?;
            let at = *reference(at.cast::<[f64; 3]>(), "at")?;
            session.call(|session| session.add(Prompt::Point { at, label }))
        })
    }
}

/// Takes a box, from voxel `start` to before voxel `end`, three numbers each; what lies outside of the volume is cut
/// off. `label` is 1 for a box around the object, 0 for one around what isn't the object.
///
/// Returns as `vxs_session_point`. Any thread.
///
/// # Safety
/// `session` is NULL or a live session; `start` and `end` are NULL or hold three values; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_box(
    session: *mut vxs_session,
    start: *const i64,
    end: *const i64,
    label: u32,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` rules NULL out.
    unsafe {
        boundary(error, || {
            let session = reference(session.cast_const(), "session")?;
            let start = *reference(start.cast::<[i64; 3]>(), "start")?;
            let end = *reference(end.cast::<[i64; 3]>(), "end")?;
            session.call(|session| session.add(Prompt::Box { start, end, label }))
        })
    }
}

/// Takes the voxels of a box that were drawn: `mask` is a map of any integers with the box's shape, whose voxels other
/// than 0 count and whose first lies at voxel `start` of the volume, three numbers. Its spacing, origin and direction
/// aren't looked at. `kind` is one of `VXS_PROMPT_SCRIBBLE`, `VXS_PROMPT_LASSO` and `VXS_PROMPT_MASK`; `label` as in
/// `vxs_session_point`, 1 for `VXS_PROMPT_MASK`.
///
/// Returns as `vxs_session_point`, or a status from 101 to 107 for the mask. Any thread.
///
/// # Safety
/// `session` is NULL or a live session; `mask` is NULL or a filled structure whose buffers are valid for their stated
/// sizes; `start` is NULL or holds three values; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_session_mask(
    session: *mut vxs_session,
    kind: vxs_prompts,
    mask: *const vxs_volume,
    start: *const i64,
    label: u32,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` and `borrow` rule NULL out.
    unsafe {
        boundary(error, || {
            let session = reference(session.cast_const(), "session")?;
            let start = *reference(start.cast::<[i64; 3]>(), "start")?;
            let mask = Mask::new(start, &volume::borrow(mask)?)?;
            let prompt = match (kind, label) {
                (VXS_PROMPT_SCRIBBLE, label) => Prompt::Scribble { mask, label },
                (VXS_PROMPT_LASSO, label) => Prompt::Lasso { mask, label },
                (VXS_PROMPT_MASK, 1) => Prompt::Mask(mask),
                (VXS_PROMPT_MASK, other) => {
                    return Err(Error::argument("label", other, "1, for VXS_PROMPT_MASK"));
                }
                (other, _) => {
                    let expected = "VXS_PROMPT_SCRIBBLE, VXS_PROMPT_LASSO or VXS_PROMPT_MASK";
                    return Err(Error::argument("kind", other, expected));
                }
            };
            session.call(|session| session.add(prompt))
        })
    }
}
