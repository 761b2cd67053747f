//! `include/voxseg.h`, `include/voxseg.symbols` and the lists of fields in `tests/abi` are what the Rust source says.
//! To accept a change: `cargo xtask bless` (or `VOXSEG_BLESS=1 cargo test --test header`).
//!
//! cbindgen writes the declarations. Here they come into sections: one for each file of `src/ffi` that declares
//! something, in the order of its source, under the comment that the file begins with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The sections: title, and file of `src/ffi`. C wants a type before its use.
const SECTIONS: [(&str, &str); 26] = [
    ("The library", "version"),
    ("Errors", "error"),
    ("Messages", "log"),
    ("Cancelling", "cancel"),
    ("Progress", "progress"),
    ("ONNX Runtime", "runtime"),
    ("Devices", "device"),
    ("Volumes", "volume"),
    ("Label buffers", "labels"),
    ("Maps", "map"),
    ("NIfTI headers", "nifti"),
    ("Models", "model"),
    ("Labels of models", "label"),
    ("Looking at models", "inspect"),
    ("Tasks", "task"),
    ("Executors", "executor"),
    ("Plans", "plan"),
    ("Records", "record"),
    ("Regions", "region"),
    ("Runs", "segment"),
    ("Sessions", "session"),
    ("Prompts", "prompt"),
    ("Measuring label maps", "measure"),
    ("Statistics", "statistics"),
    ("Dose", "dose"),
    ("Comparison", "compare"),
];

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

fn generated() -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    config.header = Some(fs::read_to_string(root().join("include/preamble.h.in")).unwrap());
    let mut text = Vec::new();
    cbindgen::Builder::new().with_crate(root()).with_config(config).generate().unwrap().write(&mut text);
    // Rust's heading for what a caller must guarantee, in words that serve C.
    String::from_utf8(text).unwrap().replace(" * # Safety\n", " * The caller guarantees:\n")
}

fn header() -> String {
    let generated = generated();
    let (head, rest) = generated.split_once("// sections begin\n").expect("cbindgen.toml marks the place");
    let (items, linkage) = rest.split_once("#ifdef __cplusplus\n").unwrap();
    let (begin, rest) = linkage.split_once("#endif").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    let (functions, end) = rest.rsplit_once("#ifdef __cplusplus\n").unwrap();
    let items = items.split("\n\n").chain(functions.split("\n\n"));
    let mut items: BTreeMap<String, &str> =
        items.map(str::trim).filter(|item| !item.is_empty()).map(|item| (name_of(item), item)).collect();

    let mut text = format!("{}\n\n#ifdef __cplusplus\n{begin}#endif\n", head.trim_end());
    for (title, file) in SECTIONS {
        let source = fs::read_to_string(root().join(format!("src/ffi/{file}.rs"))).unwrap();
        let about: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//! ")).collect();
        let about = about.join("\n * ");
        let rule = "-".repeat(100 - title.len());
        text +=
            &format!("\n/* {rule} {title} */\n\n/**\n * @defgroup {file} {title}\n * {about}\n * @{{\n */\n");
        let mut in_constants = false;
        for item in declared(&source).filter_map(|name| items.remove(name)) {
            let is_constant = item.contains("#define ");
            let between = if in_constants && is_constant { "" } else { "\n" };
            text += &format!("{between}{}\n", short_comments(&with_result_used(item)));
            in_constants = is_constant;
        }
        text += &format!("\n/** @}} */ /* {title} */\n");
    }
    assert!(items.is_empty(), "in no section of tests/header.rs: {:?}", items.keys());
    text + "\n#ifdef __cplusplus\n" + end
}

/// What a declaration declares: after comments, the last word before the parameters or the value, or a structure's tag.
fn name_of(item: &str) -> String {
    let code = item.rsplit("*/").next().unwrap_or(item).trim();
    let words = |text: &str| {
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map(str::to_owned).collect::<Vec<_>>()
    };
    let word = if let Some(define) = code.strip_prefix("#define ") {
        words(define).into_iter().next()
    } else if item.contains("\ntypedef struct ") || item.starts_with("typedef struct ") {
        let tag = item.split("typedef struct ").nth(1).unwrap_or_default();
        words(tag).into_iter().next()
    } else if let Some(callback) = code.strip_prefix("typedef ").and_then(|code| code.split("(*").nth(1)) {
        words(callback).into_iter().next()
    } else {
        let head = code.split(['(', ';']).next().unwrap_or_default();
        words(head).into_iter().rfind(|word| !word.is_empty())
    };
    word.unwrap_or_else(|| panic!("no name in {item}"))
}

