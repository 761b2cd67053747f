//! A C++ program is compiled against the generated header, linked with the static library, and run.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
#[cfg(unix)]
fn a_cpp_program_with_voxseg_inside() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = own.join("../..");
    let bridge = Path::new(env!("VOXSEG_CXX_BRIDGE"));
    let host = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host");

    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let mut compile = Command::new(compiler);
    compile.args(["-std=c++17", "-Wall", "-Wextra", "-Werror"]).arg(own.join("tests/host.cpp"));
    compile.arg("-isystem").arg(bridge.join("include")).arg("-isystem").arg(bridge.join("crate"));
    compile.arg(static_library()).args(["-lpthread", "-ldl", "-lm", "-o"]).arg(&host);
    let output = compile.output().expect("there is a C++ compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let model = "examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
    let output = Command::new(&host).arg(repository.join(model)).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "host: done\n");
}

/// Cargo builds it beside this test, with a number in its name; the newest belongs to this build.
fn static_library() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows itself");
    let folder = test.parent().expect("it lies in a folder").read_dir().expect("that can be read");
    let libraries = folder.flatten().filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("libvoxseg_cxx") && name.ends_with(".a")
    });
    let newest = libraries.max_by_key(|entry| entry.metadata().and_then(|data| data.modified()).ok());
    newest.expect("cargo has built the static library").path()
}
