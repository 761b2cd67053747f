//! One panel: a plane of the image with labels over it.

use super::canvas::{Align, Canvas, Color, Style};
use super::plane::{Frame, View};

/// Points a pixel is sampled at, across and down, for smooth edges of labels.
const SAMPLES: usize = 3;
/// Share of a label's colour in its area.
const FILL: f32 = 0.46;
/// Width of outlines in pixels.
const OUTLINE: f64 = 1.5;
/// Behind letters and scale bars.
const SHADOW: Color = [6.0, 8.0, 11.0];
const LETTER: Style = Style { size: 12.0, weight: 0.15, color: [236.0, 240.0, 244.0] };
const SCALE: Style = Style { size: 9.5, weight: 0.14, color: [236.0, 240.0, 244.0] };

/// A plane ready to draw.
pub struct Panel<'a> {
    /// What it shows.
    pub view: View,
    /// Its size and spacing.
    pub frame: &'a Frame,
    /// Grey values from 0 to 1, row by row.
    pub grey: Vec<f32>,
    /// Labels as indices into the colours, row by row.
    pub labels: Vec<u16>,
    /// Pixels a millimetre.
    pub scale: f64,
}

impl Panel<'_> {
    /// Its size in pixels.
    pub fn size(&self) -> [usize; 2] {
        self.frame.extent().map(|length| ((length * self.scale).round() as usize).max(1))
    }

    /// Draws it with its upper left corner at `corner`.
    pub fn draw(&self, canvas: &mut Canvas, corner: [usize; 2], colors: &[Color]) {
        let [width, height] = self.size();
        let labels = self.sampled_labels([width * SAMPLES, height * SAMPLES]);
        let outlines = outlines(&labels, width * SAMPLES);
        let columns = taps(width, self.frame.size[0]);
        let rows = taps(height, self.frame.size[1]);
        let share = 1.0 / (SAMPLES * SAMPLES) as f32;
        for (y, row) in rows.iter().enumerate() {
            for (x, column) in columns.iter().enumerate() {
                let grey = self.grey_at(column, row) * 255.0;
                let mut color = [0.0; 3];
                for n in 0..SAMPLES * SAMPLES {
                    let sample = (y * SAMPLES + n / SAMPLES) * width * SAMPLES + x * SAMPLES + n % SAMPLES;
                    let paint = match labels[sample] {
                        0 => 0.0,
                        _ if outlines[sample] => 0.95,
                        _ => FILL,
                    };
                    let over = colors[usize::from(labels[sample])];
                    (0..3).for_each(|part| color[part] += (grey + (over[part] - grey) * paint) * share);
                }
                canvas.blend((corner[0] + x) as isize, (corner[1] + y) as isize, color, 1.0);
            }
        }
        self.letters(canvas, corner);
        self.scale_bar(canvas, corner);
    }

    fn grey_at(&self, column: &Taps, row: &Taps) -> f32 {
        let width = self.frame.size[0];
        let mut sum = 0.0;
        for (y, weight) in row {
            let line = &self.grey[y * width..][..width];
            sum += weight * column.iter().map(|&(x, weight)| line[x] * weight).sum::<f32>();
        }
        sum.clamp(0.0, 1.0)
    }

    /// Labels on a finer grid, with the corners of voxels rounded: each point gets the label with the largest
    /// share of a smooth neighbourhood.
    fn sampled_labels(&self, [width, height]: [usize; 2]) -> Vec<u16> {
        let stored = self.frame.size[0];
        let columns: Vec<[(usize, f32); 3]> = (0..width).map(|x| hump(x, width, stored)).collect();
        let mut labels = Vec::with_capacity(width * height);
        for y in 0..height {
            let rows = hump(y, height, self.frame.size[1]);
            for column in &columns {
                let mut found: [(u16, f32); 9] = [(0, 0.0); 9];
                let mut kinds = 0;
                for (row, down) in rows {
                    for &(x, across) in column {
                        let label = self.labels[row * stored + x];
                        match found[..kinds].iter_mut().find(|(known, _)| *known == label) {
                            Some((_, weight)) => *weight += down * across,
                            None => {
                                found[kinds] = (label, down * across);
                                kinds += 1;
                            }
                        }
                    }
                }
                let best = found[..kinds].iter().max_by(|a, b| a.1.total_cmp(&b.1));
                labels.push(best.map_or(0, |&(label, _)| label));
            }
        }
        labels
    }

    fn letters(&self, canvas: &mut Canvas, corner: [usize; 2]) {
        let [width, height] = self.size().map(|length| length as f64);
        let [left, top] = corner.map(|position| position as f64);
        let (middle, inset) = ([left + width / 2.0, top + height / 2.0 + LETTER.size / 2.0], 10.0);
        let places = [
            (left + inset, middle[1], Align::Left),
            (left + width - inset, middle[1], Align::Right),
            (middle[0], top + inset + LETTER.size, Align::Center),
            (middle[0], top + height - inset, Align::Center),
        ];
        for (letter, (x, y, align)) in self.view.letters().into_iter().zip(places) {
            canvas.text_with_halo(letter, x, y, align, LETTER, Some(SHADOW));
        }
    }

    fn scale_bar(&self, canvas: &mut Canvas, corner: [usize; 2]) {
        let [width, height] = self.size().map(|length| length as f64);
        let lengths = [(50.0, "5 cm"), (20.0, "2 cm"), (10.0, "1 cm"), (5.0, "5 mm"), (1.0, "1 mm")];
        let fits = |(length, _): &(f64, &str)| length * self.scale <= 0.38 * width;
        let Some((length, text)) = lengths.into_iter().find(fits) else { return };
        let right = corner[0] as f64 + width - 14.0;
        let (left, y) = (right - length * self.scale, corner[1] as f64 + height - 16.0);
        let bar = [
            [[left, y], [right, y]],
            [[left, y - 4.0], [left, y + 4.0]],
            [[right, y - 4.0], [right, y + 4.0]],
        ];
        bar.into_iter().for_each(|line| canvas.line(line, 5.0, SHADOW));
        bar.into_iter().for_each(|line| canvas.line(line, 1.8, SCALE.color));
        canvas.text_with_halo(text, (left + right) / 2.0, y - 9.0, Align::Center, SCALE, Some(SHADOW));
    }
}

