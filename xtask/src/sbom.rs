//! What is inside the shipped library, as cargo resolved it for its platform: a CycloneDX 1.6 list for machines, and
//! every licence text for people. Procedural macros and build scripts leave nothing in it and aren't listed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{Result, at, cargo, command, execute_quietly, root};

struct Crate {
    name: String,
    version: String,
    license: String,
    repository: Option<String>,
    folder: PathBuf,
    /// SHA-256 of its archive in the registry.
    sha256: Option<String>,
    /// Those of its dependencies that are inside too, by `reference`.
    needs: Vec<String>,
}

impl Crate {
    fn reference(&self) -> String {
        reference(&self.name, &self.version)
    }
}

fn reference(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{version}")
}

/// The crates that are linked into the library, without itself, and what it needs at first hand.
pub struct Contents {
    crates: Vec<Crate>,
    direct: Vec<String>,
    rustc: String,
}

impl Contents {
    /// `target`: Rust's name of the platform; without one, this machine's.
    pub fn new(target: Option<&str>) -> Result<Self> {
        let inside = linked(target)?;
        let metadata = execute_quietly(cargo().args(["metadata", "--format-version=1", "--locked"]))?;
        let metadata: Value =
            serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
        let lock = root().join("Cargo.lock");
        let lock = fs::read_to_string(&lock).map_err(at("read", &lock))?;
        let (mut crates, mut direct) = (Vec::new(), Vec::new());
        for package in list(&metadata["packages"]) {
            let (name, version) = (text(&package["name"]), text(&package["version"]));
            if !inside.contains(&(name.clone(), version.clone())) {
                continue;
            }
            let needs = needs(&metadata, &package["id"], &inside);
            if name == "voxseg" {
                direct = needs;
                continue;
            }
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            crates.push(Crate {
                license: package["license"].as_str().unwrap_or("NOASSERTION").replace('/', " OR "),
                repository: package["repository"].as_str().map(str::to_owned),
                folder: manifest.parent().map(Path::to_path_buf).unwrap_or_default(),
                sha256: checksum(&lock, &name, &version),
                needs,
                name,
                version,
            });
        }
        let rustc = execute_quietly(command("rustc").arg("--version"))?;
        let rustc = rustc.split_whitespace().nth(1).unwrap_or_default().to_owned();
        Ok(Contents { crates, direct, rustc })
    }

    /// A CycloneDX document. `library` are name and SHA-256 of the file that it is about, `runtime` the version of
    /// the ONNX Runtime beside it.
    pub fn cyclonedx(&self, version: &str, library: (&str, &str), runtime: &str) -> String {
        let own = reference("voxseg", version);
        let runtime_reference = format!("pkg:pypi/onnxruntime@{runtime}");
        let std_reference = format!("pkg:generic/rust-std@{}", self.rustc);
        let mut components: Vec<Value> = self.crates.iter().map(component).collect();
        components.push(json!({
            "type": "library", "bom-ref": std_reference, "name": "rust-std", "version": self.rustc,
            "purl": std_reference, "licenses": [{"expression": "MIT OR Apache-2.0"}],
            "description": "Rust's standard library, linked statically",
        }));
        components.push(json!({
            "type": "library", "bom-ref": runtime_reference, "name": "onnxruntime", "version": runtime,
            "purl": runtime_reference, "licenses": [{"license": {"id": "MIT"}}], "scope": "optional",
            "description": "A file of its own in this archive, loaded at run time",
        }));
        let mut direct = self.direct.clone();
        direct.extend([std_reference, runtime_reference]);
        let mut dependencies = vec![json!({"ref": own, "dependsOn": direct})];
        dependencies
            .extend(self.crates.iter().map(|it| json!({"ref": it.reference(), "dependsOn": it.needs})));
        let document = json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "metadata": {
                "lifecycles": [{"phase": "build"}],
                "component": {
                    "type": "library", "bom-ref": own, "name": "voxseg", "version": version, "purl": own,
                    "licenses": [{"expression": "Apache-2.0 OR MIT"}],
                    "components": [{
                        "type": "file", "name": library.0,
                        "hashes": [{"alg": "SHA-256", "content": library.1}],
                    }],
                },
            },
            "components": components,
            "dependencies": dependencies,
        });
        format!("{document:#}\n")
    }

    /// The licence texts as the crates carry them; the same text of several crates stands once.
    pub fn licences(&self) -> Result<String> {
        let mut texts: Vec<(String, Vec<String>)> = Vec::new();
        let mut page = String::from(
            "libvoxseg contains the following libraries; their licences follow.\nRust's standard library, by The Rust \
             Project Developers: MIT OR Apache-2.0.\n\n",
        );
        for it in &self.crates {
            let title = format!("{} {}", it.name, it.version);
            page += &format!("{title}: {}\n", it.license);
            for found in licence_files(&it.folder)? {
                let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
                match texts.iter_mut().find(|(text, _)| words(text) == words(&found)) {
                    Some((_, titles)) => titles.push(title.clone()),
                    None => texts.push((found, vec![title.clone()])),
                }
            }
        }
        for (text, titles) in texts {
            let line = "-".repeat(80);
            page += &format!("\n{line}\n{}\n{line}\n\n{}\n", titles.join(", "), text.trim_end());
        }
        Ok(page)
    }
}

