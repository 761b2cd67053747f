//! Which devices ONNX Runtime's providers have, and how a session is put on one of them.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::AsPointer;
use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider, ExecutionProviderDispatch};
use ort::memory::DeviceType;
use ort::session::Session;
use ort::session::builder::{AutoDevicePolicy, GraphOptimizationLevel, SessionBuilder};

use super::failed;
use crate::engine::nvidia::{Driver, Held};
use crate::engine::{Device, DeviceInfo, DeviceOptions, Precision, Provider, room};
use crate::error::{Error, Result};
use crate::platform::why_not_loaded;
use crate::progress::Cancel;
use crate::runtime::Runtime;

/// What an engine runs on, and how.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Target<'a> {
    pub runtime: &'static Runtime,
    pub device: Device,
    pub precision: Precision,
    pub threads: usize,
    pub options: &'a DeviceOptions,
    /// Bytes of the device's memory that the plan has already.
    pub taken: u64,
    /// Stops the compiling of a network.
    pub cancel: &'a Cancel,
    /// The start of the names of what TensorRT keeps.
    pub cache_name: &'a str,
}

impl Target<'_> {
    /// The provider, unless it is the CPU.
    pub(super) fn provider(&self) -> Option<Provider> {
        match self.device {
            Device::Gpu(provider, _) => Some(provider),
            _ => None,
        }
    }

    /// The engine's name.
    pub(super) fn engine_name(&self) -> String {
        let provider = self.provider().map_or("CPU", Provider::title);
        format!("ONNX Runtime {} ({provider})", self.runtime.version())
    }

    /// Bytes of the device's memory that nobody has, as far as its driver tells.
    pub(super) fn free_memory(&self) -> Option<u64> {
        match self.device {
            Device::Gpu(Provider::Cuda | Provider::TensorRt, index) => {
                Driver::get().and_then(|driver| driver.free_memory(index)).ok()
            }
            _ => None,
        }
    }

    /// The device's context while its memory is measured, where there is one.
    pub(super) fn hold(&self) -> Option<Held> {
        match self.device {
            Device::Gpu(Provider::Cuda | Provider::TensorRt, index) => {
                Driver::get().and_then(|driver| driver.hold(index)).ok()
            }
            _ => None,
        }
    }

    /// Whether the device has that much memory free, as far as its driver tells, and the plan may have it beside what
    /// it has.
    ///
    /// # Errors
    /// [`Error::MemoryBudget`] when not.
    pub(super) fn check_memory(&self, needed: u64) -> Result<()> {
        match self.device {
            Device::Gpu(..) => room(needed, self.taken, self.options.memory_budget, self.free_memory()),
            _ => Ok(()),
        }
    }

    /// How sessions are set up.
    pub(super) fn session_options(&self) -> Result<SessionBuilder> {
        let options = Session::builder(self.runtime.environment())
            .map_err(failed("set up a session"))?
            .with_intra_threads(self.threads)
            .map_err(failed("set its threads"))?
            .with_inter_threads(1)
            .map_err(failed("set its threads"))?
            .with_intra_op_spinning(false)
            .map_err(failed("set its threads"))?
            .with_optimization_level(GraphOptimizationLevel::Level3)
            .map_err(failed("set its optimisation level"))?
            // One arena that tiles reuse. Blocks that are allocated and freed for each tile leave the C
            // library's heap twice as large; planned patterns come on top of the arena.
            .with_memory_pattern(false)
            .map_err(failed("plan its memory"))?
            // The wrapper's own policy would let ONNX Runtime choose devices that nobody asked for.
            .with_auto_device(AutoDevicePolicy::PreferCPU)
            .map_err(failed("choose the CPU"))?;
        let options = match self.device {
            Device::Gpu(provider, index) => self.on_device(options, provider, index)?,
            _ => options,
        };
        options
            .with_execution_providers([ep::CPU::default().with_arena_allocator(true).build()])
            .map_err(failed("choose the CPU"))
    }

    fn on_device(&self, options: SessionBuilder, provider: Provider, index: u32) -> Result<SessionBuilder> {
        let unusable = |reason: String| Error::Device { device: self.device.name(), reason };
        let options = options
            .with_config_entry("session.record_ep_graph_assignment_info", "1")
            .map_err(failed("ask where operators run"))?;
        let options = if self.options.fallback {
            options
        } else {
            options.with_disable_cpu_fallback().map_err(failed("keep operators off the CPU"))?
        };
        if is_built_in(provider) {
            let dispatch = self.built_in(provider, index).error_on_failure();
            return options.with_execution_providers([dispatch]).map_err(|error| unusable(error.to_string()));
        }
        let environment = self.runtime.environment();
        let theirs = |device: &ort::device::Device| device.ep().is_ok_and(|name| name == provider.ort_name());
        let Some(device) = environment.devices().filter(theirs).nth(index as usize) else {
            return Err(unusable(lacking(self.runtime, provider, index)));
        };
        options.with_devices([device], None).map_err(|error| unusable(error.to_string()))
    }

    /// A provider that this ONNX Runtime was built with.
    fn built_in(&self, provider: Provider, index: u32) -> ExecutionProviderDispatch {
        let id = index as i32;
        let half = self.precision == Precision::F16;
        let DeviceOptions { memory_budget, cache, stream, .. } = self.options;
        match provider {
            Provider::Cuda => {
                let mut cuda = ep::CUDA::default()
                    .with_device_id(id)
                    // Blocks that double would take memory from other plans on the same GPU.
                    .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
                    // TensorFloat-32 rounds what was asked for in single precision.
                    .with_tf32(false);
                if let Some(budget) = memory_budget {
                    cuda = cuda.with_memory_limit(*budget as usize);
                }
                if *stream != 0 {
                    cuda = cuda.with_arbitrary_config("user_compute_stream", stream);
                }
                cuda.build()
            }
            Provider::TensorRt => {
                let mut tensorrt = ep::TensorRT::default()
                    .with_device_id(id)
                    .with_fp16(half)
                    .with_layer_norm_fp32_fallback(true);
                if let Some(budget) = memory_budget {
                    tensorrt = tensorrt.with_max_workspace_size(*budget as usize);
                }
                if let Some(folder) = cache {
                    let folder = folder.display();
                    tensorrt = tensorrt
                        .with_engine_cache(true)
                        .with_engine_cache_path(&folder)
                        .with_engine_cache_prefix(self.cache_name)
                        .with_timing_cache(true)
                        .with_timing_cache_path(&folder);
                }
                if *stream != 0 {
                    tensorrt = tensorrt.with_arbitrary_config("user_compute_stream", stream);
                }
                tensorrt.build()
            }
            Provider::DirectMl => ep::DirectML::default().with_device_id(id).build(),
            Provider::CoreMl => {
                let coreml = ep::CoreML::default()
                    .with_static_input_shapes(true)
                    .with_model_format(ep::coreml::ModelFormat::MLProgram);
                match cache {
                    Some(folder) => coreml.with_model_cache_dir(folder.display().to_string()).build(),
                    None => coreml.build(),
                }
            }
            Provider::MiGraphX => ep::MIGraphX::default().with_device_id(id).build(),
            Provider::OpenVino | Provider::WebGpu => {
                let device = if index == 0 { "CPU".to_owned() } else { format!("GPU.{}", index - 1) };
                // What the graph says is what is computed, not what the device prefers.
                let openvino = ep::OpenVINO::default().with_device_type(device).with_precision("ACCURACY");
                match cache {
                    Some(folder) => openvino.with_cache_dir(folder.display()).build(),
                    None => openvino.build(),
                }
            }
        }
    }
}

