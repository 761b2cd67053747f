//! The form of a recipe.

use super::{Form, fields, kind};
use crate::nifti::Reader;
use crate::recipe::{
    BoxSource, Cleanup, CropForeground, Decision, Fill, FillHoles, Frame, ImportanceMap, KeepLargest,
    LabelRule, LargestComponents, MonaiIntensity, Normalization, Orders, Padding, PaddingMode, Painting,
    PromptKind, Prompting, Recipe, Region, Resample, Resampler, Resize, ResizeMode, RestoreMode,
    ScorePrecision, Size, SmallObjects, Spacing, SpatialPad, Spline, Step, TilePlacement, Tiling,
};
use crate::volume::AxisMap;

/// All that happens around a network.
pub(in crate::model) fn recipe(recipe: &Recipe) -> Form {
    let Recipe {
        reader,
        steps,
        tiling: cut,
        restore: from,
        decision: rule,
        cleanup: always,
        postprocess,
        prompting: prompts,
    } = recipe;
    let form = fields([
        ("reader", self::reader(*reader)),
        ("steps", list(steps, step)),
        ("tiling", tiling(cut)),
        ("restore", restore(*from)),
        ("decision", decision(rule)),
        ("cleanup", list(always, cleanup)),
        ("postprocessing", list(postprocess, keep_largest)),
    ]);
    match prompts {
        None => form,
        Some(Prompting::Painting(prompts)) => form.with("prompting", painting(prompts)),
        // The step that makes room for them says it all.
        Some(Prompting::Clicks(_)) => form,
    }
}

fn painting(painting: &Painting) -> Form {
    let Painting { point_radius, decay, channels, previous, painted, initial } = painting;
    let channels_of = |(kind, channels): &(PromptKind, [usize; 2])| {
        fields([("kind", kind.name().into()), ("channels", (*channels).into())])
    };
    fields([
        ("point_radius", (*point_radius).into()),
        ("decay", (*decay).into()),
        ("channels", (*channels).into()),
        ("previous_channel", (*previous).into()),
        ("painted", list(painted, channels_of)),
        ("initial_mask", (*initial).into()),
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
            let Spacing { pixdim, min_pixdim, max_pixdim, align_corners, outside, single, orthogonal } =
                spacing;
            fields([
                ("step", "spacing".into()),
                ("pixdim", (*pixdim).into()),
                ("min_pixdim", (*min_pixdim).into()),
                ("max_pixdim", (*max_pixdim).into()),
                ("align_corners", (*align_corners).into()),
                ("padding_mode", self::outside(*outside)),
                ("dtype", if *single { "float32" } else { "float64" }.into()),
                ("orthogonal", (*orthogonal).into()),
            ])
        }
        Step::Frame { frame, padding: fill } => framed(frame, padding(*fill)),
        Step::Resize(Resize { size, mode }) => {
            let (size_mode, shape) = match size {
                Size::All(shape) => ("all", (*shape).into()),
                Size::Longest(length) => ("longest", Form::from([*length; 3])),
            };
            let (mode, align_corners) = match mode {
                ResizeMode::Area => ("area", false),
                ResizeMode::Nearest => ("nearest", false),
                ResizeMode::Linear { align_corners } => ("trilinear", *align_corners),
            };
            fields([
                ("step", "resize".into()),
                ("size_mode", size_mode.into()),
                ("spatial_size", shape),
                ("mode", mode.into()),
                ("align_corners", align_corners.into()),
            ])
        }
        Step::Turn(AxisMap { axis, flip }) => {
            fields([("step", "turn".into()), ("axes", (*axis).into()), ("flip", (*flip).into())])
        }
        Step::AddClicks { labels } => fields([("step", "add_clicks".into()), ("labels", labels.into())]),
        Step::AddPreviousStage { labels } => {
            fields([("step", "add_previous_stage".into()), ("labels", labels.into())])
        }
    }
}

