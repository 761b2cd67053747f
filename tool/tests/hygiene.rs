//! The library as a guest: a run opens no socket, writes no file but the results and changes no folder. strace watches
//! the tool; where it isn't installed the tests say so.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "says what was skipped")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Below the repository.
const MODEL: &str = "examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";

/// What a run of the tool with these arguments did that a guest doesn't, one system call a line.
fn misdeeds(name: &str, arguments: &[&str]) -> Option<Vec<String>> {
    if !Command::new("strace").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: strace isn't installed");
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    let (home, out) = (folder.join("home"), folder.join("out"));
    [&home, &out].into_iter().for_each(|place| fs::create_dir_all(place).unwrap());
    let image = small_image(&folder);
    let trace = folder.join("trace");
    let mut tool = Command::new("strace");
    tool.args(["--follow-forks", "--trace=%network,%file", "--output"]).arg(&trace);
    tool.arg(env!("CARGO_BIN_EXE_voxseg")).args(arguments);
    if arguments[0] == "run" {
        tool.arg("--model").arg(root.join(MODEL));
        tool.arg("--image").arg(&image).arg("--out").arg(out.join("labels.mhd"));
    }
    let library = std::env::var("VOXSEG_ORT_LIBRARY").unwrap();
    let library = root.join(library);
    // As on a machine where nobody prepared anything: no switch against telemetry, a home to write to.
    let output = tool
        .env("VOXSEG_ORT_LIBRARY", library)
        .env("HOME", &home)
        .env("TMPDIR", &home)
        .env_remove("XDG_CACHE_HOME")
        .env_remove("ORT_DISABLE_TELEMETRY")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calls = fs::read_to_string(&trace).unwrap();
    assert!(calls.contains("libonnxruntime"), "the trace misses what the tool surely did");
    let own = out.display().to_string();
    let found = calls.lines().filter(|line| is_misdeed(line, &own)).map(Into::into).collect();
    Some(found)
}

fn is_misdeed(line: &str, own: &str) -> bool {
    let Some((_, call)) = line.split_once(' ') else { return false };
    let call = call.trim_start();
    let Some((name, arguments)) = call.split_once('(') else { return false };
    let network = ["socket", "connect", "bind", "listen", "sendto", "sendmsg", "socketpair"];
    let change = [
        "mkdir",
        "mkdirat",
        "unlink",
        "unlinkat",
        "rename",
        "renameat",
        "renameat2",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "chmod",
        "fchmodat",
        "chown",
        "truncate",
        "mknod",
        "creat",
        "utimensat",
        "rmdir",
    ];
    let opens = ["open", "openat", "openat2"].contains(&name);
    let writes = ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| arguments.contains(flag));
    let harmless =
        arguments.contains(own) || arguments.contains("\"/dev/null\"") || arguments.contains("\"/proc/self/");
    network.contains(&name) || ((change.contains(&name) || opens && writes) && !harmless)
}

/// A small image of the tool's simplest format.
fn small_image(folder: &Path) -> PathBuf {
    let header = "ObjectType = Image\nNDims = 3\nDimSize = 12 12 12\nElementSpacing = 3 3 3\n\
                  ElementType = MET_SHORT\nElementDataFile = small.raw\n";
    let path = folder.join("small.mhd");
    fs::write(&path, header).unwrap();
    let voxels =
        (0..12 * 12 * 12_i16).flat_map(|value| (value % 200 - 50).to_le_bytes()).collect::<Vec<u8>>();
    fs::write(folder.join("small.raw"), voxels).unwrap();
    path
}

#[test]
fn a_run_leaves_no_trace() {
    let Some(found) = misdeeds("run", &["run", "--device", "ort-cpu", "--quiet"]) else { return };
    assert!(found.is_empty(), "{found:#?}");
}

/// Looking for devices loads what providers need, and on a GPU its driver, which opens its device and no file.
#[test]
fn looking_for_gpu_devices_leaves_no_trace() {
    let Some(mut found) = misdeeds("devices", &["devices"]) else { return };
    found.retain(|line| !opens_a_gpu(line));
    assert!(found.is_empty(), "{found:#?}");
}

/// Whether a GPU's driver opens its device: Mesa's, NVIDIA's. Nothing is made by that.
fn opens_a_gpu(line: &str) -> bool {
    let devices = ["\"/dev/udmabuf\"", "\"/dev/dri/", "\"/dev/nvidia"];
    devices.iter().any(|device| line.contains(&format!(" openat(AT_FDCWD, {device}")))
        && !line.contains("O_CREAT")
}

/// The watching itself: a call that opens a socket or makes a file counts, reading doesn't.
#[test]
fn misdeeds_are_noticed() {
    for bad in [
        "12 socket(AF_INET, SOCK_STREAM, 0) = 3",
        "12 openat(AT_FDCWD, \"/home/user/.cache/x\", O_WRONLY|O_CREAT, 0644) = 3",
        "12 mkdir(\"/home/user/.cache\", 0700) = 0",
    ] {
        assert!(is_misdeed(bad, "/out"), "{bad}");
    }
    for good in [
        "12 openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY|O_CLOEXEC) = 3",
        "12 openat(AT_FDCWD, \"/out/labels.mhd\", O_WRONLY|O_CREAT, 0644) = 3",
    ] {
        assert!(!is_misdeed(good, "/out"), "{good}");
    }
    // A device counts in a run on the CPU, and is let through only where a GPU is looked for.
    let device = "12 openat(AT_FDCWD, \"/dev/udmabuf\", O_RDWR) = -1 ENOENT (No such file or directory)";
    assert!(is_misdeed(device, "/out") && opens_a_gpu(device));
    for other in [
        "12 openat(AT_FDCWD, \"/dev/shm/x\", O_RDWR) = 3",
        "12 openat(AT_FDCWD, \"/dev/dri/x\", O_RDWR|O_CREAT, 0644) = 3",
    ] {
        assert!(!opens_a_gpu(other), "{other}");
    }
}
