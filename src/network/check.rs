//! Whether a network's parts fit each other. Engines address memory by these shapes, so networks that were put together
//! wrongly must not reach them.

use super::{Node, Op, Weight};
use crate::error::{Error, Result};

/// Kernels, strides and the like are smaller, so that sizes can be computed with.
const MOST: usize = 1 << 20;
/// No memory holds a tensor of more numbers.
const MOST_NUMBERS: usize = 1 << 40;

/// What was found instead of what was expected.
type Wrong = (String, String);

/// Checks a node with `channels` of its inputs.
///
/// # Errors
/// [`Error::Unsupported`] that names the node.
pub(super) fn check(id: usize, node: &Node, channels: &[usize]) -> Result<()> {
    let checked = numbers(&node.op, channels.len())
        .and_then(|()| settings(&node.op))
        .and_then(|()| weights(&node.op, channels, node.channels));
    checked.map_err(|(found, expected)| {
        let name = node.op.settings();
        Error::unsupported(format!("a network whose node {id} ({name}) has {found}, expected {expected}"))
    })
}

/// Refuses results that no memory holds; `around` is what an operator may add along each axis while it computes.
pub(super) fn fits(tile: [usize; 3], channels: usize, size: [usize; 3], around: [usize; 3]) -> Result<()> {
    let mut padded = size.iter().zip(around).map(|(size, around)| size.saturating_add(around));
    let numbers = padded.try_fold(channels.max(16), usize::checked_mul);
    match numbers {
        Some(numbers) if numbers <= MOST_NUMBERS => Ok(()),
        _ => Err(Error::unsupported(format!(
            "a patch size of {tile:?}, for which the network has a tensor of {channels} × {size:?} numbers"
        ))),
    }
}

fn wrong<T>(found: impl ToString, expected: impl Into<String>) -> std::result::Result<T, Wrong> {
    Err((found.to_string(), expected.into()))
}

/// How many inputs it has.
fn numbers(op: &Op, inputs: usize) -> std::result::Result<(), Wrong> {
    let (least, most) = match op {
        Op::Input | Op::Constant { .. } => (0, 0),
        Op::Add | Op::Multiply | Op::PadLike | Op::CropLike => (2, 2),
        Op::Concat => (1, usize::MAX),
        _ => (1, 1),
    };
    if (least..=most).contains(&inputs) {
        Ok(())
    } else {
        wrong(format!("{inputs} inputs"), least.to_string())
    }
}

/// Whether its sizes are sizes.
fn settings(op: &Op) -> std::result::Result<(), Wrong> {
    let (sizes, paddings) = match op {
        Op::Conv { kernel, stride, padding, .. }
        | Op::ConvTranspose { kernel, stride, padding, .. }
        | Op::Depthwise { kernel, stride, padding, .. }
        | Op::DepthwiseTranspose { kernel, stride, padding, .. } => (vec![kernel, stride], vec![padding]),
        Op::PadFront { planes } => (Vec::new(), vec![planes]),
        Op::Attention { window, .. } => (vec![window], Vec::new()),
        Op::AveragePool { size } | Op::MaxPool { size } => (vec![size], Vec::new()),
        Op::Upsample { factor, .. } | Op::Downsample { factor } => (vec![factor], Vec::new()),
        Op::PadToWindows { window } => (vec![window], Vec::new()),
        Op::WindowAttention { window, shift, .. } => (vec![window], vec![shift]),
        Op::PatchMerge { places } => {
            let outside = places.iter().find(|place| place.iter().any(|&place| place > 1));
            return outside.map_or(Ok(()), |place| wrong(format!("{place:?}"), "places in a block of 2"));
        }
        _ => return Ok(()),
    };
    if let Some(size) = sizes.iter().find(|size| size.iter().any(|size| !(1..MOST).contains(size))) {
        return wrong(format!("{size:?}"), format!("sizes from 1 to below {MOST}"));
    }
    if let Some(padding) = paddings.iter().find(|padding| padding.iter().any(|&padding| padding >= MOST)) {
        return wrong(format!("{padding:?}"), format!("numbers below {MOST}"));
    }
    if let Op::ConvTranspose { kernel, stride, padding, .. } = op
        && (0..3).any(|axis| kernel[axis] > stride[axis] + 2 * padding[axis])
    {
        return wrong(format!("a kernel of {kernel:?}"), "at most stride + 2 · padding");
    }
    Ok(())
}

