//! The form of a recipe.

use super::{Form, fields, kind};
use crate::nifti::Reader;
use crate::recipe::{
    Back, BoxSource, Cleanup, CropForeground, Decision, Fill, KeepLargest, LargestComponents, MonaiIntensity,
    Normalization, Orders, Outside, Padding, Placement, Recipe, Region, Resample, Resampler, Spacing,
    SpatialPad, Spline, Step, Sums, Tiling, Weights,
};

/// All that happens around a network.
pub(in crate::model) fn recipe(recipe: &Recipe) -> Form {
    let Recipe { reader, steps, tiling: cut, back: from, decision: rule, cleanup: always, postprocess } =
        recipe;
    fields([
        ("reader", self::reader(*reader)),
        ("steps", list(steps, step)),
        ("tiling", tiling(cut)),
        ("back", back(*from)),
        ("decision", decision(rule)),
        ("cleanup", list(always, cleanup)),
        ("postprocessing", list(postprocess, keep_largest)),
    ])
}

fn list<T>(elements: &[T], form: fn(&T) -> Form) -> Form {
    Form::List(elements.iter().map(form).collect())
}

fn reader(reader: Reader) -> Form {
    match reader {
        Reader::Itk => "itk",
        Reader::Nibabel => "nibabel",
        Reader::NibabelIo => "nibabel-io",
        Reader::NibabelIoWithReorient => "nibabel-io-reorient",
        Reader::Monai => "monai",
    }
    .into()
}

fn step(step: &Step) -> Form {
    match step {
        Step::Orient { canonical, flip, order } => fields([
            ("step", "orient".into()),
            ("canonical", (*canonical).into()),
            ("flip", (*flip).into()),
            ("order", (*order).into()),
        ]),
        Step::CropToNonzero => kind("step", "crop_to_nonzero"),
        Step::Normalize(rules) => {
            fields([("step", "normalize".into()), ("channels", list(rules, normalization))])
        }
        Step::Resample(Resample { spacing, image, scores, labels }) => fields([
            ("step", "resample".into()),
            ("spacing", (*spacing).into()),
            ("image", resampler(*image)),
            ("scores", resampler(*scores)),
            ("labels", resampler(*labels)),
        ]),
        Step::Intensity { channel, rule } => fields([
            ("step", "intensity".into()),
            ("channel", (*channel).into()),
            ("transform", intensity(rule)),
        ]),
        Step::CropForeground { crop, padding: fill, source } => {
            let CropForeground { margin, allow_smaller, k_divisible } = crop;
            fields([
                ("step", "crop_foreground".into()),
                ("margin", (*margin).into()),
                ("allow_smaller", (*allow_smaller).into()),
                ("k_divisible", (*k_divisible).into()),
                ("padding", padding(*fill)),
                ("source", box_source(*source)),
            ])
        }
        Step::Space(spacing) => {
            let Spacing { pixdim, min_pixdim, max_pixdim, align_corners, outside, single, straight } =
                spacing;
            fields([
                ("step", "spacing".into()),
                ("pixdim", (*pixdim).into()),
                ("min_pixdim", (*min_pixdim).into()),
                ("max_pixdim", (*max_pixdim).into()),
                ("align_corners", (*align_corners).into()),
                ("padding_mode", self::outside(*outside)),
                ("dtype", if *single { "float32" } else { "float64" }.into()),
                ("orthogonal", (*straight).into()),
            ])
        }
        Step::Pad { pad, padding: fill } => {
            let SpatialPad { shape, end } = pad;
            fields([
                ("step", "spatial_pad".into()),
                ("spatial_size", (*shape).into()),
                ("method", if *end { "end" } else { "symmetric" }.into()),
                ("padding", padding(*fill)),
            ])
        }
        Step::AddPreviousStage { labels } => {
            fields([("step", "add_previous_stage".into()), ("labels", labels.into())])
        }
    }
}

fn normalization(rule: &Normalization) -> Form {
    match rule {
        Normalization::Ct { lower, upper, mean, std } => fields([
            ("rule", "ct".into()),
            ("lower", (*lower).into()),
            ("upper", (*upper).into()),
            ("mean", (*mean).into()),
            ("std", (*std).into()),
        ]),
        Normalization::ZScore { masked } => {
            fields([("rule", "z_score".into()), ("use_mask", (*masked).into())])
        }
        Normalization::None => kind("rule", "none"),
        Normalization::RescaleTo01 => kind("rule", "rescale_to_0_1"),
        Normalization::RgbTo01 => kind("rule", "rgb_to_0_1"),
    }
}

