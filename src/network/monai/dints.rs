//! `DiNTS`: columns of cells at four resolutions, of which a search has chosen some with an operation each (He et al.,
//! "DiNTS: Differentiable Neural Network Topology Search for 3D Medical Image Segmentation", 2021). What was chosen
//! comes with the configuration, as the numbers of its `arch_code` and `node_a`.

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::builder::{Builder, Conv};
use super::norm::Affine;
use super::{Activation, Norm};
use crate::error::{Error, Result};
use crate::network::{Network, NodeId, Op, StateDict};

/// Channels of the finest level, before `channel_mul`.
const FILTERS: usize = 32;
/// Columns and resolutions that are accepted.
const MOST: usize = 64;
/// The two kernels of each operation that has two.
const PAIRS: [[[usize; 3]; 2]; 3] = [[[3, 3, 1], [1, 1, 3]], [[3, 1, 3], [1, 3, 1]], [[1, 3, 3], [3, 1, 1]]];

/// The arguments of `DiNTS`, which has three dimensions here.
#[derive(Clone, Debug, PartialEq)]
pub struct DiNTS {
    /// Channels of the image.
    pub in_channels: usize,
    /// Channels of the result.
    pub num_classes: usize,
    /// Channels of each depth.
    pub filters: Vec<usize>,
    /// Resolutions.
    pub num_depths: usize,
    /// Whether cells work at half the resolution of their depth.
    pub use_downsample: bool,
    /// For each column and path whether it is there.
    pub paths: Vec<Vec<i64>>,
    /// For each column and path its operation.
    pub operations: Vec<Vec<i64>>,
    /// For each column, and behind the last, which depths are there.
    pub nodes: Vec<Vec<i64>>,
    /// Activation.
    pub act: Option<Activation>,
    /// Normalisation.
    pub norm: Option<Norm>,
}

