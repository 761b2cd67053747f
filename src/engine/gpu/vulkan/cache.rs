//! Compiled kernels in a folder that the caller names, so that the next process needn't compile them.
//!
//! The file's name has all that its content depends on: the device, the driver, our kernels. It starts with the
//! SHA-256 of the rest, since not every driver looks for damage itself. Nothing here fails a plan: what can't be read
//! or written is compiled again, and the log says so.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLockReadGuard};

use ash::vk;
use sha2::{Digest, Sha256};

use super::super::shaders;
use super::gpu::Gpu;
use crate::error::Result;
use crate::file;
use crate::log::{self, Level};

/// Bytes of the checksum in front.
const CHECKSUM: usize = 32;
/// Larger files aren't ours.
const LARGEST: u64 = 1 << 30;

/// A folder, and how many kernels the device had compiled when its file was compared with them.
pub(super) type Folder = (PathBuf, Option<usize>);

/// The name of a device's file.
pub(super) fn name(
    properties: &vk::PhysicalDeviceProperties,
    ids: &vk::PhysicalDeviceVulkan11Properties,
) -> String {
    let mut digest = Sha256::new();
    digest.update(ids.device_uuid);
    digest.update(ids.driver_uuid);
    digest.update(properties.pipeline_cache_uuid);
    for number in [properties.vendor_id, properties.device_id, properties.driver_version] {
        digest.update(number.to_le_bytes());
    }
    digest.update(env!("CARGO_PKG_VERSION"));
    digest.update(shaders::CHECKSUM);
    let short = &digest.finalize()[..16];
    format!("voxseg-gpu-{}.cache", short.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// What stands behind a right checksum.
fn checked(content: &[u8]) -> Option<&[u8]> {
    let (checksum, data) = content.split_at_checked(CHECKSUM)?;
    (Sha256::digest(data).as_slice() == checksum).then_some(data)
}

/// Writes a file so that nobody ever sees a part of it.
fn write(folder: &Path, name: &str, data: &[u8]) -> std::io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!("{name}.{}-{number}", std::process::id()));
    let written = std::fs::File::create_new(&temporary).and_then(|mut file| {
        file.write_all(&Sha256::digest(data))?;
        file.write_all(data)?;
        file.sync_all()
    });
    let done = written.and_then(|()| std::fs::rename(&temporary, folder.join(name)));
    if done.is_err() {
        // The folder is the caller's: nothing of ours stays there.
        let _ = std::fs::remove_file(&temporary);
    }
    done
}

impl Gpu {
    /// Takes over what a folder has for this device, the first time that it is named.
    pub(in crate::engine::gpu) fn recall(&self, folder: &Path) {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.iter().all(|(known, _)| known != folder) {
            self.merge(folder);
            folders.push((folder.to_owned(), None));
        }
    }

    /// Writes to a folder what was compiled since it was read or written.
    pub(in crate::engine::gpu) fn keep(&self, folder: &Path) {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = self.compiled();
        let Some((_, compared)) = folders.iter_mut().find(|(known, _)| known == folder) else { return };
        if compared.replace(compiled) == Some(compiled) {
            return;
        }
        // Another process may have written since.
        let there = self.merge(folder);
        let kept = match self.cache_data() {
            Ok(data) if data.len() > there => {
                write(folder, &self.physical.cache_name, &data).map_err(|error| error.to_string())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = kept {
            log::write(Level::Warning, || {
                format!("compiled kernels aren't kept in {}: {reason}", folder.display())
            });
        }
    }

    /// The cache that kernels are compiled with; nobody merges another into it meanwhile.
    pub(super) fn cache(&self) -> RwLockReadGuard<'_, vk::PipelineCache> {
        self.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache_data(&self) -> Result<Vec<u8>> {
        let cache = self.cache();
        // SAFETY: the cache is this device's, and alive.
        self.call("read compiled kernels", || unsafe { self.device.get_pipeline_cache_data(*cache) })
    }

    /// Takes over what a folder has for this device. Returns the bytes of that.
    fn merge(&self, folder: &Path) -> usize {
        let path = folder.join(&self.physical.cache_name);
        if !path.is_file() {
            return 0;
        }
        let told = |reason: &str| {
            log::write(Level::Warning, || format!("{} isn't used: {reason}", path.display()));
            0
        };
        let content = match file::read(&path, LARGEST) {
            Ok(content) => content,
            Err(error) => return told(&error.to_string()),
        };
        let Some(data) = checked(&content) else { return told("it is damaged") };
        let info = vk::PipelineCacheCreateInfo::default().initial_data(data);
        let merged = self.call("take over compiled kernels", || {
            // SAFETY: the data is whole, and what a driver of this very version wrote; nobody else uses the cache that
            // is merged into, as it is locked.
            unsafe {
                let other = self.device.create_pipeline_cache(&info, None)?;
                let into = self.cache.write().unwrap_or_else(PoisonError::into_inner);
                let merged = self.device.merge_pipeline_caches(*into, &[other]);
                self.device.destroy_pipeline_cache(other, None);
                merged
            }
        });
        merged.map_or_else(|error| told(&error.to_string()), |()| data.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_whole_or_not_there() {
        let folder = std::env::temp_dir().join(format!("voxseg-kernels-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for data in [&b"compiled"[..], b"compiled again"] {
            write(&folder, "a.cache", data).unwrap();
            let content = std::fs::read(folder.join("a.cache")).unwrap();
            assert_eq!(checked(&content), Some(data));
            for end in 0..content.len() {
                assert_eq!(checked(&content[..end]), None);
            }
            for byte in 0..content.len() {
                let mut damaged = content.clone();
                damaged[byte] ^= 4;
                assert_eq!(checked(&damaged), None);
            }
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(write(&folder, "a.cache", b"x").is_err());
    }

    #[test]
    fn anything_that_matters_changes_the_name() {
        let (properties, ids) = (vk::PhysicalDeviceProperties::default(), Default::default());
        let first = name(&properties, &ids);
        assert_eq!(first, name(&properties, &ids));
        let driver = vk::PhysicalDeviceProperties { driver_version: 7, ..properties };
        let device = vk::PhysicalDeviceVulkan11Properties { device_uuid: [1; 16], ..ids };
        assert!(first != name(&driver, &ids) && first != name(&properties, &device));
    }
}
