//! Label maps of different models are compared by what their labels mean: TotalSegmentator 1 and 2, its MR task,
//! MONAI's wholeBody_ct_segmentation and label files of Auto3DSeg models.

use voxseg::labels::{Label, label_table};
use voxseg::metrics::{CompareOptions, Pair, compare, pairs_by_name, pairs_by_terms};
use voxseg::model::task::Task;
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::volume::{DType, Geometry, Layout, Volume};

fn named(labels: &[Label], name: &str) -> u32 {
    labels.iter().find(|label| label.name == name).unwrap_or_else(|| panic!("no {name}")).value
}

/// Each pair's labels are the only ones of their names' meaning: the same structure of the same side.
fn assert_pairs(pairs: &[Pair], first: &[Label], second: &[Label], wanted: &[(&str, &str)]) {
    for &(a, b) in wanted {
        let pair = Pair { first: named(first, a), second: named(second, b) };
        assert!(pairs.contains(&pair), "{a} and {b} aren't paired");
    }
}

/// A table as Auto3DSeg models have it, with names of its own.
const AUTO3DSEG: &str = "\
LabelValue,Name,SegmentedPropertyCategoryCodeSequence.CodingSchemeDesignator,SegmentedPropertyCategoryCodeSequence.CodeValue,\
SegmentedPropertyCategoryCodeSequence.CodeMeaning,SegmentedPropertyTypeCodeSequence.CodingSchemeDesignator,\
SegmentedPropertyTypeCodeSequence.CodeValue,SegmentedPropertyTypeCodeSequence.CodeMeaning,\
SegmentedPropertyTypeModifierCodeSequence.CodingSchemeDesignator,SegmentedPropertyTypeModifierCodeSequence.CodeValue,\
SegmentedPropertyTypeModifierCodeSequence.CodeMeaning
1,Milz,SCT,123037004,Anatomical Structure,SCT,78961009,Spleen,,,
2,rechte Niere,SCT,123037004,Anatomical Structure,SCT,64033007,Kidney,SCT,24028007,Right
3,linke Niere,SCT,123037004,Anatomical Structure,SCT,64033007,Kidney,SCT,7771000,Left
9,Tumor,SCT,49755003,Morphologically Altered Structure,SCT,86049000,\"Neoplasm, Primary\",,,
";

#[test]
fn codes_match_across_versions_and_modalities() {
    let total = Task::named("total").unwrap();
    let (second, first) = (total.labels(), total.labels_in_v1_order().unwrap());
    let mr = Task::named("total_mr").unwrap();
    let renumbered = pairs_by_terms(first, second);
    // All that both versions have, whatever its number.
    assert_eq!(renumbered.len(), 97);
    let wanted =
        [("spleen", "spleen"), ("vertebrae_L5", "vertebrae_L5"), ("urinary_bladder", "urinary_bladder")];
    assert_pairs(&renumbered, first, second, &wanted);
    assert!(renumbered.iter().any(|pair| pair.first != pair.second));
    assert_eq!(renumbered, pairs_by_name(first, second));
    let across = pairs_by_terms(second, mr.labels());
    let wanted = [("liver", "liver"), ("kidney_left", "kidney_left"), ("femur_right", "femur_right")];
    assert_pairs(&across, second, mr.labels(), &wanted);
    for pair in &across {
        let name =
            |labels: &[Label], value| labels.iter().find(|label| label.value == value).unwrap().name.clone();
        let (ct, mr) = (name(second, pair.first), name(mr.labels(), pair.second));
        assert_eq!(ct.ends_with("_left"), mr.ends_with("_left"), "{ct} and {mr}");
        assert_eq!(ct.ends_with("_right"), mr.ends_with("_right"), "{ct} and {mr}");
    }
    let table = label_table(AUTO3DSEG.as_bytes(), "labels.csv").unwrap();
    for labels in [first, second, mr.labels()] {
        let pairs = pairs_by_terms(&table, labels);
        let wanted = [("Milz", "spleen"), ("rechte Niere", "kidney_right"), ("linke Niere", "kidney_left")];
        assert_pairs(&pairs, &table, labels, &wanted);
        assert_eq!(pairs.len(), 3, "what the other doesn't have is left out");
    }
}

#[test]
fn a_bundle_of_monai_matches() {
    let folder = voxseg_reference::folder();
    let (bundle, labels) = (
        folder.join("monai/public/bundle_wholebody/bundle"),
        folder.join("monai/public/auto3dseg_ct/model/labels.csv"),
    );
    let Ok(model) = Model::open(&bundle, &ModelOptions::default()) else {
        eprintln!("skipped: the reference data is not here; set VOXSEG_REFERENCE to its folder");
        return;
    };
    let total = Task::named("total").unwrap();
    let pairs = pairs_by_terms(model.labels(), total.labels());
    let wanted = [("spleen", "spleen"), ("kidney_left", "kidney_left"), ("aorta", "aorta")];
    assert_pairs(&pairs, model.labels(), total.labels(), &wanted);
    // The background and one more have no counterpart.
    assert!(pairs.len() + 2 >= model.labels().len(), "{} of {}", pairs.len(), model.labels().len());
    let table = label_table(&std::fs::read(labels).unwrap(), "labels.csv").unwrap();
    let pairs = pairs_by_terms(&table, model.labels());
    eprintln!("{} labels of Auto3DSeg's table, {} of them in the bundle", table.len(), pairs.len());
    assert!(!pairs.is_empty());
}

/// A map of version 1 beside one of version 2 of the same organs.
#[test]
fn maps_with_other_values_are_compared() {
    let total = Task::named("total").unwrap();
    let (second, first) = (total.labels(), total.labels_in_v1_order().unwrap());
    let names = ["spleen", "kidney_left", "urinary_bladder", "rib_left_3"];
    let map = |labels: &[Label]| -> Vec<u8> {
        (0..400).map(|n| if n % 7 < 4 { named(labels, names[n / 100]) as u8 } else { 0 }).collect()
    };
    let (a, b) = (map(first), map(second));
    assert_ne!(a, b);
    let grid = Geometry::with_shape([10, 10, 4]);
    let volume = |bytes| {
        Volume::new(grid.clone(), DType::U8, Layout::dense(grid.shape, DType::U8), vec![bytes]).unwrap()
    };
    let options =
        CompareOptions { pairs: Some(pairs_by_terms(first, second)), tolerance: Some(1.0), threads: 1 };
    let found = compare(&volume(&a), &volume(&b), &options, &mut Run::default()).unwrap();
    let there: Vec<_> = found.iter().filter(|one| one.voxels != [0; 2]).collect();
    assert_eq!(there.len(), names.len());
    for one in there {
        assert_eq!(one.dice(), Some(1.0), "{:?}", one.pair);
        assert_eq!(one.surface.unwrap().hausdorff, 0.0);
    }
}
