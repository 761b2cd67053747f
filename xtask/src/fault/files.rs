//! Pipes and endless devices in the place of each file of a model folder: opening ends at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::csharp::test::copy_tree;
use crate::{Result, at, execute_quietly, remove, say, work};

use super::ends::{self, End, Scenario};
use super::programs::Programs;

/// Files that a reader of model folders may look for, beside those that are there.
const OTHERS: [&str; 8] = [
    "plans.pkl",
    "postprocessing.json",
    "postprocessing.pkl",
    "fold_0/checkpoint_best.pth",
    "fold_1/checkpoint_final.pth",
    "fold_all/checkpoint_final.pth",
    "configs/inference.yaml",
    "configs/metadata.json",
];

pub fn run(programs: &Programs, model: &Path) -> Result<Scenario> {
    let name = model.file_name().unwrap_or_default();
    let mut scenario = Scenario::new(format!("pipes and /dev/zero in {}", name.to_string_lossy()));
    say(&scenario.name);
    let folder = work().join("fault/special");
    let mut places = Vec::new();
    collect(model, Path::new(""), &mut places)?;
    let there = places.len();
    places.extend(OTHERS.iter().map(PathBuf::from).filter(|other| !model.join(other).exists()));
    for (number, place) in places.iter().enumerate() {
        for special in ["pipe", "/dev/zero"] {
            remove(&folder)?;
            let copied = folder.join(name);
            copy_tree(model, &copied)?;
            let path = copied.join(place);
            if number < there {
                fs::remove_file(&path).map_err(at("remove", &path))?;
            } else if let Some(parent) = path.parent() {
                crate::create_folder(parent)?;
            }
            if special == "pipe" {
                execute_quietly(Command::new("mkfifo").arg(&path))?;
            } else {
                std::os::unix::fs::symlink(special, &path).map_err(at("link", &path))?;
            }
            let mut command = Command::new("prlimit");
            command.arg("--as=1073741824").arg(programs.command("open").get_program()).arg(&copied);
            let ended = ends::run(&mut command, Duration::from_secs(20))?;
            // A file that isn't needed may be passed over. A second is much, and a busy machine's may be longer.
            let needed =
                number < there && ["plans.json", "dataset.json"].iter().any(|file| place.ends_with(file));
            let well = ended.is_typed() && !(needed && ended.end == End::Code(0)) && ended.time.as_secs() < 5;
            scenario.one(well, || format!("{} is {special}: {ended}", place.display()));
        }
    }
    remove(&folder)?;
    Ok(scenario)
}

fn collect(root: &Path, inside: &Path, places: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(inside);
    for entry in fs::read_dir(&folder).map_err(at("read", &folder))?.flatten() {
        let place = inside.join(entry.file_name());
        if root.join(&place).is_dir() { collect(root, &place, places)? } else { places.push(place) }
    }
    Ok(())
}
