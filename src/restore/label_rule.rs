//! MONAI's transforms of label maps, as a model's recipe names them.

use ndarray::Array3;

use crate::error::Result;
use crate::recipe::LabelRule;

impl LabelRule {
    /// Refuses values that mean nothing.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`], which names the field.
    pub fn check(&self) -> Result<()> {
        match self {
            LabelRule::Largest(rule) => rule.check(),
            LabelRule::RemoveSmall(rule) => rule.check(),
            LabelRule::FillHoles(rule) => rule.check(),
            LabelRule::Filter(_) | LabelRule::Map(_) => Ok(()),
        }
    }

    /// Bytes that [`LabelRule::apply`] needs for labels of this shape, beside the labels.
    pub fn bytes(&self, shape: [usize; 3]) -> u64 {
        match self {
            LabelRule::Largest(rule) => rule.bytes(shape),
            LabelRule::RemoveSmall(rule) => rule.bytes(shape),
            LabelRule::FillHoles(rule) => rule.bytes(shape),
            LabelRule::Filter(_) | LabelRule::Map(_) => 0,
        }
    }

    /// Applies the rule to labels of less than 2^32 voxels, each of `voxel_volume` cubic millimetres.
    ///
    /// # Errors
    /// As [`LabelRule::check`]; [`crate::Error::OutOfMemory`].
    pub fn apply(&self, labels: &mut Array3<u16>, voxel_volume: f64) -> Result<()> {
        match self {
            LabelRule::Largest(rule) => rule.apply(labels),
            LabelRule::RemoveSmall(rule) => rule.apply(labels, voxel_volume),
            LabelRule::FillHoles(rule) => rule.apply(labels),
            LabelRule::Filter(_) | LabelRule::Map(_) => {
                labels.mapv_inplace(|label| self.renamed(label));
                Ok(())
            }
        }
    }

    /// What becomes of a label wherever it is; itself where only its surroundings matter.
    pub fn renamed(&self, label: u16) -> u16 {
        match self {
            LabelRule::Filter(kept) => {
                if kept.contains(&label) {
                    label
                } else {
                    0
                }
            }
            LabelRule::Map(pairs) => {
                // Later pairs of one label win, as MONAI writes one after the other.
                pairs.iter().rev().find(|(from, _)| *from == label).map_or(label, |&(_, to)| to)
            }
            _ => label,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(rule: LabelRule, labels: [u16; 6]) -> Vec<u16> {
        let mut labels = Array3::from_shape_vec((1, 1, 6), labels.to_vec()).unwrap();
        rule.apply(&mut labels, 1.0).unwrap();
        labels.into_raw_vec_and_offset().0
    }

    #[test]
    fn labels_are_filtered_and_mapped_at_once() {
        assert_eq!(applied(LabelRule::Filter(vec![3, 1]), [0, 1, 2, 3, 4, 1]), [0, 1, 0, 3, 0, 1]);
        // monai.transforms.MapLabelValue([1, 2, 3], [2, 1, 0]), MONAI 1.6.1
        let swap = LabelRule::Map(vec![(1, 2), (2, 1), (3, 0)]);
        assert_eq!(applied(swap, [0, 1, 2, 3, 4, 1]), [0, 2, 1, 0, 4, 2]);
    }
}
