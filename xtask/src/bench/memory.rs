//! `cargo xtask bench memory`: what runs need against what their plans say, a process each.

use std::path::Path;

use crate::{Result, build, cargo_target, command, create_folder, execute_quietly, root, say, setup, work};

const NNUNET: &str = "nnUNetTrainer__nnUNetPlans__3d_fullres";

/// Name, folder of the reference data (or TASK:FOLDER), what follows it on `planned`'s command line.
type Row = (&'static str, &'static str, &'static str);

const TORSO: &str = "nnunet/public/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
const REGIONS: &str = "nnunet/public/Dataset904_Regions/nnUNetTrainer__nnUNetPlans__3d_fullres";

const ROWS: [Row; 25] = [
    ("TorsoCT", TORSO, "122 101 112 3 3 3 2 0"),
    ("TorsoCT, three maps", TORSO, "122 101 112 3 3 3 2 3"),
    ("TorsoCT", TORSO, "122 101 112 3 3 3 8 0"),
    ("TorsoCT, postprocessing", TORSO, "122 101 112 3 3 3 2 -1"),
    ("TorsoCT", TORSO, "233 167 191 1.5 1.5 1.5 2 0"),
    ("TorsoCT", TORSO, "300 300 300 1 1 1 2 0"),
    (
        "BrainAniso, two folds, mirrored",
        "nnunet/public/Dataset902_BrainAniso/nnUNetTrainer__nnUNetResEncUNetMPlans__3d_fullres",
        "156 176 20 1 1 5 2 0",
    ),
    (
        "Cardiac2D",
        "nnunet/public/Dataset903_Cardiac2D/nnUNetTrainer__nnUNetPlans__2d",
        "156 176 20 1.5 1.5 8 2 0",
    ),
    ("Regions, two channels", REGIONS, "100 100 60 2 2 3 2 0"),
    ("Regions, three maps", REGIONS, "100 100 60 2 2 3 2 3"),
    (
        "Cascade, both stages",
        "nnunet/public/Dataset905_Cascade/nnUNetTrainer__nnUNetPlans__3d_cascade_fullres",
        "122 101 112 3 3 3 2 0",
    ),
    (
        "OldPlans",
        "nnunet/public/Dataset906_OldPlans/nnUNetTrainer__nnUNetPlans__3d_fullres",
        "181 217 181 1 1 1 2 0",
    ),
    ("1,873 parameters", "bugs/hostile/tiny", "128 128 128 1.5 1.5 2 2 0"),
    ("1,873 parameters, enlarged", "bugs/hostile/tiny", "64 64 64 4 4 4 2 0"),
    ("bundle_spleen_unet", "monai/public/bundle_spleen_unet/bundle", "150 150 60 1.5 1.5 2 2 0"),
    ("bundle_wholebody", "monai/public/bundle_wholebody/bundle", "120 100 60 1.5 1.5 1.5 2 0"),
    ("auto3dseg_ct", "monai/public/auto3dseg_ct/model", "120 100 60 1.5 1.5 2 2 0"),
    ("auto3dseg_ct", "monai/public/auto3dseg_ct/model", "200 200 60 1.1 1.1 1.1 2 0"),
    ("total_fast", "total_fast:totalseg/weights", "122 101 80 3 3 3 1 0"),
    ("total_fast", "total_fast:totalseg/weights", "122 101 80 3 3 3 2 0"),
    ("total_fast", "total_fast:totalseg/weights", "122 101 80 3 3 3 8 0"),
    ("total_fast", "total_fast:totalseg/weights", "200 180 140 1.5 1.5 1.5 2 0"),
    ("total_fastest", "total_fastest:totalseg/weights", "122 101 80 3 3 3 2 0"),
    ("body", "body:totalseg/weights", "122 101 80 3 3 3 2 0"),
    ("lung_vessels", "lung_vessels:totalseg/weights", "122 101 80 3 3 3 2 0"),
];

/// `built`: a folder with libvoxseg.so that is there already.
pub fn run(built: Option<&Path>) -> Result<()> {
    setup::compilers()?;
    let folder = match built {
        Some(folder) => folder.to_path_buf(),
        None => {
            build::libraries()?;
            cargo_target().join("shipped/release")
        }
    };
    let library = build::lay_out(&folder, &work().join("bench/lib"))?;
    create_folder(&work().join("bench"))?;
    let program = work().join("bench/planned");
    let mut cc = command("cc");
    cc.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Iinclude", "tests/fault/planned.c", "-o"]);
    cc.arg(&program).arg(format!("-L{}", library.display()));
    execute_quietly(cc.arg(format!("-Wl,-rpath,{}", library.display())).arg("-lvoxseg"))?;
    let reference = root().parent().unwrap_or(&root()).join("shared/reference");
    if !reference.is_dir() {
        return Err(format!("the models are the reference data's, and {} isn't there", reference.display()));
    }
    say("planned and measured, MiB");
    println!("| model | volume | threads | planned | measured | measured / planned | to make the plan |");
    println!("|---|---|---|---|---|---|---|");
    let mut over = Vec::new();
    for (name, place, words) in ROWS {
        let mut model = match place.split_once(':') {
            Some((task, weights)) => format!("{task}:{}", reference.join(weights).display()),
            None => reference.join(place).display().to_string(),
        };
        if place.ends_with("tiny") {
            model = format!("{model}/{NNUNET}");
        }
        let text = execute_quietly(command(&program).arg(model).args(words.split(' ')))?;
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [planned, measured, made] = numbers[..] else { return Err(format!("{name}: {text}")) };
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        let words: Vec<&str> = words.split(' ').collect();
        let [x, y, z, a, b, c, threads, _] = words[..] else { return Err(format!("{name}: {words:?}")) };
        let spacing = if a == c { a.to_owned() } else { format!("{a}×{b}×{c}") };
        println!(
            "| {name} | {x}×{y}×{z}, {spacing} mm | {threads} | {:.0} | {:.0} | {:.2} | {:.0} |",
            mib(planned),
            mib(measured),
            measured / planned,
            mib(made)
        );
        if measured > 1.1 * planned {
            over.push(name);
        }
    }
    match over.as_slice() {
        [] => Ok(()),
        over => Err(format!("more than a tenth over the plan: {}", over.join(", "))),
    }
}
