//! Voxels that are NaN or infinite, as the readers take them that the models were made with.

use std::path::Path;

use voxseg::Error;
use voxseg::inference::PlanOptions;
use voxseg::inference::{RunReport, Warning};
use voxseg::labels::LabelBuffer;
use voxseg::model::task::{Task, TaskOptions};
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::task::{AnyModel, AnyPlan};
use voxseg::volume::{DType, Layout, NonFinite, NonFiniteVoxels, Volume};

use crate::image::Image;

const TORSO: &str = "nnunet/public/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";

fn options(threads: usize) -> PlanOptions {
    PlanOptions {
        threads,
        device: crate::device(),
        device_options: crate::device_options(crate::convolution()),
        ..PlanOptions::default()
    }
}

fn torso(folder: &Path) -> AnyModel {
    AnyModel::Model(Model::open(&folder.join(TORSO), &ModelOptions::default()).unwrap())
}

fn total_fastest(folder: &Path) -> AnyModel {
    let task = Task::named("total_fastest").unwrap();
    AnyModel::Task(task.open(&folder.join("totalseg/weights"), &TaskOptions::default()).unwrap())
}

fn segment(plan: &AnyPlan, image: &Image, how: NonFinite) -> (voxseg::Result<RunReport>, Vec<u8>) {
    let grid = &image.geometry;
    let layout = Layout::dense(grid.shape, DType::F32);
    let volume = Volume::new(grid.clone(), DType::F32, layout, vec![&image.bytes]).unwrap();
    let mut bytes = vec![255; grid.voxels()];
    let layout = Layout::dense(grid.shape, DType::U8);
    let mut labels = LabelBuffer::new(grid, DType::U8, layout, &mut bytes).unwrap();
    let report = plan.segment(&volume, &mut labels, &mut [], &mut Run::default().with_non_finite(how));
    (report, bytes)
}

fn check(model: impl Fn(&Path) -> AnyModel, name: &str, how: NonFinite) {
    let Some(folder) = crate::reference() else { return };
    let image = Image::read(&folder.join("bugs/images/nan_inf_float.nii.gz"));
    assert_eq!(image.values.iter().filter(|value| !value.is_finite()).count(), 9);
    let expected = Image::read(&folder.join(format!("bugs/expected/nan_inf_float.{name}.nii.gz")));
    let voxels = NonFiniteVoxels { count: 9, channel: 0, voxel: [0, 0, 0] };
    let model = model(&folder);
    for threads in [1, 3] {
        let plan = model.plan(&options(threads)).unwrap();
        let (refused, untouched) = segment(&plan, &image, NonFinite::Refuse);
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, Error::VoxelsNotFinite { count: 9, channel: 0, voxel: [0, 0, 0] }),
            "{refused}"
        );
        assert!(untouched.iter().all(|&label| label == 255));
        let (report, labels) = segment(&plan, &image, how);
        let report = report.unwrap();
        assert_eq!(report.non_finite, Some(voxels));
        assert!(matches!(report.warnings[..], [Warning::NonFiniteReplaced { .. }]), "{:?}", report.warnings);
        let foreground = expected.values.iter().filter(|&&label| label > 0.0).count();
        let pairs = labels.iter().zip(&expected.values);
        let wrong = pairs.filter(|&(&ours, &theirs)| f32::from(ours) != theirs).count();
        println!("{name}: {wrong} of {foreground} voxels differ, {} near ties", report.near_ties);
        assert!(wrong <= report.near_ties && wrong * 1000 <= foreground, "{wrong} differ");
    }
}

#[test]
fn as_zero_where_itk_reads() {
    check(torso, "nnunet_901", NonFinite::Zero);
}

#[test]
fn as_lowest_in_tasks() {
    check(total_fastest, "total_fastest", NonFinite::Lowest);
}