fn resampler(resampler: Resampler) -> Form {
    match resampler {
        Resampler::Spline(Spline { orders: Orders { order, order_z }, separate }) => fields([
            ("rule", "spline".into()),
            ("order", order.into()),
            ("order_z", order_z.into()),
            ("force_separate_z", separate.into()),
        ]),
        Resampler::Torch { separate, frugal } => fields([
            ("rule", "torch".into()),
            ("force_separate_z", separate.into()),
            ("memory_efficient", frugal.into()),
        ]),
        Resampler::None => kind("rule", "none"),
    }
}

fn intensity(rule: &MonaiIntensity) -> Form {
    match rule {
        MonaiIntensity::ScaleRange { from, to, clip } => fields([
            ("rule", "scale_intensity_range".into()),
            ("from", (*from).into()),
            ("to", (*to).into()),
            ("clip", (*clip).into()),
        ]),
        MonaiIntensity::Scale { to, channel_wise } => fields([
            ("rule", "scale_intensity".into()),
            ("to", (*to).into()),
            ("channel_wise", (*channel_wise).into()),
        ]),
        MonaiIntensity::Normalize { nonzero, channel_wise, subtrahend, divisor } => fields([
            ("rule", "normalize_intensity".into()),
            ("nonzero", (*nonzero).into()),
            ("channel_wise", (*channel_wise).into()),
            ("subtrahend", subtrahend.as_ref().into()),
            ("divisor", divisor.as_ref().into()),
        ]),
        MonaiIntensity::Sigmoid => kind("rule", "sigmoid"),
        MonaiIntensity::SoftClip => kind("rule", "soft_clip"),
        MonaiIntensity::ScaleByDeviation => kind("rule", "scale_by_deviation"),
    }
}

fn padding(padding: Padding) -> Form {
    match padding {
        Padding::Constant(value) => fields([("rule", "constant".into()), ("value", value.into())]),
        Padding::Edge => kind("rule", "edge"),
        Padding::Minimum => kind("rule", "minimum"),
    }
}

fn outside(outside: Outside) -> Form {
    match outside {
        Outside::Border => "border",
        Outside::Zeros => "zeros",
    }
    .into()
}

fn box_source(source: BoxSource) -> Form {
    match source {
        BoxSource::Image => "image",
        BoxSource::FirstChannel => "first_channel",
        BoxSource::Misplaced => "first_channel_not_turned",
    }
    .into()
}

fn tiling(tiling: &Tiling) -> Form {
    let Tiling { patch, slices, placement: places, weights, fill, sums, mirror } = tiling;
    fields([
        ("patch", (*patch).into()),
        ("slices", (*slices).into()),
        ("placement", placement(*places)),
        ("importance", importance(*weights)),
        ("padding", self::fill(*fill)),
        ("sums", self::sums(*sums)),
        ("mirror_axes", mirror.into()),
    ])
}

fn placement(placement: Placement) -> Form {
    match placement {
        Placement::Even(step) => fields([("rule", "even".into()), ("step", step.into())]),
        Placement::Overlapping(overlap) => {
            fields([("rule", "overlapping".into()), ("overlap", overlap.into())])
        }
    }
}

fn importance(weights: Weights) -> Form {
    match weights {
        Weights::Gaussian => kind("rule", "gaussian"),
        Weights::Constant => kind("rule", "constant"),
        Weights::MonaiGaussian(sigma_scale) => {
            fields([("rule", "monai_gaussian".into()), ("sigma_scale", sigma_scale.into())])
        }
    }
}

fn fill(fill: Fill) -> Form {
    match fill {
        Fill::Constant(value) => fields([("rule", "constant".into()), ("value", value.into())]),
        Fill::Edge => kind("rule", "edge"),
    }
}

fn sums(sums: Sums) -> Form {
    match sums {
        Sums::Half => "float16",
        Sums::Single => "float32",
    }
    .into()
}

fn back(back: Back) -> Form {
    match back {
        Back::Scores => "scores",
        Back::Probabilities => "probabilities",
        Back::Labels => "labels",
        Back::InterpolatedLabels => "interpolated_labels",
    }
    .into()
}