/// Stored samples with their weights.
type Taps = [(usize, f32); 4];

/// Where point `n` of `count` lies among `stored` samples: the sample before it and the way to the next.
fn position(n: usize, count: usize, stored: usize) -> f64 {
    (n as f64 + 0.5) * stored as f64 / count as f64 - 0.5
}

fn clamped(index: f64, stored: usize) -> usize {
    (index.max(0.0) as usize).min(stored - 1)
}

/// Cubic interpolation (Catmull-Rom) of `stored` samples at `count` points.
fn taps(count: usize, stored: usize) -> Vec<Taps> {
    let tap = |n| {
        let position = position(n, count, stored);
        let (first, t) = (position.floor(), (position - position.floor()) as f32);
        let weights = [
            ((2.0 - t) * t - 1.0) * t / 2.0,
            ((3.0 * t - 5.0) * t * t + 2.0) / 2.0,
            ((4.0 - 3.0 * t) * t + 1.0) * t / 2.0,
            (t - 1.0) * t * t / 2.0,
        ];
        std::array::from_fn(|k| (clamped(first + k as f64 - 1.0, stored), weights[k]))
    };
    (0..count).map(tap).collect()
}

/// The three nearest samples with the weights of a quadratic spline: smooth, yet the middle of a voxel keeps
/// its label whatever its neighbours have.
fn hump(n: usize, count: usize, stored: usize) -> [(usize, f32); 3] {
    let position = position(n, count, stored);
    let nearest = position.round();
    let t = (position - nearest) as f32;
    let weights = [(0.5 - t).powi(2) / 2.0, 0.75 - t * t, (0.5 + t).powi(2) / 2.0];
    std::array::from_fn(|k| (clamped(nearest + k as f64 - 1.0, stored), weights[k]))
}

/// Which points of labels are near another label.
fn outlines(labels: &[u16], width: usize) -> Vec<bool> {
    let reach = OUTLINE * SAMPLES as f64;
    let points = [(reach, 16), (reach / 2.0, 8)].into_iter().flat_map(|(radius, count)| {
        (0..count)
            .map(move |n| (f64::from(n) * std::f64::consts::TAU / f64::from(count)).sin_cos())
            .map(move |(sine, cosine)| [(radius * cosine).round() as isize, (radius * sine).round() as isize])
    });
    let ring: Vec<[isize; 2]> = points.collect();
    let height = labels.len() / width;
    let inside = |x: isize, y: isize| (0..width as isize).contains(&x) && (0..height as isize).contains(&y);
    (0..labels.len())
        .map(|n| {
            let (x, y, label) = ((n % width) as isize, (n / width) as isize, labels[n]);
            let differs = |&[dx, dy]: &[isize; 2]| {
                inside(x + dx, y + dy) && labels[(y + dy) as usize * width + (x + dx) as usize] != label
            };
            label != 0 && ring.iter().any(differs)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one() {
        for n in 0..40 {
            assert!((taps(40, 7)[n].iter().map(|tap| tap.1).sum::<f32>() - 1.0).abs() < 1e-6);
            assert!((hump(n, 40, 7).iter().map(|tap| tap.1).sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn outlines_lie_inside() {
        let labels: Vec<u16> = (0..900).map(|n| u16::from((5..25).contains(&(n % 30)))).collect();
        let outlines = outlines(&labels, 30);
        assert!(!outlines[15 * 30 + 4] && outlines[15 * 30 + 5] && !outlines[15 * 30 + 15]);
    }
}
