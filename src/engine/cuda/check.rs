//! Whether a machine's kernels give the bytes that the host's code gives: asked of every GPU before it is used, and of the
//! kernels compiled as C++ by the tests.

use std::sync::Arc;

use half::f16;
use ndarray::{Array3, Array4, ArrayView3};

use super::driver::Result;
use super::machine::Machine;
use super::resident::{Memory, Resident};
use crate::engine::{Engine, Job};
use crate::error::Error;
use crate::recipe::Fill;
use crate::tiling::{Blend, Mirrored, Score, TileGrid, cut};

/// One image and what is done with it.
pub(super) struct Case<'a> {
    pub image: &'a Array4<f32>,
    pub tiles: &'a TileGrid,
    pub window: ArrayView3<'a, f32>,
    pub fill: Fill,
    pub mirror: &'a [usize],
}

/// A small image with odd sizes, padded along one axis and mirrored along another.
pub(super) fn agrees_with_the_host(machine: &Arc<dyn Machine>) -> Result<()> {
    let image = Array4::from_shape_fn((2, 7, 5, 3), |(c, z, y, x)| {
        ((c * 105 + z * 15 + y * 3 + x) * 37 % 101) as f32 * 0.173 - 8.0
    });
    let tiles = TileGrid::new([7, 5, 3], [4, 3, 4], 0.5).map_err(|error| error.to_string())?;
    let window = Array3::from_shape_fn(tiles.patch(), |(z, y, x)| {
        f16::from_f32(0.1 + (z * 5 + y * 3 + x) as f32 * 0.07).to_f32()
    });
    let fill = Fill::Constant(0.25);
    let case = Case { image: &image, tiles: &tiles, window: window.view(), fill, mirror: &[2] };
    let same = compare::<f16>(machine, &case)? && compare::<f32>(machine, &case)?;
    if same { Ok(()) } else { Err("its kernels give other numbers than the host".into()) }
}

/// Whether both blend the same planes; the network's stand-in has one class more than the image has channels.
pub(super) fn compare<S: Score>(machine: &Arc<dyn Machine>, case: &Case) -> Result<bool> {
    let words = |error: Error| error.to_string();
    let (channels, classes) = (case.image.dim().0, case.image.dim().0 + 1);
    let patch = case.tiles.patch().iter().product::<usize>();
    let mut blend = Blend::<S>::new(classes, case.tiles, case.window, 1);
    let mut mirrored = Mirrored::new(case.tiles.patch(), case.mirror, classes * patch);
    let mut input = vec![0.0; channels * patch];
    let mut expected = Vec::new();
    for row in case.tiles.rows() {
        for &start in &row.tiles {
            cut(case.image.view(), case.tiles, start, case.fill, &mut input);
            let scores = mirrored.run(&mut input, |input, output| {
                stand_in(input, output);
                Ok(())
            });
            blend.add(start, scores.map_err(words)?);
        }
        expected.push(blend.take(row.finished).map_err(words)?);
    }

    let flips = Mirrored::flips(case.mirror);
    let job = Job {
        image: case.image,
        tiles: case.tiles,
        window: case.window,
        fill: case.fill,
        mirror: &flips,
        classes,
        half: S::HALF,
    };
    let mut engine = StandIn { machine: machine.clone(), sizes: [channels * patch, classes * patch] };
    let memory = Memory::new(machine, &job, true)?;
    let mut resident = Resident::new(memory, &mut engine, job);
    for (row, expected) in case.tiles.rows().zip(&expected) {
        for &start in &row.tiles {
            resident.tile(start).map_err(words)?;
        }
        let found = scores::<S>(&resident.take(row.finished).map_err(words)?);
        if !expected.iter().eq(&found) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A network's stand-in, which computes on the host whatever the machine is.
struct StandIn {
    machine: Arc<dyn Machine>,
    /// Numbers of the input and the output.
    sizes: [usize; 2],
}

fn stand_in(input: &[f32], output: &mut [f32]) {
    let length = output.len() as f32;
    for (at, out) in output.iter_mut().enumerate() {
        *out = input[at % input.len()] * (1.0 + at as f32 / length) - 0.3;
    }
}

impl Engine for StandIn {
    fn run(&mut self, input: &[f32], output: &mut [f32]) -> crate::error::Result<()> {
        stand_in(input, output);
        Ok(())
    }

    fn run_at(&mut self, from: u64, to: u64, single: bool) -> crate::error::Result<()> {
        let run = || -> Result<()> {
            let mut bytes = vec![0; self.sizes[0] * size_of::<f32>()];
            self.machine.download(from, &mut bytes)?;
            let input: Vec<f32> = bytes.as_chunks().0.iter().map(|&four| f32::from_ne_bytes(four)).collect();
            let mut output = vec![0.0; self.sizes[1]];
            stand_in(&input, &mut output);
            // An overflow that is noticed is run again and leaves no trace.
            if !single && input[0] > 0.0 {
                output[0] = f32::INFINITY;
            }
            let bytes: Vec<u8> = output.iter().flat_map(|value| value.to_ne_bytes()).collect();
            self.machine.upload(to, &bytes)
        };
        run().map_err(|reason| Error::Runtime { action: "check a device".into(), reason })
    }

    fn name(&self) -> String {
        "a stand-in".into()
    }

    fn workspace_bytes(&self) -> u64 {
        0
    }
}

/// Scores from the bytes that a device gave.
pub(crate) fn scores<S: Score>(bytes: &[u8]) -> Vec<S> {
    match S::HALF {
        true => {
            bytes.as_chunks().0.iter().map(|&two| S::from_f32(f16::from_ne_bytes(two).to_f32())).collect()
        }
        false => bytes.as_chunks().0.iter().map(|&four| S::from_f32(f32::from_ne_bytes(four))).collect(),
    }
}
