//! nnU-Net's plans.json, dataset.json and postprocessing.json, beside weights of the seeds' network.

#![no_main]

use libfuzzer_sys::fuzz_target;
use voxseg_fuzz::{file, open, parts, samples};

fuzz_target!(|data: &[u8]| {
    let [plans, dataset, postprocessing] = parts(data);
    open(vec![
        ("nnUNetTrainer__nnUNetPlans__3d_fullres/plans.json", file(plans)),
        ("nnUNetTrainer__nnUNetPlans__3d_fullres/dataset.json", file(dataset)),
        ("nnUNetTrainer__nnUNetPlans__3d_fullres/postprocessing.json", file(postprocessing)),
        (
            "nnUNetTrainer__nnUNetPlans__3d_fullres/fold_0/checkpoint_final.pth",
            samples::NNUNET_WEIGHTS.clone(),
        ),
    ]);
});
