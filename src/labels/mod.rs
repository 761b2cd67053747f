//! What comes out: label values with their names, and the caller's buffer that receives them.

mod buffer;
pub(crate) mod coded;
mod table;
mod terms;

pub use buffer::LabelBuffer;
pub use table::{Label, colors};
pub use terms::{Term, Terms};
