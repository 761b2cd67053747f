//! Who trained a model: nnU-Net's trainers, and those of others that bring networks of their own, of which the plans
//! say nothing.

use crate::checkpoint::{Checkpoint, Value};
use crate::error::Error;
use crate::log::{self, Level};

/// What names of trainers with networks of their own contain, as they are written, and the network.
const FOREIGN: [(&str, &str); 19] = [
    ("BN", "one with batch normalisation in the place of the plans' norm"),
    ("Primus", "Primus"),
    ("SwinUMamba", "Swin-UMamba"),
    ("UMamba", "U-Mamba"),
    ("SegMamba", "SegMamba"),
    ("Mamba", "a Mamba network"),
    ("MedNeXt", "MedNeXt"),
    ("STUNet", "STU-Net"),
    ("SwinUNETR", "SwinUNETR"),
    ("UNETR", "UNETR"),
    ("nnFormer", "nnFormer"),
    ("SegFormer", "SegFormer"),
    ("SegResNet", "SegResNet"),
    ("LSTM", "a U-xLSTM"),
    ("CoTr", "CoTr"),
    ("TransUNet", "TransUNet"),
    ("MedFormer", "MedFormer"),
    ("VNet", "V-Net"),
    ("UKAN", "U-KAN"),
];

/// Who trained a model.
pub(super) struct Trainer {
    pub(super) name: String,
}

impl Trainer {
    /// The one that a checkpoint names.
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let name = checkpoint.root().get("trainer_name").and_then(|name| name.as_str()).unwrap_or("unknown");
        let trainer = Trainer { name: name.into() };
        if let Some(network) = trainer.network() {
            log::write(Level::Warning, || {
                format!("trainer {name}: it may have a network of its own, {network}; the tensors decide")
            });
        }
        trainer
    }

    /// The network that trainers of such a name have.
    fn network(&self) -> Option<&'static str> {
        FOREIGN.iter().find(|(part, _)| self.name.contains(part)).map(|(_, network)| *network)
    }

    /// Why the tensors aren't those of the plans' network, where the reason isn't one of them but another network.
    pub(super) fn explain(&self, error: Error, weights: Value, planned: &str) -> Error {
        use Error::{MissingTensor, TensorMismatch, UnusedTensor};
        if !matches!(error, MissingTensor { .. } | UnusedTensor { .. } | TensorMismatch { .. }) {
            return error;
        }
        // All networks that are built from plans have these two parts.
        let has = |part: &str| {
            let name = |key: &Value| key.as_str().is_some_and(|name| name.contains(part));
            weights.items().any(|(key, _)| name(&key))
        };
        let network = match self.network() {
            Some(network) => network,
            None if !has("encoder.") || !has("decoder.") => "one that the plans don't describe",
            None => return error,
        };
        let name = &self.name;
        Error::unsupported(format!(
            "trainer {name}: its network is {network}, where this version builds the plans' {planned} ({error})"
        ))
    }
}
