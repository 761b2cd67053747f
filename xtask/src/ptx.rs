//! `cargo xtask ptx`: compiles the kernels for NVIDIA GPUs with NVRTC, so that neither building nor running needs a
//! toolkit.
//!
//! What comes out is committed. Its first line has the source's checksum, which the library's tests compare;
//! `cargo xtask test gpu` compiles anew and compares all of it.

use std::fs;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::{Result, at, command, create_folder, execute_quietly, fetch, root, say, setup, work};

fn committed() -> PathBuf {
    root().join("src/inference/device/kernels.ptx")
}

pub fn run() -> Result<()> {
    say("compiling src/inference/device/kernels.cu for compute capability 7.0");
    let path = committed();
    fs::write(&path, compiled()?).map_err(at("write", &path))
}

/// Whether the committed file is what its source gives.
pub fn check() -> Result<()> {
    let path = committed();
    let there = fs::read_to_string(&path).map_err(at("read", &path))?;
    if there == compiled()? { Ok(()) } else { Err("kernels.ptx is stale: run `cargo xtask ptx`".into()) }
}

fn compiled() -> Result<String> {
    let folder = fetch::nvrtc()?;
    let source = root().join("src/inference/device/kernels.cu");
    create_folder(&work())?;
    let out = work().join("kernels.ptx");
    let mut compile = command(setup::python()?);
    // NVRTC looks for its second library by the system's rules.
    compile.env("LD_LIBRARY_PATH", &folder).args(["-c", COMPILE]);
    execute_quietly(compile.arg(folder.join("libnvrtc.so.12")).arg(&source).arg(&out))?;
    let text = fs::read(&source).map_err(at("read", &source))?;
    let digest: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let ptx = fs::read_to_string(&out).map_err(at("read", &out))?;
    Ok(format!("// By `cargo xtask ptx` from kernels.cu, SHA-256 {digest}\n{}\n", ptx.trim()))
}

const COMPILE: &str = r#"
import ctypes, sys
library, source, out = ctypes.CDLL(sys.argv[1]), sys.argv[2], sys.argv[3]
program, size = ctypes.c_void_p(), ctypes.c_size_t()
def call(name, *arguments):
    status = getattr(library, name)(*arguments)
    if status and name != "nvrtcCompileProgram":
        sys.exit(f"{name}: error {status}")
    return status
def text(kind):
    call(f"nvrtcGet{kind}Size", program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    call(f"nvrtcGet{kind}", program, buffer)
    return buffer.value
with open(source, "rb") as file:
    call("nvrtcCreateProgram", ctypes.byref(program), file.read(), b"kernels.cu", 0, None, None)
options = [b"--gpu-architecture=compute_70", b"--fmad=false", b"--std=c++17"]
if call("nvrtcCompileProgram", program, len(options), (ctypes.c_char_p * len(options))(*options)):
    sys.exit(text("ProgramLog").decode())
with open(out, "wb") as file:
    file.write(text("PTX"))
"#;
