//! Whole bundles: published configs, the reference's bundles, and an nnU-Net in a bundle.

use super::bundle::{Bundle, BundleConfig, NnUnetBundle};
use super::config::expression::{Binary, Expression};
use super::config::{Component, Value};
use crate::error::Result;
use crate::model::files::Files;
use crate::reference;

mod forms;
mod fuzz;

fn files(list: &[(&str, &[u8])]) -> Files {
    Files::memory(list.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec().into())).collect())
}

fn zoo_file(bundle: &str, name: &str) -> Option<Vec<u8>> {
    reference::file(&format!("../specs/configs/monai_zoo/{bundle}/{name}"))
}

/// A published bundle's config files as a bundle, read with one of them.
fn zoo(bundle: &str, config: &str) -> Option<Result<Bundle>> {
    let (metadata, text) = (zoo_file(bundle, "metadata.json")?, zoo_file(bundle, config)?);
    let inside = format!("configs/{config}");
    Some(Bundle::read(&files(&[("configs/metadata.json", &metadata), (&inside, &text)]), Some(config)))
}

fn described(bundle: Bundle) -> BundleConfig {
    match bundle {
        Bundle::Described(config) => *config,
        Bundle::NnUnet(bundle) => panic!("{bundle:?}"),
    }
}

/// The names of the objects in a row.
fn summary(config: &BundleConfig) -> String {
    let names = |chain: &[Component]| chain.iter().map(Component::name).collect::<Vec<_>>().join(" ");
    let key = config.checkpoint_key.as_deref().unwrap_or("-");
    let BundleConfig { network, inferer, checkpoint, amp, .. } = config;
    let (before, after) = (names(&config.preprocessing), names(&config.postprocessing));
    format!("{before} | {} | {} | {after} | {checkpoint} {key} {amp}", inferer.name(), network.name())
}

const USUAL: &str = "LoadImaged EnsureChannelFirstd Orientationd Spacingd ScaleIntensityRanged EnsureTyped \
                     | SlidingWindowInferer";
const PEDIATRIC: &str = "LoadImaged EnsureChannelFirstd Orientationd Spacingd ScaleIntensityRanged \
                         CropForegroundd EnsureTyped CastToTyped | SlidingWindowInferer";
const INVERTED: &str = "Activationsd Invertd AsDiscreted SaveImaged";

