//! Small models of each format, written here: the seeds, and the parts of a model that a target doesn't change.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use voxseg::model::Bytes;
use zip::CompressionMethod;

use crate::write::{self, Tensors};

/// nnU-Net's plans.json of a network of 1,873 parameters.
pub fn plans() -> Value {
    let resampling =
        |is_seg: bool| json!({"is_seg": is_seg, "order": 1, "order_z": 0, "force_separate_z": null});
    json!({
        "dataset_name": "Dataset777_Tiny", "plans_name": "nnUNetPlans", "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": {
            "preprocessor_name": "DefaultPreprocessor", "patch_size": [16, 16, 16], "spacing": [2.0, 1.5, 1.5], "normalization_schemes": ["CTNormalization"],
            "use_mask_for_norm": [false],
            "resampling_fn_data": "resample_data_or_seg_to_shape", "resampling_fn_data_kwargs": resampling(false),
            "resampling_fn_seg": "resample_data_or_seg_to_shape", "resampling_fn_seg_kwargs": resampling(true),
            "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
            "resampling_fn_probabilities_kwargs": resampling(false),
            "architecture": {
                "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                "arch_kwargs": {
                    "n_stages": 2, "features_per_stage": [4, 6], "conv_op": "torch.nn.modules.conv.Conv3d",
                    "kernel_sizes": [[3, 3, 3], [3, 3, 3]], "strides": [[1, 1, 1], [2, 2, 2]],
                    "n_conv_per_stage": [1, 1], "n_conv_per_stage_decoder": [1], "conv_bias": true,
                    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                    "norm_op_kwargs": {"eps": 1e-5, "affine": true}, "dropout_op": null, "dropout_op_kwargs": null,
                    "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": true}
                },
                "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"]
            }
        }},
        "foreground_intensity_properties_per_channel": {"0": {"mean": 50.0, "percentile_00_5": -900.0,
            "percentile_99_5": 900.0, "std": 200.0}}
    })
}

/// nnU-Net 1's form of the network in plans.json, with a configuration that inherits.
pub fn old_plans() -> Value {
    let mut plans = plans();
    let mut own = plans["configurations"]["3d_fullres"].clone();
    if let Some(members) = own.as_object_mut() {
        members.shift_remove("architecture");
        let more = json!({"UNet_class_name": "PlainConvUNet", "UNet_base_num_features": 4, "unet_max_num_features": 6,
            "n_conv_per_stage_encoder": [1, 1], "n_conv_per_stage_decoder": [1], "pool_op_kernel_sizes":
            [[1, 1, 1], [2, 2, 2]], "conv_kernel_sizes": [[3, 3, 3], [3, 3, 3]]});
        members.extend(more.as_object().cloned().unwrap_or_default());
    }
    plans["configurations"] = json!({"base": own, "3d_fullres": {"inherits_from": "base"}});
    plans
}

/// nnU-Net's dataset.json.
pub fn dataset() -> Value {
    json!({"channel_names": {"0": "CT"}, "labels": {"background": 0, "a": 1, "b": 2}, "numTraining": 1,
        "file_ending": ".nii.gz"})
}

/// One whose labels are regions.
pub fn regions() -> Value {
    json!({"channel_names": {"0": "CT"}, "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "tip": 3, "ignore": 4},
        "regions_class_order": [1, 2, 3], "file_ending": ".nii.gz"})
}

/// nnU-Net's postprocessing.json.
pub fn postprocessing() -> Value {
    let function = "remove_all_but_largest_component_from_segmentation";
    json!({"postprocessing_fns": [function], "postprocessing_kwargs": [{"labels_or_regions": [1, 2]}]})
}

