//! Each function of the C interface is used by each binding, or stands here with the reason why not: what C has, users
//! of other languages have.

use std::fs;
use std::path::Path;

/// Functions that a binding doesn't need.
const NOT_USED: [(&str, &str, &str); 8] = [
    ("C++", "vxs_error_status", "the status comes with the call"),
    ("C#", "vxs_error_status", "the status comes with the call"),
    ("C#", "vxs_cancel_requested", "a CancellationToken says it"),
    ("C#", "vxs_cancel_reset", "a CancellationToken is never reset"),
    ("Python", "vxs_executor_init", "its pools' threads would only enter the library again"),
    ("Python", "vxs_error_status", "the status comes with the call"),
    ("Python", "vxs_nifti_data_offset", "nibabel reads the voxels"),
    ("Python", "vxs_nifti_datatype", "nibabel reads the voxels"),
];
/// Python's wheel has its own library, so that versions can't differ.
const OF_ANOTHER_LIBRARY: &str = "vxs_abi_version";

/// The sources of a folder.
fn sources(folder: &str, ending: &str, without: &[&str]) -> String {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let wanted = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(ending) && !without.contains(&&*name)
    };
    paths.filter(|path| wanted(path)).map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Whether a word stands in a text.
fn has(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

fn check(binding: &str, uses: impl Fn(&str) -> bool) {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/voxseg.symbols");
    let list = fs::read_to_string(list).unwrap();
    let excused = |name: &str| NOT_USED.iter().any(|(who, what, _)| (*who, *what) == (binding, name));
    let wrong: Vec<&str> = list.lines().filter(|name| uses(name) == excused(name)).collect();
    assert!(
        wrong.is_empty(),
        "{binding} doesn't use these, or uses them although they are excused: {wrong:?}"
    );
}

#[test]
fn cpp_uses_each_function() {
    let text = sources("include/voxseg", ".hpp", &[]);
    check("C++", |name| has(&text, name));
}

#[test]
fn csharp_uses_each_function() {
    let text = sources("bindings/csharp/Voxseg", ".cs", &["NativeMethods.cs"]);
    let declarations = sources("bindings/csharp/Voxseg", "NativeMethods.cs", &[]);
    // Handles free what they own.
    check("C#", |name| has(&text, name) || declarations.contains(&format!("NativeMethods.{name}(handle)")));
}

#[test]
fn python_uses_each_function() {
    let text = sources("bindings/python/src/voxseg", ".py", &[]);
    let initialised = |name: &str| {
        name.strip_suffix("_init")
            .is_some_and(|structure| text.contains(&format!("initialised(\"{structure}\")")))
    };
    check("Python", |name| has(&text, name) || initialised(name) || name == OF_ANOTHER_LIBRARY);
}
