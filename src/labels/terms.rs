//! Coded terms that say what a label is, as DICOM segmentations carry them.

/// A code of a coding scheme, with its meaning in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The coding scheme: `SCT` for SNOMED CT.
    pub scheme: String,
    /// The code.
    pub code: String,
    /// What it means.
    pub meaning: String,
}

/// The terms of a label, by DICOM's attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Segmented Property Category.
    pub category: Option<Term>,
    /// Segmented Property Type.
    pub property: Option<Term>,
    /// Segmented Property Type Modifier: the side, for example.
    pub modifier: Option<Term>,
    /// Anatomic Region.
    pub region: Option<Term>,
    /// Anatomic Region Modifier.
    pub region_modifier: Option<Term>,
}

impl Terms {
    /// All of them, in DICOM's order.
    pub fn all(&self) -> [Option<&Term>; 5] {
        [&self.category, &self.property, &self.modifier, &self.region, &self.region_modifier]
            .map(Option::as_ref)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all().iter().all(Option::is_none)
    }
}
