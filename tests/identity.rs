//! Identities are a format (docs/identity.md): those of known models are written down, so that no change of the
//! library's own names changes any. `VOXSEG_BLESS=1 cargo test --test identity` writes them anew, for a new version of
//! the format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use voxseg::model::task::{Task, TaskOptions};
use voxseg::model::{Model, ModelOptions};

const KNOWN: &str = "tests/identities.txt";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The models of a folder and their identities, by their paths in it.
fn identities(folder: &Path, models: &[&str]) -> BTreeMap<String, String> {
    let identity = |path: &&str| {
        let model = Model::open(&folder.join(path), &ModelOptions::default());
        ((*path).to_owned(), model.unwrap_or_else(|error| panic!("{path}: {error}")).identity().to_owned())
    };
    models.iter().map(identity).collect()
}

/// Compares with what is written down, of which `found` may be a part.
fn compare(found: &BTreeMap<String, String>) {
    let path = root().join(KNOWN);
    let text = std::fs::read_to_string(&path).unwrap();
    let known = text.lines().filter_map(|line| line.split_once(' '));
    let mut known: BTreeMap<&str, &str> = known.map(|(identity, name)| (name, identity)).collect();
    if std::env::var_os("VOXSEG_BLESS").is_some() {
        known.extend(found.iter().map(|(name, identity)| (name.as_str(), identity.as_str())));
        let text = known.iter().fold(String::new(), |mut text, (name, identity)| {
            writeln!(text, "{identity} {name}").unwrap();
            text
        });
        std::fs::write(&path, text).unwrap();
        return;
    }
    let wrong: Vec<_> = found
        .iter()
        .filter(|(name, identity)| known.get(name.as_str()) != Some(&identity.as_str()))
        .collect();
    assert!(wrong.is_empty(), "not as {KNOWN} has them: {wrong:#?}");
}

#[test]
fn the_identities_of_known_models_stay() {
    let mut found = identities(
        &root().join("examples/models"),
        &["Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres"],
    );
    let reference = voxseg_reference::folder();
    if reference.join("nnunet").is_dir() {
        found.extend(identities(&reference, &voxseg_reference::MODELS));
        let weights = reference.join("totalseg/weights");
        for (name, options) in [
            ("total_fast", TaskOptions::default()),
            ("total", TaskOptions { subset: vec!["liver".into()], ..TaskOptions::default() }),
            (
                "lung_vessels",
                TaskOptions { smooth: true, remove_small: Some(200.0), ..TaskOptions::default() },
            ),
        ] {
            let task = Task::named(name).unwrap().open(&weights, &options).unwrap();
            found.insert(format!("task {name}"), task.identity().to_owned());
        }
    } else {
        eprintln!(
            "skipped but for the example: the reference data is not here; set VOXSEG_REFERENCE to its folder"
        );
    }
    compare(&found);
}