#[test]
fn published_configs_give_their_objects() {
    let cases = [
        (
            "wholeBody_ct_segmentation",
            "inference.json",
            "LoadImaged EnsureTyped EnsureChannelFirstd Orientationd Spacingd NormalizeIntensityd \
             ScaleIntensityd | SlidingWindowInferer | SegResNet | Activationsd AsDiscreted Invertd \
             SaveImaged | models/model.pt model true"
                .to_owned(),
        ),
        (
            "brats_mri_segmentation",
            "inference.json",
            "LoadImaged NormalizeIntensityd | SlidingWindowInferer | SegResNet | Activationsd Invertd \
             AsDiscreted Lambdad SaveImaged | models/model.pt model true"
                .to_owned(),
        ),
        (
            "renalStructures_CECT_segmentation",
            "inference.json",
            "LoadImaged EnsureChannelFirstd Orientationd Spacingd ConcatImages ScaleIntensityRanged \
             EnsureTyped | SlidingWindowInferer | SegResNet | Invertd Activationsd AsDiscreted \
             MergeClassesd SaveImaged SaveImaged | models/model.pt model false"
                .to_owned(),
        ),
        (
            "pediatric_abdominal_ct_segmentation",
            "inference.yaml",
            format!("{PEDIATRIC} | DynUNet | {INVERTED} | models/dynunet_FT.pt model true"),
        ),
        (
            "pediatric_abdominal_ct_segmentation",
            "inference_segresnet.yaml",
            format!("{PEDIATRIC} | SegResNet | {INVERTED} | models/segresnet_FT.pt model true"),
        ),
        (
            "pediatric_abdominal_ct_segmentation",
            "inference_swinunetr.yaml",
            format!("{PEDIATRIC} | SwinUNETR | {INVERTED} | models/swinunetr_FT.pt model true"),
        ),
        (
            "spleen_ct_segmentation",
            "inference.json",
            format!("{USUAL} | UNet | {INVERTED} | models/model.pt model true"),
        ),
        (
            "prostate_mri_anatomy",
            "inference.json",
            "LoadImaged EnsureChannelFirstd Orientationd Spacingd ScaleIntensityd NormalizeIntensityd \
             EnsureTyped | SlidingWindowInferer | UNet | AsDiscreted KeepLargestConnectedComponentd Invertd \
             SaveImaged | models/model.pt model true"
                .to_owned(),
        ),
        (
            "segmentation_template",
            "inference.yaml",
            "LoadImaged EnsureChannelFirstd ScaleIntensityd | SimpleInferer | UNet | Activationsd \
             AsDiscreted SaveImaged | models/model.pt model false"
                .to_owned(),
        ),
        (
            "swin_unetr_btcv_segmentation",
            "inference.json",
            format!("{USUAL} | SwinUNETR | {INVERTED} | models/model.pt model true"),
        ),
        (
            "spleen_deepedit_annotation",
            "inference.json",
            format!(
                "LoadImaged EnsureChannelFirstd Orientationd ScaleIntensityRanged \
                 OrientationGuidanceMultipleLabelDeepEditd AddGuidanceFromPointsDeepEditd Resized \
                 ResizeGuidanceMultipleLabelDeepEditd AddGuidanceSignalDeepEditd EnsureTyped | \
                 SimpleInferer | DynUNet | EnsureTyped {INVERTED} | models/model.pt model true"
            ),
        ),
        (
            "renalStructures_UNEST_segmentation",
            "inference.json",
            format!("{USUAL} | UNesT | {INVERTED} | models/model.pt model false"),
        ),
        (
            "wholeBrainSeg_Large_UNEST_segmentation",
            "inference.json",
            format!(
                "LoadImaged EnsureChannelFirstd NormalizeIntensityd EnsureTyped | SlidingWindowInferer | \
                 UNesT | {INVERTED} | models/model.pt model false"
            ),
        ),
        (
            "vista3d",
            "inference.json",
            "LoadImaged EnsureChannelFirstd EnsureTyped Spacingd CropForegroundd VistaPreTransformd \
             ScaleIntensityRanged Orientationd CastToTyped | Vista3dInferer | vista3d132 | \
             VistaPostTransformd Invertd Lambdad SaveImaged | models/model.pt model true"
                .to_owned(),
        ),
        (
            "ventricular_short_axis_3label",
            "inference.json",
            format!(
                "LoadImaged EnsureChannelFirstd ScaleIntensityd EnsureTyped | SliceInferer | UNet | \
                 {INVERTED} | models/model.pt model false"
            ),
        ),
    ];
    for (bundle, config, expected) in cases {
        let Some(read) = zoo(bundle, config) else { return };
        assert_eq!(summary(&described(read.unwrap())), expected, "{bundle}/{config}");
    }
}

#[test]
fn published_configs_that_need_python_are_refused() {
    let cases = [
        (
            "pancreas_ct_dints_segmentation",
            "inference.yaml",
            "`arch_ckpt` is `$torch.load(@arch_ckpt_path, map_location=torch.device('cuda'))`: \
             `./models/search_code_18590.pt`: expected a checkpoint in the bundle",
        ),
        (
            "lung_nodule_ct_detection",
            "inference.json",
            "`feature_extractor` is \
             `$monai.apps.detection.networks.retinanet_network.resnet_fpn_feature_extractor(@ba…`: \
             arguments without names are outside what is evaluated",
        ),
    ];
    for (bundle, config, expected) in cases {
        let Some(read) = zoo(bundle, config) else { return };
        let error = read.unwrap_err().to_string();
        assert_eq!(error, format!("unsupported model: configs/{config}: {expected}"));
    }
}

