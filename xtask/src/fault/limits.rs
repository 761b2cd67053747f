//! The tool under the system's limits: address space, processes, a control group's memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Result, at, command, copy, create_folder, remove, say};

use super::ends::{self, End, Ended, Scenario, Table};
use super::{Case, reference};

const LIMIT: Duration = Duration::from_secs(240);

/// A run of the tool, and the labels that it gives when nothing is scarce.
struct Run<'a> {
    tool: &'a Path,
    case: &'a Case,
    out: PathBuf,
    right: Vec<u8>,
    /// How the undisturbed run ended.
    plain: Ended,
}

impl<'a> Run<'a> {
    fn new(tool: &'a Path, case: &'a Case, folder: &Path) -> Result<Self> {
        let out = folder.join("labels.nii");
        let plain = ends::run(&mut arguments(Command::new(tool), case, &out, 2), LIMIT)?;
        if plain.end != End::Code(0) {
            return Err(format!("{} undisturbed: {plain}", case.name));
        }
        let right = fs::read(&out).map_err(at("read", &out))?;
        Ok(Run { tool, case, out, right, plain })
    }

    /// Runs the tool behind `before`, which are the words of a command that starts it.
    fn behind(&self, before: &[String], threads: u32) -> Result<Ended> {
        let _ = fs::remove_file(&self.out);
        let mut command = Command::new(&before[0]);
        command.args(&before[1..]).arg(self.tool);
        ends::run(&mut arguments(command, self.case, &self.out, threads), LIMIT)
    }

    /// The right labels, or an error in words and no file.
    fn is_well(&self, ended: &Ended) -> bool {
        match ended.end {
            End::Code(0) => fs::read(&self.out).is_ok_and(|labels| labels == self.right),
            _ => ended.is_typed() && !self.out.exists(),
        }
    }
}

