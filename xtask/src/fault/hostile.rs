//! The reproducers beside the reference data, each as its "good" column says.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Result, create_folder, execute_quietly, remove, root, say, work};

use super::ends::{self, End, Ended, Scenario};
use super::{ANY, LEAST, programs};

const TINY: &str = "nnUNetTrainer__nnUNetPlans__3d_fullres";
const LIMIT: Duration = Duration::from_secs(600);

pub fn run(sources: &Path, library: &Path, tool: &Path) -> Result<Vec<Scenario>> {
    say("reproducers of ../shared/reference/bugs/hostile");
    let folder = work().join("fault/hostile");
    remove(&folder)?;
    create_folder(&folder)?;
    let include = format!("-I{}", sources.display());
    let adapted = root().join("tests/fault/reproducers.h").display().to_string();
    for program in ["threads", "broadcast", "plan_budget", "rounding", "allocations"] {
        let source = sources.join(format!("{program}.c"));
        programs::compile(
            &source,
            &folder.join(program),
            library,
            &["-w", "-D_GNU_SOURCE=", &include, "-include", &adapted],
        )?;
    }
    let inject = folder.join("inject.so");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-w", "-shared", "-fPIC"]).arg(sources.join("inject.c"));
    execute_quietly(cc.arg("-o").arg(&inject).arg("-ldl"))?;

    let tiny = sources.join("tiny");
    let small = tiny.join(TINY);
    let start = |program: &str| Command::new(folder.join(program));
    let mut table = Vec::new();
    let mut add = |name: &str, commands: Vec<Command>, good: fn(&Ended) -> bool| -> Result<()> {
        let mut scenario = Scenario::new(format!("reproducer: {name}"));
        for mut command in commands {
            let ended = ends::run(&mut command, LIMIT)?;
            scenario.one(good(&ended), || ended.to_string());
        }
        table.push(scenario);
        Ok(())
    };
    let succeeds = |ended: &Ended| ended.end == End::Code(0);

    let threads = (1..10).map(|limit| with(start("threads"), [&tiny], [limit.to_string(), "8".into()]));
    add("threads", threads.collect(), succeeds)?;
    let maps = ["statistics", "compare"].map(|what| with(start("broadcast"), [], [what.to_owned()]));
    add("broadcast", maps.into(), succeeds)?;
    let lists = ["empty_list", "empty_list_threshold"].map(|list| {
        with(Command::new(tool), [Path::new("info"), &sources.join(list).join("x.safetensors")], [])
    });
    add("empty lists", lists.into(), |ended| {
        ended.end == End::Code(2) && ["argmax", "threshold"].iter().any(|name| ended.output.contains(name))
    })?;
    add("special files", vec![with(python(sources, "special_files.py"), [tool, &tiny], [])], succeeds)?;
    add(
        "rounding",
        vec![with(start("rounding"), [&small], []), with(start("rounding"), [&crate::demo::model()], [])],
        succeeds,
    )?;
    let injected = |what: [&str; 4]| {
        let mut command = with(start("allocations"), [&tiny], what.map(str::to_owned));
        command.env("LD_PRELOAD", &inject);
        command
    };
    add(
        "allocations",
        vec![
            injected(["memory", "60", LEAST, "2"]),
            injected(["memory", "60", ANY, "2"]),
            injected(["threads", "24", ANY, "8"]),
        ],
        succeeds,
    )?;

    let make = |what: &[&str], place: &str| -> Result<PathBuf> {
        let made = folder.join(place);
        execute_quietly(python(sources, "make_models.py").args(what).arg(&tiny).arg(&made))?;
        Ok(made)
    };
    let patch = make(&["patch", "512"], "patch")?;
    add("plan budget", vec![with(start("plan_budget"), [&patch], [])], succeeds)?;
    let mut files = Vec::new();
    for (what, place) in [
        (&["numbers"][..], "numbers.zip"),
        (&["tuples"], "tuples"),
        (&["text"], "text"),
        (&["inflate", "1000"], "inflate.zip"),
    ] {
        let made = make(what, place)?;
        let model = if made.is_dir() { made.join(TINY) } else { made };
        // Less than any of them took before there was a limit.
        let limited = Command::new("prlimit");
        files.push(with(limited, [Path::new("--as=402653184"), tool, Path::new("info"), &model], []));
    }
    add("files that take much", files, |ended| ended.is_typed() && ended.time < Duration::from_secs(60))?;
    remove(&folder)?;
    Ok(table)
}

fn with<const P: usize, const A: usize>(
    mut command: Command,
    paths: [&Path; P],
    words: [String; A],
) -> Command {
    command.args(paths).args(words);
    command
}

fn python(sources: &Path, script: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(sources.join(script));
    command
}
