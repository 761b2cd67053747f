//! Which label of one model means the same as which label of another.

use std::collections::BTreeMap;

use super::compare::Pair;
use crate::labels::Label;
use crate::labels::{Term, Terms};

/// Labels of the same name: case doesn't matter, and spaces, hyphens and underscores are the same. A name that
/// stands twice in a table is left out, as is the background.
pub fn pairs_by_name(first: &[Label], second: &[Label]) -> Vec<Pair> {
    pairs_by(first, second, |label| Some(label.name.trim().to_lowercase().replace(['-', '_'], " ")))
}

/// Labels of the same property type and modifier, by scheme and code. Terms that stand twice in a table are left
/// out, as is the background.
pub fn pairs_by_terms(first: &[Label], second: &[Label]) -> Vec<Pair> {
    let code = |term: &Term| (term.scheme.clone(), term.code.clone());
    pairs_by(first, second, |Label { terms: Terms { property, modifier, .. }, .. }| {
        Some((code(property.as_ref()?), modifier.as_ref().map(code)))
    })
}

fn pairs_by<K: Ord>(first: &[Label], second: &[Label], key: impl Fn(&Label) -> Option<K>) -> Vec<Pair> {
    let keys = |labels: &[Label]| -> Vec<(u32, K)> {
        let foreground = labels.iter().filter(|label| label.value != 0);
        foreground.filter_map(|label| Some((label.value, key(label)?))).collect()
    };
    let (first, second) = (keys(first), keys(second));
    let (in_first, in_second) = (single(&first), single(&second));
    let only = |labels: &BTreeMap<&K, Option<u32>>, key: &K| labels.get(key).copied().flatten();
    let pair =
        |(_, key): &(u32, K)| Some(Pair { first: only(&in_first, key)?, second: only(&in_second, key)? });
    first.iter().filter_map(pair).collect()
}

/// The value of each key; none for one that stands there twice.
fn single<K: Ord>(labels: &[(u32, K)]) -> BTreeMap<&K, Option<u32>> {
    let mut values = BTreeMap::new();
    for (value, key) in labels {
        values.entry(key).and_modify(|value| *value = None).or_insert(Some(*value));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(value: u32, name: &str, codes: Option<(&str, &str)>) -> Label {
        let term = |code: &str| Term { scheme: "SCT".into(), code: code.into(), meaning: name.into() };
        let terms = codes.map_or(Terms::default(), |(property, modifier)| Terms {
            property: Some(term(property)),
            modifier: (!modifier.is_empty()).then(|| term(modifier)),
            ..Terms::default()
        });
        Label { value, name: name.into(), color: [0; 3], terms }
    }

    #[test]
    fn names_match_whatever_joins_their_words() {
        let first = [label(0, "background", None), label(2, "kidney_left", None), label(3, "spleen", None)];
        let second = [label(0, "background", None), label(7, "Kidney Left", None), label(8, "liver", None)];
        assert_eq!(pairs_by_name(&first, &second), [Pair { first: 2, second: 7 }]);
    }

    #[test]
    fn terms_match_with_their_side() {
        let first = [
            label(1, "right", Some(("64033007", "24028007"))),
            label(2, "left", Some(("64033007", "7771000"))),
            label(3, "spleen", Some(("78961009", ""))),
            label(4, "no terms", None),
        ];
        let second = [
            label(5, "Milz", Some(("78961009", ""))),
            label(6, "linke Niere", Some(("64033007", "7771000"))),
            label(7, "Niere", Some(("64033007", ""))),
            label(8, "no terms", None),
        ];
        let expected = [Pair { first: 2, second: 6 }, Pair { first: 3, second: 5 }];
        assert_eq!(pairs_by_terms(&first, &second), expected);
    }

    #[test]
    fn what_is_there_twice_has_no_pair() {
        let twice = [label(1, "rib", None), label(2, "Rib", None)];
        assert_eq!(pairs_by_name(&twice, &twice[..1]), []);
        assert_eq!(pairs_by_name(&twice[..1], &twice), []);
    }

    #[test]
    fn tables_of_all_labels_match_at_once() {
        let table: Vec<Label> =
            (0..=65_535).map(|value| label(value, &format!("part {value}"), None)).collect();
        let started = std::time::Instant::now();
        assert_eq!(pairs_by_name(&table, &table).len(), 65_535);
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}
