//! `voxseg devices`: what networks can run on.

use std::io::Write;

use crate::failure::Outcome;

/// Lists the devices of this build, each with what keeps it from being used.
pub fn devices(out: &mut impl Write) -> Outcome<()> {
    for info in voxseg::devices::devices() {
        let answer = info.reason.map_or_else(|| "usable".into(), |reason| format!("not usable: {reason}"));
        writeln!(out, "{:<8}  {}  {answer}", info.device.name(), info.name)?;
    }
    Ok(())
}
