//! Networks computed in double precision, one operator after the other, as their definitions say.

use crate::network::{Network, Op, Weight};

/// All positions of a box.
fn places(size: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [_, rows, columns] = size;
    (0..size.iter().product())
        .map(move |index| [index / (rows * columns), index / columns % rows, index % columns])
}

/// A tensor, row-major.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub channels: usize,
    pub size: [usize; 3],
    pub values: Vec<f64>,
}

impl Tensor {
    pub(super) fn zeros(channels: usize, size: [usize; 3]) -> Self {
        Tensor { channels, size, values: vec![0.0; channels * size.iter().product::<usize>()] }
    }

    fn at(&self, channel: usize, [z, y, x]: [usize; 3]) -> f64 {
        self.values[((channel * self.size[0] + z) * self.size[1] + y) * self.size[2] + x]
    }

    /// Zero outside.
    fn get(&self, channel: usize, place: [isize; 3]) -> f64 {
        let inside = (0..3).all(|axis| place[axis] >= 0 && place[axis] < self.size[axis] as isize);
        if inside { self.at(channel, place.map(|x| x as usize)) } else { 0.0 }
    }

    /// Fills every voxel of every channel.
    fn fill(channels: usize, size: [usize; 3], f: impl Fn(usize, [usize; 3]) -> f64) -> Self {
        let mut result = Tensor::zeros(channels, size);
        let all: Vec<_> = places(size).collect();
        for channel in 0..channels {
            for (index, &place) in all.iter().enumerate() {
                result.values[channel * all.len() + index] = f(channel, place);
            }
        }
        result
    }

    fn map(&self, f: impl Fn(usize, f64) -> f64) -> Self {
        Tensor::fill(self.channels, self.size, |channel, place| f(channel, self.at(channel, place)))
    }

    /// (x − mean) / √(variance + epsilon) · scale + shift over groups of channels.
    fn normalised(&self, group: usize, scale: &Weight, shift: &Weight, epsilon: f32) -> Self {
        let voxels = self.size.iter().product::<usize>();
        let mut result = self.clone();
        for (index, values) in result.values.chunks_mut(group * voxels).enumerate() {
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            for (at, value) in values.iter_mut().enumerate() {
                let channel = index * group + at / voxels;
                let normal = (*value - mean) / (variance + f64::from(epsilon)).sqrt();
                *value = normal * f64::from(scale.data[channel]) + f64::from(shift.data[channel]);
            }
        }
        result
    }
}