#[test]
fn arguments_of_published_configs_are_resolved() {
    let Some(read) = zoo("wholeBody_ct_segmentation", "inference.json") else { return };
    let config = described(read.unwrap());
    assert_eq!(config.preprocessing[4].id, "preprocessing::transforms::4");
    assert_eq!(config.preprocessing[4].argument("pixdim"), Some(&Value::List(vec![Value::Float(1.5); 3])));
    assert_eq!(config.inferer.argument("overlap"), Some(&Value::Float(0.25)));
    assert_eq!(config.inferer.argument("device"), Some(&Value::Runtime("torch.device".into())));
    let Some(Value::Component(inverted)) = config.postprocessing[2].argument("transform") else { panic!() };
    assert_eq!(inverted.id, config.preprocessing_id);
    let metadata = &config.metadata;
    assert_eq!(metadata.name.as_deref(), Some("Whole body CT segmentation"));
    assert_eq!(metadata.channels, ["image"]);
    assert_eq!((metadata.classes.len(), metadata.classes[0].1.as_str()), (105, "background"));

    let Some(read) = zoo("spleen_deepedit_annotation", "inference.json") else { return };
    let network = described(read.unwrap()).network;
    assert_eq!(network.argument("in_channels"), Some(&Value::Int(3)));
    assert_eq!(network.argument("out_channels"), Some(&Value::Int(2)));

    let Some(read) = zoo("vista3d", "inference.json") else { return };
    let config = described(read.unwrap());
    assert_eq!(config.network.target, "monai.networks.nets.vista3d132");
    let classes = config.classes.unwrap();
    let everything = classes.chosen(None, &config.metadata.classes).unwrap();
    assert_eq!((everything.len(), everything[0], everything[1], everything[116]), (117, 1, 3, 127));
    let bone = classes.chosen(Some(&["21".into()]), &config.metadata.classes).unwrap();
    assert_eq!((bone.len(), bone[0], bone[24], bone[61]), (62, 33, 63, 122));

    let Some(read) = zoo("segmentation_template", "inference.yaml") else { return };
    let saved = described(read.unwrap()).postprocessing.pop().unwrap();
    assert_eq!(saved.argument("keys"), Some(&Value::Text("pred".into())));
    assert_eq!(saved.argument("dtype"), Some(&Value::None));
}

#[test]
fn the_label_merge_of_brats_is_a_tree() {
    let Some(read) = zoo("brats_mri_segmentation", "inference.json") else { return };
    let config = described(read.unwrap());
    let Some(Value::Lambda(lambda)) = config.postprocessing[3].argument("func") else { panic!() };
    assert!(lambda.source.starts_with("lambda x: torch.where(x[[2]] > 0, 4,"));
    let zero = Expression::Int(0);
    let channel = |index| {
        let list = Expression::List(vec![Expression::Int(index)]);
        Expression::Index([Expression::Name("x".into()), list].into())
    };
    let choose = |index, label, otherwise| Expression::Call {
        callee: Expression::Name("torch.where".into()).into(),
        positional: vec![
            Expression::Binary(Binary::Greater, [channel(index), zero.clone()].into()),
            Expression::Int(label),
            otherwise,
        ],
        keywords: Vec::new(),
    };
    assert_eq!(lambda.body, choose(2, 4, choose(0, 1, choose(1, 2, zero.clone()))));
}

#[test]
fn the_references_bundles_are_read() {
    for (folder, expected) in [
        ("bundle_spleen_unet", format!("{USUAL} | UNet | {INVERTED} | models/model.pt model true")),
        (
            "bundle_wholebody",
            "LoadImaged EnsureTyped EnsureChannelFirstd Orientationd Spacingd NormalizeIntensityd \
             ScaleIntensityd | SlidingWindowInferer | SegResNet | Activationsd AsDiscreted Invertd \
             SaveImaged | models/model.pt model true"
                .to_owned(),
        ),
    ] {
        let file = |name: &str| reference::file(&format!("monai/public/{folder}/bundle/{name}"));
        let Some(config) = file("configs/inference.json") else { return };
        let list = [
            (format!("{folder}/configs/inference.json"), config),
            (format!("{folder}/configs/metadata.json"), file("configs/metadata.json").unwrap()),
            (format!("{folder}/models/model.pt"), file("models/model.pt").unwrap()),
        ];
        // As an archive has it: all within a folder of the bundle's name.
        let files = Files::memory(list.into_iter().map(|(name, bytes)| (name, bytes.into())).collect());
        let config = described(Bundle::read(&files, None).unwrap());
        assert_eq!(summary(&config), expected);
        assert!(files.has(&format!("{folder}/{}", config.checkpoint)));
    }
}

/// A small bundle; `{}` stands for more items.
const SMALL: &str = r#"{
    "bundle_root": "/home/someone/bundle",
    "network_def": {"_target_": "UNet"},
    "preprocessing": {"_target_": "Compose", "transforms": [{"_target_": "LoadImaged", "keys": "image"}]},
    "inferer": {"_target_": "SimpleInferer"},
    "postprocessing": [{"_target_": "AsDiscreted", "keys": "pred"}]
    {}
}"#;

fn small(more: &str) -> Result<BundleConfig> {
    let text = SMALL.replace("{}\n", &format!("{more}\n"));
    Bundle::read(&files(&[("configs/inference.json", text.as_bytes())]), None).map(described)
}

