//! What TensorRT compiled before: found again only for the same network, precision, tile, GPU and versions, and
//! compiled anew when it is damaged.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::device::Target;
use crate::engine::nvidia::Driver;
use crate::engine::{Device, Provider};
use crate::network::Network;

/// The start of the names of a network's files; `None` where nothing is kept. TensorRT's own version is in the files:
/// another one refuses them.
pub(super) fn name(
    target: &Target,
    network: &Arc<Network>,
    tile: [usize; 3],
    batch: usize,
) -> Option<String> {
    let (Device::Provider(Provider::TensorRt, index), Some(_)) = (target.device, &target.options.cache)
    else {
        return None;
    };
    let gpus = Driver::get().and_then(|driver| Ok((driver.version(), driver.gpus()?)));
    let gpu =
        gpus.ok().and_then(|(version, gpus)| Some(format!("{} {version}", gpus.get(index as usize)?.name)));
    let about = format!(
        "voxseg {} ort {} {} {:?} {batch} of {tile:?}",
        env!("CARGO_PKG_VERSION"),
        target.runtime.version(),
        gpu.unwrap_or_default(),
        target.precision,
    );
    Some(digest(&about, network))
}

fn digest(about: &str, network: &Network) -> String {
    let mut hasher = Sha256::new();
    hasher.update(about);
    for node in network.nodes() {
        hasher.update(format!("{} {:?};", node.op.settings(), node.inputs));
    }
    for weight in network.weights() {
        let bytes: Vec<u8> = weight.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        hasher.update(bytes);
    }
    let short = &hasher.finalize()[..16];
    format!("voxseg-{}", short.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Removes the files of that name, and says how many those were.
pub(super) fn remove(folder: &Path, name: &str) -> usize {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter(|file| file.file_name().to_str().is_some_and(|file| file.starts_with(name)))
        .filter(|file| std::fs::remove_file(file.path()).is_ok())
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Op, Weight};

    fn network(value: f32, slope: f32) -> Network {
        let weight = Weight { name: "w".into(), shape: vec![1, 1, 1, 1, 1], data: vec![value] };
        let mut network = Network::new(1);
        let conv = Op::Conv {
            weight: Arc::new(weight),
            bias: None,
            kernel: [1; 3],
            stride: [1; 3],
            padding: [0; 3],
        };
        network.add(conv, &[0]);
        network.add(Op::LeakyRelu { slope }, &[1]);
        network
    }

    #[test]
    fn anything_that_matters_changes_the_name() {
        let name = digest("a", &network(1.0, 0.1));
        assert_eq!(name, digest("a", &network(1.0, 0.1)));
        for other in [
            digest("b", &network(1.0, 0.1)),
            digest("a", &network(2.0, 0.1)),
            digest("a", &network(1.0, 0.2)),
        ] {
            assert_ne!(name, other);
        }
    }

    #[test]
    fn only_its_own_files_are_removed() {
        let folder = std::env::temp_dir().join(format!("voxseg-engine-cache-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for file in ["voxseg-aa_0.engine", "voxseg-aa_0.profile", "voxseg-bb_0.engine", "other"] {
            std::fs::write(folder.join(file), "x").unwrap();
        }
        assert_eq!(remove(&folder, "voxseg-aa"), 2);
        assert!(folder.join("voxseg-bb_0.engine").exists() && folder.join("other").exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
