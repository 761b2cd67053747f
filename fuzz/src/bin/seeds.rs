//! Writes a target's seeds into a folder, and its dictionary into a file: `seeds TARGET FOLDER DICTIONARY`.

use std::path::Path;
use std::{env, fs};

use voxseg_fuzz::{seeds, words};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [target, folder, dictionary] = &arguments[..] else {
        return Err(std::io::Error::other("usage: seeds TARGET FOLDER DICTIONARY"));
    };
    let seeds = seeds::of(target);
    if seeds.is_empty() {
        return Err(std::io::Error::other(format!("{target} is no fuzz target")));
    }
    fs::create_dir_all(folder)?;
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(Path::new(folder).join(format!("seed-{number}")), seed)?;
    }
    fs::write(dictionary, words::of(target))
}
