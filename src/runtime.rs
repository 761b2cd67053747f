//! The process's ONNX Runtime: found, checked, opened once and kept for ever.
//!
//! It is loaded by absolute path only, since a bare name would pick up whatever copy a host or system has
//! (see docs/devices.md). Nothing is torn down at exit: unloading it crashes hosts.

#![allow(unsafe_code, reason = "asking a shared library for its version is a foreign call")]

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use once_cell::sync::OnceCell;

use crate::error::{Error, Result};
use crate::log::{self, Level};
use crate::platform::{load_library, stay_loaded};

/// The oldest ONNX Runtime that has all that is used: its minor version.
pub const OLDEST: u32 = 24;
/// From this version on its official builds send telemetry unless told otherwise.
const FIRST_WITH_TELEMETRY: u32 = 29;
/// The switch that turns telemetry off, which only works before the environment exists.
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";
/// Files of plug-in providers, as in PATH.
const PLUGINS: &str = "VOXSEG_ORT_PLUGIN";

/// The opened ONNX Runtime.
#[derive(Debug)]
pub struct Runtime {
    version: CString,
    path: PathBuf,
    path_text: CString,
    environment: ort::environment::Environment,
    plugins: Mutex<Vec<Plugin>>,
}

/// A library with execution providers, and why it couldn't be registered, if it couldn't.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// Its file.
    pub path: PathBuf,
    /// ONNX Runtime's answer; `None` when it was registered.
    pub reason: Option<String>,
}

static RUNTIME: OnceCell<Runtime> = OnceCell::new();

impl Runtime {
    /// Its version, for example "1.28.0".
    pub fn version(&self) -> &str {
        self.version.to_str().unwrap_or_default()
    }

    /// The file that it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn version_c(&self) -> &CStr {
        &self.version
    }

    pub(crate) fn path_c(&self) -> &CStr {
        &self.path_text
    }

    pub(crate) fn environment(&self) -> &ort::environment::Environment {
        &self.environment
    }

    /// The libraries of providers that were handed over so far.
    pub fn plugins(&self) -> Vec<Plugin> {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Registers a library of execution providers. One that is registered already is left alone.
    ///
    /// # Errors
    /// [`Error::Runtime`] with ONNX Runtime's reason.
    fn add_plugin(&self, path: &Path) -> Result<()> {
        let failed = |reason: String| {
            let action = format!("register the plug-in {}", path.display());
            Err(Error::Runtime { action, reason })
        };
        let path = match std::path::absolute(path) {
            Ok(path) => path,
            Err(error) => return failed(error.to_string()),
        };
        let same = |plugin: &Plugin| canonical(&plugin.path) == canonical(&path);
        // Held while it is registered: two threads must not register one library twice.
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        if plugins.iter().any(|plugin| same(plugin) && plugin.reason.is_none()) {
            return Ok(());
        }
        plugins.retain(|plugin| !same(plugin));
        // The name is only a key of the environment's registry.
        let outcome = self.environment.register_ep_library(path.display().to_string(), &path);
        let reason = outcome.err().map(|error| error.to_string());
        plugins.push(Plugin { path: path.clone(), reason: reason.clone() });
        reason.map_or(Ok(()), failed)
    }
}

/// Registers a library of ONNX Runtime's plug-in execution providers, and opens ONNX Runtime if need be. The
/// path is made absolute: libraries are never looked for elsewhere.
///
/// # Errors
/// As [`open`], and [`Error::Runtime`] when the library can't be registered.
pub fn add_plugin(path: &Path) -> Result<()> {
    open(None)?.add_plugin(path)
}

/// The runtime, if it was opened.
pub fn current() -> Option<&'static Runtime> {
    RUNTIME.get()
}

/// Opens ONNX Runtime, or returns the one that is open.
///
/// `path` is its file or folder; without one the environment variable `VOXSEG_ORT_LIBRARY` (file or folder),
/// the folder of this library and its `onnxruntime` subfolder are looked at, in this order. A failure can be
/// mended and tried again.
///
/// # Errors
/// [`Error::RuntimeMissing`] with every path that was tried, [`Error::RuntimeVersion`],
/// [`Error::Runtime`], or [`Error::InvalidArgument`] when another file is open already.
pub fn open(path: Option<&Path>) -> Result<&'static Runtime> {
    let runtime = RUNTIME.get_or_try_init(|| start(path))?;
    if let Some(asked) = path {
        let same = candidates(asked).iter().any(|file| canonical(file) == canonical(&runtime.path));
        if !same {
            let found = asked.display().to_string();
            let expected = format!("{}, which this process has open", runtime.path.display());
            return Err(Error::argument("path", found, expected));
        }
    }
    Ok(runtime)
}

/// For comparisons only: on Windows such a path begins with `\\\\?\\`, which nobody gave and not everybody understands.
fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.into())
}

