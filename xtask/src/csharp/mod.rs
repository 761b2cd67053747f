//! The C# binding: its generated declarations, its tests, its package.

pub mod examples;
mod generate;
mod header;
pub mod nuget;
pub mod test;
pub mod toolchain;

use std::fs;
use std::path::PathBuf;

use crate::{Result, at, root};
use header::Header;

/// Writes what is generated from the header.
pub fn bless() -> Result<()> {
    for (path, text) in generated()? {
        fs::write(&path, text).map_err(at("write", &path))?;
    }
    Ok(())
}

/// The generated files and what they must hold.
fn generated() -> Result<[(PathBuf, String); 2]> {
    let path = root().join("include/voxseg.h");
    let header = Header::parse(&fs::read_to_string(&path).map_err(at("read", &path))?)?;
    let folder = root().join("bindings/csharp/Voxseg");
    Ok([
        (folder.join("NativeMethods.cs"), generate::native_methods(&header)?),
        (folder.join("Enumerations.cs"), generate::enumerations(&header)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_fresh() {
        if std::env::var_os("VOXSEG_BLESS").is_some() {
            bless().unwrap();
        }
        for (path, fresh) in generated().unwrap() {
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == fresh,
                "{} isn't what voxseg.h says; run `cargo xtask bless`",
                path.display()
            );
        }
    }
}
