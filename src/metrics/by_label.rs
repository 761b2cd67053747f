//! One value for each label that occurs, found fast for the small labels that models have.

use std::collections::BTreeMap;

use crate::buffer;
use crate::error::Result;

/// Labels from here on are looked up in a tree.
const FAR: u32 = 1 << 12;

/// Values by label.
pub(super) struct ByLabel<V> {
    values: Vec<(u32, V)>,
    /// The index of a label's value plus one; 0 for none.
    near: Vec<usize>,
    far: BTreeMap<u32, usize>,
}

impl<V: Default> ByLabel<V> {
    pub(super) fn new() -> Self {
        ByLabel { values: Vec::new(), near: vec![0; FAR as usize], far: BTreeMap::new() }
    }

    /// A label's value, the default one at first.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    #[inline]
    pub(super) fn of(&mut self, label: u32) -> Result<&mut V> {
        let place = match self.near.get_mut(label as usize) {
            Some(place) => place,
            None => self.far.entry(label).or_insert(0),
        };
        if *place == 0 {
            buffer::push(&mut self.values, "what is known of labels", (label, V::default()))?;
            *place = self.values.len();
        }
        Ok(&mut self.values[*place - 1].1)
    }
}

impl<V> IntoIterator for ByLabel<V> {
    type Item = (u32, V);
    type IntoIter = std::vec::IntoIter<(u32, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.into_iter()
    }
}
