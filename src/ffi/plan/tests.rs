use super::super::{labels::vxs_labels, segment::vxs_segment};
use super::*;
use crate::engine::Engine;
use crate::engine::fake::FakeEngine;
use crate::inference::Plan;
use crate::model::Model;
use crate::recipe::Recipe;

/// A plan that met a panic is lost, whatever is asked of it.
#[test]
fn every_call_says_that_the_plan_is_lost() {
    let model = Model::for_tests(Recipe::for_tests([3, 4, 5]), 2);
    let engine: Arc<dyn Engine> = Arc::new(FakeEngine::new(|_, _| panic!("a defect")));
    let options = PlanOptions::default();
    let plan = Plan::with_engines(&model, &options, vec![engine], Precision::F32, 1).unwrap();
    let mut handle = vxs_plan {
        plan: AnyPlan::Model(Box::new(plan)),
        description: c_string("{}"),
        about: serde_json::Value::Null,
        poisoned: OnceLock::new(),
    };
    let (voxels, mut bytes) = ([1_u8; 60], [7_u8; 60]);
    let volume = vxs_volume {
        dtype: volume::VXS_DTYPE_U8,
        data: voxels.as_ptr().cast(),
        data_size: 60,
        shape: [3, 4, 5],
        ..vxs_volume::defaults()
    };
    let labels = vxs_labels { data: bytes.as_mut_ptr().cast(), data_size: 60, ..vxs_labels::defaults() };
    let (mut report, mut grid) = (vxs_plan_report::defaults(), vxs_volume::defaults());
    let plan = &raw mut handle;
    let error = null_mut();
    // SAFETY: all structures are filled, and their buffers are as large as they say.
    unsafe {
        assert_eq!(vxs_plan_trim(plan, error), 0);
        assert_eq!(vxs_segment(plan, &raw const volume, null(), &raw const labels, null_mut(), error), 901);
        assert_eq!(vxs_segment(plan, &raw const volume, null(), &raw const labels, null_mut(), error), 902);
        assert_eq!(vxs_plan_trim(plan, error), 902);
        assert_eq!(vxs_plan_estimate(plan, &raw const volume, &raw mut report, error), 902);
        assert_eq!(vxs_plan_label_grid(plan, &raw const volume, &raw mut grid, error), 902);
    }
    assert_eq!(bytes, [7; 60]);
}
