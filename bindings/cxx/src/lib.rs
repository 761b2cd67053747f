//! voxseg for C++ programs that compile Rust themselves and link it statically, through [cxx](https://cxx.rs).
//!
//! The bridge follows one compiler and one version of cxx: what is shipped as a binary is the C interface and
//! `voxseg.hpp`. In return nothing is between the caller and the crate: slices, strings and errors are checked types on
//! both sides, and the linker sees through all of it.
//!
//! Failures arrive in C++ as `rust::Error`. A `Model` serves any thread, a `Plan` one call at a time.

use voxseg::inference::PlanOptions;
use voxseg::labels::LabelBuffer;
use voxseg::model::ModelOptions;
use voxseg::progress::Run;
use voxseg::volume::{DType, Geometry, Layout, Volume};
use zerocopy::{Immutable, IntoBytes};

// What cxx generates names types by their full paths.
#[allow(unused_qualifications)]
#[cxx::bridge(namespace = "voxseg_rs")]
mod bridge {
    /// The grid of a volume, axis 0 fastest; millimetres, LPS. Column a of the row-major `direction` is axis a.
    struct Grid {
        shape: [usize; 3],
        spacing: [f64; 3],
        origin: [f64; 3],
        direction: [f64; 9],
    }

    /// One label of a model; its colour is 0x00RRGGBB.
    struct Label {
        value: u32,
        name: String,
        color: u32,
    }

    /// What a run did.
    struct Report {
        tiles: usize,
        voxels: usize,
        near_ties: usize,
        total_seconds: f64,
    }

    unsafe extern "C++" {
        include!("voxseg-cxx/include/progress.hpp");
        type Progress;
        fn go_on(self: Pin<&mut Progress>, fraction: f64) -> Result<bool>;
    }

    extern "Rust" {
        type Model;
        /// Opens a model folder, an archive or a file of weights.
        fn open_model(path: &str) -> Result<Box<Model>>;
        fn name(self: &Model) -> &str;
        fn identity(self: &Model) -> &str;
        fn labels(self: &Model) -> Vec<Label>;
        /// Makes it ready to run on the CPU; 0 threads are all processors.
        fn plan(self: &Model, threads: usize) -> Result<Box<Plan>>;

        type Plan;
        /// Segments a dense volume into one byte a voxel; `labels` stays untouched when this throws.
        fn segment_i16(
            self: &mut Plan,
            voxels: &[i16],
            grid: &Grid,
            labels: &mut [u8],
            progress: Pin<&mut Progress>,
        ) -> Result<Report>;
        /// As `segment_i16`.
        fn segment_f32(
            self: &mut Plan,
            voxels: &[f32],
            grid: &Grid,
            labels: &mut [u8],
            progress: Pin<&mut Progress>,
        ) -> Result<Report>;
    }
}

use bridge::{Grid, Label, Progress, Report};

/// A published model.
pub struct Model(voxseg::model::Model);

/// A model on a device.
pub struct Plan(voxseg::inference::Plan);

fn open_model(path: &str) -> voxseg::Result<Box<Model>> {
    voxseg::model::Model::open(path.as_ref(), &ModelOptions::default()).map(|model| Box::new(Model(model)))
}

impl Model {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn identity(&self) -> &str {
        self.0.identity()
    }

    fn labels(&self) -> Vec<Label> {
        let label = |label: &voxseg::labels::Label| {
            let [red, green, blue] = label.color;
            Label {
                value: label.value,
                name: label.name.clone(),
                color: u32::from_be_bytes([0, red, green, blue]),
            }
        };
        self.0.labels().iter().map(label).collect()
    }

    fn plan(&self, threads: usize) -> voxseg::Result<Box<Plan>> {
        let options = PlanOptions { threads, ..PlanOptions::default() };
        voxseg::inference::Plan::new(&self.0, &options).map(|plan| Box::new(Plan(plan)))
    }
}

type Pinned<'a> = std::pin::Pin<&'a mut Progress>;
type Outcome = Result<Report, Box<dyn std::error::Error>>;

impl Plan {
    fn segment_i16(&mut self, voxels: &[i16], grid: &Grid, labels: &mut [u8], progress: Pinned) -> Outcome {
        self.segment(voxels, DType::I16, grid, labels, progress)
    }

    fn segment_f32(&mut self, voxels: &[f32], grid: &Grid, labels: &mut [u8], progress: Pinned) -> Outcome {
        self.segment(voxels, DType::F32, grid, labels, progress)
    }

    fn segment<Voxel: IntoBytes + Immutable>(
        &mut self,
        voxels: &[Voxel],
        dtype: DType,
        grid: &Grid,
        labels: &mut [u8],
        mut progress: Pinned,
    ) -> Outcome {
        let rows = grid.direction;
        let geometry = Geometry {
            shape: grid.shape,
            spacing: grid.spacing,
            origin: grid.origin,
            direction: [0, 3, 6].map(|row| [rows[row], rows[row + 1], rows[row + 2]]),
        };
        let volume =
            Volume::new(geometry.clone(), dtype, Layout::dense(grid.shape, dtype), vec![voxels.as_bytes()])?;
        let mut labels =
            LabelBuffer::new(&geometry, DType::U8, Layout::dense(grid.shape, DType::U8), labels)?;
        let mut thrown = None;
        let mut run = Run::default().with_progress(|now| {
            progress.as_mut().go_on(now.fraction).unwrap_or_else(|exception| {
                thrown = Some(exception);
                false
            })
        });
        let outcome = self.0.segment(&volume, &mut labels, &mut [], &mut run);
        drop(run);
        if let Some(exception) = thrown {
            return Err(exception.into());
        }
        let report = outcome?;
        Ok(Report {
            tiles: report.tiles,
            voxels: report.voxels,
            near_ties: report.near_ties,
            total_seconds: report.total_seconds,
        })
    }
}
