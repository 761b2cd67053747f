//! Windows from a Linux machine: the library is built here, and its programs run under Wine 10. That isn't Windows, and
//! docs/status.md says so.

pub mod csharp;
pub mod dist;
pub mod library;
pub mod msvc;
pub mod programs;
pub mod tool;
mod wine;

use std::path::{Path, PathBuf};

use crate::{Result, copy, create_folder, fetch};
use wine::Wine;

/// Rust's name of the platform. Its libraries are linked with UCRT here, and serve MSVC through an import library.
pub const TARGET: &str = "x86_64-pc-windows-gnu";

/// What the lanes share.
pub struct Bench {
    pub wine: Wine,
    /// Where programs lie beside the library.
    pub bin: PathBuf,
    /// The demo's CT, and the labels that the C program of this machine made of it.
    pub image: PathBuf,
    pub labels: PathBuf,
}

impl Bench {
    /// With a library that was built already. `image` is the demo's CT.
    pub fn new(wine: Wine, library: &Path, image: &Path) -> Result<Self> {
        let bin = crate::work().join("windows/bin");
        create_folder(&bin)?;
        for file in ["voxseg.dll", "voxseg.lib"] {
            copy(&library.join(file), &bin.join(file))?;
        }
        crate::csharp::test::copy_tree(&fetch::windows_onnxruntime()?, &bin.join("onnxruntime"))?;
        let labels = image.with_file_name("labels.raw");
        Ok(Bench { wine, bin, image: image.into(), labels })
    }
}

/// Wine, or what it lacks.
pub fn wine() -> Result<Wine> {
    Wine::new()
}
