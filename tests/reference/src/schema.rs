//! The JSON schemas in docs/schemas, and what doesn't fit them.

use std::path::Path;

use serde_json::Value;

/// The names of all of them.
pub const NAMES: [&str; 5] = ["model", "task", "plan", "record", "report"];

/// One of them.
///
/// # Panics
/// Where there is none of that name.
pub fn named(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
    let text = std::fs::read(folder.join(format!("{name}.schema.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// What is wrong with a document by a schema that may refer to those of [`NAMES`]: nothing, where it fits.
///
/// # Panics
/// Where a schema isn't one.
pub fn misfits(schema: &Value, document: &Value) -> Vec<String> {
    jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("not a schema: {error}"));
    let mut registry = jsonschema::Registry::new();
    for name in NAMES {
        registry = registry.add(format!("urn:voxseg:schema:{name}"), named(name)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let validator = jsonschema::options().with_registry(&registry).build(schema).unwrap();
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Compares a document with one of [`NAMES`].
///
/// # Panics
/// Where it doesn't fit.
pub fn check(name: &str, document: &Value, whose: &str) {
    let misfits = misfits(&named(name), document);
    assert!(misfits.is_empty(), "{whose} doesn't fit {name}.schema.json: {misfits:#?}\n{document:#}");
}
