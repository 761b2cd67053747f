"""The strings that options and reports have, as types. Generated from include/voxseg.h by `cargo xtask bless`."""

from __future__ import annotations

from typing import Literal

DeviceName = Literal[
    "cpu",
    "ort-cpu",
    "cuda",
    "tensorrt",
    "gpu",
    "directml",
    "openvino",
    "coreml",
    "migraphx",
    "best",
]
"""What runs the network."""

ReaderName = Literal[
    "itk",
    "nibabel",
    "nibabel-io",
    "nibabel-io-reorient",
    "monai",
]
"""The software whose reading of a NIfTI header counts."""

PrecisionName = Literal[
    "auto",
    "f32",
    "f16",
]
"""The type that the network computes in."""

FallbackName = Literal[
    "off",
    "cpu",
]
"""What happens where the device can't compute something."""

OverflowName = Literal[
    "single",
    "error",
]
"""What happens to scores that overflow half precision."""

ConvolutionAlgorithmName = Literal[
    "winograd",
    "direct",
]
"""How the own CPU engine computes convolutions."""

InstructionsName = Literal[
    "auto",
    "avx512",
    "avx2",
    "neon",
    "portable",
]
"""Which instructions the own CPU engine uses."""

MirroringName = Literal[
    "model",
    "off",
]
"""Whether tiles are also computed mirrored."""

BlendingName = Literal[
    "model",
    "gaussian",
    "constant",
]
"""How overlapping tiles weigh."""

PostprocessName = Literal[
    "off",
    "model",
]
"""What is done to the labels that the network gives."""

WhenBusyName = Literal[
    "fail",
    "wait",
]
"""What becomes of a segmentation that a plan has no place for."""

MemoryStepName = Literal[
    "none",
    "one-tile",
    "host-blends",
]
"""What the memory of a device wasn't enough for."""

NonFiniteName = Literal[
    "error",
    "zero",
    "lowest",
]
"""What happens to voxels that are NaN or infinite."""

WhenGlobalName = Literal[
    "compute",
    "refuse",
]
"""What becomes of regions where labels depend on the whole image."""

RunWarningsName = Literal[
    "non-finite-replaced",
    "unusual-intensities",
]
"""What may make the labels of a run wrong."""

ResamplingName = Literal[
    "linear",
    "cubic",
    "network",
]
"""How a task brings the volume to its networks' grid."""

ForegroundCropName = Literal[
    "as-published",
    "corrected",
]
"""How Auto3DSeg models find the foreground."""

Auto3DSegScriptName = Literal[
    "from-model",
    "general",
    "brats",
    "whole-head",
]
"""Which way of the published script Auto3DSeg models go."""

StageName = Literal[
    "preprocess",
    "network",
    "restore",
    "measure",
    "open",
    "compile",
]
"""What a call is at."""

PromptsName = Literal[
    "point",
    "box-2d",
    "box-3d",
    "scribble",
    "lasso",
    "mask",
    "point-per-label",
]
"""What a user can give a model to go by."""

LabelMatchName = Literal[
    "name",
    "terms",
]
"""How labels of two models are matched."""

TermRoleName = Literal[
    "category",
    "type",
    "modifier",
    "region",
    "region-modifier",
]
"""What a coded term of a label says: DICOM's attributes."""

LogLevelName = Literal[
    "debug",
    "info",
    "warning",
    "error",
]
"""How much a message matters."""
