//! What goes wrong on a device: typed errors, and the next plan works again.

use ash::vk;

use super::super::vulkan::injected;
use super::*;
use crate::error::Error;
use crate::progress::Cancel;

fn network() -> Arc<Network> {
    let mut builder = Builder::new(1);
    let first = builder.block(0, 16, [3; 3], [1; 3]);
    builder.conv(first, 2, [1; 3], [1; 3]);
    Arc::new(builder.network)
}

const TILE: [usize; 3] = [5, 6, 7];

/// Makes a plan's engine and runs it.
fn whole(network: &Arc<Network>, input: &[f32]) -> Result<Vec<f32>> {
    let mut output = scores(network, TILE);
    engine(network, TILE, true)?.run(&mut Workspace::default(), input, &mut output)?;
    Ok(output)
}

#[test]
fn every_call_may_fail() {
    if gpu().is_none() {
        return;
    }
    let network = network();
    let input = image(&network, TILE);
    let good = whole(&network, &input).unwrap();
    for answer in [
        vk::Result::ERROR_DEVICE_LOST,
        vk::Result::ERROR_OUT_OF_DEVICE_MEMORY,
        vk::Result::ERROR_INITIALIZATION_FAILED,
    ] {
        let mut calls = 0;
        loop {
            let (result, injected) = injected::with(calls, answer, || whole(&network, &input));
            if !injected {
                assert_eq!(result.unwrap(), good);
                break;
            }
            let failure = result.expect_err("a call has failed");
            let fits = match answer {
                vk::Result::ERROR_DEVICE_LOST => matches!(failure, Error::DeviceLost { .. }),
                vk::Result::ERROR_OUT_OF_DEVICE_MEMORY => {
                    matches!(failure, Error::MemoryBudget { .. } | Error::OutOfMemory { .. })
                }
                _ => matches!(failure, Error::Device { .. }),
            };
            assert!(fits, "call {calls}, {answer:?}: {failure}");
            calls += 1;
        }
        assert!(calls > 20, "{calls} calls");
    }
    assert_eq!(whole(&network, &input).unwrap(), good);
}

#[test]
fn a_run_ends_early_and_the_next_one_is_whole() {
    if gpu().is_none() {
        return;
    }
    let network = network();
    let input = image(&network, TILE);
    let engine = engine(&network, TILE, true).unwrap();
    let mut good = scores(&network, TILE);
    engine.run(&mut Workspace::default(), &input, &mut good).unwrap();
    for questions in 0..3 {
        let asked = std::cell::Cell::new(0);
        let check = || {
            asked.set(asked.get() + 1);
            if asked.get() > questions { Err(Error::Cancelled) } else { Ok(()) }
        };
        let mut output = scores(&network, TILE);
        match engine.run_checked(&mut Workspace::default(), &input, &mut output, &check) {
            Err(Error::Cancelled) => assert!(output.iter().all(|score| score.is_nan())),
            Ok(()) => assert!(asked.get() <= questions),
            Err(other) => panic!("{other}"),
        }
        engine.run(&mut Workspace::default(), &input, &mut output).unwrap();
        assert_eq!(output, good);
    }
    let (cancel, mut workspace) = (Cancel::new(), Workspace::default());
    workspace.stop_by(&cancel);
    engine.run(&mut workspace, &input, &mut good).unwrap();
    cancel.request();
    let stopped = engine.run(&mut workspace, &input, &mut good);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}

#[test]
fn too_little_memory_is_told_before_anything_is_made() {
    if gpu().is_none() {
        return;
    }
    let arena = Arena::default();
    let settings =
        Settings { half: true, strict: false, taken: 50, budget: Some(1000), arena: &arena, cache: None };
    match GpuEngine::new(0, &network(), TILE, settings).err() {
        Some(Error::MemoryBudget { budget: 1000, needed }) => assert!(needed > 1000),
        other => panic!("{:?}", other.map(|error| error.to_string())),
    }
}

#[test]
fn a_device_that_isnt_there() {
    let refused = Gpu::open(1000).err().expect("nobody has so many");
    assert!(matches!(refused, Error::Device { .. }), "{refused}");
}

#[test]
fn tiles_of_other_sizes_are_refused() {
    if gpu().is_none() {
        return;
    }
    let engine = engine(&network(), TILE, true).unwrap();
    let refused = engine.run(&mut Workspace::default(), &[0.0; 3], &mut [0.0; 4]).unwrap_err();
    assert!(matches!(refused, Error::InvalidArgument { .. }), "{refused}");
}

#[test]
fn plans_share_a_device_from_several_threads() {
    if gpu().is_none() {
        return;
    }
    let network = network();
    let input = image(&network, TILE);
    let good = whole(&network, &input).unwrap();
    std::thread::scope(|scope| {
        let run = || (0..3).for_each(|_| assert_eq!(whole(&network, &input).unwrap(), good));
        for _ in 0..3 {
            scope.spawn(run);
        }
    });
}
