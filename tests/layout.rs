//! Rust and C agree on the size and place of every field of every structure: `tests/abi/layout.c` is compiled
//! against the header and prints what C makes of it. The list of fields comes from the header: `cargo xtask bless`.

use std::mem::{align_of, offset_of, size_of};
use std::path::Path;
use std::process::Command;

use voxseg::ffi::*;

/// The lines that the C program prints for one structure.
macro_rules! layout {
    ($($structure:ident { $($field:ident),* $(,)? })*) => {{
        let mut lines = Vec::new();
        $(
            let name = stringify!($structure);
            lines.push(format!("{name} - {} {}", align_of::<$structure>(), size_of::<$structure>()));
            $({
                let size = size_of_field(|value: &$structure| &raw const value.$field);
                let field = stringify!($field);
                lines.push(format!("{name} {field} {} {size}", offset_of!($structure, $field)));
            })*
        )*
        lines
    }};
}

fn size_of_field<S, F>(_: impl Fn(&S) -> *const F) -> usize {
    size_of::<F>()
}

#[test]
fn c_and_rust_agree() {
    let mut rust: Vec<String> = include!("abi/structures.rs");
    rust.sort();

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let compiled = Command::new(&compiler)
        .args(["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"])
        .arg(root.join("include"))
        .arg("-o")
        .arg(&program)
        .arg(root.join("tests/abi/layout.c"))
        .status();
    assert!(compiled.is_ok_and(|status| status.success()), "{compiler} doesn't compile tests/abi/layout.c");
    let output = Command::new(&program).output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut c: Vec<&str> = printed.lines().collect();
    c.sort_unstable();
    assert_eq!(c, rust);
}
