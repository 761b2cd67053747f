//! What the bindings declare of the C interface, written from its header.

mod cpp;
mod csharp;
mod enumerations;
mod header;
mod python;

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
fn generated() -> Result<[(PathBuf, String); 4]> {
    let path = root().join("include/voxseg.h");
    let header = Header::parse(&fs::read_to_string(&path).map_err(at("read", &path))?)?;
    let file = |name: &str| root().join(name);
    Ok([
        (file("include/voxseg/enumerations.hpp"), cpp::enumerations(&header)),
        (file("bindings/csharp/Voxseg/NativeMethods.cs"), csharp::native_methods(&header)?),
        (file("bindings/csharp/Voxseg/Enumerations.cs"), csharp::enumerations(&header)),
        (file("bindings/python/src/voxseg/_literals.py"), python::literals(&header)),
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
