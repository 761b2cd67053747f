//! A session with a network that sees clicks for each label in channels of its image: DeepEdit's. The image is prepared
//! once; each run paints all clicks so far and segments the whole volume.

use ndarray::{Axis, s};

use super::region::{Placed, Region};
use super::{Event, Prompt};
use crate::buffer;
use crate::error::{Error, Result};
use crate::inference::{Plan, RunReport, Turn};
use crate::labels::LabelBuffer;
use crate::preprocess::monai::clicks::{paint, place};
use crate::preprocess::{Prepared, preprocess};
use crate::progress::Run;
use crate::volume::{DType, Geometry, Layout, Volume};

pub(super) struct Clicks {
    /// The labels, in the order of their channels, which are the image's last ones.
    pub labels: Vec<u16>,
    /// With channels of zeros.
    pub prepared: Prepared,
}

impl Clicks {
    pub fn new(labels: Vec<u16>, plan: &Plan, volume: &Volume, run: &mut Run) -> Result<Self> {
        if plan.largest_label > u32::from(u8::MAX) {
            return Err(Error::unsupported(format!("a session with labels up to {}", plan.largest_label)));
        }
        let prepared = preprocess(volume, None, &plan.recipe, plan.threads, run)?;
        Ok(Clicks { labels, prepared })
    }

    /// The labels of the whole volume, by the clicks among what the session was told.
    pub fn answer(
        &self,
        plan: &Plan,
        geometry: &Geometry,
        events: &[Event],
        turn: &mut Turn,
        run: &mut Run,
    ) -> Result<(Placed, RunReport)> {
        let mut image = buffer::copy("the network's image", &self.prepared.image.view())?;
        let (all, planes, rows, columns) = image.dim();
        let first = all.saturating_sub(self.labels.len());
        let mut channels = image.slice_mut(s![first.., .., .., ..]);
        for (mut channel, &label) in channels.axis_iter_mut(Axis(0)).zip(&self.labels) {
            let points = events.iter().filter_map(|event| match event {
                Event::Prompt(Prompt::Point { at, label: of }) if *of == u32::from(label) => Some(*at),
                _ => None,
            });
            let voxel = |at: [f64; 3]| at.map(|place| place.round_ties_even() as usize);
            let there = |at| place(&self.prepared.trace, [planes, rows, columns], voxel(at));
            let clicks = buffer::collect("clicks", points.map(there))?;
            paint(channel.view_mut(), &clicks, plan.threads)?;
        }
        let [x, y, z] = geometry.shape;
        let mut found = Placed::empty(Region::of_shape([z, y, x]))?;
        let bytes = found.values.as_slice_mut().unwrap_or_default();
        let layout = Layout::dense(geometry.shape, DType::U8);
        let mut labels = LabelBuffer::new(geometry, DType::U8, layout, bytes)?;
        let prepared = Prepared { image, trace: self.prepared.trace.clone() };
        let report = plan.segment_prepared(turn, prepared, geometry, &mut labels, run)?;
        Ok((found, report))
    }
}
