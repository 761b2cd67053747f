//! A session with nnInteractive's network: what it holds beside the mask.

use ndarray::Array4;

use super::image;
use super::painted::Prompts;
use super::region::{Placed, Region};
use crate::error::Result;
use crate::inference::Plan;
use crate::recipe::Painting;
use crate::volume::Volume;

pub(super) struct PaintingState {
    pub painting: Painting,
    pub image: Array4<f32>,
    pub prompts: Prompts,
    /// The mask that the network goes on from.
    pub previous: Placed,
}

impl PaintingState {
    pub fn new(painting: Painting, plan: &Plan, volume: &Volume, extent: Region) -> Result<Self> {
        Ok(PaintingState {
            image: image::image(volume, plan.threads)?,
            prompts: Prompts::new(&painting)?,
            previous: Placed::empty(extent)?,
            painting,
        })
    }
}