impl DiNTS {
    pub(super) fn read(arguments: &mut Arguments) -> Result<Self> {
        if arguments.count("spatial_dims", Some(3))? != 3 {
            return Err(arguments.unsupported("spatial_dims", "3"));
        }
        let Some(Value::Object(space)) = arguments.find("dints_space") else {
            return Err(arguments.wrong("dints_space", "a TopologyInstance"));
        };
        let target = space.get("_target_").and_then(Value::as_str).unwrap_or_default();
        if target.rsplit('.').next() != Some("TopologyInstance") {
            return Err(arguments.unsupported("dints_space", "TopologyInstance"));
        }
        let plain: Map<String, Value> = space
            .iter()
            .filter(|(key, _)| !key.starts_with('_'))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let mut space = Arguments::new(arguments.file(), "TopologyInstance", &plain);
        space.ignore(&["device"]);
        if space.count("spatial_dims", Some(3))? != 3 {
            return Err(space.unsupported("spatial_dims", "3"));
        }
        let (num_blocks, num_depths) =
            (space.count("num_blocks", Some(6))?, space.count("num_depths", Some(3))?);
        let channel_mul = space.number("channel_mul", 1.0)?;
        let filters: Vec<usize> = (0..=num_depths.min(16))
            .map(|depth| ((FILTERS << depth) as f64 * channel_mul) as usize)
            .collect();
        if num_blocks > MOST
            || !(2..=16).contains(&num_depths)
            || filters.iter().any(|n| !(2..=1 << 16).contains(n))
        {
            return Err(space.wrong("channel_mul", "a network of 2 to 16 depths and up to 64 columns"));
        }
        let (act, norm) = (json!("relu"), json!(["instance", {"affine": true}]));
        let net = DiNTS {
            in_channels: arguments.count("in_channels", None)?,
            num_classes: arguments.count("num_classes", None)?,
            filters,
            num_depths,
            use_downsample: arguments.flag("use_downsample", true)?,
            paths: Vec::new(),
            operations: Vec::new(),
            nodes: matrix(arguments.find("node_a"), num_blocks + 1, num_depths)
                .ok_or_else(|| arguments.wrong("node_a", "a row of depths for each column and one more"))?,
            act: Activation::read(arguments, "act_name", &act)?,
            norm: Norm::read(arguments, "norm_name", &norm, Affine::Default)?,
        };
        if space.flag("use_downsample", true)? != net.use_downsample
            || Activation::read(&mut space, "act_name", &act)? != net.act
            || Norm::read(&mut space, "norm_name", &norm, Affine::Default)? != net.norm
        {
            return Err(arguments.unsupported("dints_space", "the same settings as the network around it"));
        }
        let codes = space.find("arch_code").and_then(Value::as_array);
        let count = ways(num_depths).len();
        let code = |index: usize| {
            let code = codes.filter(|codes| codes.len() == 2).and_then(|codes| codes.get(index));
            let expected = "two lists with a row of paths for each column";
            matrix(code, num_blocks, count).ok_or_else(|| space.wrong("arch_code", expected))
        };
        let (paths, operations) = (code(0)?, code(1)?);
        if operations.iter().flatten().any(|operation| !(0..=4).contains(operation)) {
            return Err(space.wrong("arch_code", "operations from 0 to 4"));
        }
        space.finish()?;
        Ok(DiNTS { paths, operations, ..net })
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        let mut builder = Builder::new(self.in_channels, 3, weights);
        let mut nodes = Vec::new();
        for depth in 0..self.num_depths {
            let stem = self.stem(&mut builder, depth)?;
            // Others are zeros in the reference.
            nodes.push((self.nodes[0][depth] != 0).then_some(stem));
        }
        let ways = ways(self.num_depths);
        for column in 0..self.paths.len() {
            let mut next: Vec<Option<NodeId>> = vec![None; self.num_depths];
            for (path, &[from, to]) in ways.iter().enumerate() {
                if self.paths[column][path] != 1 {
                    continue;
                }
                let Some(input) = nodes[from] else {
                    let what = format!("DiNTS with path {path} of column {column} from a depth that is off");
                    return Err(Error::unsupported(what));
                };
                let name = format!("dints_space.cell_tree.({column}, {path})");
                let operation = self.operations[column][path];
                let cell = self.cell(&mut builder, &name, input, [from, to], operation)?;
                next[to] = Some(match next[to] {
                    Some(sum) => builder.network.add(Op::Add, &[sum, cell]),
                    None => cell,
                });
            }
            nodes = next;
        }
        let mut last: Option<NodeId> = None;
        for depth in (0..self.num_depths).rev() {
            let there = self.nodes[self.paths.len()][depth] != 0;
            let input = match (last, nodes[depth]) {
                (Some(below), Some(node)) => builder.network.add(Op::Add, &[node, below]),
                (Some(below), None) => below,
                (None, Some(node)) if there => node,
                _ => {
                    builder.weights.skip_module(&format!("stem_up.{depth}"));
                    continue;
                }
            };
            last = Some(self.up(&mut builder, depth, input)?);
        }
        let Some(last) = last else {
            return Err(Error::unsupported("DiNTS without a depth behind the last column"));
        };
        let last = self.active(&mut builder, "stem_finals.0.acti", last)?;
        let conv = Conv::same(self.filters[0], [3; 3], false);
        let last = builder.conv("stem_finals.0.conv", last, conv)?;
        let last = self.normed(&mut builder, "stem_finals.0.norm", last)?;
        builder.conv("stem_finals.1", last, Conv::point(self.num_classes, true))?;
        builder.finish()
    }

    /// Channels at a depth.
    fn features(&self, depth: usize) -> usize {
        self.filters[depth + usize::from(self.use_downsample)]
    }

    /// The image at the resolution of a depth.
    fn stem(&self, builder: &mut Builder, depth: usize) -> Result<NodeId> {
        let name = |index: usize| format!("stem_down.{depth}.mod.{index}");
        let mut last = 0;
        if depth > 0 {
            last = builder.network.add(Op::Downsample { factor: [1 << depth; 3] }, &[last]);
        }
        let conv = Conv::same(self.filters[depth], [3; 3], false);
        last = builder.conv(&name(1), last, conv)?;
        last = self.normed(builder, &name(2), last)?;
        if !self.use_downsample {
            return Ok(last);
        }
        last = self.active(builder, &name(3), last)?;
        let conv = Conv { features: self.filters[depth + 1], stride: [2; 3], ..conv };
        last = builder.conv(&name(4), last, conv)?;
        self.normed(builder, &name(5), last)
    }

    /// From a depth to the next finer one.
    fn up(&self, builder: &mut Builder, depth: usize, input: NodeId) -> Result<NodeId> {
        let name = |index: usize| format!("stem_up.{depth}.mod.{index}");
        let features = self.filters[if self.use_downsample { depth } else { depth.saturating_sub(1) }];
        let last = self.active(builder, &name(0), input)?;
        let last = builder.conv(&name(1), last, Conv::same(features, [3; 3], false))?;
        let last = self.normed(builder, &name(2), last)?;
        match self.use_downsample || depth > 0 {
            true => Ok(self.doubled(builder, last)),
            false => Ok(last),
        }
    }

