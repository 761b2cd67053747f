//! A surface to draw on: antialiased shapes and text in plain RGB.

use std::io::Write;

use super::font;

/// Red, green, blue from 0 to 255.
pub type Color = [f32; 3];

/// Where a text's position is in the text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At its left end.
    Left,
    /// In its middle.
    Center,
    /// At its right end.
    Right,
}

/// How a text looks.
#[derive(Clone, Copy)]
pub struct Style {
    /// Height of capitals in pixels.
    pub size: f64,
    /// Width of the strokes, as a share of the height.
    pub weight: f64,
    /// Colour.
    pub color: Color,
}

/// An image to draw on.
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Color>,
}

impl Canvas {
    /// An image of one colour.
    pub fn new(width: usize, height: usize, color: Color) -> Self {
        Canvas { width, height, pixels: vec![color; width * height] }
    }

    /// Mixes a colour into a pixel; outside of the image nothing happens.
    pub fn blend(&mut self, x: isize, y: isize, color: Color, share: f64) {
        let inside = (0..self.width as isize).contains(&x) && (0..self.height as isize).contains(&y);
        if inside && share > 0.0 {
            let pixel = &mut self.pixels[y as usize * self.width + x as usize];
            let share = share.min(1.0) as f32;
            for (old, new) in pixel.iter_mut().zip(color) {
                *old += (new - *old) * share;
            }
        }
    }

    /// Fills what is inside of a shape given by the distance to its edge, which is negative inside.
    fn fill(
        &mut self,
        [left, top, right, bottom]: [f64; 4],
        color: Color,
        share: f64,
        edge: impl Fn(f64, f64) -> f64,
    ) {
        for y in top.floor() as isize - 1..=bottom.ceil() as isize {
            for x in left.floor() as isize - 1..=right.ceil() as isize {
                let coverage = (0.5 - edge(x as f64 + 0.5, y as f64 + 0.5)).clamp(0.0, 1.0);
                self.blend(x, y, color, coverage * share);
            }
        }
    }

    /// A filled rectangle with round corners.
    pub fn rectangle(&mut self, left: f64, top: f64, size: [f64; 2], radius: f64, color: Color, share: f64) {
        let half = size.map(|length| length / 2.0);
        let center = [left + half[0], top + half[1]];
        self.fill([left, top, left + size[0], top + size[1]], color, share, |x, y| {
            let outside =
                [(x - center[0]).abs() - half[0] + radius, (y - center[1]).abs() - half[1] + radius];
            let corner = outside.map(|distance| distance.max(0.0));
            corner[0].hypot(corner[1]) + outside[0].max(outside[1]).min(0.0) - radius
        });
    }

    /// A line with round ends.
    pub fn line(&mut self, line: [[f64; 2]; 2], width: f64, color: Color) {
        self.strokes(&[line], width, color, 1.0);
    }

    /// Lines that are drawn as one shape.
    fn strokes(&mut self, lines: &[[[f64; 2]; 2]], width: f64, color: Color, share: f64) {
        let ends = |axis: usize| lines.iter().flatten().map(move |point| point[axis]);
        let low = |axis: usize| ends(axis).fold(f64::INFINITY, f64::min) - width;
        let high = |axis: usize| ends(axis).fold(f64::NEG_INFINITY, f64::max) + width;
        if !lines.is_empty() {
            self.fill([low(0), low(1), high(0), high(1)], color, share, |x, y| {
                let nearest = lines.iter().map(|line| distance([x, y], line)).fold(f64::INFINITY, f64::min);
                nearest - width / 2.0
            });
        }
    }

    /// A line of text whose baseline is at `y`. Returns its width.
    pub fn text(&mut self, text: &str, x: f64, y: f64, align: Align, style: Style) -> f64 {
        self.text_with_halo(text, x, y, align, style, None)
    }

    /// As [`Canvas::text`], on a soft dark edge that keeps it readable on any image.
    pub fn text_with_halo(
        &mut self,
        text: &str,
        x: f64,
        y: f64,
        align: Align,
        style: Style,
        halo: Option<Color>,
    ) -> f64 {
        let width = text_width(text, style.size);
        let left = match align {
            Align::Left => x,
            Align::Center => x - width / 2.0,
            Align::Right => x - width,
        };
        let scale = style.size / font::CAPITAL;
        let stroke = style.size * style.weight;
        let glyphs: Vec<Vec<[[f64; 2]; 2]>> = font::lines(text)
            .into_iter()
            .map(|lines| {
                lines.iter().map(|line| line.map(|[u, v]| [left + u * scale, y - v * scale])).collect()
            })
            .collect();
        if let Some(halo) = halo {
            for (extra, share) in [(6.0, 0.25), (4.0, 0.35), (2.0, 0.5)] {
                glyphs.iter().for_each(|lines| self.strokes(lines, stroke + extra, halo, share));
            }
        }
        glyphs.iter().for_each(|lines| self.strokes(lines, stroke, style.color, 1.0));
        width
    }

    /// Size in pixels.
    #[cfg(test)]
    pub fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// Red, green and blue of each pixel, row by row.
    pub fn to_rgb(&self) -> Vec<u8> {
        self.pixels.as_flattened().iter().map(|value| value.round().clamp(0.0, 255.0) as u8).collect()
    }

    /// Writes it as PNG.
    pub fn write(&self, out: impl Write) -> std::io::Result<()> {
        let mut encoder = png::Encoder::new(out, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.to_rgb())?;
        Ok(writer.finish()?)
    }
}

/// The width of a text in pixels.
pub fn text_width(text: &str, size: f64) -> f64 {
    font::width(text) * size / font::CAPITAL
}

/// The start of a text that fits into `width` pixels, with dots where something is left out.
pub fn shortened(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.into();
    }
    let mut start: String = text.into();
    while !start.is_empty() && text_width(&format!("{start}…"), size) > width {
        start.pop();
    }
    format!("{}…", start.trim_end())
}

fn distance([x, y]: [f64; 2], [[x0, y0], [x1, y1]]: &[[f64; 2]; 2]) -> f64 {
    let (dx, dy) = (x1 - x0, y1 - y0);
    let length = dx * dx + dy * dy;
    let t = if length == 0.0 { 0.0 } else { (((x - x0) * dx + (y - y0) * dy) / length).clamp(0.0, 1.0) };
    (x - x0 - t * dx).hypot(y - y0 - t * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_cover_what_they_should() {
        let mut canvas = Canvas::new(20, 10, [0.0; 3]);
        canvas.rectangle(2.0, 3.0, [4.0, 2.0], 0.0, [255.0; 3], 1.0);
        let white = canvas.to_rgb().iter().filter(|&&value| value == 255).count();
        assert_eq!(white, 3 * 4 * 2);
        canvas.line([[-5.0, 50.0], [100.0, 50.0]], 2.0, [255.0; 3]);
    }

    #[test]
    fn long_texts_are_shortened() {
        assert_eq!(shortened("spleen", 10.0, 500.0), "spleen");
        let short = shortened("a name without an end", 10.0, 80.0);
        assert!(short.ends_with('…') && text_width(&short, 10.0) <= 80.0, "{short}");
    }
}
