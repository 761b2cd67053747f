//! `cargo xtask bless`: the header, the list of symbols and the C# declarations become what the Rust source says.

use crate::{Result, cargo, csharp, execute, say};

pub fn run() -> Result<()> {
    say("writing include/voxseg.h and include/voxseg.symbols");
    execute(
        cargo().args(["test", "--quiet", "--package", "voxseg", "--test", "header"]).env("VOXSEG_BLESS", "1"),
    )?;
    say("writing NativeMethods.cs and Enumerations.cs in bindings/csharp/Voxseg");
    csharp::bless()?;
    say("review the difference: what a caller sees has changed where they have");
    Ok(())
}