/// Whether this ONNX Runtime was compiled with a provider; WebGPU's always counts as a plug-in.
fn is_built_in(provider: Provider) -> bool {
    let answer = match provider {
        Provider::Cuda => ep::CUDA::is_available(),
        Provider::TensorRt => ep::TensorRT::is_available(),
        Provider::DirectMl => ep::DirectML::is_available(),
        Provider::CoreMl => ep::CoreML::is_available(),
        Provider::MiGraphX => ep::MIGraphX::is_available(),
        Provider::OpenVino => ep::OpenVINO::is_available(),
        Provider::WebGpu => Ok(false),
    };
    answer.unwrap_or(false)
}

/// Why a provider has no such device.
fn lacking(runtime: &Runtime, provider: Provider, index: u32) -> String {
    let library = match provider {
        Provider::WebGpu if cfg!(all(unix, not(target_os = "macos"))) => Some("libvulkan.so.1"),
        _ => None,
    };
    let title = provider.title();
    let environment = runtime.environment();
    let count = environment
        .devices()
        .filter(|device| device.ep().is_ok_and(|name| name == provider.ort_name()))
        .count();
    if count > 0 {
        return format!("{title} has {count} devices here, numbered from 0; {index} isn't one of them");
    }
    let place = runtime.path().display();
    let mut reason = format!("ONNX Runtime {} at {place} has no {title}: ", runtime.version());
    let (bad, good): (Vec<_>, Vec<_>) =
        runtime.plugins().into_iter().partition(|plugin| plugin.reason.is_some());
    reason.push_str(provider.source());
    if !good.is_empty() {
        let paths: Vec<String> = good.iter().map(|plugin| plugin.path.display().to_string()).collect();
        reason.push_str(&format!("; no device of it is listed by {}", paths.join(" or ")));
    }
    for plugin in bad {
        let why = plugin.reason.unwrap_or_default();
        reason.push_str(&format!("; {} could not be registered: {why}", plugin.path.display()));
    }
    // SAFETY: the system's Vulkan loader, which the provider opens by the same name; nothing in it is called.
    let opened = library.map(|name| (name, unsafe { libloading::Library::new(name) }));
    if let Some((name, Err(error))) = opened {
        reason.push_str(&format!("; {}", why_not_loaded(name, &error)));
    }
    reason
}

