use std::path::Path;

use serde_json::json;

use super::*;

/// A step of every kind, and every other choice, in some recipes.
fn every_kind() -> Vec<Recipe> {
    let spline = Resampler::Spline(Spline::new(3, 0, None).unwrap());
    let torch = Resampler::Torch { separate: Some(true), memory_efficient: true };
    let spacing = [Some(1.0), Some(0.5), None];
    let normalizations = vec![
        Normalization::Ct { lower: -100.0, upper: f32::INFINITY, mean: 10.5, std: 1.0 },
        Normalization::ZScore { masked: true },
        Normalization::None,
        Normalization::RescaleTo01,
        Normalization::RgbTo01,
    ];
    let intensities = [
        MonaiIntensity::ScaleRange { from: [0.0, 1.0], to: [None, Some(1.0)], clip: true },
        MonaiIntensity::Scale { to: [None; 2], channel_wise: true },
        MonaiIntensity::Normalize {
            nonzero: true,
            channel_wise: true,
            subtrahend: Some(vec![1.0, 2.0]),
            divisor: None,
        },
        MonaiIntensity::Times(0.5),
        MonaiIntensity::Shift(-1.0),
        MonaiIntensity::ScalePercentiles {
            from: [1.0, 99.0],
            to: [Some(0.0), None],
            clip: true,
            channel_wise: false,
        },
        MonaiIntensity::ClipPercentiles { bounds: [0.5, 99.5], channel_wise: true },
        MonaiIntensity::Threshold { threshold: 1.0, above: true, other: 0.0 },
        MonaiIntensity::Contrast { gamma: 0.7 },
        MonaiIntensity::Smooth { sigma: [0.4; 3] },
        MonaiIntensity::Sigmoid,
        MonaiIntensity::SoftClip,
        MonaiIntensity::ScaleByDeviation,
    ];
    let crop = CropForeground { margin: [1; 3], allow_smaller: true, k_divisible: [1; 3] };
    let frame = |frame, padding| Step::Frame { frame, padding };
    let mut steps = vec![
        Step::Orient { canonical: true, flip: [true, false, true], order: [2, 1, 0] },
        Step::CropToNonzero,
        Step::Normalize(normalizations),
        Step::Resample(Resample { spacing, image: spline, scores: torch, labels: Resampler::None }),
        Step::Space(Spacing { outside: PaddingMode::Zeros, single: true, ..Spacing::new([1.0; 3]) }),
        Step::Space(Spacing { pixdim: [None; 3], ..Spacing::new([1.0; 3]) }),
        frame(Frame::AtLeast(SpatialPad { shape: [4; 3], end: true }), Padding::Constant(-1.5)),
        frame(Frame::AtLeast(SpatialPad { shape: [4; 3], end: false }), Padding::Edge),
        frame(Frame::Divisible { k: [4, 0, 1], end: false }, Padding::Edge),
        frame(Frame::Border { below: [1, 0, 2], above: [0; 3] }, Padding::Edge),
        frame(Frame::Center([4, 0, 8]), Padding::Edge),
        frame(Frame::Part { start: [0; 3], end: [4; 3] }, Padding::Edge),
        Step::Resize(Resize { size: Size::All([4, 0, 8]), mode: ResizeMode::Area }),
        Step::Resize(Resize { size: Size::Longest(8), mode: ResizeMode::Nearest }),
        Step::Resize(Resize { size: Size::All([4; 3]), mode: ResizeMode::Linear { align_corners: true } }),
        Step::Turn(AxisMap { axis: [2, 0, 1], flip: [true, false, true] }),
        Step::AddPreviousStage { labels: vec![1, 2] },
        Step::AddClicks { labels: vec![1, 0] },
    ];
    let intensity = |rule| Step::Intensity { channel: Some(1), rule };
    steps.extend(intensities.map(intensity));
    steps.extend(
        [BoxSource::Image, BoxSource::FirstChannel, BoxSource::Misplaced]
            .map(|source| Step::CropForeground { crop, padding: Padding::Minimum, source }),
    );
    let rules = [
        LabelRule::Largest(LargestComponents {
            labels: None,
            independent: true,
            connectivity: 3,
            components: 1,
        }),
        LabelRule::RemoveSmall(SmallObjects {
            least: 20.0,
            by_measure: true,
            together: false,
            connectivity: 1,
        }),
        LabelRule::FillHoles(FillHoles { labels: Some(vec![1]), connectivity: 3 }),
        LabelRule::Filter(vec![1, 2]),
        LabelRule::Map(vec![(1, 2)]),
    ];
    let first = Recipe {
        reader: Reader::Monai,
        steps,
        tiling: Tiling {
            placement: TilePlacement::Overlapping([0.25; 3]),
            importance: ImportanceMap::MonaiGaussian([0.125; 3]),
            fill: Fill::Edge,
            score_precision: ScorePrecision::Single,
            mirror: vec![0, 2],
            ..Recipe::for_tests([8; 3]).tiling
        },
        restore: RestoreMode::Probabilities,
        decision: Decision::regions([1, 2]),
        cleanup: rules.map(|rule| Cleanup { rule, on_network_grid: true }).into(),
        postprocess: vec![KeepLargest { labels: vec![1, 2], background: 0 }],
        prompting: Some(Prompting::Painting(Painting {
            point_radius: 4,
            decay: 0.98,
            channels: 7,
            previous: 0,
            painted: vec![(PromptKind::Point, [3, 4]), (PromptKind::Box2d, [1, 2])],
            initial: true,
        })),
    };
    let plain = Recipe::for_tests([8; 3]);
    let other = |back, reader, weights| Recipe {
        restore: back,
        reader,
        tiling: Tiling { importance: weights, ..Recipe::for_tests([8; 3]).tiling },
        ..Recipe::for_tests([8; 3])
    };
    vec![
        first,
        other(RestoreMode::Labels, Reader::Nibabel, ImportanceMap::Constant),
        other(RestoreMode::InterpolatedLabels, Reader::NibabelIo, ImportanceMap::Gaussian),
        other(RestoreMode::Scores, Reader::NibabelIoWithReorient, ImportanceMap::Gaussian),
        Recipe {
            decision: Decision::Regions { regions: Vec::new(), threshold: 0.3, at_half: true },
            ..plain
        },
    ]
}

#[test]
fn every_kind_fits_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas/model.schema.json");
    let mut schema: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    schema["$ref"] = json!("#/$defs/recipe");
    let validator = jsonschema::validator_for(&schema).unwrap();
    for each in every_kind() {
        let json = recipe(&each).json();
        let wrong: Vec<String> =
            validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn readers_have_one_name_each() {
    for each in Reader::all() {
        assert_eq!(reader(each), each.name().into());
    }
}
