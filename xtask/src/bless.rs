//! `cargo xtask bless`: the header, the list of symbols and the declarations of the bindings become what the Rust
//! source says.

use crate::{Result, cargo, declarations, execute, say};

pub fn run() -> Result<()> {
    say("writing include/voxseg.h and include/voxseg.symbols");
    execute(
        cargo().args(["test", "--quiet", "--package", "voxseg", "--test", "header"]).env("VOXSEG_BLESS", "1"),
    )?;
    say("writing what the C++, C# and Python bindings declare");
    declarations::bless()?;
    say("review the difference: what a caller sees has changed where they have");
    Ok(())
}
