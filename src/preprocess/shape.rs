//! The grids that a recipe's steps make of a volume's grid, before any voxel is read.

use super::monai::Grid;
use crate::error::Result;
use crate::recipe::{Recipe, Step};
use crate::volume::Geometry;

impl Recipe {
    /// A volume's grid along the network's axes, as MONAI's steps begin with it.
    pub fn grid(&self, geometry: &Geometry) -> Grid {
        let orthogonal =
            self.steps.iter().any(|step| matches!(step, Step::Space(spacing) if spacing.orthogonal));
        let grid =
            if orthogonal { Grid::new(&geometry.clone().orthogonalized()) } else { Grid::new(geometry) };
        grid.turned(&self.axes(geometry))
    }

    /// The shape of the network's image for a volume on this grid, where nothing is cut off.
    ///
    /// # Errors
    /// [`crate::Error::Geometry`] for a grid that a step can't change.
    pub fn network_shape(&self, geometry: &Geometry) -> Result<[usize; 3]> {
        let mut grid = self.grid(geometry);
        let mut axes = self.axes(geometry);
        for step in &self.steps {
            let turned = step.axes(axes, geometry);
            grid = grid.turned(&axes.turn_to(&turned));
            axes = turned;
            match step {
                Step::Resample(resample) => {
                    grid.shape = resample.shape(grid.shape, self.axes(geometry).apply(geometry.spacing));
                }
                Step::Space(spacing) => grid = spacing.forward(&grid)?.grid,
                Step::Frame { frame, .. } => grid = grid.cut(&frame.window(grid.shape)),
                Step::Resize(resize) => grid = grid.resized(resize.shape(grid.shape)),
                _ => {}
            }
        }
        Ok(grid.shape)
    }
}
