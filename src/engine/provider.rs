//! The execution providers of ONNX Runtime that networks can run on, beside its CPU.

/// What computes for ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// NVIDIA GPUs through CUDA and cuDNN.
    Cuda,
    /// NVIDIA GPUs through TensorRT, which compiles a network for minutes.
    TensorRt,
    /// Any GPU on Windows, through Direct3D 12.
    DirectMl,
    /// Intel processors (index 0) and GPUs (from index 1 on).
    OpenVino,
    /// Apple's GPUs and neural engines.
    CoreMl,
    /// AMD GPUs through ROCm.
    MiGraphX,
}

impl Provider {
    /// All of them, in the order in which the best device is looked for.
    pub const ALL: [Provider; 6] = [
        Provider::Cuda,
        Provider::TensorRt,
        Provider::MiGraphX,
        Provider::CoreMl,
        Provider::DirectMl,
        Provider::OpenVino,
    ];

    /// Its name, as the tool takes it.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Cuda => "cuda",
            Provider::TensorRt => "tensorrt",
            Provider::DirectMl => "directml",
            Provider::OpenVino => "openvino",
            Provider::CoreMl => "coreml",
            Provider::MiGraphX => "migraphx",
        }
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Provider::Cuda => "CUDA",
            Provider::TensorRt => "TensorRT",
            Provider::DirectMl => "DirectML",
            Provider::OpenVino => "OpenVINO",
            Provider::CoreMl => "Core ML",
            Provider::MiGraphX => "MIGraphX",
        }
    }

    /// What ONNX Runtime calls it.
    pub(crate) fn ort_name(self) -> &'static str {
        match self {
            Provider::Cuda => "CUDAExecutionProvider",
            Provider::TensorRt => "TensorrtExecutionProvider",
            Provider::DirectMl => "DmlExecutionProvider",
            Provider::OpenVino => "OpenVINOExecutionProvider",
            Provider::CoreMl => "CoreMLExecutionProvider",
            Provider::MiGraphX => "MIGraphXExecutionProvider",
        }
    }

    /// Where to get it.
    pub(crate) fn source(self) -> &'static str {
        match self {
            Provider::Cuda | Provider::TensorRt => "the files of onnxruntime-gpu have it",
            Provider::DirectMl => "the files of onnxruntime-directml have it, on Windows only",
            Provider::OpenVino => "the files of onnxruntime-openvino have it",
            Provider::CoreMl => "ONNX Runtime's files for macOS have it",
            Provider::MiGraphX => "the files of onnxruntime-migraphx have it",
        }
    }
}