/// The weights that [`plans`] asks for.
pub static NNUNET_WEIGHTS: LazyLock<Bytes> = LazyLock::new(|| {
    const TENSORS: &Tensors = &[
        ("encoder.stages.0.0.convs.0.conv.weight", &[4, 1, 3, 3, 3]),
        ("encoder.stages.0.0.convs.0.conv.bias", &[4]),
        ("encoder.stages.0.0.convs.0.norm.weight", &[4]),
        ("encoder.stages.0.0.convs.0.norm.bias", &[4]),
        ("encoder.stages.1.0.convs.0.conv.weight", &[6, 4, 3, 3, 3]),
        ("encoder.stages.1.0.convs.0.conv.bias", &[6]),
        ("encoder.stages.1.0.convs.0.norm.weight", &[6]),
        ("encoder.stages.1.0.convs.0.norm.bias", &[6]),
        ("decoder.transpconvs.0.weight", &[6, 4, 2, 2, 2]),
        ("decoder.transpconvs.0.bias", &[4]),
        ("decoder.stages.0.convs.0.conv.weight", &[4, 8, 3, 3, 3]),
        ("decoder.stages.0.convs.0.conv.bias", &[4]),
        ("decoder.stages.0.convs.0.norm.weight", &[4]),
        ("decoder.stages.0.convs.0.norm.bias", &[4]),
        ("decoder.seg_layers.0.weight", &[3, 4, 1, 1, 1]),
        ("decoder.seg_layers.0.bias", &[3]),
    ];
    let beside =
        members(json!({"trainer_name": "nnUNetTrainer", "init_args": {"configuration": "3d_fullres"},
        "inference_allowed_mirroring_axes": [0, 1, 2], "current_epoch": 1}));
    write::checkpoint(TENSORS, Some("network_weights"), &beside, CompressionMethod::Stored).into()
});

/// Tensors of MONAI's UNet as [`network`] defines it.
pub const MONAI_TENSORS: &Tensors = &[
    ("model.0.conv.unit0.conv.weight", &[4, 1, 3, 3, 3]),
    ("model.0.conv.unit0.conv.bias", &[4]),
    ("model.0.conv.unit0.adn.N.weight", &[4]),
    ("model.0.conv.unit0.adn.N.bias", &[4]),
    ("model.0.conv.unit0.adn.N.running_mean", &[4]),
    ("model.0.conv.unit0.adn.N.running_var", &[4]),
    ("model.0.conv.unit0.adn.A.weight", &[1]),
    ("model.0.residual.weight", &[4, 1, 3, 3, 3]),
    ("model.0.residual.bias", &[4]),
    ("model.1.submodule.conv.unit0.conv.weight", &[6, 4, 3, 3, 3]),
    ("model.1.submodule.conv.unit0.conv.bias", &[6]),
    ("model.1.submodule.conv.unit0.adn.N.weight", &[6]),
    ("model.1.submodule.conv.unit0.adn.N.bias", &[6]),
    ("model.1.submodule.conv.unit0.adn.N.running_mean", &[6]),
    ("model.1.submodule.conv.unit0.adn.N.running_var", &[6]),
    ("model.1.submodule.conv.unit0.adn.A.weight", &[1]),
    ("model.1.submodule.residual.weight", &[6, 4, 1, 1, 1]),
    ("model.1.submodule.residual.bias", &[6]),
    ("model.2.0.conv.weight", &[10, 2, 3, 3, 3]),
    ("model.2.0.conv.bias", &[2]),
    ("model.2.0.adn.N.weight", &[2]),
    ("model.2.0.adn.N.bias", &[2]),
    ("model.2.0.adn.N.running_mean", &[2]),
    ("model.2.0.adn.N.running_var", &[2]),
    ("model.2.0.adn.A.weight", &[1]),
    ("model.2.1.conv.unit0.conv.weight", &[2, 2, 3, 3, 3]),
    ("model.2.1.conv.unit0.conv.bias", &[2]),
];

/// The weights of a MONAI bundle.
pub static MONAI_WEIGHTS: LazyLock<Bytes> =
    LazyLock::new(|| write::checkpoint(MONAI_TENSORS, None, &Map::new(), CompressionMethod::Stored).into());

/// The same for a description.
pub static SAFETENSORS: LazyLock<Bytes> = LazyLock::new(|| write::safetensors(MONAI_TENSORS).into());

fn network() -> Value {
    json!({"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 6],
        "strides": [2], "num_res_units": 1, "norm": "batch"})
}