#[test]
fn the_checkpoint_is_what_the_config_loads() {
    let weights = |more: &str| {
        let config = small(more).unwrap();
        (config.checkpoint, config.checkpoint_key)
    };
    let key = |key: &str| Some(key.to_owned());
    assert_eq!(weights(""), ("models/model.pt".into(), None));
    assert_eq!(
        weights(r#", "ckpt_path": "$@bundle_root + '/models/best.pt'""#),
        ("models/best.pt".into(), None)
    );
    let more = r#", "ckpt_dir": "$@bundle_root + '/models'", "handlers": [
        {"_target_": "StatsHandler"},
        {"_target_": "monai.handlers.CheckpointLoader", "_disabled_": true, "load_path": "$open('x')"},
        {"_target_": "CheckpointLoader", "_disabled_": "$not os.path.exists(@ckpt_dir)",
         "load_path": "$@ckpt_dir + '/model_' + str(2) + '.pt'", "load_dict": {"net": "@network_def"}}]"#;
    assert_eq!(weights(more), ("models/model_2.pt".into(), key("net")));

    let refused = |more: &str, part: &str| {
        let error = small(more).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let loader = |path: &str| format!(r#"{{"_target_": "CheckpointLoader", "load_path": "{path}"}}"#);
    let two = format!(r#", "a": {}, "b": {}"#, loader("a.pt"), loader("b.pt"));
    refused(&two, "`a` loads a.pt and `b` loads b.pt");
    for path in ["/etc/passwd", "../x.pt", "a/../../x.pt", "C:/x.pt", "..\\\\x.pt", ""] {
        refused(&format!(r#", "a": {}"#, loader(path)), "expected a file in the bundle");
    }
    refused(r#", "a": {"_target_": "CheckpointLoader"}"#, "no item `a::load_path`");
    let more =
        r#", "a": {"_target_": "CheckpointLoader", "load_path": "x.pt", "load_dict": {"a": 1, "b": 2}}"#;
    refused(more, "`a::load_dict` has 2 members");
}

#[test]
fn a_bundles_config_may_have_another_name() {
    let text = SMALL.replace("{}\n", "\n");
    let list: [(&str, &[u8]); 2] = [("bundle/configs/mine.json", text.as_bytes()), ("other/x.json", b"{}")];
    let files = files(&list);
    for name in ["mine.json", "configs/mine.json", "./configs/mine.json"] {
        assert!(Bundle::read(&files, Some(name)).is_ok(), "{name}");
    }
    let error = Bundle::read(&files, None).unwrap_err().to_string();
    assert!(error.contains("has none of configs/inference.json, configs/inference.yaml"), "{error}");
    for name in ["../configs/mine.json", "", "inference.json"] {
        let error = Bundle::read(&files, Some(name)).unwrap_err().to_string();
        assert!(error.starts_with("not a model: "), "{error}");
    }
}

#[test]
fn what_a_bundle_needs_is_named() {
    let refused = |from: &str, to: &str, part: &str| {
        let text = SMALL.replace("{}\n", "\n").replace(from, to);
        let error = Bundle::read(&files(&[("configs/inference.json", text.as_bytes())]), None).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    };
    refused("\"inferer\"", "\"x\"", "there is no item `inferer`");
    refused("\"network_def\"", "\"x\"", "there is no item `network`");
    refused("{\"_target_\": \"UNet\"}", "3", "`network_def` is 3, expected an object");
    refused("\"transforms\"", "\"lazy\": true, \"transforms\"", "`preprocessing` is lazy");
    refused("\"transforms\"", "\"overrides\": {}, \"transforms\"", "argument `overrides`");
    refused("[{\"_target_\": \"LoadImaged\", \"keys\": \"image\"}]", "[1]", "`preprocessing` has 1");
}

#[test]
fn an_nnunet_in_a_bundle_is_told_apart() {
    let text = r#"
bundle_root: "."
fold_id: 0
model_name: "model.pt"
plans:
nnunet_config_ckpt:
nnunet_config_dict:
  model_folder: "$@bundle_root + '/models/fold_'+str(@fold_id)"
  model_name: "@model_name"
  nnunet_config: "@nnunet_config_ckpt"
  plans: "@plans"
network_def: "$monai.apps.nnunet.nnunet_bundle.get_nnunet_monai_predictor(**@nnunet_config_dict)"
preprocessing: {_target_: Compose, transforms: [{_target_: LoadImaged, keys: image}]}
postprocessing: {_target_: Compose, transforms: [{_target_: SaveImaged, keys: pred, resample: False}]}
inferer: {_target_: SimpleInferer}
nnunet_config_ckpt: {configuration: "3d_fullres"}
"#;
    let read = |text: &str| Bundle::read(&files(&[("configs/inference.yaml", text.as_bytes())]), None);
    let Bundle::NnUnet(bundle) = read(text).unwrap() else { panic!() };
    let NnUnetBundle { folder, checkpoint, replaced, preprocessing, .. } = *bundle;
    assert_eq!((folder.as_str(), checkpoint.as_str()), ("models", "models/fold_0/model.pt"));
    let configuration = Value::Dict(vec![("configuration".into(), Value::Text("3d_fullres".into()))]);
    assert_eq!(replaced, [("nnunet_config".to_owned(), configuration)]);
    assert_eq!(preprocessing.len(), 1);
    let error =
        read(&text.replace("@bundle_root + '/models/fold_'", "'/data/fold_'")).unwrap_err().to_string();
    assert!(error.contains("`network_def::model_folder` is text \"/data/fold_0\""), "{error}");
}

/// What becomes of each published config: the network and a sketch of the recipe, or why it is refused.
#[test]
fn published_configs_become_recipes_or_are_refused() {
    let sketch = |bundle: &str, config: &str| -> Option<String> {
        let made = zoo(bundle, config)?.and_then(|bundle| {
            let config = described(bundle);
            let context = super::Context {
                file: &config.file,
                monai_version: config.metadata.monai_version.as_deref(),
            };
            let arguments = super::arguments(&config.network)?;
            let network = super::from_config(&config.network.target, &arguments, &context)?;
            let (recipe, _) = super::recipe(&config)?;
            let crate::recipe::Tiling { patch, placement, .. } = recipe.tiling;
            let steps = recipe.steps.len();
            Ok(format!("{}, {steps} steps, {patch:?} {placement:?}, {:?}", network.name(), recipe.restore))
        });
        Some(made.unwrap_or_else(|error| error.to_string()))
    };
    for (bundle, config, expected) in [
        (
            "wholeBody_ct_segmentation",
            "inference.json",
            "SegResNet, 4 steps, [96, 96, 96] Overlapping([0.25, 0.25, 0.25]), Labels",
        ),
        (
            "brats_mri_segmentation",
            "inference.json",
            "SegResNet, 1 steps, [240, 240, 160] Overlapping([0.5, 0.5, 0.5]), Probabilities",
        ),
        (
            "renalStructures_CECT_segmentation",
            "inference.json",
            "SegResNet, 3 steps, [96, 96, 96] Overlapping([0.25, 0.25, 0.25]), Scores",
        ),
        ("pediatric_abdominal_ct_segmentation", "inference.yaml", "DynUNet, 4 steps"),
        ("pediatric_abdominal_ct_segmentation", "inference_segresnet.yaml", "SegResNet, 4 steps"),
        ("pediatric_abdominal_ct_segmentation", "inference_swinunetr.yaml", "SwinUNETR, 4 steps"),
        (
            "spleen_ct_segmentation",
            "inference.json",
            "UNet, 3 steps, [96, 96, 96] Overlapping([0.5, 0.5, 0.5]), Probabilities",
        ),
        (
            "prostate_mri_anatomy",
            "inference.json",
            "UNet, 4 steps, [96, 96, 96] Overlapping([0.5, 0.5, 0.5]), InterpolatedLabels",
        ),
        ("segmentation_template", "inference.yaml", "put a SlidingWindowInferer"),
        ("swin_unetr_btcv_segmentation", "inference.json", "SwinUNETR, 3 steps"),
        ("spleen_deepedit_annotation", "inference.json", "DynUNet, 4 steps, [128, 128, 128]"),
        (
            "pancreas_ct_dints_segmentation",
            "inference.yaml",
            "`./models/search_code_18590.pt`: expected a checkpoint in the bundle",
        ),
        ("renalStructures_UNEST_segmentation", "inference.json", "unest.UNesT"),
        ("wholeBrainSeg_Large_UNEST_segmentation", "inference.json", "UNesT"),
        (
            "vista3d",
            "inference.json",
            "VISTA3D, 4 steps, [128, 128, 128] Overlapping([0.25, 0.25, 0.25]), Labels",
        ),
        (
            "ventricular_short_axis_3label",
            "inference.json",
            "UNet, 1 steps, [256, 256, 1] Overlapping([0.25, 0.25, 0.25]), Probabilities",
        ),
        ("lung_nodule_ct_detection", "inference.json", "feature_extractor"),
    ] {
        let Some(found) = sketch(bundle, config) else { return };
        assert!(found.contains(expected), "{bundle} {config}: {found}");
    }
}
