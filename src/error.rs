//! One error type for the whole crate. Every variant has a stable status number: see [`Error::status`].

use std::ffi::CStr;
use std::path::PathBuf;

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, with the text that a user needs to mend it.
///
/// The numbers are grouped in bands: 1xx the caller's arguments, 2xx the model, 3xx runtime and device,
/// 4xx the run, 9xx a defect of this library. A number is never given a second meaning.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument has a value that can't be used.
    #[error("argument `{argument}`: found {found}, expected {expected}")]
    InvalidArgument {
        /// The argument's name in the public interface.
        argument: String,
        /// What was passed.
        found: String,
        /// What would have been accepted.
        expected: String,
    },
    /// A pointer that must not be NULL was.
    #[error("argument `{argument}` is NULL")]
    NullPointer {
        /// The argument's name in the public interface.
        argument: &'static str,
    },
    /// A structure's `struct_size` is too small, or larger with fields that this version doesn't know.
    #[error("argument `{argument}`: struct_size is {found}, expected {expected}")]
    StructSize {
        /// The argument's name in the public interface.
        argument: &'static str,
        /// The size that the caller stated.
        found: u64,
        /// The sizes that this version reads.
        expected: String,
    },
    /// Spacing, origin or direction don't describe a grid that can be segmented.
    #[error("volume geometry: {reason}")]
    Geometry {
        /// What is wrong with it.
        reason: String,
    },
    /// A buffer is smaller than its shape and strides need.
    #[error("buffer `{argument}` is too small: {found} bytes, but its shape and strides need {expected}")]
    BufferTooSmall {
        /// The argument's name in the public interface.
        argument: &'static str,
        /// Its size in bytes.
        found: u64,
        /// The size needed in bytes.
        expected: u64,
    },
    /// The volume isn't one that this model segments.
    #[error("the model expects {expected}, the volume has {found}")]
    VolumeMismatch {
        /// What the model needs.
        expected: String,
        /// What the volume has.
        found: String,
    },

    /// Voxels are NaN or infinite. Nothing was computed.
    #[error(
        "{count} {} NaN or infinite, the first in channel {channel} at voxel {voxel:?}; expected finite \
         intensities, or the option non_finite, which gives such voxels a value",
        if *count == 1 { "voxel is" } else { "voxels are" }
    )]
    VoxelsNotFinite {
        /// How many, of all channels together.
        count: u64,
        /// The first channel that has some.
        channel: usize,
        /// The first of them there, along the volume's axes.
        voxel: [usize; 3],
    },

    /// A file of the model couldn't be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The path or file set is not a model that this version knows.
    #[error("not a model: {reason}")]
    NotAModel {
        /// What was looked for and not found.
        reason: String,
    },
    /// A file of the model is damaged, truncated or malformed.
    #[error("malformed {file}: {reason}")]
    Malformed {
        /// The file, or the entry in it.
        file: String,
        /// Where and how.
        reason: String,
    },
    /// A file of the model exceeds a limit that protects the host: see `docs/models.md`.
    #[error("refused {file}: {reason}")]
    Refused {
        /// The file, or the entry in it.
        file: String,
        /// Which limit, and what was found.
        reason: String,
    },
    /// The model needs something that this version doesn't implement.
    #[error("unsupported model: {what}")]
    Unsupported {
        /// What it needs, and what is supported.
        what: String,
    },
    /// A tensor that the network needs is not in the checkpoint.
    #[error("{file}: tensor `{tensor}` is missing")]
    MissingTensor {
        /// The checkpoint.
        file: String,
        /// The tensor's name.
        tensor: String,
    },
    /// The checkpoint holds tensors that the network described by its plans doesn't use.
    #[error(
        "{file}: {count} tensors are not used by the network that the plans describe, the first is `{tensor}`"
    )]
    UnusedTensor {
        /// The checkpoint.
        file: String,
        /// The first such tensor.
        tensor: String,
        /// How many there are.
        count: usize,
    },
    /// A tensor has another shape or type than the network needs, or values that no network has.
    #[error("{file}: tensor `{tensor}` is {found}, expected {expected}")]
    TensorMismatch {
        /// The checkpoint.
        file: String,
        /// The tensor's name.
        tensor: String,
        /// Its type, shape or value.
        found: String,
        /// What is needed.
        expected: String,
    },

    /// ONNX Runtime's shared library was not found or couldn't be loaded.
    #[error("ONNX Runtime: {reason}")]
    RuntimeMissing {
        /// Which paths were tried, with each one's answer.
        reason: String,
    },
    /// ONNX Runtime is older than this library needs.
    #[error("ONNX Runtime {found} at {} is too old, expected {expected} or newer", path.display())]
    RuntimeVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The oldest usable version.
        expected: String,
    },
    /// ONNX Runtime answered with an error while it was set up or compiled a network.
    #[error("ONNX Runtime failed to {action}: {reason}")]
    Runtime {
        /// What it was asked for.
        action: String,
        /// Its own words.
        reason: String,
    },
    /// The device asked for isn't there or can't be used.
    #[error("device {device} cannot be used: {reason}")]
    Device {
        /// The device's name.
        device: String,
        /// Why not.
        reason: String,
    },

    /// The caller asked to stop. Nothing was written.
    #[error("cancelled")]
    Cancelled,
    /// The plan is running a segmentation on another thread.
    #[error("the plan is busy with another call")]
    Busy,
    /// The run would need more memory than the budget allows.
    #[error("memory budget of {budget} bytes is too small, this run needs {needed} bytes")]
    MemoryBudget {
        /// The budget in bytes.
        budget: u64,
        /// The need in bytes.
        needed: u64,
    },
    /// The network's output for a tile couldn't be computed.
    #[error("inference failed on tile {tile}: {reason}")]
    Inference {
        /// The tile's number in the run.
        tile: usize,
        /// Why.
        reason: String,
    },
    /// The class scores overflow half precision, as they would in the reference implementation.
    #[error(
        "the class scores are not finite in half precision ({count} values): the model doesn't suit this image"
    )]
    NotFinite {
        /// How many scores.
        count: usize,
    },
    /// The device doesn't answer any more: it was reset, taken away, or hung. What has been made on it can only be
    /// freed; trying again with another plan may help.
    #[error("device {device} is lost: {reason}")]
    DeviceLost {
        /// The device's name.
        device: String,
        /// What was asked of it.
        reason: String,
    },

    /// Memory that was asked for isn't there.
    #[error("out of memory: {what} needs {bytes} bytes")]
    OutOfMemory {
        /// What it was for.
        what: String,
        /// How much was asked for.
        bytes: u64,
    },

    /// A defect in this library.
    #[error("internal error: {message}")]
    Panic {
        /// The panic's text.
        message: String,
    },
    /// The handle met an internal error earlier and can only be freed.
    #[error("the handle is unusable since an earlier internal error; free it and create another")]
    Poisoned,
}

