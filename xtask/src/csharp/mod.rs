//! The C# binding: its tests, its package.

pub mod examples;
pub mod nuget;
pub mod test;
pub mod toolchain;
