//! What comes out: label values with their names, and the caller's buffer that receives them.

mod buffer;
mod table;

pub use buffer::LabelBuffer;
pub use table::{Label, colors};