fn start(path: Option<&Path>) -> Result<Runtime> {
    stay_loaded();
    let (path, version) = find(path)?;
    let minor = minor(&version);
    if minor < OLDEST {
        return Err(Error::RuntimeVersion { path, found: version, expected: format!("1.{OLDEST}") });
    }
    if minor >= FIRST_WITH_TELEMETRY && std::env::var_os(NO_TELEMETRY).is_none() {
        // SAFETY: setting a variable races with reads of the environment by other threads of the host that go
        // round Rust and the C library's lock; it happens once, only for versions that need it, and
        // docs/devices.md tells hosts to set the variable themselves or to open the runtime early.
        unsafe { std::env::set_var(NO_TELEMETRY, "1") };
    }
    let failed = |action: &str, reason: String| Error::Runtime { action: action.into(), reason };
    let builder = ort::init_from(&path).map_err(|error| failed("load", error.to_string()))?;
    let environment = builder
        .with_name("voxseg")
        .with_telemetry(false)
        .with_logger(Arc::new(|level, category: &str, _: &str, place: &str, message: &str| {
            log::write(severity(level), || format!("ONNX Runtime {category}: {message} ({place})"));
        }))
        .build()
        .map_err(|error| failed("create its environment", error.to_string()))?;
    environment.set_log_level(ort::logging::LogLevel::Warning);
    log::write(Level::Info, || format!("ONNX Runtime {version} from {}", path.display()));
    let c_string = |text: String| CString::new(text).unwrap_or_default();
    let runtime = Runtime {
        version: c_string(version),
        path_text: c_string(path.display().to_string()),
        path,
        environment,
        plugins: Mutex::default(),
    };
    // A plug-in that can't be used takes its own devices away, not the others': the list of devices tells.
    for plugin in std::env::var_os(PLUGINS).iter().flat_map(std::env::split_paths) {
        if let Err(error) = runtime.add_plugin(&plugin) {
            log::write(Level::Warning, || error.to_string());
        }
    }
    Ok(runtime)
}

fn severity(level: ort::logging::LogLevel) -> Level {
    use ort::logging::LogLevel;
    match level {
        LogLevel::Verbose => Level::Debug,
        LogLevel::Info => Level::Info,
        LogLevel::Warning => Level::Warning,
        LogLevel::Error | LogLevel::Fatal => Level::Error,
    }
}

fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
}

/// The first usable library, and its version.
fn find(path: Option<&Path>) -> Result<(PathBuf, String)> {
    let mut places: Vec<PathBuf> = Vec::new();
    if let Some(path) = path {
        places.push(path.into());
    } else if let Some(path) = std::env::var_os("VOXSEG_ORT_LIBRARY") {
        places.push(path.into());
    } else if let Some(folder) = crate::platform::library_folder() {
        places.push(folder.join("onnxruntime"));
        places.push(folder);
    }
    let mut tried = Vec::new();
    for place in places {
        let Ok(place) = std::path::absolute(&place) else { continue };
        let files = candidates(&place);
        if files.is_empty() {
            tried.push(format!("{}: no {} there", place.display(), file_pattern()));
        }
        for file in files {
            match probe(&file) {
                Ok(version) => return Ok((file, version)),
                Err(reason) => tried.push(format!("{}: {reason}", file.display())),
            }
        }
    }
    let hint = "its shared library must lie beside this one or where VOXSEG_ORT_LIBRARY points";
    Err(Error::RuntimeMissing { reason: format!("not found ({}); {hint}", tried.join("; ")) })
}

fn file_pattern() -> &'static str {
    if cfg!(windows) {
        "onnxruntime.dll"
    } else if cfg!(target_os = "macos") {
        "libonnxruntime*.dylib"
    } else {
        "libonnxruntime.so*"
    }
}

/// The file itself, or the libraries in a folder, newest name first.
fn candidates(place: &Path) -> Vec<PathBuf> {
    if !place.is_dir() {
        return if place.exists() { vec![place.into()] } else { Vec::new() };
    }
    let (prefix, suffix) = file_pattern().split_once('*').unwrap_or((file_pattern(), ""));
    let mut files: Vec<PathBuf> = std::fs::read_dir(place)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.strip_prefix(prefix).is_some_and(|rest| rest.ends_with(suffix))
        })
        .collect();
    files.sort();
    files.reverse();
    files
}

/// Asks a library for its version without starting anything in it.
fn probe(file: &Path) -> std::result::Result<String, String> {
    // SAFETY: running its initialisers is what loading means; the path names the library that the host chose.
    let library = unsafe { load_library(file) }?;
    type GetApiBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: ONNX Runtime has exported this function with this signature since its first version.
    let base = unsafe { library.get::<GetApiBase>(b"OrtGetApiBase\0") };
    let base = base.map_err(|_| "exports no OrtGetApiBase, so it is not ONNX Runtime".to_owned())?;
    // SAFETY: the function takes nothing and returns a static structure whose first entries never changed.
    let version = unsafe {
        let base = base().as_ref().ok_or("has no interface")?;
        CStr::from_ptr((base.GetVersionString)()).to_string_lossy().into_owned()
    };
    // A library that was probed may be in use by the host: it is never unloaded.
    std::mem::forget(library);
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_is_the_one_that_ort_was_built_for() {
        assert_eq!(ort::MINOR_VERSION, OLDEST);
    }

    #[test]
    fn a_missing_library_names_every_place() {
        let error = find(Some(Path::new("no/such/place"))).unwrap_err().to_string();
        let place: PathBuf = ["no", "such", "place"].iter().collect();
        assert!(error.contains(&place.display().to_string()), "{error}");
    }

    #[test]
    fn something_else_is_refused_with_a_reason() {
        let error =
            find(Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path())).unwrap_err();
        assert_eq!(error.status(), 301);
    }
}
