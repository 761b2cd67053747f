//! Compiled kernels in a folder of the caller's.

use std::path::{Path, PathBuf};

use super::*;
use crate::network::Network;

fn network() -> Arc<Network> {
    let mut builder = Builder::new(1);
    let first = builder.block(0, 16, [3; 3], [1; 3]);
    builder.conv(first, 2, [1; 3], [1; 3]);
    Arc::new(builder.network)
}

const TILE: [usize; 3] = [5, 6, 7];

/// The scores of a plan that keeps what it compiles.
fn scores_with(folder: Option<&Path>) -> Vec<f32> {
    let (network, arena) = (network(), Arena::default());
    let settings =
        Settings { half: true, strict: false, taken: 0, budget: None, arena: &arena, cache: folder };
    let engine = GpuEngine::new(0, &network, TILE, settings).unwrap();
    let mut output = scores(&network, TILE);
    engine.run(&mut Workspace::default(), &image(&network, TILE), &mut output).unwrap();
    output
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn compiled_kernels_are_kept_where_the_caller_says() {
    let Some(first) = gpu() else { return };
    let folder = std::env::temp_dir().join(format!("voxseg-kernel-cache-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let expected = scores_with(None);
    assert!(files(&folder).is_empty());
    assert_eq!(scores_with(Some(&folder)), expected);
    let path = folder.join(&first.physical.cache_name);
    assert_eq!(files(&folder), std::slice::from_ref(&path));
    let good = std::fs::read(&path).unwrap();
    assert!(good.len() > 32);

    // As another process finds it: whole, damaged, empty, a folder in its place.
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    for content in [good.clone(), damaged, Vec::new()] {
        std::fs::write(&path, &content).unwrap();
        gpu().unwrap().lose();
        assert_eq!(scores_with(Some(&folder)), expected);
        assert_eq!(files(&folder), std::slice::from_ref(&path));
        assert!(std::fs::read(&path).unwrap().len() >= good.len().min(64));
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    gpu().unwrap().lose();
    assert_eq!(scores_with(Some(&folder)), expected);
    assert_eq!(files(&folder), [path]);
    std::fs::remove_dir_all(&folder).unwrap();
    // A folder that isn't there isn't made.
    gpu().unwrap().lose();
    assert_eq!(scores_with(Some(&folder)), expected);
    assert!(!folder.exists());
}
