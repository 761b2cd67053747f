//! The steps that nnU-Net's default preprocessor and exporter take around a network.

use super::labels::Labels;
use super::plans::Configuration;
use crate::error::{Error, Result};
use crate::model::json::Json;
use crate::nifti::Reader;
use crate::recipe::{
    Fill, ImportanceMap, Normalization, Recipe, Resample, Resampler, RestoreMode, ScorePrecision, Spline,
    Step, TilePlacement, Tiling,
};

/// The recipe of a configuration; `mirror` are the network's axes that may be mirrored.
pub(super) fn recipe(
    plans: &Json,
    configuration: &Configuration,
    channels: usize,
    mirror: Vec<usize>,
    labels: &Labels,
) -> Result<Recipe> {
    let json = configuration.json();
    let preprocessor = json.get("preprocessor_name")?;
    if preprocessor.text()? != "DefaultPreprocessor" {
        let what = format!("preprocessor {}; this version runs DefaultPreprocessor", preprocessor.text()?);
        return Err(Error::unsupported(what));
    }
    let transpose = plans.get("transpose_forward")?;
    let order = transpose.axes(0, Json::count)?;
    if (0..3).any(|axis| !order.contains(&axis)) {
        return Err(transpose.wrong("a permutation of 0, 1, 2"));
    }
    let (reader, canonical) = match plans.get("image_reader_writer")?.text()? {
        "SimpleITKIO" => (Reader::Itk, false),
        "SimpleITKIOWithReorient" => (Reader::Itk, true),
        "NibabelIO" => (Reader::NibabelIo, false),
        "NibabelIOWithReorient" => (Reader::NibabelIoWithReorient, true),
        reader => {
            return Err(Error::unsupported(format!("image reader {reader}; this version reads volumes")));
        }
    };
    let positive = |json: &Json| match json.number()? {
        number if number > 0.0 => Ok(Some(number)),
        _ => Err(json.wrong("a positive number")),
    };
    let resample = Resample {
        spacing: json.get("spacing")?.axes(None, positive)?,
        image: resampler(&json, "resampling_fn_data")?,
        scores: resampler(&json, "resampling_fn_probabilities")?,
        labels: resampler(&json, "resampling_fn_seg")?,
    };
    let patch = json.get("patch_size")?;
    let sizes = patch.axes(1, Json::count)?;
    if sizes.contains(&0) || sizes.iter().product::<usize>() > 1 << 30 {
        return Err(patch.wrong("sizes from 1 whose product stays under 2^30"));
    }
    let mut steps = vec![
        Step::Orient { canonical, flip: [false; 3], order: order.map(|axis| 2 - axis) },
        Step::CropToNonzero,
        Step::Normalize(normalizations(plans, &json, channels)?),
        Step::Resample(resample),
    ];
    if configuration.previous_stage()?.is_some() {
        steps.push(Step::AddPreviousStage { labels: labels.foreground.clone() });
    }
    Ok(Recipe {
        reader,
        steps,
        tiling: Tiling {
            patch: sizes,
            slices: configuration.dimensions == 2,
            placement: TilePlacement::Even(0.5),
            importance: ImportanceMap::Gaussian,
            fill: Fill::Constant(0.0),
            score_precision: ScorePrecision::Half,
            mirror,
        },
        restore: RestoreMode::Scores,
        cleanup: Vec::new(),
        decision: labels.decision.clone(),
        postprocess: Vec::new(),
        prompting: None,
    })
}