/// Whether its weights are as many as its channels need.
fn weights(op: &Op, inputs: &[usize], channels: usize) -> std::result::Result<(), Wrong> {
    if channels == 0 || channels >= MOST {
        return wrong(format!("{channels} channels"), format!("1 to below {MOST}"));
    }
    for weight in op.weights() {
        let count = weight.shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        if count != Some(weight.data.len()) {
            let found = format!("{} values of `{}`", weight.data.len(), weight.name);
            return wrong(found, format!("as many as its shape {:?} has", weight.shape));
        }
    }
    let each = |weights: &[&Weight], count: usize| {
        let other = weights.iter().find(|weight| weight.data.len() != count);
        other.map_or(Ok(()), |weight| {
            wrong(format!("{} values of `{}`", weight.data.len(), weight.name), format!("{count}"))
        })
    };
    // The result's channels follow from the weight's shape.
    let kernel_of = |weight: &Weight, input: usize, kernel: &[usize; 3]| {
        let voxels = kernel.iter().product::<usize>();
        match weight.shape[..] {
            [_, _, ..]
                if weight.shape[input] == inputs[0]
                    && weight.data.len() / (weight.shape[0] * weight.shape[1]) == voxels =>
            {
                Ok(())
            }
            _ => {
                let expected = format!("{} input channels and a kernel of {kernel:?}", inputs[0]);
                wrong(format!("`{}` of {:?}", weight.name, weight.shape), expected)
            }
        }
    };
    match op {
        Op::Conv { weight, bias, kernel, .. } => {
            kernel_of(weight, 1, kernel)?;
            bias.as_ref().map_or(Ok(()), |bias| each(&[bias], channels))
        }
        Op::ConvTranspose { weight, bias, kernel, .. } => {
            kernel_of(weight, 0, kernel)?;
            bias.as_ref().map_or(Ok(()), |bias| each(&[bias], channels))
        }
        Op::InstanceNorm { scale, shift, .. } | Op::LayerNorm { scale, shift, .. } => {
            each(&[scale, shift], channels)
        }
        Op::GroupNorm { groups, scale, shift, .. } => {
            if *groups == 0 || !channels.is_multiple_of(*groups) {
                return wrong(
                    format!("{groups} groups"),
                    format!("a number that divides {channels} channels"),
                );
            }
            each(&[scale, shift], channels)
        }
        Op::BatchNorm { scale, shift, mean, variance, .. } => each(&[scale, shift, mean, variance], channels),
        Op::PRelu { slope } if slope.data.len() != 1 => each(&[slope], channels),
        Op::Add | Op::Multiply if inputs[0] != inputs[1] => {
            wrong(format!("inputs of {inputs:?} channels"), "as many in both")
        }
        Op::Constant { value } if value.shape.len() != 4 || value.shape.contains(&0) => {
            wrong(format!("`{}` of {:?}", value.name, value.shape), "channels and three axes")
        }
        Op::Depthwise { weight, bias, kernel, .. } | Op::DepthwiseTranspose { weight, bias, kernel, .. } => {
            each(&[weight], channels * kernel.iter().product::<usize>())?;
            each(&[bias], channels)
        }
        Op::Attention { heads, .. } => {
            if *heads == 0 || !inputs[0].is_multiple_of(3) || !channels.is_multiple_of(*heads) {
                let expected = format!("a number that divides a third of {} channels", inputs[0]);
                return wrong(format!("{heads} heads"), expected);
            }
            Ok(())
        }
        Op::WindowAttention { bias, heads, window, .. } => {
            let places = window.iter().try_fold(1_usize, |product, size| product.checked_mul(2 * size - 1));
            let all = places.and_then(|places| places.checked_mul(*heads));
            if *heads == 0 || !inputs[0].is_multiple_of(3) || !channels.is_multiple_of(*heads) {
                let expected = format!("a number that divides a third of {} channels", inputs[0]);
                return wrong(format!("{heads} heads"), expected);
            }
            each(&[bias], all.unwrap_or(usize::MAX))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::cpu::{CpuEngine, CpuOptions};
    use crate::engine::{Engine, Workspace};
    use crate::network::Network;

    const TILE: [usize; 3] = [8, 8, 16];

    fn weight(shape: &[usize], count: usize) -> Arc<Weight> {
        Arc::new(Weight { name: "w".into(), shape: shape.to_vec(), data: vec![0.5; count] })
    }

    fn full(shape: &[usize]) -> Arc<Weight> {
        weight(shape, shape.iter().product())
    }

    fn conv(weight: Arc<Weight>, bias: Option<Arc<Weight>>, kernel: [usize; 3]) -> Op {
        Op::Conv { weight, bias, kernel, stride: [1; 3], padding: kernel.map(|size| size / 2) }
    }

    /// What becomes of a network of four channels with these nodes, each on the results of some before it.
    fn outcome(nodes: Vec<(Op, Vec<usize>)>) -> Result<()> {
        let mut network = Network::new(4);
        nodes.into_iter().for_each(|(op, inputs)| {
            network.add(op, &inputs);
        });
        let network = Arc::new(network);
        let engine = CpuEngine::new(&network, TILE, usize::MAX, CpuOptions::default())?;
        let voxels = TILE.iter().product::<usize>();
        let mut scores = vec![0.0; network.output_channels() * voxels];
        engine.run(&mut Workspace::default(), &vec![1.0; 4 * voxels], &mut scores)
    }

    #[test]
    fn parts_that_fit_run() {
        let norm = |op: fn(Arc<Weight>, Arc<Weight>) -> Op| op(full(&[4]), full(&[4]));
        let gate = Op::Mean { axes: [false, true, true] };
        for nodes in [
            vec![(conv(full(&[7, 4, 3, 3, 3]), Some(full(&[7])), [3; 3]), vec![0])],
            vec![(conv(full(&[7, 4, 3, 3]), None, [1, 3, 3]), vec![0])],
            vec![(norm(|scale, shift| Op::InstanceNorm { scale, shift, epsilon: 1e-5 }), vec![0])],
            vec![(norm(|scale, shift| Op::GroupNorm { groups: 2, scale, shift, epsilon: 1e-5 }), vec![0])],
            vec![(Op::PRelu { slope: full(&[1]) }, vec![0]), (Op::PRelu { slope: full(&[4]) }, vec![1])],
            vec![(gate, vec![0]), (Op::Multiply, vec![0, 1])],
        ] {
            let named = format!("{:?}", nodes.iter().map(|(op, _)| op.settings()).collect::<Vec<_>>());
            outcome(nodes).unwrap_or_else(|error| panic!("{named}: {error}"));
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let some = |op: Op| vec![(op, vec![0])];
        let kernel = [3; 3];
        let good = || full(&[7, 4, 3, 3, 3]);
        let strided = |stride: usize, padding: usize| Op::Conv {
            weight: good(),
            bias: None,
            kernel,
            stride: [stride; 3],
            padding: [padding; 3],
        };
        let transposed = |weight: Arc<Weight>, bias: usize, stride: usize| Op::ConvTranspose {
            weight,
            bias: Some(full(&[bias])),
            kernel: [2; 3],
            stride: [stride; 3],
            padding: [0; 3],
        };
        let instance =
            |scale, shift| Op::InstanceNorm { scale: full(&[scale]), shift: full(&[shift]), epsilon: 0.0 };
        let group =
            |groups, scale| Op::GroupNorm { groups, scale: full(&[scale]), shift: full(&[4]), epsilon: 0.0 };
        let batch = |mean, variance| Op::BatchNorm {
            scale: full(&[4]),
            shift: full(&[4]),
            mean: full(&[mean]),
            variance: full(&[variance]),
            epsilon: 0.0,
        };
        let halves = || vec![(Op::MaxPool { size: [1, 2, 1] }, vec![0])];
        let after = |mut nodes: Vec<(Op, Vec<usize>)>, op: Op, inputs: &[usize]| {
            nodes.push((op, inputs.to_vec()));
            nodes
        };
        for nodes in [
            // A bias, a kernel, input channels, values that don't fit.
            some(conv(good(), Some(full(&[1])), kernel)),
            some(conv(good(), Some(weight(&[7], 1)), kernel)),
            some(conv(good(), None, [3, 3, 5])),
            some(conv(full(&[7, 3, 3, 3, 3]), None, kernel)),
            some(conv(weight(&[7, 4, 3, 3, 3], 100), None, kernel)),
            some(conv(full(&[7]), None, [1; 3])),
            some(conv(full(&[0, 4, 1, 1, 1]), None, [1; 3])),
            some(strided(0, 1)),
            some(strided(1, usize::MAX / 2)),
            some(strided(usize::MAX, 1)),
            some(transposed(full(&[4, 7, 2, 2, 2]), 3, 2)),
            some(transposed(full(&[3, 7, 2, 2, 2]), 7, 2)),
            some(transposed(full(&[4, 7, 2, 2, 2]), 7, 1)),
            some(instance(3, 4)),
            some(instance(4, 0)),
            some(group(3, 4)),
            some(group(0, 4)),
            some(group(2, 2)),
            some(batch(4, 1)),
            some(batch(0, 4)),
            some(Op::PRelu { slope: full(&[0]) }),
            some(Op::PRelu { slope: full(&[3]) }),
            some(Op::MaxPool { size: [0, 1, 1] }),
            some(Op::AveragePool { size: [1, usize::MAX, 1] }),
            some(Op::Upsample { factor: [0; 3], align_corners: false }),
            some(Op::Upsample { factor: [1 << 18; 3], align_corners: false }),
            // Inputs that are too few, too many, of other channels or sizes.
            some(Op::Add),
            some(Op::Multiply),
            some(Op::CropLike),
            vec![(Op::Concat, vec![])],
            vec![(Op::Relu, vec![0, 0])],
            after(some(conv(full(&[2, 4, 1, 1, 1]), None, [1; 3])), Op::Multiply, &[0, 1]),
            after(some(conv(full(&[2, 4, 1, 1, 1]), None, [1; 3])), Op::Add, &[0, 1]),
            after(halves(), Op::Multiply, &[0, 1]),
            after(halves(), Op::Add, &[0, 1]),
            after(halves(), Op::Concat, &[0, 1]),
            after(halves(), Op::CropLike, &[1, 0]),
            after(halves(), Op::PadLike, &[1, 0]),
        ] {
            let named = format!("{:?}", nodes.iter().map(|(op, _)| op.settings()).collect::<Vec<_>>());
            let error = outcome(nodes).expect_err(&named);
            assert_eq!(error.status(), 205, "{named}: {error}");
        }
    }

    #[test]
    fn tiles_that_no_memory_holds_are_refused() {
        let network = Arc::new(Network::new(1));
        for tile in [[1 << 32, 1 << 32, 1], [usize::MAX, 1, 1], [1 << 21, 1 << 21, 1 << 22]] {
            let engine = CpuEngine::new(&network, tile, 1, CpuOptions::default());
            assert_eq!(engine.err().map(|error| error.status()), Some(205), "{tile:?}");
        }
    }
}