/// The devices of a provider, or one entry that says why there is none.
pub(in crate::engine) fn devices(runtime: &'static Runtime, provider: Provider) -> Vec<DeviceInfo> {
    let info = |index: usize| DeviceInfo {
        device: Device::Gpu(provider, index as u32),
        name: provider.title().into(),
        hardware: true,
        driver: String::new(),
        memory: None,
        reason: None,
    };
    if is_built_in(provider) {
        return built_in_devices(runtime, provider, info);
    }
    let environment = runtime.environment();
    let theirs = |device: &ort::device::Device| device.ep().is_ok_and(|name| name == provider.ort_name());
    let listed: Vec<DeviceInfo> = environment
        .devices()
        .filter(theirs)
        .enumerate()
        .map(|(index, device)| plugged(&device, info(index)))
        .collect();
    if listed.is_empty() {
        return vec![DeviceInfo { reason: Some(lacking(runtime, provider, 0)), ..info(0) }];
    }
    listed
}

/// What a plug-in says of its device.
fn plugged(device: &ort::device::Device, info: DeviceInfo) -> DeviceInfo {
    let hardware = device.hardware_device();
    let facts = facts(&hardware);
    let fact = |key: &str| facts.get(key).map(String::as_str).unwrap_or_default();
    let vendor = hardware.vendor().unwrap_or_default();
    let described =
        [fact("Description"), vendor].into_iter().find(|text| !text.is_empty()).unwrap_or("device");
    DeviceInfo {
        name: format!("{} ({described})", info.name),
        hardware: hardware.ty() != DeviceType::CPU && !is_software(&facts, vendor),
        driver: fact("DriverVersion").into(),
        ..info
    }
}

fn is_software(facts: &BTreeMap<String, String>, vendor: &str) -> bool {
    let text =
        facts.values().map(String::as_str).chain([vendor]).collect::<Vec<_>>().join(" ").to_lowercase();
    ["llvmpipe", "lavapipe", "swiftshader", "software"].iter().any(|name| text.contains(name))
}

/// What ONNX Runtime found out about a piece of hardware, by its keys.
fn facts(hardware: &ort::device::HardwareDevice) -> BTreeMap<String, String> {
    let (mut keys, mut values, mut count) = (std::ptr::null(), std::ptr::null(), 0);
    let mut facts = BTreeMap::new();
    // SAFETY: the device is live, so are its pairs, two arrays of `count` terminated strings.
    unsafe {
        let pairs = (ort::api().HardwareDevice_Metadata)(hardware.ptr());
        if pairs.is_null() {
            return facts;
        }
        (ort::api().GetKeyValuePairs)(pairs, &raw mut keys, &raw mut values, &raw mut count);
        for at in 0..count {
            let text = |list: *const *const std::ffi::c_char| {
                CStr::from_ptr(*list.add(at)).to_string_lossy().into_owned()
            };
            facts.insert(text(keys), text(values));
        }
    }
    facts
}