fn erf(x: f64) -> f64 {
    // Simpson's rule over the definition.
    let steps = 2000;
    let f = |t: f64| (-t * t).exp();
    let h = x / f64::from(steps);
    let inner: f64 = (1..steps).map(|i| f(h * f64::from(i)) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    std::f64::consts::FRAC_2_SQRT_PI * h / 3.0 * (f(0.0) + inner + f(x))
}

fn interpolated(input: &Tensor, factor: [usize; 3], align: bool, channel: usize, place: [usize; 3]) -> f64 {
    let mut sum = 0.0;
    for corner in places([2; 3]) {
        let (mut weight, mut at) = (1.0, [0; 3]);
        for axis in 0..3 {
            let (size, results) = (input.size[axis], input.size[axis] * factor[axis]);
            let x = if align {
                place[axis] as f64 * (size - 1) as f64 / (results.max(2) - 1) as f64
            } else {
                (place[axis] as f64 + 0.5) / factor[axis] as f64 - 0.5
            };
            let x = x.clamp(0.0, (size - 1) as f64);
            let share = x - x.floor();
            weight *= if corner[axis] == 1 { share } else { 1.0 - share };
            at[axis] = (x.floor() as usize + corner[axis]).min(size - 1);
        }
        sum += weight * input.at(channel, at);
    }
    sum
}

/// Each voxel attends to those of its window: pair by pair, by their places in the shifted image.
fn attention(
    input: &Tensor,
    heads: usize,
    window: [usize; 3],
    shift: [usize; 3],
    bias: Option<&Weight>,
) -> Tensor {
    let (size, channels) = (input.size, input.channels / 3);
    let width = channels / heads;
    let shift: [usize; 3] =
        std::array::from_fn(|axis| if size[axis] <= window[axis] { 0 } else { shift[axis] });
    let clipped: [usize; 3] = std::array::from_fn(|axis| window[axis].min(size[axis]));
    // Where the shifted image, cut into windows, has a voxel.
    let shifted = |place: [usize; 3]| -> [usize; 3] {
        std::array::from_fn(|axis| (place[axis] + size[axis] - shift[axis]) % size[axis])
    };
    let of = |place: [usize; 3]| -> [usize; 3] {
        std::array::from_fn(|axis| shifted(place)[axis] / clipped[axis])
    };
    // A token's number counts through the clipped window; its place is read off the whole one.
    let in_table = |place: [usize; 3]| -> [usize; 3] {
        let within: [usize; 3] = std::array::from_fn(|axis| shifted(place)[axis] % clipped[axis]);
        let token = (within[0] * clipped[1] + within[1]) * clipped[2] + within[2];
        [token / (window[1] * window[2]), token / window[2] % window[1], token % window[2]]
    };
    let all: Vec<[usize; 3]> = places(size).collect();
    let mut result = Tensor::zeros(channels, size);
    for (index, &query) in all.iter().enumerate() {
        let keys: Vec<[usize; 3]> = all.iter().copied().filter(|&key| of(key) == of(query)).collect();
        for head in 0..heads {
            let at = |part: usize, channel: usize, place| {
                input.at(part * channels + head * width + channel, place)
            };
            let scores = keys.iter().map(|&key| {
                let products = (0..width).map(|channel| at(0, channel, query) * at(1, channel, key));
                let near = (0..3).all(|axis| query[axis].abs_diff(key[axis]) < clipped[axis]);
                let relative = bias.map_or(0.0, |bias| {
                    let (a, b) = (in_table(query), in_table(key));
                    let row = (0..3).fold(0, |row, axis| {
                        row * (2 * window[axis] - 1) + a[axis] + window[axis] - 1 - b[axis]
                    });
                    f64::from(bias.data[row * heads + head])
                });
                products.sum::<f64>() / (width as f64).sqrt() + relative - if near { 0.0 } else { 100.0 }
            });
            let shares: Vec<f64> = scores.map(f64::exp).collect();
            let sum: f64 = shares.iter().sum();
            for channel in 0..width {
                let value: f64 =
                    keys.iter().zip(&shares).map(|(&key, share)| share * at(2, channel, key)).sum();
                result.values[(head * width + channel) * all.len() + index] = value / sum;
            }
        }
    }
    result
}

/// The results of all nodes.
pub(super) fn run(network: &Network, image: &Tensor) -> Vec<Tensor> {
    let sizes = network.sizes(image.size).unwrap();
    let mut results: Vec<Tensor> = Vec::new();
    for (node, &size) in network.nodes().iter().zip(&sizes) {
        let input = |index: usize| &results[node.inputs[index]];
        let result = match &node.op {
            Op::Input => image.clone(),
            Op::Conv { weight, bias, kernel, stride, padding } => {
                let input = input(0);
                let taps: Vec<_> = places(*kernel).collect();
                Tensor::fill(node.channels, size, |out, place| {
                    let mut sum = bias.as_ref().map_or(0.0, |bias| f64::from(bias.data[out]));
                    for channel in 0..input.channels {
                        for (index, tap) in taps.iter().enumerate() {
                            let at = std::array::from_fn(|axis| {
                                (place[axis] * stride[axis] + tap[axis]) as isize - padding[axis] as isize
                            });
                            let weight = weight.data[(out * input.channels + channel) * taps.len() + index];
                            sum += f64::from(weight) * input.get(channel, at);
                        }
                    }
                    sum
                })
            }
            Op::ConvTranspose { weight, bias, kernel, stride, padding } => {
                let input = input(0);
                let taps: Vec<_> = places(*kernel).collect();
                let mut result = Tensor::fill(node.channels, size, |out, _| {
                    bias.as_ref().map_or(0.0, |bias| f64::from(bias.data[out]))
                });
                for place in places(input.size) {
                    for (index, tap) in taps.iter().enumerate() {
                        let at: [isize; 3] = std::array::from_fn(|axis| {
                            (place[axis] * stride[axis] + tap[axis]) as isize - padding[axis] as isize
                        });
                        if (0..3).any(|axis| at[axis] < 0 || at[axis] >= size[axis] as isize) {
                            continue;
                        }
                        let [z, y, x] = at.map(|x| x as usize);
                        for out in 0..node.channels {
                            let mut sum = 0.0;
                            for channel in 0..input.channels {
                                let pair = channel * node.channels + out;
                                sum += f64::from(weight.data[pair * taps.len() + index])
                                    * input.at(channel, place);
                            }
                            result.values[((out * size[0] + z) * size[1] + y) * size[2] + x] += sum;
                        }
                    }
                }
                result
            }
            Op::InstanceNorm { scale, shift, epsilon } => input(0).normalised(1, scale, shift, *epsilon),
            Op::GroupNorm { groups, scale, shift, epsilon } => {
                input(0).normalised(node.channels / groups, scale, shift, *epsilon)
            }
            Op::BatchNorm { scale, shift, mean, variance, epsilon } => input(0).map(|channel, x| {
                let of = |weight: &Weight| f64::from(weight.data[channel]);
                (x - of(mean)) / (of(variance) + f64::from(*epsilon)).sqrt() * of(scale) + of(shift)
            }),
            Op::LeakyRelu { slope } => input(0).map(|_, x| if x > 0.0 { x } else { f64::from(*slope) * x }),
            Op::PRelu { slope } => input(0).map(|channel, x| {
                let slope = slope.data[channel.min(slope.data.len() - 1)];
                if x > 0.0 { x } else { f64::from(slope) * x }
            }),
            Op::Relu => input(0).map(|_, x| x.max(0.0)),
            Op::Elu { alpha } => {
                input(0).map(|_, x| if x > 0.0 { x } else { f64::from(*alpha) * x.exp_m1() })
            }
            Op::Gelu => input(0).map(|_, x| 0.5 * x * (1.0 + erf(x / 2.0_f64.sqrt()))),
            Op::Sigmoid => input(0).map(|_, x| 1.0 / (1.0 + (-x).exp())),
            Op::Tanh => input(0).map(|_, x| x.tanh()),
            Op::Add => {
                let other = input(1);
                Tensor::fill(node.channels, size, |channel, place| {
                    input(0).at(channel, place) + other.at(channel, place)
                })
            }
            Op::Multiply => {
                let other = input(1);
                Tensor::fill(node.channels, size, |channel, place| {
                    let at = std::array::from_fn(|axis| place[axis].min(other.size[axis] - 1));
                    input(0).at(channel, place) * other.at(channel, at)
                })
            }
            Op::AveragePool { size: block } | Op::MaxPool { size: block } => {
                let input = input(0);
                let average = matches!(node.op, Op::AveragePool { .. });
                Tensor::fill(node.channels, size, |channel, place| {
                    let values = places(*block).map(|tap| {
                        input.at(channel, std::array::from_fn(|axis| place[axis] * block[axis] + tap[axis]))
                    });
                    match average {
                        true => values.sum::<f64>() / block.iter().product::<usize>() as f64,
                        false => values.fold(f64::NEG_INFINITY, f64::max),
                    }
                })
            }
            Op::Upsample { factor, align_corners } => {
                let input = input(0);
                Tensor::fill(node.channels, size, |channel, place| {
                    interpolated(input, *factor, *align_corners, channel, place)
                })
            }
            Op::Mean { axes } => {
                let input = input(0);
                let span = std::array::from_fn(|axis| if axes[axis] { input.size[axis] } else { 1 });
                Tensor::fill(node.channels, size, |channel, place| {
                    let values = places(span)
                        .map(|tap| input.at(channel, std::array::from_fn(|axis| place[axis] + tap[axis])));
                    values.sum::<f64>() / span.iter().product::<usize>() as f64
                })
            }
            Op::Concat => {
                let mut values = Vec::new();
                node.inputs.iter().for_each(|&input| values.extend(&results[input].values));
                Tensor { channels: node.channels, size, values }
            }
            Op::PadLike | Op::CropLike => {
                let input = input(0);
                Tensor::fill(node.channels, size, |channel, place| {
                    input.at(channel, std::array::from_fn(|axis| place[axis].min(input.size[axis] - 1)))
                })
            }
            Op::LayerNorm { scale, shift, epsilon } => {
                let input = input(0);
                let count = input.channels as f64;
                let values = |place| (0..input.channels).map(move |channel| input.at(channel, place));
                Tensor::fill(node.channels, size, |channel, place| {
                    let mean = values(place).sum::<f64>() / count;
                    let variance = values(place).map(|x| (x - mean).powi(2)).sum::<f64>() / count;
                    let normal = (input.at(channel, place) - mean) / (variance + f64::from(*epsilon)).sqrt();
                    normal * f64::from(scale.data[channel]) + f64::from(shift.data[channel])
                })
            }
            Op::PadToWindows { .. } => Tensor::fill(node.channels, size, |channel, place| {
                input(0).get(channel, place.map(|x| x as isize))
            }),
            Op::PadFront { planes } => Tensor::fill(node.channels, size, |channel, place| {
                let at = std::array::from_fn(|axis| place[axis] as isize - planes[axis] as isize);
                input(0).get(channel, at)
            }),
            Op::PatchMerge { places } => {
                let input = input(0);
                Tensor::fill(node.channels, size, |channel, place| {
                    let first = places[channel / input.channels];
                    let at = std::array::from_fn(|axis| 2 * place[axis] + first[axis]);
                    input.at(channel % input.channels, at)
                })
            }
            Op::Constant { value } => Tensor {
                channels: node.channels,
                size,
                values: value.data.iter().map(|&x| x.into()).collect(),
            },
            Op::Downsample { .. } => {
                let input = input(0);
                Tensor::fill(node.channels, size, |channel, place| {
                    let mut sum = 0.0;
                    for corner in places([2; 3]) {
                        let (mut weight, mut at) = (1.0, [0; 3]);
                        for axis in 0..3 {
                            let step = (input.size[axis] - 1) as f64 / (size[axis].max(2) - 1) as f64;
                            let x = if size[axis] > 1 { place[axis] as f64 * step } else { 0.0 };
                            let share = x - x.floor();
                            weight *= if corner[axis] == 1 { share } else { 1.0 - share };
                            at[axis] = (x.floor() as usize + corner[axis]).min(input.size[axis] - 1);
                        }
                        sum += weight * input.at(channel, at);
                    }
                    sum
                })
            }
            Op::Depthwise { weight, bias, kernel, stride, padding } => {
                let taps: Vec<_> = places(*kernel).collect();
                Tensor::fill(node.channels, size, |channel, place| {
                    let terms = taps.iter().enumerate().map(|(index, tap)| {
                        let at = std::array::from_fn(|axis| {
                            (place[axis] * stride[axis] + tap[axis]) as isize - padding[axis] as isize
                        });
                        f64::from(weight.data[channel * taps.len() + index]) * input(0).get(channel, at)
                    });
                    f64::from(bias.data[channel]) + terms.sum::<f64>()
                })
            }
            Op::DepthwiseTranspose { weight, bias, kernel, stride, padding } => {
                let (input, taps) = (input(0), places(*kernel).collect::<Vec<_>>());
                let mut result =
                    Tensor::fill(node.channels, size, |channel, _| f64::from(bias.data[channel]));
                for place in places(input.size) {
                    for (index, tap) in taps.iter().enumerate() {
                        let at: [isize; 3] = std::array::from_fn(|axis| {
                            (place[axis] * stride[axis] + tap[axis]) as isize - padding[axis] as isize
                        });
                        if (0..3).any(|axis| at[axis] < 0 || at[axis] >= size[axis] as isize) {
                            continue;
                        }
                        let [z, y, x] = at.map(|x| x as usize);
                        for channel in 0..node.channels {
                            let weight = f64::from(weight.data[channel * taps.len() + index]);
                            result.values[((channel * size[0] + z) * size[1] + y) * size[2] + x] +=
                                weight * input.at(channel, place);
                        }
                    }
                }
                result
            }
            Op::Attention { heads, window } => attention(input(0), *heads, *window, [0; 3], None),
            Op::WindowAttention { bias, heads, window, shift } => {
                attention(input(0), *heads, *window, *shift, Some(bias))
            }
            Op::Onnx { .. } => panic!("no reference for an ONNX file"),
        };
        results.push(result);
    }
    results
}
