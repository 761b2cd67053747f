//! The C# binding: its tests, its package.

pub mod examples;
pub mod nuget;
mod quickstart;
pub mod test;
pub mod toolchain;
