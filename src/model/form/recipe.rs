//! The form of a recipe.

use super::{Form, fields, kind};
use crate::nifti::Reader;
use crate::preprocess::monai::{CropForeground, MonaiIntensity, Outside, Padding, Spacing, SpatialPad};
use crate::preprocess::normalize::Normalization;
use crate::preprocess::resample::Orders;
use crate::recipe::{
    Back, BoxSource, Cleanup, Decision, Fill, KeepLargest, Placement, Recipe, Region, Resample, Resampler,
    Spline, Step, Sums, Tiling, Weights,
};
use crate::restore::LargestComponents;

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
