//! `include/voxseg.h` and `include/voxseg.symbols` are what the Rust source says. To accept a change:
//! `cargo xtask bless` (or `VOXSEG_BLESS=1 cargo test --test header`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn check(path: &str, fresh: &str) {
    let file = root().join(path);
    if std::env::var_os("VOXSEG_BLESS").is_some() {
        fs::write(&file, fresh).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == fresh, "{path} is not what the source says; run `cargo xtask bless` and review it");
}

fn header() -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    config.header = Some(fs::read_to_string(root().join("include/preamble.h.in")).unwrap());
    let mut text = Vec::new();
    cbindgen::Builder::new().with_crate(root()).with_config(config).generate().unwrap().write(&mut text);
    // Rust's heading for what a caller must guarantee, in words that serve C.
    String::from_utf8(text).unwrap().replace(" * # Safety\n", " * The caller guarantees:\n")
}

#[test]
fn header_is_fresh() {
    check("include/voxseg.h", &header());
}

#[test]
fn symbol_list_is_fresh() {
    let header = header();
    let declared: BTreeSet<&str> = header
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| {
            line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').zip(Some(line).into_iter().cycle())
        })
        .filter(|(word, line)| word.starts_with("vxs_") && line.contains(&format!("{word}(")))
        .map(|(word, _)| word)
        .collect();
    assert!(declared.len() > 20, "the header declares functions");
    let list: String = declared.iter().map(|name| format!("{name}\n")).collect();
    check("include/voxseg.symbols", &list);
}

/// Whatever else is public in Rust must not come into a host's names.
#[test]
fn every_name_has_the_prefix() {
    let header = header();
    let own = |name: &str| name.starts_with("VXS_") || name.starts_with("vxs_") || name == "VOXSEG_H";
    let defined = header.lines().filter_map(|line| line.strip_prefix("#define ")?.split_whitespace().next());
    let typed =
        header.lines().filter_map(|line| line.strip_prefix("typedef struct ")?.split_whitespace().next());
    let strangers: Vec<&str> = defined.chain(typed).filter(|name| !own(name)).collect();
    assert!(strangers.is_empty(), "exclude them in cbindgen.toml: {strangers:?}");
}
