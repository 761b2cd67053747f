//! The header's groups of constants that are enumerations in the bindings, with the names that they have there.

use std::fmt::Write;

use super::header::{Constant, Header};

/// Prefix of the constants, name of the enumeration, what it is.
const ENUMERATIONS: [(&str, &str, &str); 26] = [
    ("VXS_DTYPE_", "VoxelType", "The type of a voxel, in the machine's byte order."),
    ("VXS_DEVICE_", "Device", "What runs the network."),
    ("VXS_READER_", "Reader", "The software whose reading of a NIfTI header counts."),
    ("VXS_PRECISION_", "Precision", "The type that the network computes in."),
    ("VXS_FALLBACK_", "Fallback", "What happens where the device can't compute something."),
    ("VXS_OVERFLOW_", "Overflow", "What happens to scores that overflow half precision."),
    ("VXS_CONVOLUTION_", "ConvolutionAlgorithm", "How the own CPU engine computes convolutions."),
    ("VXS_INSTRUCTIONS_", "Instructions", "Which instructions the own CPU engine uses."),
    ("VXS_MIRRORING_", "Mirroring", "Whether tiles are also computed mirrored."),
    ("VXS_BLENDING_", "Blending", "How overlapping tiles weigh."),
    ("VXS_POSTPROCESS_", "Postprocess", "What is done to the labels that the network gives."),
    ("VXS_WHEN_BUSY_", "WhenBusy", "What becomes of a segmentation that a plan has no place for."),
    ("VXS_MEMORY_STEP_", "MemoryStep", "What the memory of a device wasn't enough for."),
    ("VXS_NON_FINITE_", "NonFinite", "What happens to voxels that are NaN or infinite."),
    ("VXS_WHEN_GLOBAL_", "WhenGlobal", "What becomes of regions where labels depend on the whole image."),
    ("VXS_WARNING_", "RunWarnings", "What may make the labels of a run wrong."),
    ("VXS_RESAMPLING_", "Resampling", "How a task brings the volume to its networks' grid."),
    ("VXS_FOREGROUND_CROP_", "ForegroundCrop", "How Auto3DSeg models find the foreground."),
    ("VXS_AUTO3DSEG_", "Auto3DSegScript", "Which way of the published script Auto3DSeg models go."),
    ("VXS_STAGE_", "Stage", "What a call is at."),
    ("VXS_MAP_", "MapKind", "What a map tells of each voxel."),
    ("VXS_PROMPT_", "Prompts", "What a user can give a model to go by."),
    ("VXS_MATCH_", "LabelMatch", "How labels of two models are matched."),
    ("VXS_TERM_", "TermRole", "What a coded term of a label says: DICOM's attributes."),
    ("VXS_LOG_", "LogLevel", "How much a message matters."),
    (
        "VXS_",
        "Status",
        "What went wrong: 1xx arguments, 2xx model, 3xx device, 4xx run, 9xx a defect of the library.",
    ),
];

/// Those of them whose members are bits.
const FLAGS: [&str; 2] = ["RunWarnings", "Prompts"];

/// Names that are written as their owners do.
const OWN_CASE: [(&str, &str); 6] = [
    ("AUTO3DSEG", "Auto3DSeg"),
    ("TENSORRT", "TensorRT"),
    ("DIRECTML", "DirectML"),
    ("OPENVINO", "OpenVino"),
    ("COREML", "CoreML"),
    ("MIGRAPHX", "MIGraphX"),
];

/// An enumeration of the bindings.
pub struct Group<'a> {
    pub name: &'static str,
    /// What its constants begin with in the header.
    pub prefix: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Whether its members are bits.
    pub flags: bool,
    pub members: Vec<Member<'a>>,
}

/// A member of an enumeration, in Pascal case.
pub struct Member<'a> {
    pub name: String,
    pub constant: &'a Constant,
}

/// The enumerations with their members.
pub fn groups(header: &Header) -> Vec<Group<'_>> {
    // Statuses have no prefix of their own, and one of them has that of the devices: they are a block of the header.
    let first = header.constants.iter().position(|it| it.name == "VXS_OK").unwrap_or_default();
    let others = header.constants.iter().skip(first + 1).take_while(|it| it.value.len() == 3).count();
    let statuses = first..=first + others;
    let members = |prefix: &str, name: &str| {
        let all = header.constants.iter().enumerate();
        let own = all.filter(|(place, it)| {
            it.name.starts_with(prefix) && statuses.contains(place) == (name == "Status")
        });
        own.map(|(_, constant)| Member { name: in_pascal_case(&constant.name[prefix.len()..]), constant })
            .collect()
    };
    let group = |(prefix, name, about)| Group {
        name,
        prefix,
        about,
        flags: FLAGS.contains(&name),
        members: members(prefix, name),
    };
    ENUMERATIONS.into_iter().map(group).collect()
}

/// `ORT_CPU` is `OrtCpu`; types of numbers have the names that .NET uses: `U16` is `UInt16`.
pub fn in_pascal_case(name: &str) -> String {
    let mut text = String::new();
    for word in name.split('_') {
        if let Some((_, own)) = OWN_CASE.iter().find(|(name, _)| *name == word) {
            text += own;
            continue;
        }
        let (first, rest) = word.split_at(1);
        let bits = !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit());
        text += &match (first, bits) {
            ("I", true) => format!("Int{rest}"),
            ("U", true) => format!("UInt{rest}"),
            ("F", true) => format!("Float{rest}"),
            _ => first.to_ascii_uppercase() + &rest.to_ascii_lowercase(),
        };
    }
    text
}

/// A comment of the header in which constants have the names of a binding, `VXS_DEVICE_CPU` is `Device.Cpu`, and so
/// have those functions.
pub fn with_own_names(about: &str, separator: &str, functions: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (index, part) in about.split('`').enumerate() {
        if index % 2 == 0 {
            text += part;
            continue;
        }
        let own = ENUMERATIONS.iter().find_map(|(prefix, name, _)| {
            let rest = part.strip_prefix(prefix)?;
            Some(format!("{name}{separator}{}", in_pascal_case(rest)))
        });
        let function = functions.iter().find(|(name, _)| *name == part).map_or(part, |(_, own)| own);
        let _ = write!(text, "`{}`", own.as_deref().unwrap_or(function));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_have_the_names_of_the_binding() {
        let about = "Else `VXS_DEVICE_ORT_CPU`; see `vxs_runtime_add_plugin` and `other`.";
        let found = with_own_names(about, "::", &[("vxs_runtime_add_plugin", "add_runtime_plugin")]);
        assert_eq!(found, "Else `Device::OrtCpu`; see `add_runtime_plugin` and `other`.");
    }
}
