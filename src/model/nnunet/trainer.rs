//! Who trained a model: nnU-Net's trainers, and those of others that bring networks of their own, of which the plans
//! say nothing.

use crate::checkpoint::{Checkpoint, Value};
use crate::error::Error;
use crate::log::{self, Level};

/// What names of trainers with networks of their own contain, as they are written, and the network.
const FOREIGN: [(&str, &str); 20] = [
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
    ("CoTrTrainer", "CoTr"),
    ("_CoTr", "CoTr"),
    ("TransUNet", "TransUNet"),
    ("MedFormer", "MedFormer"),
    ("VNet", "V-Net"),
    ("UKAN", "U-KAN"),
    // Last, since names of others may hold these letters.
    ("BN", "one with batch normalisation in the place of the plans' norm"),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::checkpoint::tests::file_with;
    use crate::model::{Model, ModelOptions};

    /// The error for the example's plans with a checkpoint of this trainer.
    fn refused(trainer: &str, tensors: &[(&str, Vec<usize>)]) -> crate::Error {
        let folder = "examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
        let file = |name: &str| {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
            (name.to_owned(), std::fs::read(path).unwrap().into())
        };
        let others = json!({"trainer_name": trainer, "init_args": {"configuration": "3d_fullres"}});
        let checkpoint = file_with(tensors, "network_weights", &others).into();
        let files = vec![
            file("plans.json"),
            file("dataset.json"),
            ("fold_0/checkpoint_final.pth".into(), checkpoint),
        ];
        Model::from_files(files, &ModelOptions::default()).unwrap_err()
    }

    #[test]
    fn the_trainer_and_its_network_are_named_first() {
        let usual = [("encoder.x", vec![1]), ("decoder.x", vec![1])];
        for (trainer, network) in [
            ("nnUNetTrainer_MedNeXt_L_kernel3", "MedNeXt"),
            ("nnUNet_Primus_M_Trainer", "Primus"),
            ("nnUNetTrainerUMambaBot", "U-Mamba"),
            ("nnUNetTrainerSwinUMamba", "Swin-UMamba"),
            ("STUNetTrainer_base", "STU-Net"),
            ("nnUNetTrainerBN", "one with batch normalisation in the place of the plans' norm"),
        ] {
            let error = refused(trainer, &usual);
            let start = format!("unsupported model: trainer {trainer}: its network is {network}, where");
            assert!(error.status() == 205 && error.to_string().starts_with(&start), "{error}");
        }
        // Nobody knows the trainer, but its tensors.
        let error = refused("MyTrainer", &[("stem.weight", vec![1])]);
        assert!(
            error.to_string().contains("trainer MyTrainer: its network is one that the plans don't"),
            "{error}"
        );
        // Weights of the plans' network that lack one are damaged.
        assert_eq!(refused("nnUNetTrainer", &usual).status(), 206);
    }
}
