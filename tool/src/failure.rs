//! Why a command failed, and the exit code that says so.

use std::fmt;
use std::path::{Path, PathBuf};

/// What a command answers.
pub type Outcome<T> = Result<T, Failure>;

/// Exit code for anything that the caller of the tool can mend: arguments and image files.
pub const CALLER: u8 = 1;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The library's answer; its status band is the exit code.
    Library(voxseg::Error),
    /// An image file that can't be used.
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A result that couldn't be stored.
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Nobody reads standard output any more: not worth a message.
    ClosedOutput,
}

impl Failure {
    /// An image file that can't be used.
    pub fn image(path: &Path, reason: impl fmt::Display) -> Self {
        Failure::Image { path: path.into(), reason: reason.to_string() }
    }

    /// A result that couldn't be stored.
    pub fn write(path: &Path, reason: impl fmt::Display) -> Self {
        Failure::Write { path: path.into(), reason: reason.to_string() }
    }

    /// The library's status band, for example 2 for 203; 1 for files of the caller.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Library(error) => u8::try_from(error.status() / 100).unwrap_or(u8::MAX),
            Failure::Image { .. } | Failure::Write { .. } => CALLER,
            Failure::ClosedOutput => 0,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Failure::Library(error) => write!(formatter, "{error}"),
            Failure::Image { path, reason } => write!(formatter, "image {}: {reason}", path.display()),
            Failure::Write { path, reason } => write!(formatter, "cannot write {}: {reason}", path.display()),
            Failure::ClosedOutput => Ok(()),
        }
    }
}

impl From<voxseg::Error> for Failure {
    fn from(error: voxseg::Error) -> Self {
        Failure::Library(error)
    }
}

/// Only writing to standard output is left to `?`; files name themselves.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::ClosedOutput,
            _ => Failure::write(Path::new("standard output"), error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_status_bands() {
        assert_eq!(Failure::from(voxseg::Error::argument("a", 1, "2")).exit_code(), 1);
        assert_eq!(Failure::from(voxseg::Error::malformed("a", "b")).exit_code(), 2);
        assert_eq!(Failure::from(voxseg::Error::Cancelled).exit_code(), 4);
        assert_eq!(Failure::image(Path::new("a"), "b").exit_code(), 1);
    }
}