/// Names that a source file declares for C, in order.
fn declared(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let rest = line.strip_prefix("pub ")?;
        let rest = rest.strip_prefix("unsafe ").unwrap_or(rest);
        let rest = ["const ", "type ", "struct ", "extern \"C\" fn "]
            .iter()
            .find_map(|kind| rest.strip_prefix(kind))?;
        rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next()
    })
}

/// A status that nobody looks at is a mistake, but for those of `vxs_<x>_init`, which fail for wrong sizes only.
fn with_result_used(item: &str) -> String {
    let (comment, code) = item.split_at(item.rfind("*/").map_or(0, |end| end + 2));
    if !can_fail(code) || name_of(item).ends_with("_init") {
        return item.to_owned();
    }
    format!("{comment}{}", code.replacen("VXS_API", "VXS_NODISCARD VXS_API", 1))
}

/// Whether a declaration is that of a function with a result that says how it went.
fn can_fail(code: &str) -> bool {
    code.contains("VXS_API") && code.contains("vxs_status vxs_") && !code.contains("vxs_error_status")
}

/// A comment of one line takes one line.
fn short_comments(item: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in item.lines() {
        let about = lines.last().and_then(|last| last.trim_start().strip_prefix("* ").map(str::to_owned));
        let opens = lines.iter().rev().nth(1).is_some_and(|line| line.trim_start() == "/**");
        match about.filter(|_| opens && line.trim_start() == "*/") {
            Some(about) if line.len() + about.len() < 115 => {
                lines.truncate(lines.len() - 2);
                lines.push(format!("{}/** {about} */", &line[..line.find('*').unwrap_or(1) - 1]));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

#[test]
fn header_is_fresh() {
    check("include/voxseg.h", &header());
}

#[test]
fn symbol_list_is_fresh() {
    let list: String = functions(&header()).iter().map(|(name, _)| format!("{name}\n")).collect();
    check("include/voxseg.symbols", &list);
}

/// The lists of fields for C and for Rust that `tests/layout.rs` compares.
#[test]
fn lists_of_fields_are_fresh() {
    let heading = "Generated from include/voxseg.h by `cargo xtask bless`.";
    let header = header();
    let (mut c, mut rust) =
        (format!("/* {heading} */\n#define TABLE(S, F)"), format!("// {heading}\nlayout! {{\n"));
    for (structure, fields) in structures(&header) {
        c += &format!(" \\\n    S({structure})");
        fields.iter().for_each(|field| c += &format!(" \\\n    F({structure}, {field})"));
        rust += &format!("    {structure} {{ {} }}\n", fields.join(", "));
    }
    check("tests/abi/structures.h", &format!("{c}\n"));
    check("tests/abi/structures.rs", &format!("{rust}}}\n"));
}

/// Structures with the names of their fields.
fn structures(header: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    for rest in header.split("\ntypedef struct ").skip(1) {
        // Of an opaque structure the first line has no brace.
        let Some((name, rest)) = rest.split_once(" {\n").filter(|(name, _)| !name.contains('\n')) else {
            continue;
        };
        let lines = rest.lines().take_while(|line| !line.starts_with('}'));
        let code = lines.filter(|line| !line.trim_start().starts_with(['/', '*']));
        let declared = code.filter_map(|line| line.strip_suffix(';')?.split('[').next());
        found.push((name, declared.filter_map(|line| line.rsplit([' ', '*']).next()).collect::<Vec<_>>()));
    }
    assert!(found.len() > 15, "the header has structures");
    found
}

/// The functions with their comments.
fn functions(header: &str) -> BTreeSet<(String, String)> {
    let items =
        header.split("\n\n").filter(|item| item.contains("VXS_API") && !item.contains("#define VXS_API"));
    let found: BTreeSet<_> = items
        .map(|item| (name_of(item), item.rsplit_once("*/").map_or("", |(about, _)| about).to_owned()))
        .collect();
    assert!(found.len() > 20, "the header declares functions");
    found
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

/// Each function says which threads may call it, and each that can fail what it returns.
#[test]
fn every_function_states_its_rules() {
    let header = header();
    for (name, about) in functions(&header) {
        let about = about.replace("\n * ", " ");
        assert!(about.contains("Any thread"), "{name} has no thread rule");
        let fails = name != "vxs_error_status" && header.contains(&format!("vxs_status {name}("));
        assert!(!fails || about.contains("Returns "), "{name} doesn't say what it returns");
    }
}
