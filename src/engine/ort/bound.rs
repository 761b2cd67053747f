//! Tensors in a device's memory that a session reads and writes run after run: made once, and no run allocates others.

use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::Allocator;
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::{Tensor, TensorRef, TensorRefMut};

use super::{INPUT, OUTPUT, failed};
use crate::engine::Provider;
use crate::error::Result;

/// A session's input and output in its device's memory.
pub(super) struct Bound {
    // The binding refers to the tensors, so it goes first.
    binding: IoBinding,
    input: Tensor<f32>,
    output: Tensor<f32>,
    shapes: [[usize; 5]; 2],
}

impl Bound {
    /// Room for the input and output of these shapes on a plug-in provider's device of that number.
    pub(super) fn new(
        session: &Session,
        environment: &Environment,
        (provider, index): (Provider, u32),
        shapes: [[usize; 5]; 2],
    ) -> Result<Option<Self>> {
        let theirs = |device: &ort::device::Device| device.ep().is_ok_and(|name| name == provider.ort_name());
        let Some(device) = environment.devices().filter(theirs).nth(index as usize) else { return Ok(None) };
        let made = || -> ort::Result<Self> {
            let allocator = Allocator::new(session, device.memory_info(false))?;
            let tensor = |shape: [usize; 5]| Tensor::<f32>::new(&allocator, shape);
            let (input, output) = (tensor(shapes[0])?, tensor(shapes[1])?);
            let binding = session.create_binding()?;
            // The wrapper's `bind_input` may copy, and for borrowed tensors never returns.
            // SAFETY: all three are alive, and the binding holds on to what is bound; names are terminated.
            unsafe {
                let bound = binding.ptr().cast_mut();
                ort::Error::result_from_status((ort::api().BindInput)(bound, INPUT.as_ptr(), input.ptr()))?;
                ort::Error::result_from_status((ort::api().BindOutput)(
                    bound,
                    OUTPUT.as_ptr(),
                    output.ptr(),
                ))?;
            }
            Ok(Bound { binding, input, output, shapes })
        };
        made().map(Some).map_err(failed("bind tensors of the device"))
    }

    /// Copies the input there, runs the network, and copies the output back.
    pub(super) fn run(
        &mut self,
        session: &mut Session,
        environment: &Environment,
        input: &[f32],
        output: &mut [f32],
    ) -> Result<()> {
        let from = TensorRef::from_array_view((self.shapes[0], input)).map_err(failed("take a tile"))?;
        let to =
            TensorRefMut::from_array_view_mut((self.shapes[1], output)).map_err(failed("take a buffer"))?;
        let options = RunOptions::new().map_err(failed("set up a run"))?;
        let environment = environment.ptr().cast_mut();
        let run = || -> ort::Result<()> {
            let copy = |from: *const ort::sys::OrtValue, to: *const ort::sys::OrtValue| {
                let mut target = to;
                // SAFETY: two live tensors of one type and shape, and the environment that both belong to; without a
                // stream the copy is done when the call returns.
                unsafe {
                    let (from, to) = (&raw const from, &raw mut target);
                    let status = (ort::api().CopyTensors)(environment, from, to, std::ptr::null_mut(), 1);
                    ort::Error::result_from_status(status)
                }
            };
            copy(from.ptr(), self.input.ptr())?;
            // SAFETY: session, options and binding are alive; `&mut` keeps other runs of this session away.
            unsafe {
                let bound = self.binding.ptr().cast_mut();
                let status = (ort::api().RunWithBinding)(session.ptr().cast_mut(), options.ptr(), bound);
                ort::Error::result_from_status(status)?;
                ort::Error::result_from_status((ort::api().SynchronizeBoundOutputs)(bound))?;
            }
            copy(self.output.ptr(), to.ptr())
        };
        run().map_err(failed("run the network"))
    }
}
