//! Tiles on their way through a network: while a device computes one, the host cuts the next and blends the one
//! before. On the host's own processors there is nothing to gain by that, so there one step follows the other.

use std::sync::mpsc::{channel, sync_channel};
use std::time::Instant;

use crate::buffer;
use crate::error::{Error, Result};
use crate::threads;
use crate::tiling::Mirrored;

/// Tiles that are in flight at once.
const IN_FLIGHT: usize = 2;

/// Buffers of one tile.
struct Slot {
    input: Vec<f32>,
    scores: Vec<f32>,
}

/// Computes the scores of a tile, or of several at once.
type Network<'a> = &'a mut (dyn FnMut(&[f32], &mut [f32]) -> Result<()> + Send);

/// The buffers that tiles travel in, and how long that took.
pub(super) struct Pipeline {
    mirrored: Mirrored,
    slots: Vec<Slot>,
    /// Seconds that the network took, or that were spent waiting for it.
    pub network_seconds: f64,
    /// Seconds spent on cutting and blending.
    pub around_seconds: f64,
}

impl Pipeline {
    /// For tiles, one or several at once, of `input` numbers and `scores` numbers of their scores.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(super) fn new(mirrored: Mirrored, input: usize, scores: usize, overlapped: bool) -> Result<Self> {
        let slot = |scores: usize| {
            Ok(Slot {
                input: buffer::zeroed("a tile of the image", input)?,
                scores: buffer::zeroed("a tile's scores", scores)?,
            })
        };
        let (count, scores) = if overlapped { (IN_FLIGHT, scores) } else { (1, 0) };
        let slots = (0..count).map(|_| slot(scores)).collect::<Result<_>>()?;
        Ok(Pipeline { mirrored, slots, network_seconds: 0.0, around_seconds: 0.0 })
    }

    /// Bytes of its buffers.
    pub(super) fn bytes(input: u64, scores: u64, overlapped: bool, mirrored: bool) -> u64 {
        let in_flight = if overlapped { IN_FLIGHT as u64 } else { 0 };
        4 * (in_flight + if mirrored { 2 } else { 1 }) * (input + scores)
    }

    /// Runs `count` tiles: `cut` fills the input of each, `blend` gets its scores; each in the order of the tiles, on
    /// the calling thread.
    ///
    /// # Errors
    /// The first of `cut` or of the network; tiles in flight are waited for.
    pub(super) fn run(
        &mut self,
        network: Network,
        count: usize,
        mut cut: impl FnMut(usize, &mut [f32]) -> Result<()>,
        mut blend: impl FnMut(usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        if self.slots.len() > 1
            && let Some(outcome) = self.overlapped(network, count, &mut cut, &mut blend)
        {
            return outcome;
        }
        self.one_by_one(network, count, cut, blend)
    }

    fn one_by_one(
        &mut self,
        network: Network,
        count: usize,
        mut cut: impl FnMut(usize, &mut [f32]) -> Result<()>,
        mut blend: impl FnMut(usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let mut last = Instant::now();
        for tile in 0..count {
            let input = &mut self.slots[0].input;
            cut(tile, input)?;
            self.around_seconds += lap(&mut last);
            let scores = self.mirrored.run(input, &mut *network)?;
            self.network_seconds += lap(&mut last);
            blend(tile, scores)?;
            self.around_seconds += lap(&mut last);
        }
        Ok(())
    }

    /// `None`, with nothing done, where there is no thread for it.
    fn overlapped(
        &mut self,
        network: Network,
        count: usize,
        mut cut: impl FnMut(usize, &mut [f32]) -> Result<()>,
        mut blend: impl FnMut(usize, &[f32]) -> Result<()>,
    ) -> Option<Result<()>> {
        let Pipeline { mirrored, slots, network_seconds, around_seconds } = self;
        let slot_count = slots.len();
        std::thread::scope(|scope| {
            let (to_network, tiles) = sync_channel::<Slot>(IN_FLIGHT);
            let (done, from_network) = channel::<(Slot, Result<()>)>();
            threads::spawn(scope, move || {
                for mut slot in tiles {
                    let outcome = mirrored.run(&mut slot.input, &mut *network);
                    let outcome = outcome.map(|_| ());
                    mirrored.swap_scores(&mut slot.scores);
                    if done.send((slot, outcome)).is_err() {
                        return;
                    }
                }
            })?;
            let gone =
                || Error::Runtime { action: "run the network".into(), reason: "its thread ended".into() };
            let (mut sent, mut blended, mut outcome) = (0, 0, Ok(()));
            let mut last = Instant::now();
            while blended < count && outcome.is_ok() {
                while sent < count
                    && outcome.is_ok()
                    && let Some(mut slot) = slots.pop()
                {
                    outcome = cut(sent, &mut slot.input);
                    match &outcome {
                        Ok(()) => outcome = to_network.send(slot).map_err(|_| gone()),
                        Err(_) => slots.push(slot),
                    }
                    sent += usize::from(outcome.is_ok());
                }
                *around_seconds += lap(&mut last);
                if outcome.is_err() {
                    break;
                }
                let Ok((slot, computed)) = from_network.recv() else {
                    outcome = Err(gone());
                    break;
                };
                *network_seconds += lap(&mut last);
                outcome = computed.and_then(|()| blend(blended, &slot.scores));
                blended += usize::from(outcome.is_ok());
                slots.push(slot);
                *around_seconds += lap(&mut last);
            }
            drop(to_network);
            // After an error the buffers of tiles in flight come back too.
            slots.extend(from_network.iter().map(|(slot, _)| slot));
            debug_assert!(slots.len() == slot_count || outcome.is_err());
            Some(outcome)
        })
    }
}

pub(super) fn lap(last: &mut Instant) -> f64 {
    std::mem::replace(last, Instant::now()).elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: [usize; 3] = [2, 2, 2];

    /// Runs tiles of which number `n` is filled with n; returns what was blended, in order, and the outcome.
    fn run(overlapped: bool, count: usize, fail_cut: usize, fail_run: usize) -> (Vec<f32>, Result<()>) {
        let mut runs = 0;
        let mut network = |input: &[f32], output: &mut [f32]| {
            runs += 1;
            if runs > fail_run {
                return Err(Error::Busy);
            }
            output.iter_mut().zip(input).for_each(|(out, value)| *out = value * 2.0 + 1.0);
            Ok(())
        };
        let mirrored = Mirrored::new(PATCH, &[], 8).unwrap();
        let mut pipeline = Pipeline::new(mirrored, 8, 8, overlapped).unwrap();
        let mut blended = Vec::new();
        for _ in 0..2 {
            let cut = |tile: usize, input: &mut [f32]| {
                input.fill(tile as f32);
                if tile >= fail_cut { Err(Error::Cancelled) } else { Ok(()) }
            };
            let outcome = pipeline.run(&mut network, count, cut, |tile, scores| {
                assert!(scores.iter().all(|&score| score == tile as f32 * 2.0 + 1.0));
                blended.push(scores[0]);
                Ok(())
            });
            if outcome.is_err() {
                return (blended, outcome);
            }
        }
        (blended, Ok(()))
    }

    #[test]
    fn tiles_are_blended_in_order_whether_or_not_they_overlap() {
        for count in [0, 1, 2, 7] {
            let expected: Vec<f32> =
                (0..2).flat_map(|_| (0..count).map(|tile| tile as f32 * 2.0 + 1.0)).collect();
            for overlapped in [false, true] {
                let (blended, outcome) = run(overlapped, count, usize::MAX, usize::MAX);
                assert!(outcome.is_ok());
                assert_eq!(blended, expected);
            }
        }
    }

    #[test]
    fn without_a_further_thread_one_tile_follows_the_other() {
        let together = run(true, 7, usize::MAX, usize::MAX);
        let alone = threads::scarce::with(0, || run(true, 7, usize::MAX, usize::MAX));
        assert!(together.1.is_ok() && alone.1.is_ok());
        assert_eq!(together.0, alone.0);
        let (_, outcome) = threads::scarce::with(0, || run(true, 5, 2, usize::MAX));
        assert!(matches!(outcome, Err(Error::Cancelled)));
    }

    #[test]
    fn the_first_error_ends_the_run() {
        for overlapped in [false, true] {
            let (blended, outcome) = run(overlapped, 5, usize::MAX, 3);
            assert!(matches!(outcome, Err(Error::Busy)));
            assert_eq!(blended, [1.0, 3.0, 5.0]);
            let (blended, outcome) = run(overlapped, 5, 2, usize::MAX);
            assert!(matches!(outcome, Err(Error::Cancelled)));
            assert!(blended.len() <= 2);
        }
    }
}
