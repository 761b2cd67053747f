//! `cargo xtask demo`: a plain C program segments a real CT with a published kind of model.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Result, at, build, command, create_folder, execute, execute_quietly, fetch, root, say, setup};

/// The model that is committed with the examples.
pub fn model() -> PathBuf {
    root().join("examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres")
}

pub fn run() -> Result<()> {
    setup::compilers()?;
    let ct = fetch::images()?.join("ct_abdomen.nii.gz");
    let (library, tool) = build::library_and_tool()?;
    let image = raw_image(&tool)?;
    let folder = folder();
    let program = compile(&library, &folder)?;

    say("segmenting target/demo/ct.mhd from C");
    let labels = folder.join("labels.mhd");
    execute(as_a_host(command(&program).arg(model()).arg(&image).arg(&labels)))?;

    say("drawing target/demo/overlay.png");
    let picture = folder.join("overlay.png");
    let mut draw = command(&tool);
    draw.arg("picture").arg("--image").arg(&ct).arg("--labels").arg(&labels).arg("--model").arg(model());
    draw.arg("--out").arg(&picture).args(["--title", "TorsoCT demo model: mechanics, not accuracy"]);
    execute(&mut draw)?;

    println!();
    println!("The picture:  {}", show(&picture));
    println!("The labels:   {} (open it together with {})", show(&labels), show(&image));
    println!("The program:  examples/c/segment_raw.c");
    println!();
    println!("The model was made for this project and fitted to the published labels of this one CT.");
    println!("So this shows the mechanics, not accuracy: don't judge a patient, or a method, by it.");
    Ok(())
}

fn folder() -> PathBuf {
    root().join("target/demo")
}

/// The CT as raw voxels and a small text header, as a C program reads it.
pub fn raw_image(tool: &Path) -> Result<PathBuf> {
    let ct = fetch::images()?.join("ct_abdomen.nii.gz");
    let image = folder().join("ct.mhd");
    create_folder(&folder())?;
    say("converting the CT to target/demo/ct.mhd and ct.raw");
    execute_quietly(command(tool).arg("convert").arg(&ct).arg(&image))?;
    narrow(&image)?;
    Ok(image)
}

/// The published file holds 32-bit integers although a CT's fit into 16, as scanners have them: so they are made.
fn narrow(image: &Path) -> Result<()> {
    let header = fs::read_to_string(image).map_err(at("read", image))?;
    if !header.contains("ElementType = MET_INT\n") {
        return Ok(());
    }
    let path = image.with_extension("raw");
    let wide = fs::read(&path).map_err(at("read", &path))?;
    let mut voxels = Vec::with_capacity(wide.len() / 2);
    for bytes in wide.chunks_exact(4) {
        let value = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let value = i16::try_from(value).map_err(|_| format!("{value} in {} is no CT's", path.display()))?;
        voxels.extend_from_slice(&value.to_le_bytes());
    }
    fs::write(&path, voxels).map_err(at("write", &path))?;
    fs::write(image, header.replace("MET_INT\n", "MET_SHORT\n")).map_err(at("write", image))
}

/// Compiles the C example against the header and the staged library, as anybody would.
fn compile(library: &Path, folder: &Path) -> Result<PathBuf> {
    let program = folder.join(format!("segment_raw{}", std::env::consts::EXE_SUFFIX));
    say("compiling examples/c/segment_raw.c with cc");
    let mut cc = command("cc");
    cc.args([
        "-std=c11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "examples/c/segment_raw.c",
        "-Iinclude",
        "-o",
    ])
    .arg(&program);
    cc.arg(format!("-L{}", library.display()))
        .arg("-lvoxseg")
        .arg(format!("-Wl,-rpath,{}", library.display()));
    execute(&mut cc)?;
    Ok(program)
}

/// A program as a user starts it: it must find ONNX Runtime beside the library and not by what cargo sets.
pub fn as_a_host(command: &mut std::process::Command) -> &mut std::process::Command {
    command.env_remove("VOXSEG_ORT_LIBRARY")
}

fn show(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
