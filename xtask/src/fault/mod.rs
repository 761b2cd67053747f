//! `cargo xtask fault`: memory, threads, files and a floating-point environment that a host may lack, and a table of
//! how each run ended. A bad end is a signal, a hang, a defect of the library (901, 902), other labels or something
//! half written.

mod ends;
mod files;
mod hostile;
mod limits;
mod programs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::demo::model;
use crate::{Result, build, cargo_target, root, say, work};

use ends::{End, Scenario, Table};
use programs::Programs;

/// The requests of memory that are made to fail: those that can, and all, for which the library keeps a reserve.
const LEAST: &str = "65536";
const ANY: &str = "0";

/// Failures inside of each call: kind, least bytes, threads, whether only one request fails or all from there on.
const FAILURES: [[&str; 4]; 6] = [
    ["memory", LEAST, "1", "onward"],
    ["memory", LEAST, "2", "one"],
    ["memory", ANY, "2", "one"],
    ["memory", ANY, "2", "onward"],
    ["threads", ANY, "8", "one"],
    ["threads", ANY, "8", "onward"],
];

/// A model as the test programs take it, with an image that it can read.
struct Case {
    name: &'static str,
    /// A folder, or a task and the folder of its weights with a colon between.
    model: String,
    image: PathBuf,
}

/// What is tried, in this order.
pub const PARTS: [&str; 5] = ["hosts", "files", "reproducers", "limits", "failures"];

/// Everything, or those parts, with a table of what came of it. `built`: the folder of a library and a tool that are
/// there already.
pub fn run(built: Option<&Path>, parts: &[&str]) -> Result<()> {
    if let Some(other) = parts.iter().find(|part| !PARTS.contains(part)) {
        return Err(format!("no part {other}; there are {}", PARTS.join(", ")));
    }
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    let tool = match built {
        Some(folder) => folder.join("voxseg"),
        None => build::tool()?,
    };
    let folder = built.map_or_else(|| cargo_target().join("release"), Path::to_path_buf);
    let library = build::lay_out(&folder, &work().join("fault/lib"))?;
    let programs = Programs::build(&library)?;
    let cases = cases(&programs);
    let mut table = Table::default();
    if wanted("hosts") {
        table.extend(hosts(&programs, &cases[0])?);
    }
    if wanted("files") {
        table.add(files::run(&programs, &model())?);
        if let Some(spleen) = reference("monai/public/bundle_spleen_unet/bundle") {
            table.add(files::run(&programs, &spleen)?);
        }
    }
    if wanted("reproducers") {
        match reference("bugs/hostile") {
            Some(folder) => table.extend(hostile::run(&folder, &library, &tool)?),
            None => table.add(Scenario::skipped("reproducers", "../shared/reference isn't there")),
        }
    }
    if wanted("limits") {
        limits::run(&tool, &cases, &mut table)?;
    }
    for (number, case) in cases.iter().enumerate().filter(|_| wanted("failures")) {
        // The first one thoroughly; of the others, what differs between models.
        let (failures, samples) = if number == 0 { (&FAILURES[..], "8") } else { (&FAILURES[1..4], "3") };
        for [kind, least, threads, after] in failures {
            table.add(injected(&programs, case, [kind, least, threads, samples, after])?);
        }
    }
    table.judge()
}

/// What a suite has time for: with the library that is there already, and only some of the requests.
pub fn short(library: &Path) -> Result<()> {
    let programs = Programs::build(library)?;
    let case = embedded(&programs);
    let mut table = Table::default();
    for how in [
        ["memory", LEAST, "2", "6", "one"],
        ["memory", ANY, "2", "6", "onward"],
        ["threads", ANY, "8", "3", "onward"],
    ] {
        table.add(injected(&programs, &case, how)?);
    }
    table.extend(hosts(&programs, &case)?);
    table.add(files::run(&programs, &model())?);
    table.judge()
}

fn embedded(programs: &Programs) -> Case {
    Case { name: "TorsoCT", model: model().display().to_string(), image: programs.image("ct") }
}

/// The example model, and those of the reference data that is at hand.
fn cases(programs: &Programs) -> Vec<Case> {
    let mut cases = vec![embedded(programs)];
    let folds = "nnunet/public/Dataset902_BrainAniso/nnUNetTrainer__nnUNetResEncUNetMPlans__3d_fullres";
    for (name, folder, task, image) in [
        ("folds", folds, "", "mr"),
        ("MONAI bundle", "monai/public/bundle_spleen_unet/bundle", "", "ct"),
        ("Auto3DSeg", "monai/public/auto3dseg_ct/model", "", "ct"),
        ("task", "totalseg/weights", "total_fast:", "ct"),
    ] {
        if let Some(folder) = reference(folder) {
            cases.push(Case {
                name,
                model: format!("{task}{}", folder.display()),
                image: programs.image(image),
            });
        }
    }
    cases
}

/// A folder of the reference data, where that is at hand.
fn reference(path: &str) -> Option<PathBuf> {
    let folder = root().parent()?.join("shared/reference").join(path);
    folder.exists().then_some(folder)
}

/// One failure at a time inside of each call. `how`: kind, least, threads, samples, one or onward.
fn injected(programs: &Programs, case: &Case, how: [&str; 5]) -> Result<Scenario> {
    let [kind, least, threads, _, after] = how;
    let size = if kind == "memory" && least == ANY { "any " } else { "" };
    let name = format!("{size}{kind} refused ({after}), {}, {threads} threads", case.name);
    let mut scenario = Scenario::new(name);
    say(&scenario.name);
    let mut command = programs.command("injected");
    command.env("LD_PRELOAD", programs.inject()).arg(&case.model).arg(&case.image).args(how);
    let ended = ends::run(&mut command, Duration::from_secs(1800))?;
    for line in ended.output.lines().filter(|line| line.contains('\t')) {
        let mut parts = line.split('\t');
        let (Some(call), Some(runs), Some(bad)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let number = |text: &str| text.parse().map_err(|_| format!("no number of runs in {line:?}"));
        scenario.add(number(runs)?, number(bad)?, || format!("{call}, {}", parts.next().unwrap_or_default()));
    }
    if ended.end != End::Code(0) {
        scenario.add(1, 1, || ended.to_string());
    }
    Ok(scenario)
}

/// Another floating-point environment, no standard streams, signals all the time.
fn hosts(programs: &Programs, case: &Case) -> Result<Vec<Scenario>> {
    let mut table = Vec::new();
    for (name, program, argument) in [
        ("rounding modes, denormals as zero, traps", "floating", "--quick"),
        ("descriptors 0, 1 and 2 closed", "host", "closed"),
        ("SIGALRM without SA_RESTART", "host", "signals"),
        ("a sandbox (seccomp) without clone, madvise, sched_getaffinity", "host", "sandbox"),
    ] {
        say(name);
        let mut scenario = Scenario::new(name);
        let mut command = programs.command(program);
        let ended =
            ends::run(command.arg(&case.model).arg(&case.image).arg(argument), Duration::from_secs(300))?;
        scenario.one(ended.end == End::Code(0), || ended.to_string());
        table.push(scenario);
    }
    Ok(table)
}