fn preprocessing(keys: &str) -> Value {
    json!({"_target_": "Compose", "transforms": [
        {"_target_": "LoadImaged", "keys": keys}, {"_target_": "EnsureChannelFirstd", "keys": keys},
        {"_target_": "Orientationd", "keys": keys, "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": keys, "pixdim": [1.5, 1.5, 2.0], "mode": "bilinear"},
        {"_target_": "CropForegroundd", "keys": keys, "source_key": keys, "margin": 2},
        {"_target_": "SpatialPadd", "keys": keys, "spatial_size": [16, 16, 16]},
        {"_target_": "ScaleIntensityRanged", "keys": keys, "a_min": -57, "a_max": 164, "b_min": 0, "b_max": 1,
            "clip": true},
        {"_target_": "NormalizeIntensityd", "keys": keys, "nonzero": true},
        {"_target_": "EnsureTyped", "keys": keys}]})
}

/// A MONAI bundle's inference config, with references and expressions.
pub fn bundle() -> Value {
    json!({
        "imports": ["$import glob"], "bundle_root": ".", "image_key": "image", "highres": true,
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "sizes": "$[16, 16, 16] if @highres else [8, 8, 8]", "network_def": network(),
        "network": "$@network_def.to(@device)", "preprocessing": preprocessing("@image_key"),
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "@sizes", "sw_batch_size": 4,
            "overlap": "$1 - 0.5"},
        "postprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": true},
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "@image_key",
                "nearest_interp": false, "to_tensor": true},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": true}]},
        "checkpointloader": {"_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'",
            "load_dict": {"model": "@network"}}
    })
}

/// The same in YAML, with anchors and macros.
pub const YAML: &str = "\
image_key: &key image
network_def: {_target_: UNet, spatial_dims: 3, in_channels: 1, out_channels: 2, channels: [4, 6], strides: [2], \
num_res_units: 1, norm: batch}
preprocessing:
  _target_: Compose
  transforms:
    - {_target_: LoadImaged, keys: *key}
    - {_target_: Spacingd, keys: '@image_key', pixdim: [1.5, 1.5, 2.0]}
    - _target_: CastToTyped
      keys: '%preprocessing::transforms::0::keys'
      dtype: $np.float32
inferer: {_target_: SlidingWindowInferer, roi_size: [16, 16, 16], overlap: 0.5}
postprocessing:
  - {_target_: AsDiscreted, keys: pred, argmax: true}
";

/// A MONAI bundle's metadata.json.
pub fn metadata() -> Value {
    json!({"version": "0.5.9", "monai_version": "1.4.0", "name": "Spleen", "network_data_format": {
        "inputs": {"image": {"type": "image", "modality": "CT", "num_channels": 1, "spatial_shape": [16, 16, 16],
            "channel_def": {"0": "image"}}},
        "outputs": {"pred": {"type": "image", "num_channels": 2,
            "channel_def": {"0": "background", "1": "spleen"}}}}})
}

/// The description beside a file of weights.
pub fn described() -> Value {
    json!({"name": "spleen", "channels": ["CT"], "labels": {"0": "background", "1": "spleen"},
        "network_def": network(), "preprocessing": preprocessing("image"),
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "overlap": 0.5, "mode": "gaussian"},
        "postprocessing": [
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": true},
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "nearest_interp": true},
            {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1]}]})
}

/// The description beside an ONNX file.
pub fn onnx_description() -> Value {
    json!({"channels": ["CT"], "labels": {"0": "background", "1": "spleen"},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16]},
        "preprocessing": [{"_target_": "LoadImaged", "keys": "image"}],
        "postprocessing": [{"_target_": "AsDiscreted", "keys": "pred", "argmax": true}]})
}

/// An ONNX file with a tensor in it and others in the file `d`.
pub fn onnx() -> Vec<u8> {
    use write::{field, number};
    let entry =
        |key: &str, value: &str| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    let outside = |more: Vec<u8>| {
        [number(1, 2), number(2, 1), field(8, b"w"), entry("location", "d"), more, number(14, 1)].concat()
    };
    let inline = [number(1, 2), number(2, 1), field(8, b"v"), field(9, b"raw data")].concat();
    let more = [entry("offset", "16"), entry("length", "8")].concat();
    let attribute = field(5, &outside(Vec::new()));
    let node = [field(1, b"x"), field(4, b"Conv"), field(5, &attribute)].concat();
    let tensors = [inline, outside(Vec::new()), outside(more)];
    let graph = [field(1, &node), tensors.iter().flat_map(|tensor| field(5, tensor)).collect()].concat();
    [number(1, 8), field(7, &graph), field(2, b"test")].concat()
}

