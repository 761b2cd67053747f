//! Labels: their values with names, colours and coded terms, and the caller's buffer that receives them.

mod buffer;
pub(crate) mod coded;
mod table;
mod terms;

pub use buffer::LabelBuffer;
pub use coded::label_table;
pub use table::{Label, colors};
pub use terms::{Term, Terms};
