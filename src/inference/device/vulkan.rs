//! Any vendor's GPU as a backend: its memory, and our kernels as SPIR-V, on the device of our own engine.

use std::sync::Arc;

use super::arguments::Arguments;
use super::backend::{Address, Backend, Kernel, Work};
use crate::engine::{Launch, Module, OpenedGpu, Queue};
use crate::error::Result;

/// A kernel as `cargo xtask shaders` compiles it.
macro_rules! module {
    ($name:literal) => {
        Module { name: concat!("around_", $name), spirv: include_bytes!(concat!("shaders/", $name, ".spv")) }
    };
}

/// A kernel, and about how many multiply-adds an invocation takes as long as.
fn module(kernel: Kernel) -> (Module, u64) {
    match kernel {
        Kernel::Cut => (module!("cut"), 16),
        Kernel::Gather => (module!("gather"), 64),
        Kernel::CountNotFinite => (module!("count"), 8),
        Kernel::BlendHalf => (module!("blend_half"), 64),
        Kernel::BlendSingle => (module!("blend_single"), 32),
        Kernel::MeanHalf => (module!("mean_half"), 256),
        Kernel::MeanSingle => (module!("mean_single"), 256),
        Kernel::ClearHalf => (module!("clear_half"), 8),
        Kernel::ClearSingle => (module!("clear_single"), 8),
        // For each class.
        Kernel::ActivateHalf => (module!("activate_half"), 256),
        Kernel::ActivateSingle => (module!("activate_single"), 256),
        Kernel::RestoreHalf => (module!("restore_half"), 128),
        Kernel::RestoreSingle => (module!("restore_single"), 128),
    }
}

/// A device of Vulkan's.
pub(super) struct VulkanBackend(Queue);

impl VulkanBackend {
    /// The opened device, with kernels that compute there what the host does; that is found out once.
    ///
    /// # Errors
    /// Why it can't be used, for people.
    pub(super) fn backend(opened: &OpenedGpu) -> std::result::Result<Arc<dyn Backend>, String> {
        let queue = Queue::new(opened).map_err(|error| error.to_string())?;
        let backend: Arc<dyn Backend> = Arc::new(VulkanBackend(queue));
        let checked = opened.checked().get_or_init(|| {
            super::check::agrees_with_the_host(&backend).err().map(|error| error.to_string())
        });
        checked.clone().map_or(Ok(backend), Err)
    }
}

impl Backend for VulkanBackend {
    fn allocate(&self, bytes: usize) -> Result<Address> {
        self.0.allocate(bytes as u64)
    }

    fn free(&self, address: Address) {
        self.0.free(address);
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.0.upload(to, bytes)
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        self.0.download(from, bytes)
    }

    fn zero(&self, address: Address, bytes: usize) -> Result<()> {
        self.0.clear(address, bytes as u64)
    }

    fn launch(&self, kernel: Kernel, work: Work, arguments: &Arguments) -> Result<()> {
        let (module, cost) = module(kernel);
        let (lines, cost) = match kernel.has_all_lines() {
            true => (1, cost * work.lines as u64),
            false => (work.lines, cost),
        };
        self.0.launch(module, &Launch { voxels: work.voxels, lines, cost, arguments: arguments.bytes() })
    }

    fn finish(&self) -> Result<()> {
        self.0.finish()
    }

    fn finish_all(&self) -> Result<()> {
        self.0.finish()
    }

    fn check(&self, _: Address) -> std::result::Result<(), String> {
        Err("memory that our GPU engine can't know".into())
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    /// `cargo xtask shaders` writes the sources' checksum beside what it compiles.
    #[test]
    fn kernels_are_those_of_their_sources() {
        macro_rules! sources {
            ($($name:literal),*) => { [$(($name, include_str!(concat!("shaders/", $name)))),*] };
        }
        let sources = sources!(
            "activate.comp",
            "around.glsl",
            "blend.comp",
            "clear.comp",
            "count.comp",
            "cut.comp",
            "exact.glsl",
            "gather.comp",
            "mean.comp",
            "restore.comp"
        );
        let mut digest = Sha256::new();
        for (name, text) in sources {
            digest.update(name);
            digest.update(text);
        }
        let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, include_str!("shaders/checksum.txt").trim(), "run `cargo xtask shaders`");
    }
}