fn framed(frame: &Frame, padding: Form) -> Form {
    let method = |end: bool| Form::from(if end { "end" } else { "symmetric" });
    match frame {
        Frame::AtLeast(SpatialPad { shape, end }) => fields([
            ("step", "spatial_pad".into()),
            ("spatial_size", (*shape).into()),
            ("method", method(*end)),
            ("padding", padding),
        ]),
        Frame::Divisible { k, end } => fields([
            ("step", "divisible_pad".into()),
            ("k", (*k).into()),
            ("method", method(*end)),
            ("padding", padding),
        ]),
        Frame::Border { below, above } => fields([
            ("step", "border_pad".into()),
            ("below", (*below).into()),
            ("above", (*above).into()),
            ("padding", padding),
        ]),
        Frame::Center(shape) => {
            fields([("step", "center_spatial_crop".into()), ("roi_size", (*shape).into())])
        }
        Frame::Part { start, end } => fields([
            ("step", "spatial_crop".into()),
            ("roi_start", (*start).into()),
            ("roi_end", (*end).into()),
        ]),
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
        Resampler::Torch { separate, memory_efficient } => fields([
            ("rule", "torch".into()),
            ("force_separate_z", separate.into()),
            ("memory_efficient", memory_efficient.into()),
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
        MonaiIntensity::Times(factor) => fields([("rule", "times".into()), ("factor", (*factor).into())]),
        MonaiIntensity::Shift(offset) => {
            fields([("rule", "shift_intensity".into()), ("offset", (*offset).into())])
        }
        MonaiIntensity::ScalePercentiles { from, to, clip, channel_wise } => fields([
            ("rule", "scale_intensity_range_percentiles".into()),
            ("from", (*from).into()),
            ("to", (*to).into()),
            ("clip", (*clip).into()),
            ("channel_wise", (*channel_wise).into()),
        ]),
        MonaiIntensity::ClipPercentiles { bounds, channel_wise } => fields([
            ("rule", "clip_intensity_percentiles".into()),
            ("bounds", (*bounds).into()),
            ("channel_wise", (*channel_wise).into()),
        ]),
        MonaiIntensity::Threshold { threshold, above, other } => fields([
            ("rule", "threshold_intensity".into()),
            ("threshold", (*threshold).into()),
            ("above", (*above).into()),
            ("cval", (*other).into()),
        ]),
        MonaiIntensity::Contrast { gamma } => {
            fields([("rule", "adjust_contrast".into()), ("gamma", (*gamma).into())])
        }
        MonaiIntensity::Smooth { sigma } => {
            fields([("rule", "gaussian_smooth".into()), ("sigma", (*sigma).into())])
        }
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

fn outside(outside: PaddingMode) -> Form {
    match outside {
        PaddingMode::Border => "border",
        PaddingMode::Zeros => "zeros",
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
    let Tiling { patch, slices, placement: places, importance, fill, score_precision, mirror } = tiling;
    fields([
        ("patch", (*patch).into()),
        ("slices", (*slices).into()),
        ("placement", placement(*places)),
        ("importance", self::importance(*importance)),
        ("padding", self::fill(*fill)),
        ("score_precision", self::score_precision(*score_precision)),
        ("mirror_axes", mirror.into()),
    ])
}

fn placement(placement: TilePlacement) -> Form {
    match placement {
        TilePlacement::Even(step) => fields([("rule", "even".into()), ("step", step.into())]),
        TilePlacement::Overlapping(overlap) => {
            fields([("rule", "overlapping".into()), ("overlap", overlap.into())])
        }
    }
}

fn importance(map: ImportanceMap) -> Form {
    match map {
        ImportanceMap::Gaussian => kind("rule", "gaussian"),
        ImportanceMap::Constant => kind("rule", "constant"),
        ImportanceMap::MonaiGaussian(sigma_scale) => {
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

fn score_precision(precision: ScorePrecision) -> Form {
    match precision {
        ScorePrecision::Half => "float16",
        ScorePrecision::Single => "float32",
    }
    .into()
}

fn restore(mode: RestoreMode) -> Form {
    match mode {
        RestoreMode::Scores => "scores",
        RestoreMode::Probabilities => "probabilities",
        RestoreMode::Labels => "labels",
        RestoreMode::InterpolatedLabels => "interpolated_labels",
    }
    .into()
}

fn decision(decision: &Decision) -> Form {
    match decision {
        Decision::Highest => kind("rule", "argmax"),
        Decision::Regions { regions, threshold, at_half } => {
            let mut form = fields([
                ("rule", "regions".into()),
                ("regions", list(regions, region)),
                ("at_half", (*at_half).into()),
            ]);
            // The format is older than other thresholds.
            if let (Form::Fields(fields), true) = (&mut form, *threshold != 0.5) {
                fields.insert("threshold", (*threshold).into());
            }
            form
        }
    }
}

fn region(region: &Region) -> Form {
    let Region { class, label } = region;
    fields([("class", (*class).into()), ("label", (*label).into())])
}

fn cleanup(cleanup: &Cleanup) -> Form {
    let Cleanup { rule, on_network_grid } = cleanup;
    let there = ("on_network_grid", (*on_network_grid).into());
    match rule {
        LabelRule::Largest(LargestComponents { labels, independent, connectivity, components }) => fields([
            ("rule", "keep_largest_components".into()),
            ("labels", labels.as_ref().into()),
            ("independent", (*independent).into()),
            ("connectivity", (*connectivity).into()),
            ("components", (*components).into()),
            there,
        ]),
        LabelRule::RemoveSmall(SmallObjects { least, by_measure, together, connectivity }) => fields([
            ("rule", "remove_small_objects".into()),
            ("min_size", (*least).into()),
            ("by_measure", (*by_measure).into()),
            ("independent", (!*together).into()),
            ("connectivity", (*connectivity).into()),
            there,
        ]),
        LabelRule::FillHoles(FillHoles { labels, connectivity }) => fields([
            ("rule", "fill_holes".into()),
            ("labels", labels.as_ref().into()),
            ("connectivity", (*connectivity).into()),
            there,
        ]),
        LabelRule::Filter(labels) => {
            fields([("rule", "label_filter".into()), ("labels", labels.into()), there])
        }
        LabelRule::Map(pairs) => {
            let [from, to]: [Vec<u16>; 2] =
                [pairs.iter().map(|pair| pair.0).collect(), pairs.iter().map(|pair| pair.1).collect()];
            fields([
                ("rule", "map_label_value".into()),
                ("from", (&from).into()),
                ("to", (&to).into()),
                there,
            ])
        }
    }
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
mod tests;
