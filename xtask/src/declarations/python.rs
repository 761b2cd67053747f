//! `_literals.py` of the Python binding: the names that an option may have, as types.

use std::fmt::Write;

use super::enumerations::groups;
use super::header::Header;

/// Enumerations that Python's users never name: they have NumPy's types, exceptions, and arguments of their own.
const LEFT_OUT: [&str; 3] = ["VoxelType", "Status", "MapKind"];

/// The whole file.
pub fn literals(header: &Header) -> String {
    let mut out = String::from(
        "\"\"\"The strings that options and reports have, as types. Generated from include/voxseg.h by `cargo xtask bless`.\"\"\"

from __future__ import annotations

from typing import Literal
",
    );
    for group in groups(header).iter().filter(|group| !LEFT_OUT.contains(&group.name)) {
        let names: Vec<String> = group
            .members
            .iter()
            .map(|it| it.constant.name[group.prefix.len()..].to_ascii_lowercase().replace('_', "-"))
            .map(|name| format!("    \"{name}\",\n"))
            .collect();
        let _ = write!(out, "\n{}Name = Literal[\n{}]\n", group.name, names.concat());
        let _ = writeln!(out, "\"\"\"{}\"\"\"", group.about);
    }
    out
}