fn arguments(mut command: Command, case: &Case, out: &Path, threads: u32) -> Command {
    command.arg("run");
    match case.model.split_once(':') {
        Some((task, weights)) => command.args(["--task", task, "--weights", weights]),
        None => command.args(["--model", &case.model]),
    };
    command.arg("--image").arg(&case.image).arg("--out").arg(out).args(["--threads", &threads.to_string()]);
    command
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

pub fn run(tool: &Path, cases: &[Case], table: &mut Table) -> Result<()> {
    // Where another user can read and write.
    let folder = std::env::temp_dir().join(format!("voxseg-fault-{}", std::process::id()));
    create_folder(&folder)?;
    let outcome = in_folder(tool, cases, &folder, table);
    remove(&folder)?;
    outcome
}

fn in_folder(tool: &Path, cases: &[Case], folder: &Path, table: &mut Table) -> Result<()> {
    table.add(processes(tool, &cases[0], folder)?);
    // A real image where there is one, for models that are quick: a run takes more.
    let image = reference("images/ct_abdomen_3mm.nii.gz");
    for case in cases {
        let image = image.clone().filter(|_| ["TorsoCT", "task"].contains(&case.name));
        let image = image.unwrap_or_else(|| case.image.clone());
        let case = Case { image, model: case.model.clone(), name: case.name };
        let run = Run::new(tool, &case, folder)?;
        table.add(address_space(&run)?);
        table.add(control_group(&run)?);
    }
    Ok(())
}

/// Ten limits between what the tool's start alone takes and what the run takes.
fn address_space(run: &Run) -> Result<Scenario> {
    let mut scenario = Scenario::new(format!("RLIMIT_AS at 10 values, {}", run.case.name));
    say(&scenario.name);
    let limited = |space: u64| vec!["prlimit".to_owned(), format!("--as={space}")];
    let starts = |space: u64| -> Result<bool> {
        let mut command = Command::new("prlimit");
        let ended = ends::run(command.arg(format!("--as={space}")).arg(run.tool).arg("--version"), LIMIT)?;
        Ok(ended.end == End::Code(0))
    };
    let (mut least, mut enough) = (1 << 20, run.plain.space);
    while enough - least > 1 << 20 {
        let middle = least.midpoint(enough);
        if starts(middle)? { enough = middle } else { least = middle }
    }
    for step in 0..10 {
        // With room for the tool's own start, which is no matter of the library's.
        let space = enough + (1 << 20) + (run.plain.space.saturating_sub(enough)) * step / 9;
        let ended = run.behind(&limited(space), 2)?;
        println!("   {} MiB: {ended}", space >> 20);
        scenario.one(run.is_well(&ended), || format!("{} MiB: {ended}", space >> 20));
    }
    Ok(scenario)
}

/// A limit of processes, as a user that isn't root.
fn processes(tool: &Path, case: &Case, folder: &Path) -> Result<Scenario> {
    let mut scenario = Scenario::new(format!("RLIMIT_NPROC 1 to 9, {}, 8 threads", case.name));
    say(&scenario.name);
    // Copies that anybody can read.
    let (own_tool, model) = (folder.join("voxseg"), folder.join("model"));
    copy(tool, &own_tool)?;
    crate::csharp::test::copy_tree(Path::new(&case.model), &model)?;
    let image = folder.join("ct.mhd");
    for extension in ["mhd", "raw"] {
        copy(&case.image.with_extension(extension), &image.with_extension(extension))?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).map_err(at("open", folder))?;
    let case = Case { name: case.name, model: model.display().to_string(), image };
    let run = Run::new(&own_tool, &case, folder)?;
    let root = command("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    let user = if root { "setpriv --reuid=65534 --regid=65534 --clear-groups " } else { "" };
    for limit in 1..10 {
        let ended = run.behind(&words(&format!("{user}prlimit --nproc={limit}:{limit}")), 8)?;
        // However few threads there are, they are enough.
        let well = ended.end == End::Code(0) && run.is_well(&ended);
        scenario.one(well, || format!("at most {limit}: {ended}"));
    }
    Ok(scenario)
}

/// A container of half the memory that the run plans with.
fn control_group(run: &Run) -> Result<Scenario> {
    let name = format!("a control group of half the plan, {}", run.case.name);
    say(&name);
    let Some(planned) = planned(&run.plain.output) else {
        return Err(format!("the tool doesn't say what it planned with: {}", run.plain.output));
    };
    let own = format!("voxseg-fault-{}", std::process::id());
    let (one, two) = (Path::new("/sys/fs/cgroup/memory").join(&own), Path::new("/sys/fs/cgroup").join(&own));
    let has_memory =
        fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").is_ok_and(|list| list.contains("memory"));
    let (group, file) = if one.parent().is_some_and(Path::exists) {
        (one, "memory.limit_in_bytes")
    } else if has_memory {
        (two, "memory.max")
    } else {
        return Ok(Scenario::skipped(name, "no control groups for memory"));
    };
    if let Err(error) = fs::create_dir(&group) {
        return Ok(Scenario::skipped(name, format!("cannot make {}: {error}", group.display())));
    }
    let scenario =
        fs::write(group.join(file), (planned / 2).to_string()).map_err(at("write", &group)).and_then(|()| {
            let mut scenario = Scenario::new(name);
            for threads in [1, 2, 8] {
                let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", group.display());
                let ended =
                    run.behind(&["sh".to_owned(), "-c".to_owned(), enter, "sh".to_owned()], threads)?;
                println!("   {} MiB: {ended}", planned >> 21);
                scenario.one(run.is_well(&ended), || format!("{} MiB: {ended}", planned >> 21));
            }
            Ok(scenario)
        });
    // A folder of the kernel's: gone as soon as its last process is.
    std::thread::sleep(Duration::from_millis(50));
    fs::remove_dir(&group).map_err(at("remove", &group))?;
    scenario
}

/// Bytes, from the tool's "run planned with 183.6 MiB".
fn planned(output: &str) -> Option<u64> {
    let mut words = output.split("planned with ").nth(1)?.split([' ', ')', '\n']);
    let (number, unit) = (words.next()?.parse::<f64>().ok()?, words.next()?);
    let factor = match unit {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    Some((number * f64::from(1_u32 << factor)) as u64)
}