/// Devices of a provider that ONNX Runtime was built with: those that NVIDIA's driver has, or one.
fn built_in_devices(
    runtime: &'static Runtime,
    provider: Provider,
    info: impl Fn(usize) -> DeviceInfo,
) -> Vec<DeviceInfo> {
    let nvidia = matches!(provider, Provider::Cuda | Provider::TensorRt);
    let mut found = match (nvidia, Driver::get().and_then(|driver| Ok((driver.version(), driver.gpus()?)))) {
        (false, _) => vec![info(0)],
        (true, Err(reason)) => return vec![DeviceInfo { reason: Some(reason), ..info(0) }],
        (true, Ok((_, gpus))) if gpus.is_empty() => {
            return vec![DeviceInfo { reason: Some("the driver lists no GPU".into()), ..info(0) }];
        }
        (true, Ok((version, gpus))) => {
            let listed = gpus.into_iter().enumerate().map(|(index, gpu)| DeviceInfo {
                name: format!("{} ({})", info(index).name, gpu.name),
                driver: format!("CUDA {version}"),
                memory: Some(gpu.memory),
                ..info(index)
            });
            listed.collect()
        }
    };
    if provider == Provider::OpenVino {
        found = vec![DeviceInfo { name: "OpenVINO (CPU)".into(), hardware: false, ..info(0) }, info(1)];
        found[1].name = "OpenVINO (GPU)".into();
    }
    // Only an attempt tells whether the provider's own libraries are there, and which one isn't.
    for device in &mut found {
        let (options, cancel) = (DeviceOptions::default(), Cancel::new());
        let target = Target {
            runtime,
            device: device.device,
            precision: Precision::F32,
            threads: 1,
            options: &options,
            taken: 0,
            cancel: &cancel,
            cache_name: "",
        };
        device.reason = target.session_options().err().map(|error| match error {
            Error::Device { reason, .. } => reason,
            other => other.to_string(),
        });
    }
    found
}

/// How often each operator was given to the CPU although a session has another provider.
pub(super) fn left_to_cpu(session: &Session) -> Result<Vec<(String, usize)>> {
    let api = ort::api();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let (mut parts, mut count) = (std::ptr::null(), 0);
    // SAFETY: the session is live and was made with the setting that records this; the arrays that it lends live as
    // long, hold as many live pointers as they say, and all strings are terminated.
    let result = unsafe {
        let check = |status| ort::Error::result_from_status(status);
        let mut read = || -> ort::Result<()> {
            check((api.Session_GetEpGraphAssignmentInfo)(session.ptr(), &raw mut parts, &raw mut count))?;
            for part in 0..count {
                let part = *parts.add(part);
                let (mut name, mut nodes, mut number) = (std::ptr::null(), std::ptr::null(), 0);
                check((api.EpAssignedSubgraph_GetEpName)(part, &raw mut name))?;
                if CStr::from_ptr(name).to_bytes() != b"CPUExecutionProvider" {
                    continue;
                }
                check((api.EpAssignedSubgraph_GetNodes)(part, &raw mut nodes, &raw mut number))?;
                for node in 0..number {
                    let mut operator = std::ptr::null();
                    check((api.EpAssignedNode_GetOperatorType)(*nodes.add(node), &raw mut operator))?;
                    *found.entry(CStr::from_ptr(operator).to_string_lossy().into_owned()).or_default() += 1;
                }
            }
            Ok(())
        };
        read()
    };
    result.map_err(failed("tell where operators run"))?;
    Ok(found.into_iter().collect())
}

/// What must be held while a session of this provider is made, runs or is dropped: WebGPU's plug-in 0.4.0 aborts
/// the process when two threads use it at once.
pub(super) fn turn(provider: Option<Provider>) -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    (provider == Some(Provider::WebGpu)).then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner))
}