fn component(it: &Crate) -> Value {
    let mut value = json!({
        "type": "library", "bom-ref": it.reference(), "name": it.name, "version": it.version,
        "purl": it.reference(), "licenses": [{"expression": it.license}],
    });
    if let Some(sha256) = &it.sha256 {
        value["hashes"] = json!([{"alg": "SHA-256", "content": sha256}]);
    }
    if let Some(repository) = &it.repository {
        value["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    value
}

/// Names and versions of what is linked, `voxseg` among them. `cargo tree` knows which features that takes; the
/// metadata mixes in those of tests.
fn linked(target: Option<&str>) -> Result<BTreeSet<(String, String)>> {
    let mut tree = cargo();
    tree.args([
        "tree",
        "--locked",
        "--package=voxseg",
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--format={p}",
    ]);
    let tree = execute_quietly(tree.args(target.map(|target| format!("--target={target}"))))?;
    let mut found = BTreeSet::new();
    for line in tree.lines() {
        if let [name, version, ..] = line.split_whitespace().collect::<Vec<_>>()[..] {
            found.insert((name.to_owned(), version.trim_start_matches('v').to_owned()));
        }
    }
    Ok(found)
}

fn needs(metadata: &Value, id: &Value, inside: &BTreeSet<(String, String)>) -> Vec<String> {
    let node = list(&metadata["resolve"]["nodes"]).iter().find(|node| node["id"] == *id);
    let named = |id: &Value| {
        let package = list(&metadata["packages"]).iter().find(|package| package["id"] == *id)?;
        Some((text(&package["name"]), text(&package["version"])))
    };
    let normal =
        |dependency: &&Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
    node.map(|node| list(&node["deps"]))
        .unwrap_or_default()
        .iter()
        .filter(normal)
        .filter_map(|dependency| named(&dependency["pkg"]))
        .filter(|found| inside.contains(found))
        .map(|(name, version)| reference(&name, &version))
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn checksum(lock: &str, name: &str, version: &str) -> Option<String> {
    let entry = lock.split("[[package]]").find(|entry| {
        entry.contains(&format!("\nname = \"{name}\"\n"))
            && entry.contains(&format!("\nversion = \"{version}\"\n"))
    })?;
    Some(entry.split_once("\nchecksum = \"")?.1.split('"').next()?.to_owned())
}

fn licence_files(folder: &Path) -> Result<Vec<String>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(at("read", folder))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
            path.is_file()
                && ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"]
                    .iter()
                    .any(|it| name.starts_with(it))
        })
        .collect();
    files.sort();
    let read = |file: &PathBuf| {
        fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(at("read", file))
    };
    files.iter().map(read).collect()
}