/// A function and its arguments; those that are left out have the function's own defaults.
fn resampler(configuration: &Json, key: &str) -> Result<Resampler> {
    let name = configuration.get(key)?.text()?;
    let arguments = configuration.get(&format!("{key}_kwargs"))?;
    arguments.members()?;
    let argument = |key: &str| arguments.find(key);
    let separate = argument("force_separate_z").map(|force| force.boolean()).transpose()?;
    let threshold =
        argument("separate_z_anisotropy_threshold").map(|threshold| threshold.number()).transpose()?;
    if threshold.is_some_and(|threshold| threshold != 3.0) {
        return Err(Error::unsupported(format!("{key} with an anisotropy threshold other than 3")));
    }
    match name {
        "resample_data_or_seg_to_shape" => {
            let small = |json: Json| Ok(json.count()?.min(255) as u8);
            let order = argument("order").map_or(Ok(3), small)?;
            let order_z = argument("order_z").map_or(Ok(0), small)?;
            // Null leaves it to the spacing; left out, it is false.
            let given = arguments.value().get("force_separate_z").is_some();
            let separate = if given { separate } else { Some(false) };
            Ok(Resampler::Spline(Spline::new(order, order_z, separate)?))
        }
        "resample_torch_fornnunet" => {
            let expect = |key: &str, value: &str| match argument(key).map(|mode| mode.text()).transpose()? {
                Some(mode) if mode != value => Err(Error::unsupported(format!("{name} with {key} {mode}"))),
                _ => Ok(()),
            };
            expect("mode", "linear")?;
            expect("aniso_axis_mode", "nearest-exact")?;
            let memory_efficient =
                argument("memefficient_seg_resampling").map_or(Ok(false), |json| json.boolean())?;
            Ok(Resampler::Torch { separate, memory_efficient })
        }
        "no_resampling_hack" => Ok(Resampler::None),
        other => Err(Error::unsupported(format!("{key} {other}"))),
    }
}

fn normalizations(plans: &Json, configuration: &Json, channels: usize) -> Result<Vec<Normalization>> {
    let schemes = configuration.get("normalization_schemes")?;
    let masks = configuration.get("use_mask_for_norm")?;
    let (names, masked) = (schemes.list()?, masks.list()?);
    if names.len() != channels || masked.len() != channels {
        return Err(
            schemes.wrong(&format!("one entry for each of the {channels} channels, as in use_mask_for_norm"))
        );
    }
    let statistics =
        ["foreground_intensity_properties_per_channel", "foreground_intensity_properties_by_modality"]
            .iter()
            .find_map(|key| plans.find(key));
    let scheme = |(channel, (name, mask)): (usize, (&Json, &Json))| {
        Ok(match name.text()? {
            "CTNormalization" => {
                let properties = statistics.as_ref().and_then(|all| all.find(&channel.to_string()));
                let expected = "intensity properties of this channel in the plans";
                let properties = properties.ok_or_else(|| name.wrong(expected))?;
                let value = |key: &str| Ok::<f32, Error>(properties.get(key)?.number()? as f32);
                Normalization::Ct {
                    lower: value("percentile_00_5")?,
                    upper: value("percentile_99_5")?,
                    mean: value("mean")?,
                    std: value("std")?,
                }
            }
            "ZScoreNormalization" => Normalization::ZScore { masked: mask.boolean()? },
            "NoNormalization" => Normalization::None,
            "RescaleTo01Normalization" => Normalization::RescaleTo01,
            "RGBTo01Normalization" => Normalization::RgbTo01,
            other => return Err(Error::unsupported(format!("normalisation {other}"))),
        })
    };
    names.iter().zip(&masked).enumerate().map(scheme).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(arguments: Value) -> Result<Resampler> {
        let plans = json!({"f": "resample_data_or_seg_to_shape", "f_kwargs": arguments});
        resampler(&Json::new("plans.json", &plans), "f")
    }

    #[test]
    fn what_is_left_out_has_the_functions_own_default() {
        let spline =
            |order, order_z, separate| Resampler::Spline(Spline::new(order, order_z, separate).unwrap());
        assert_eq!(read(json!({})).unwrap(), spline(3, 0, Some(false)));
        let usual = json!({"is_seg": false, "order": 1, "order_z": 0, "force_separate_z": null});
        assert_eq!(read(usual).unwrap(), spline(1, 0, None));
        assert_eq!(read(json!({"order_z": 1, "force_separate_z": true})).unwrap(), spline(3, 1, Some(true)));
    }

    #[test]
    fn a_missing_function_is_an_error_as_in_nnunet() {
        for lacking in [json!({"f_kwargs": {}}), json!({"f": "resample_data_or_seg_to_shape"})] {
            let error = resampler(&Json::new("plans.json", &lacking), "f").unwrap_err();
            assert!(error.status() == 203 && error.to_string().contains("is missing"), "{error}");
        }
    }
}
