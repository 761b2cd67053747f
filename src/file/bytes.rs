//! The content of a file in memory.

use std::ops::Deref;
use std::sync::Arc;

use super::Held;
use crate::buffer;
use crate::error::Result;

/// The content of a file in memory. Clones share it.
#[derive(Clone)]
pub struct Bytes(Arc<Content>);

struct Content {
    bytes: Vec<u8>,
    /// Its part of a budget, which goes back with the last clone.
    _held: Option<Held>,
}

impl Bytes {
    /// A copy; `what` it is of stands in the error.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn copy(bytes: &[u8], what: &str) -> Result<Self> {
        let mut copy = Vec::new();
        buffer::reserve(&mut copy, what, bytes.len())?;
        copy.extend_from_slice(bytes);
        Ok(copy.into())
    }

    pub(crate) fn held(bytes: Vec<u8>, held: Held) -> Self {
        Bytes(Arc::new(Content { bytes, _held: Some(held) }))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes(Arc::new(Content { bytes, _held: None }))
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_ref()
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}