macro_rules! status_table {
    ($($number:literal $variant:ident $name:literal,)*) => {
        impl Error {
            /// The stable number of this error, as the C interface returns it.
            pub fn status(&self) -> i32 {
                match self { $(Error::$variant { .. } => $number,)* }
            }

            /// The stable name of a status number; `None` for a number that isn't in use.
            pub fn status_name(status: i32) -> Option<&'static CStr> {
                match status { 0 => Some(c"ok"), $($number => Some($name),)* _ => None }
            }
        }
    };
}

status_table! {
    101 InvalidArgument c"invalid argument",
    102 NullPointer c"null pointer",
    103 StructSize c"struct size",
    104 Geometry c"volume geometry",
    105 BufferTooSmall c"buffer too small",
    106 VolumeMismatch c"volume mismatch",
    107 VoxelsNotFinite c"voxels not finite",
    201 Read c"cannot read",
    202 NotAModel c"not a model",
    203 Malformed c"malformed model",
    204 Refused c"refused model",
    205 Unsupported c"unsupported model",
    206 MissingTensor c"missing tensor",
    207 UnusedTensor c"unused tensor",
    208 TensorMismatch c"tensor mismatch",
    301 RuntimeMissing c"runtime missing",
    302 RuntimeVersion c"runtime version",
    303 Runtime c"runtime failed",
    304 Device c"device unusable",
    401 Cancelled c"cancelled",
    402 Busy c"busy",
    403 MemoryBudget c"memory budget",
    404 Inference c"inference failed",
    405 NotFinite c"not finite",
    406 OutOfMemory c"out of memory",
    407 DeviceLost c"device lost",
    901 Panic c"internal error",
    902 Poisoned c"poisoned handle",
}

