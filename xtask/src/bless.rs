//! `cargo xtask bless`: the header and the list of symbols become what the Rust source says.

use crate::{Result, cargo, execute, say};

pub fn run() -> Result<()> {
    say("writing include/voxseg.h and include/voxseg.symbols");
    execute(
        cargo().args(["test", "--quiet", "--package", "voxseg", "--test", "header"]).env("VOXSEG_BLESS", "1"),
    )?;
    say("review the difference: what a caller sees has changed where they have");
    Ok(())
}