fn decision(decision: &Decision) -> Form {
    match decision {
        Decision::Highest => kind("rule", "argmax"),
        Decision::Regions { regions, at_half } => fields([
            ("rule", "regions".into()),
            ("regions", list(regions, region)),
            ("at_half", (*at_half).into()),
        ]),
    }
}

fn region(region: &Region) -> Form {
    let Region { class, label } = region;
    fields([("class", (*class).into()), ("label", (*label).into())])
}

fn cleanup(cleanup: &Cleanup) -> Form {
    let Cleanup {
        rule: LargestComponents { labels, independent, connectivity, components },
        on_network_grid,
    } = cleanup;
    fields([
        ("rule", "keep_largest_components".into()),
        ("labels", labels.as_ref().into()),
        ("independent", (*independent).into()),
        ("connectivity", (*connectivity).into()),
        ("components", (*components).into()),
        ("on_network_grid", (*on_network_grid).into()),
    ])
}

fn keep_largest(rule: &KeepLargest) -> Form {
    let KeepLargest { labels, background } = rule;
    fields([
        ("rule", "keep_largest_component".into()),
        ("labels", labels.into()),
        ("background", (*background).into()),
    ])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    /// A step of every kind, and every other choice, in some recipes.
    fn every_kind() -> Vec<Recipe> {
        let spline = Resampler::Spline(Spline::new(3, 0, None).unwrap());
        let torch = Resampler::Torch { separate: Some(true), frugal: true };
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
            MonaiIntensity::Sigmoid,
            MonaiIntensity::SoftClip,
            MonaiIntensity::ScaleByDeviation,
        ];
        let crop = CropForeground { margin: [1; 3], allow_smaller: true, k_divisible: [1; 3] };
        let pad = |end| SpatialPad { shape: [4; 3], end };
        let mut steps = vec![
            Step::Orient { canonical: true, flip: [true, false, true], order: [2, 1, 0] },
            Step::CropToNonzero,
            Step::Normalize(normalizations),
            Step::Resample(Resample { spacing, image: spline, scores: torch, labels: Resampler::None }),
            Step::Space(Spacing { outside: Outside::Zeros, single: true, ..Spacing::new([1.0; 3]) }),
            Step::Space(Spacing { pixdim: [None; 3], ..Spacing::new([1.0; 3]) }),
            Step::Pad { pad: pad(true), padding: Padding::Constant(-1.5) },
            Step::Pad { pad: pad(false), padding: Padding::Edge },
            Step::AddPreviousStage { labels: vec![1, 2] },
        ];
        let intensity = |rule| Step::Intensity { channel: Some(1), rule };
        steps.extend(intensities.map(intensity));
        steps.extend(
            [BoxSource::Image, BoxSource::FirstChannel, BoxSource::Misplaced]
                .map(|source| Step::CropForeground { crop, padding: Padding::Minimum, source }),
        );
        let first = Recipe {
            reader: Reader::Monai,
            steps,
            tiling: Tiling {
                placement: Placement::Overlapping([0.25; 3]),
                weights: Weights::MonaiGaussian([0.125; 3]),
                fill: Fill::Edge,
                sums: Sums::Single,
                mirror: vec![0, 2],
                ..Recipe::for_tests([8; 3]).tiling
            },
            back: Back::Probabilities,
            decision: Decision::regions([1, 2]),
            cleanup: vec![Cleanup {
                rule: LargestComponents { labels: None, independent: true, connectivity: 3, components: 1 },
                on_network_grid: true,
            }],
            postprocess: vec![KeepLargest { labels: vec![1, 2], background: 0 }],
        };
        let other = |back, reader, weights| Recipe {
            back,
            reader,
            tiling: Tiling { weights, ..Recipe::for_tests([8; 3]).tiling },
            ..Recipe::for_tests([8; 3])
        };
        vec![
            first,
            other(Back::Labels, Reader::Nibabel, Weights::Constant),
            other(Back::InterpolatedLabels, Reader::NibabelIo, Weights::Gaussian),
            other(Back::Scores, Reader::NibabelIoWithReorient, Weights::Gaussian),
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
            let wrong: Vec<String> = validator
                .iter_errors(&json)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    }

    #[test]
    fn readers_have_one_name_each() {
        for each in Reader::all() {
            assert_eq!(reader(each), each.name().into());
        }
    }
}
