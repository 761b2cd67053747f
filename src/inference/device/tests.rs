//! kernels.cu compiled as C++, and the kernels for Vulkan where there is a device, on odd shapes beside the code that
//! they repeat.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use half::f16;
use libloading::Library;
use ndarray::{Array3, Array4};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::arguments::{Arguments, arguments};
use super::backend::{Address, Averaged, Backend, Decided, Kernel, Placed, Work};
use super::check::{Case, agrees_with_the_host, compare, recipe};
use super::vulkan::VulkanBackend;
use crate::engine::OpenedGpu;
use crate::error::Result;
use crate::recipe::{Decision, Fill, Region, RestoreMode};
use crate::tiling::TileGrid;

/// The host as a backend.
struct Host(Library);

pub(crate) fn host() -> &'static Arc<dyn Backend> {
    static HOST: OnceLock<Arc<dyn Backend>> = OnceLock::new();
    HOST.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/inference/device/kernels.cu");
        let folder = std::env::temp_dir().join(format!("voxseg-kernels-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let library = folder.join("kernels.so");
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
        let flags =
            ["-x", "c++", "-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared"];
        let mut compile = Command::new(&compiler);
        compile.args(flags).arg("-fPIC").arg(&source).arg("-o").arg(&library);
        assert!(
            compile.status().is_ok_and(|status| status.success()),
            "{compiler} doesn't compile kernels.cu"
        );
        // SAFETY: it was just made, and has no initialisers.
        let loaded = unsafe { Library::new(&library) }.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        Arc::new(Host(loaded))
    })
}

/// Calls a C function with the values that the arguments point to.
macro_rules! call {
    ($host:expr, $kernel:expr, $arguments:expr, $($type:ty),*) => {{
        let mut copy = $arguments.clone();
        let mut arguments = copy.pointers().into_iter();
        // SAFETY: the library has the function with these types, and each argument points to one of them.
        unsafe {
            let function = $host.0.get::<unsafe extern "C" fn($($type),*)>($kernel.symbol().to_bytes()).unwrap();
            function($(arguments.next().unwrap().cast::<$type>().read()),*);
        }
    }};
}

impl Backend for Host {
    fn allocate(&self, bytes: usize) -> Result<Address> {
        // Something else than zeros, which only `zero` gives.
        let mut memory = vec![0xa5a5_a5a5_a5a5_a5a5_u64; bytes.div_ceil(8) + 1];
        memory[0] = memory.len() as u64;
        Ok(memory.leak()[1..].as_mut_ptr() as Address)
    }