    fn doubled(&self, builder: &mut Builder, input: NodeId) -> NodeId {
        builder.network.add(Op::Upsample { factor: [2; 3], align_corners: true }, &[input])
    }

    fn cell(
        &self,
        builder: &mut Builder,
        name: &str,
        input: NodeId,
        [from, to]: [usize; 2],
        operation: i64,
    ) -> Result<NodeId> {
        let features = self.features(to);
        let (before, op) = (format!("{name}.preprocess"), format!("{name}.op.ops.0"));
        let mut last = input;
        if to > from {
            last = self.active(builder, &format!("{before}.act"), last)?;
            let half = features / 2;
            let conv = Conv { stride: [2; 3], ..Conv::point(half, false) };
            let first = builder.conv(&format!("{before}.conv_1"), last, conv)?;
            let second = self.odd(builder, &format!("{before}.conv_2"), last, features - half)?;
            last = builder.network.add(Op::Concat, &[first, second]);
            last = self.normed(builder, &format!("{before}.norm"), last)?;
        } else if to < from {
            last = self.doubled(builder, last);
            last = self.active(builder, &format!("{before}.acti"), last)?;
            last = builder.conv(&format!("{before}.conv"), last, Conv::point(features, false))?;
            last = self.normed(builder, &format!("{before}.norm"), last)?;
        }
        if operation == 0 {
            return Ok(last);
        }
        last = self.active(builder, &format!("{op}.acti"), last)?;
        match usize::try_from(operation - 2).ok().and_then(|pair| PAIRS.get(pair)) {
            None => last = builder.conv(&format!("{op}.conv"), last, Conv::same(features, [3; 3], false))?,
            Some(&[first, second]) => {
                last = builder.conv(&format!("{op}.conv"), last, Conv::same(features, first, false))?;
                last = builder.conv(&format!("{op}.conv_1"), last, Conv::same(features, second, false))?;
            }
        }
        self.normed(builder, &format!("{op}.norm"), last)
    }

    /// A convolution of every second voxel from the second on: one tap of a kernel of 2.
    fn odd(&self, builder: &mut Builder, name: &str, input: NodeId, features: usize) -> Result<NodeId> {
        let channels = builder.network.channels(input);
        let single = builder.weights.take(&format!("{name}.weight"), &[features, channels, 1, 1, 1])?;
        let mut weight = (*single).clone();
        weight.shape = vec![features, channels, 2, 2, 2];
        let taps = single.data.iter().flat_map(|&value| [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, value]);
        weight.data = crate::buffer::collect(name, taps)?;
        let op =
            Op::Conv { weight: weight.into(), bias: None, kernel: [2; 3], stride: [2; 3], padding: [0; 3] };
        Ok(builder.network.add(op, &[input]))
    }

    fn active(&self, builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
        self.act.map_or(Ok(input), |act| act.build(builder, name, input))
    }

    fn normed(&self, builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
        self.norm.map_or(Ok(input), |norm| norm.build(builder, name, input))
    }
}

/// From which depth to which each path leads, in the order of the architecture's numbers.
fn ways(depths: usize) -> Vec<[usize; 2]> {
    let into = |to: usize| (to.saturating_sub(1)..(to + 2).min(depths)).map(move |from| [from, to]);
    (0..depths).flat_map(into).collect()
}

/// Whole numbers in so many rows and columns.
fn matrix(value: Option<&Value>, rows: usize, columns: usize) -> Option<Vec<Vec<i64>>> {
    let number = |value: &Value| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e6)?;
        Some(number as i64)
    };
    let row = |value: &Value| {
        let row = value.as_array().filter(|row| row.len() == columns)?;
        row.iter().map(number).collect::<Option<Vec<i64>>>()
    };
    value?.as_array().filter(|list| list.len() == rows)?.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_those_of_the_reference() {
        // TopologyConstruction(num_depths=4).arch_code2in, arch_code2out
        let (from, to): (Vec<usize>, Vec<usize>) = ways(4).into_iter().map(|[from, to]| (from, to)).unzip();
        assert_eq!(from, [0, 1, 0, 1, 2, 1, 2, 3, 2, 3]);
        assert_eq!(to, [0, 0, 1, 1, 1, 2, 2, 2, 3, 3]);
    }
}
