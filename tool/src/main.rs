//! The command-line tool: models and images as files, everything else by the library.

#![allow(clippy::disallowed_methods, reason = "pictures, which no label depends on")]

mod channels;
mod compare;
mod convert;
mod counts;
mod devices;
mod failure;
mod gzip;
mod image_file;
mod info;
mod metaimage;
mod nifti;
mod nrrd;
mod options;
mod output;
mod picture;
mod progress;
mod prompt;
mod report;
mod resample;
mod run;
mod source;
mod statistics;
mod stop;
mod tasks;
mod voxels;
mod warnings;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::{CALLER, Outcome};

const EXIT_CODES: &str = "Exit codes: 0 success, 1 arguments or image files, 2 the model, 3 the runtime or device, \
4 the run, 9 a defect of voxseg, 130 stopped by a signal.";
/// How files are read and written, for every command that does.
const FILES: &str = "Images are read from NIfTI (.nii, .nii.gz), MetaImage (.mhd, .mha) and NRRD (.nrrd, .nhdr) \
files. Results are written beside their places and come there when all of them are complete: on a failure nothing \
changes. A file that is read is never written.";

/// Segments 3-D medical images with published models.
#[derive(Debug, Parser)]
#[command(name = "voxseg", version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Tool {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Describe a model
    Info(info::Arguments),
    /// Segment an image
    #[command(after_help = FILES)]
    Run(Box<run::Arguments>),
    /// Segment an object by points and boxes, with a model that takes them
    #[command(after_help = FILES)]
    Prompt(Box<prompt::Arguments>),
    /// Write an image in another format: .nii, .nii.gz, .mhd
    #[command(after_help = FILES)]
    Convert {
        /// The image (.nii, .nii.gz, .mhd, .mha, .nrrd, .nhdr)
        from: PathBuf,
        /// Where it goes (.nii, .nii.gz, .mhd)
        to: PathBuf,
    },
    /// Draw labels over an image: three planes through the largest structure, with a legend
    Picture(picture::Arguments),
    /// List TotalSegmentator's tasks, or the labels of one
    Tasks(tasks::Arguments),
    /// List what networks can run on
    Devices,
    /// Compare two label maps: voxels, and each label's overlap, volume and surface
    Compare(compare::Arguments),
    /// Measure labels: volume, place, intensities of an image, dose
    Statistics(statistics::Arguments),
}

fn dispatch(command: &Command) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Info(arguments) => info::info(&mut out, arguments),
        Command::Run(arguments) => run::run(&mut out, arguments),
        Command::Prompt(arguments) => prompt::prompt(&mut out, arguments),
        Command::Convert { from, to } => convert::convert(from, to),
        Command::Picture(arguments) => picture::picture(arguments),
        Command::Tasks(arguments) => tasks::tasks(&mut out, arguments),
        Command::Devices => devices::devices(&mut out),
        Command::Compare(arguments) => compare::compare(&mut out, arguments),
        Command::Statistics(arguments) => statistics::statistics(&mut out, arguments),
    }?;
    Ok(out.flush()?)
}

fn main() -> ExitCode {
    let tool = match Tool::try_parse() {
        Ok(tool) => tool,
        Err(answer) => {
            // Help and version come this way too. Nothing can be done about an output that is closed.
            let _ = answer.print();
            return if answer.use_stderr() { ExitCode::from(CALLER) } else { ExitCode::SUCCESS };
        }
    };
    stop::watch();
    warnings::listen();
    match dispatch(&tool.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let message = failure.to_string();
            if !message.is_empty() {
                let _ = writeln!(std::io::stderr(), "voxseg: {message}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        use clap::CommandFactory;
        Tool::command().debug_assert();
        // The binary's name, not the package's.
        assert_eq!(Tool::command().render_version(), concat!("voxseg ", env!("CARGO_PKG_VERSION"), "\n"));
    }

    #[test]
    fn options_of_a_run() {
        let line =
            "voxseg run --model m --image a.nii --image b.nii --out c.nii --folds 0,1 --memory-budget 4GiB";
        assert!(Tool::try_parse_from(line.split(' ')).is_ok());
        assert!(Tool::try_parse_from(line.replace("4GiB", "4Gi").split(' ')).is_err());
        assert!(Tool::try_parse_from("voxseg run --model m --out c.nii".split(' ')).is_err());
        let line = "voxseg run --task total --weights w --subset liver,spleen --image a.nii --out c.nii";
        assert!(Tool::try_parse_from(line.split(' ')).is_ok());
        assert!(Tool::try_parse_from(line.replace("--weights w", "").split_whitespace()).is_err());
        assert!(Tool::try_parse_from(format!("{line} --model m").split(' ')).is_err());
    }
}