    fn free(&self, address: Address) {
        let start = (address as *mut u64).wrapping_sub(1);
        // SAFETY: `allocate` leaked a vector that begins there and says how long it is.
        unsafe {
            let length = start.read() as usize;
            drop(Vec::from_raw_parts(start, length, length));
        }
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        // SAFETY: arrays are as long as what is copied.
        unsafe { (to as *mut u8).copy_from(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        // SAFETY: as above.
        unsafe { bytes.as_mut_ptr().copy_from(from as *const u8, bytes.len()) };
        Ok(())
    }

    fn zero(&self, address: Address, bytes: usize) -> Result<()> {
        // SAFETY: as above.
        unsafe { (address as *mut u8).write_bytes(0, bytes) };
        Ok(())
    }

    fn launch(&self, kernel: Kernel, _: Work, arguments: &Arguments) -> Result<()> {
        match kernel {
            Kernel::Cut => call!(self, kernel, arguments, u64, u64, Placed, i32, i32, i32, i32, f32),
            Kernel::Gather => call!(self, kernel, arguments, u64, u64, Placed, i32, i32, i32, f32),
            Kernel::CountNotFinite => call!(self, kernel, arguments, u64, i64, u64),
            Kernel::BlendHalf | Kernel::BlendSingle => {
                call!(self, kernel, arguments, u64, u64, u64, u64, Placed, i32, i32);
            }
            Kernel::MeanHalf | Kernel::MeanSingle => {
                call!(self, kernel, arguments, u64, u64, u64, i64, i32, i32, Averaged, u64);
            }
            Kernel::ClearHalf | Kernel::ClearSingle => {
                call!(self, kernel, arguments, u64, i64, i32, i32, i32, i32);
            }
            Kernel::ActivateHalf | Kernel::ActivateSingle => {
                call!(self, kernel, arguments, u64, i64, i32, i32, i32, i32, i32);
            }
            Kernel::RestoreHalf | Kernel::RestoreSingle => {
                call!(self, kernel, arguments, u64, u64, u64, u64, u64, Decided, u64);
            }
        }
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }

    fn finish_all(&self) -> Result<()> {
        Ok(())
    }

    fn check(&self, address: Address) -> std::result::Result<(), String> {
        if address == 0 { Err("no memory".into()) } else { Ok(()) }
    }
}

#[test]
fn what_every_gpu_is_asked_holds_for_the_host() {
    agrees_with_the_host(host()).unwrap();
}

/// A device of Vulkan's with our kernels, which stays open: software compiles each of them for a while. `None` where
/// there is none.
fn gpu() -> Option<&'static Arc<dyn Backend>> {
    static GPU: OnceLock<Option<Arc<dyn Backend>>> = OnceLock::new();
    let open = || OpenedGpu::for_tests().map(|opened| VulkanBackend::backend(&opened).unwrap());
    GPU.get_or_init(open).as_ref()
}

#[test]
fn what_every_gpu_is_asked_holds_for_the_gpu_here() {
    // Asked when it is opened.
    gpu();
}

/// What a run may be made of.
#[derive(Clone, Debug)]
struct Setting {
    image: [usize; 3],
    patch: [usize; 3],
    channels: usize,
    mirrored: usize,
    edge: bool,
    folds: usize,
    batch: usize,
    to: [usize; 3],
    order: u8,
    regions: bool,
    probabilities: bool,
    seed: u32,
}

prop_compose! {
    fn settings()(
        image in [1..12usize, 1..9, 1..9],
        patch in [1..7usize, 1..7, 1..7],
        channels in 1..3usize,
        mirrored in 0..8usize,
        edge in any::<bool>(),
        folds in 1..3usize,
        batch in 1..4usize,
        to in [1..20usize, 1..14, 1..14],
        order in 0..2_u8,
        regions in any::<bool>(),
        probabilities in any::<bool>(),
        seed in any::<u32>(),
    ) -> Setting {
        Setting { image, patch, channels, mirrored, edge, folds, batch, to, order, regions, probabilities, seed }
    }
}

/// Whether a backend blends and decides as the host, in half and in single precision.
fn agrees(backend: &Arc<dyn Backend>, setting: Setting) -> [bool; 2] {
    let Setting {
        image,
        patch,
        channels,
        mirrored,
        edge,
        folds,
        batch,
        to,
        order,
        regions,
        probabilities,
        seed,
    } = setting;
    let number = |at: usize| {
        let mixed = (at as u32).wrapping_mul(2_654_435_761).wrapping_add(seed).wrapping_mul(2_246_822_519);
        (mixed >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let tiles = TileGrid::new(image, patch, 0.5).unwrap();
    let shape = (channels, image[0], image[1], image[2]);
    let mut at = 0;
    let image = Array4::from_shape_simple_fn(shape, || {
        at += 1;
        number(at) * 30.0
    });
    let window = Array3::from_shape_simple_fn(patch, || {
        at += 1;
        f16::from_f32(number(at).abs() + 0.01).to_f32()
    });
    let mirror: Vec<usize> = (0..3).filter(|axis| mirrored >> axis & 1 == 1).collect();
    let fill = if edge { Fill::Edge } else { Fill::Constant(-2.5) };
    let decision = match regions {
        true => Decision::Regions {
            regions: (0..channels).map(|class| Region { class, label: 3 + class as u16 }).collect(),
            threshold: 0.5,
            at_half: edge,
        },
        false => Decision::Highest,
    };
    let back = match (probabilities, order) {
        (true, _) => RestoreMode::Probabilities,
        (false, 0) => RestoreMode::Labels,
        (false, _) => RestoreMode::Scores,
    };
    let recipe = recipe(patch, order, decision, back).unwrap();
    // Labels that are brought back later are decided on the image's own grid.
    let to = if back == RestoreMode::Labels { tiles.image() } else { to };
    let case = Case {
        image: &image,
        tiles: &tiles,
        window: window.view(),
        fill,
        mirror: &mirror,
        folds,
        batch,
        recipe: &recipe,
        to,
    };
    [compare::<f16>(backend, &case).unwrap(), compare::<f32>(backend, &case).unwrap()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn kernels_give_the_bytes_of_the_host(setting in settings()) {
        prop_assert_eq!(agrees(host(), setting), [true; 2]);
    }

    #[test]
    fn kernels_on_a_gpu_give_the_bytes_of_the_host(setting in settings()) {
        if let Some(backend) = gpu() {
            prop_assert_eq!(agrees(backend, setting), [true; 2]);
        }
    }
}

/// Vulkan promises neither: quotients are corrected, and halves rounded by whole numbers.
#[test]
fn quotients_and_halves_on_a_gpu_are_the_hosts() {
    let Some(backend) = gpu() else { return };
    const COUNT: usize = 1 << 20;
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    // Mantissas of all kinds, exponents from 2^-40 to 2^40.
    let mut single = || f32::from_bits((random() % 80 + 87) << 23 | random() >> 1);
    let (sums, weights): (Vec<f32>, Vec<f32>) = (0..COUNT).map(|_| (single(), single())).unzip();
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>();
    let found = means(backend, Kernel::MeanSingle, [&bytes(&sums), &bytes(&weights)], COUNT);
    for (at, four) in found.as_chunks().0.iter().enumerate() {
        let (found, expected) = (f32::from_ne_bytes(*four), sums[at] / weights[at]);
        assert_eq!(found.to_bits(), expected.to_bits(), "{} / {}", sums[at], weights[at]);
    }
    // Every half by halves of all kinds, the smallest ones too.
    let sums: Vec<f16> = (0..COUNT).map(|at| f16::from_bits(at as u16)).collect();
    let weights: Vec<f16> = (0..COUNT).map(|_| f16::from_bits((random() % 0x7bff + 1) as u16)).collect();
    let bytes = |values: &[f16]| values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>();
    let found = means(backend, Kernel::MeanHalf, [&bytes(&sums), &bytes(&weights)], COUNT);
    for (at, two) in found.as_chunks().0.iter().enumerate() {
        let (found, expected) =
            (f16::from_ne_bytes(*two), f16::from_f32(sums[at].to_f32() / weights[at].to_f32()));
        let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
        assert!(same, "{} / {}: {found}, not {expected}", sums[at], weights[at]);
    }
}

/// The means of one plane of one class.
fn means(backend: &Arc<dyn Backend>, kernel: Kernel, [sums, weights]: [&[u8]; 2], count: usize) -> Vec<u8> {
    let array = |bytes: &[u8]| {
        let address = backend.allocate(bytes.len()).unwrap();
        backend.upload(address, bytes).unwrap();
        address
    };
    let (sums, weights, out, counter) = (array(sums), array(weights), array(sums), array(&[0; 8]));
    let to = Averaged { first: 0, count: 1, ring: 1, to: 0, fold: 0, folds: 1 };
    let given = arguments![sums, weights, out, count as i64, 1_i32, 1_i32, to, counter];
    backend.launch(kernel, Work { lines: 1, voxels: count }, given).unwrap();
    let mut found = vec![0; count * if kernel == Kernel::MeanHalf { 2 } else { 4 }];
    backend.download(out, &mut found).unwrap();
    [sums, weights, out, counter].into_iter().for_each(|address| backend.free(address));
    found
}

/// `cargo xtask ptx` writes the source's checksum into what it compiles.
#[test]
fn ptx_is_of_this_source() {
    let digest = Sha256::digest(include_bytes!("kernels.cu"));
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let first = include_str!("kernels.ptx").lines().next().unwrap();
    assert!(first.ends_with(&digest), "kernels.ptx is stale: run `cargo xtask ptx`");
    for kernel in Kernel::ALL {
        let entry = format!(".entry {}(", kernel.symbol().to_str().unwrap());
        assert!(include_str!("kernels.ptx").contains(&entry), "{entry}");
    }
}