/// The config in a checkpoint of Auto3DSeg.
pub fn auto3dseg() -> Value {
    json!({
        "network": {"_target_": "SegResNetDS", "init_filters": 2, "blocks_down": [1, 1], "norm": "INSTANCE",
            "in_channels": 1, "out_channels": 4, "dsdepth": 1},
        "normalize_mode": "range", "intensity_bounds": [-100.0, 300.0], "roi_size": [16, 16, 16],
        "orientation_ras": true, "crop_foreground": true, "resample_resolution": [2.0, 2.0, 2.0], "sigmoid": false
    })
}

/// The weights beside it.
pub const AUTO3DSEG_TENSORS: &Tensors = &[
    ("encoder.conv_init.weight", &[2, 1, 3, 3, 3]),
    ("encoder.layers.0.blocks.0.norm1.weight", &[2]),
    ("encoder.layers.0.blocks.0.norm1.bias", &[2]),
    ("encoder.layers.0.blocks.0.conv1.weight", &[2, 2, 3, 3, 3]),
    ("encoder.layers.0.blocks.0.norm2.weight", &[2]),
    ("encoder.layers.0.blocks.0.norm2.bias", &[2]),
    ("encoder.layers.0.blocks.0.conv2.weight", &[2, 2, 3, 3, 3]),
    ("encoder.layers.0.downsample.weight", &[4, 2, 3, 3, 3]),
    ("encoder.layers.1.blocks.0.norm1.weight", &[4]),
    ("encoder.layers.1.blocks.0.norm1.bias", &[4]),
    ("encoder.layers.1.blocks.0.conv1.weight", &[4, 4, 3, 3, 3]),
    ("encoder.layers.1.blocks.0.norm2.weight", &[4]),
    ("encoder.layers.1.blocks.0.norm2.bias", &[4]),
    ("encoder.layers.1.blocks.0.conv2.weight", &[4, 4, 3, 3, 3]),
    ("up_layers.0.upsample.deconv.weight", &[4, 2, 3, 3, 3]),
    ("up_layers.0.blocks.0.norm1.weight", &[2]),
    ("up_layers.0.blocks.0.norm1.bias", &[2]),
    ("up_layers.0.blocks.0.conv1.weight", &[2, 2, 3, 3, 3]),
    ("up_layers.0.blocks.0.norm2.weight", &[2]),
    ("up_layers.0.blocks.0.norm2.bias", &[2]),
    ("up_layers.0.blocks.0.conv2.weight", &[2, 2, 3, 3, 3]),
    ("up_layers.0.head.weight", &[4, 2, 1, 1, 1]),
    ("up_layers.0.head.bias", &[4]),
];

/// The table of labels of Auto3DSeg.
pub const LABELS: &str = "\
LabelValue,Name,SegmentedPropertyTypeCodeSequence.CodingSchemeDesignator,\
SegmentedPropertyTypeCodeSequence.CodeValue,SegmentedPropertyTypeCodeSequence.CodeMeaning
1,spleen,SCT,78961009,Spleen
2,\"liver, whole\",SCT,10200004,Liver
3,kidney,,,
";

/// A task file with each of the rules.
pub fn task() -> Value {
    json!({"name": "t", "modality": "CT", "licence": "x", "spacing": 2, "step": 0.8, "labels": ["a", "b"],
        "legacy_v1_labels": ["b", "a"], "crop": {"task": "body_fast", "labels": ["body_trunc"], "margin": 10},
        "rough": {"task": "total_fastest", "robust": "total_fast"},
        "models": [{"path": "tiny/nnUNetTrainer__nnUNetPlans__3d_fullres", "labels": ["a", "b"], "folds": [0]},
            {"path": "other", "folds": "all"}],
        "after": [{"keep_largest": ["a"]}, {"remove_small": ["a", "b"], "volume": 20}, {"dilate": 3},
            {"separate_vertebrae": 20}, {"remove_outside": ["body_trunc"], "distance": 30}]})
}

/// A JSON object's members.
pub fn members(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
