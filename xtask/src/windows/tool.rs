//! The tool for Windows writes the files that it writes on this machine: of the demo's CT, and of reference cases.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::programs::{on_z, same};
use super::{Bench, library};
use crate::demo::model;
use crate::{Result, build, command, copy, create_folder, execute, execute_quietly, remove, root, say, work};

/// Cases of the reference data, one for each kind of model: what the tool is told beside `--out`. A word with a slash
/// is a path in the data.
const CASES: [(&str, &str); 12] = [
    (
        "plain U-Net",
        "--model nnunet/public/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres \
         --image images/ct_abdomen_3mm.nii.gz",
    ),
    (
        "resampling by cubic splines",
        "--model nnunet/public/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres \
         --image images/ct_aorta_1.5mm.nii.gz",
    ),
    (
        "two folds, anisotropic",
        "--model nnunet/public/Dataset902_BrainAniso/nnUNetTrainer__nnUNetResEncUNetMPlans__3d_fullres \
         --image images/mr_brain_aniso.nii.gz --no-mirror",
    ),
    (
        "2-D, mirrored",
        "--model nnunet/public/Dataset903_Cardiac2D/nnUNetTrainer__nnUNetPlans__2d \
         --image images/mr_brain_aniso.nii.gz",
    ),
    (
        "regions, two channels",
        "--model nnunet/public/Dataset904_Regions/nnUNetTrainer__nnUNetPlans__3d_fullres \
         --image images/mr_abdomen_ch0.nii.gz --image images/mr_abdomen_ch1.nii.gz --no-mirror",
    ),
    (
        "cascade",
        "--model nnunet/public/Dataset905_Cascade/nnUNetTrainer__nnUNetPlans__3d_cascade_fullres \
         --image images/ct_abdomen_3mm.nii.gz --no-mirror",
    ),
    (
        "old plans",
        "--model nnunet/public/Dataset906_OldPlans/nnUNetTrainer__nnUNetPlans__3d_fullres \
         --image images/mr_t1_ch2.nii.gz",
    ),
    (
        "MONAI bundle, SegResNet",
        "--model monai/public/bundle_wholebody/bundle --image monai/public/inputs/example_ct.nii.gz",
    ),
    (
        "MONAI bundle, U-Net",
        "--model monai/public/bundle_spleen_unet/bundle --image monai/public/inputs/ct_cropped.nii.gz",
    ),
    (
        "Auto3DSeg, CT",
        "--model monai/public/auto3dseg_ct/model --image monai/public/inputs/example_ct.nii.gz",
    ),
    (
        "Auto3DSeg, MR",
        "--model monai/public/auto3dseg_mr_aniso/model --image monai/public/inputs/test_sub_01.nii.gz",
    ),
    (
        "TotalSegmentator, 3 mm",
        "--task total_fast --weights totalseg/weights --image images/ct_abdomen_3mm.nii.gz",
    ),
];

/// Builds both tools and compares what they write.
pub fn run(bench: &Bench) -> Result<()> {
    let of_here = build::tool()?;
    let of_windows = build(bench)?;
    let folder = work().join("windows/labels");
    remove(&folder)?;
    create_folder(&folder)?;

    say("voxseg.exe and the demo's CT");
    let out = folder.join("demo.mhd");
    let mut demo = bench.wine.program(&of_windows);
    demo.args(["run", "--quiet", "--model"]).arg(on_z(&model())).arg("--image").arg(on_z(&bench.image));
    bench.wine.run(demo.arg("--out").arg(on_z(&out)))?;
    same(&out.with_extension("raw"), &bench.labels)?;

    let reference = reference();
    if !reference.join("nnunet/cases.json").is_file() {
        say("leaving the reference cases out: their data isn't beside the repository");
        return Ok(());
    }
    for (number, (name, told)) in CASES.into_iter().enumerate() {
        say(&format!("voxseg.exe and a reference case: {name}"));
        let [here, windows] = ["here", "windows"].map(|side| folder.join(format!("{number}-{side}.nii.gz")));
        let mut tool = command(&of_here);
        tool.args(["run", "--quiet"]).args(words(told, |path| reference.join(path).into()));
        execute_quietly(tool.arg("--out").arg(&here))?;
        let mut tool = bench.wine.program(&of_windows);
        tool.args(["run", "--quiet"]).args(words(told, |path| on_z(&reference.join(path)).into()));
        bench.wine.run(tool.arg("--out").arg(on_z(&windows)))?;
        same(&windows, &here)?;
    }
    Ok(())
}

/// `voxseg.exe`, beside the library.
fn build(bench: &Bench) -> Result<PathBuf> {
    say("building voxseg.exe");
    execute(library::rustc(true)?.args(["--package", "voxseg-tool", "--bin", "voxseg"]))?;
    let tool = bench.bin.join("voxseg.exe");
    copy(&library::built(true).join("voxseg.exe"), &tool)?;
    library::check_imports(&tool, true)?;
    Ok(tool)
}

/// The reference data, as the Rust tests look for it.
fn reference() -> PathBuf {
    let named = std::env::var_os("VOXSEG_REFERENCE").unwrap_or("../shared/reference".into());
    let folder = root().join(named);
    folder.canonicalize().unwrap_or(folder)
}

/// The words of a command line, with its paths put where the data is.
fn words(told: &str, place: impl Fn(&Path) -> OsString) -> Vec<OsString> {
    told.split_whitespace()
        .map(|word| if word.contains('/') { place(Path::new(word)) } else { word.into() })
        .collect()
}