impl Error {
    /// The parts of the message by key, for callers that build a text of their own.
    pub fn details(&self) -> Vec<(&'static str, String)> {
        let owned = |key, value: &dyn ToString| (key, value.to_string());
        match self {
            Error::InvalidArgument { argument, found, expected } => {
                vec![owned("argument", argument), owned("found", found), owned("expected", expected)]
            }
            Error::NullPointer { argument } => vec![owned("argument", argument)],
            Error::StructSize { argument, found, expected } => {
                vec![owned("argument", argument), owned("found", found), owned("expected", expected)]
            }
            Error::BufferTooSmall { argument, found, expected } => {
                vec![owned("argument", argument), owned("found", found), owned("expected", expected)]
            }
            Error::Geometry { reason }
            | Error::NotAModel { reason }
            | Error::RuntimeMissing { reason }
            | Error::Runtime { reason, .. }
            | Error::Device { reason, .. }
            | Error::DeviceLost { reason, .. }
            | Error::Inference { reason, .. } => vec![owned("reason", reason)],
            Error::VolumeMismatch { expected, found } => {
                vec![owned("found", found), owned("expected", expected)]
            }
            Error::VoxelsNotFinite { count, channel, voxel: [x, y, z] } => vec![
                owned("found", count),
                owned("channel", channel),
                owned("voxel", &format!("{x} {y} {z}")),
            ],
            Error::Read { path, source } => {
                vec![owned("path", &path.display()), owned("reason", source)]
            }
            Error::Malformed { file, reason } | Error::Refused { file, reason } => {
                vec![owned("file", file), owned("reason", reason)]
            }
            Error::Unsupported { what } => vec![owned("found", what)],
            Error::MissingTensor { file, tensor } | Error::UnusedTensor { file, tensor, .. } => {
                vec![owned("file", file), owned("tensor", tensor)]
            }
            Error::TensorMismatch { file, tensor, found, expected } => vec![
                owned("file", file),
                owned("tensor", tensor),
                owned("found", found),
                owned("expected", expected),
            ],
            Error::RuntimeVersion { path, found, expected } => {
                vec![owned("path", &path.display()), owned("found", found), owned("expected", expected)]
            }
            Error::MemoryBudget { budget, needed } => {
                vec![owned("budget", budget), owned("needed", needed)]
            }
            Error::NotFinite { count } => vec![owned("found", count)],
            Error::OutOfMemory { what, bytes } => vec![owned("found", what), owned("needed", bytes)],
            Error::Panic { message } => vec![owned("reason", message)],
            Error::Cancelled | Error::Busy | Error::Poisoned => Vec::new(),
        }
    }

    /// An [`Error::InvalidArgument`] from anything that can be shown.
    pub fn argument(argument: impl Into<String>, found: impl ToString, expected: impl Into<String>) -> Self {
        Error::InvalidArgument {
            argument: argument.into(),
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    /// An [`Error::Malformed`] for a file or an entry in it.
    pub fn malformed(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Malformed { file: file.into(), reason: reason.into() }
    }

    /// An [`Error::Refused`] for a file or an entry in it.
    pub fn refused(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Refused { file: file.into(), reason: reason.into() }
    }

    /// An [`Error::Unsupported`].
    pub fn unsupported(what: impl Into<String>) -> Self {
        Error::Unsupported { what: what.into() }
    }
}
