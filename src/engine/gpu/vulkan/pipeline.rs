//! Kernels with their constants, compiled once for all plans on a device.

use std::sync::Arc;

use ash::vk;

use super::gpu::Gpu;
use super::spirv;
use crate::error::Result;

/// A compiled kernel.
pub(in crate::engine::gpu) struct Pipeline(pub(super) vk::Pipeline);

/// A kernel as SPIR-V, by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Module {
    pub name: &'static str,
    pub spirv: &'static [u8],
}

/// A kernel's name, constants and subgroup size.
pub(super) type Key = (&'static str, Vec<u32>, u32);

impl Gpu {
    /// A kernel with constants from number 0 on. `lanes` of its subgroups are asked for, full ones; 0: whatever the
    /// driver likes.
    ///
    /// # Errors
    /// The driver's answer.
    pub(in crate::engine::gpu) fn pipeline(
        &self,
        module: Module,
        constants: &[u32],
        lanes: u32,
    ) -> Result<Arc<Pipeline>> {
        let key = (module.name, constants.to_vec(), lanes);
        if let Some(pipeline) = self.pipelines().get(&key) {
            return Ok(pipeline.clone());
        }
        let pipeline = Arc::new(self.compile(module, constants, lanes)?);
        let mut all = self.pipelines();
        if let Some(there) = all.get(&key) {
            // Another plan was faster.
            // SAFETY: this one was never used.
            unsafe { self.device.destroy_pipeline(pipeline.0, None) };
            return Ok(there.clone());
        }
        all.insert(key, pipeline.clone());
        Ok(pipeline)
    }

    fn compile(&self, module: Module, constants: &[u32], lanes: u32) -> Result<Pipeline> {
        let words = module.spirv.as_chunks().0;
        let mut code: Vec<u32> = words.iter().map(|&word| u32::from_le_bytes(word)).collect();
        if self.physical.rounds_to_nearest {
            code = spirv::to_nearest(&code);
        }
        let entries: Vec<_> = (0..constants.len() as u32)
            .map(|id| vk::SpecializationMapEntry::default().constant_id(id).offset(id * 4).size(4))
            .collect();
        let data: Vec<u8> = constants.iter().flat_map(|constant| constant.to_ne_bytes()).collect();
        let special = vk::SpecializationInfo::default().map_entries(&entries).data(&data);
        let mut size =
            vk::PipelineShaderStageRequiredSubgroupSizeCreateInfo::default().required_subgroup_size(lanes);
        let info = vk::ShaderModuleCreateInfo::default().code(&code);
        // SAFETY: SPIR-V of our own, which spirv-val has accepted.
        let shader =
            self.call("load a kernel", || unsafe { self.device.create_shader_module(&info, None) })?;
        let mut stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(shader)
            .name(c"main")
            .specialization_info(&special);
        if lanes > 0 {
            stage =
                stage.flags(vk::PipelineShaderStageCreateFlags::REQUIRE_FULL_SUBGROUPS).push_next(&mut size);
        }
        let info = [vk::ComputePipelineCreateInfo::default()
            .flags(vk::PipelineCreateFlags::DISPATCH_BASE)
            .stage(stage)
            .layout(self.layout)];
        let cache = self.cache();
        // SAFETY: the structures live until the call returns, the module until the pipeline is made.
        let made = self.call("compile a kernel", || unsafe {
            self.device.create_compute_pipelines(*cache, &info, None).map_err(|(_, result)| result)
        });
        // SAFETY: a pipeline doesn't need the module any more.
        unsafe { self.device.destroy_shader_module(shader, None) };
        Ok(Pipeline(made?[0]))
    }
}
