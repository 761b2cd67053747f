//! `voxseg picture`: labels over an image, on three planes through the largest structure, with a legend.

mod canvas;
mod font;
mod legend;
mod panel;
mod plane;
mod window;

use std::path::{Path, PathBuf};

use voxseg::model::{Model, ModelOptions};

use crate::counts::{Count, count, thousands};
use crate::failure::{Failure, Outcome};
use crate::image_file::{self, ImageFile, check_readable};
use crate::output::Outputs;
use canvas::{Align, Canvas, Color, Style, shortened};
use legend::Legend;
use panel::Panel;
use plane::{Frame, View};

/// Words over and under a picture.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Caption {
    /// Title of the picture [default: the model's name]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// A line under the picture
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// What to draw.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The image; of several channels the first is shown
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// The labels, on the image's grid
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// The model's folder, for names and colours
    #[arg(long, value_name = "FOLDER")]
    model: PathBuf,
    /// Where the picture goes (.png)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    caption: Caption,
}

const BACKGROUND: Color = [16.0, 20.0, 24.0];
const PANEL: Color = [0.0, 0.0, 0.0];
const RULE: Color = [44.0, 51.0, 59.0];
const TITLE: Style = Style { size: 19.0, weight: 0.125, color: [240.0, 243.0, 246.0] };
const SUBTITLE: Style = Style { size: 11.0, weight: 0.11, color: [150.0, 160.0, 171.0] };
const PANEL_NAME: Style = Style { size: 11.0, weight: 0.115, color: [190.0, 198.0, 207.0] };

/// Around everything.
const MARGIN: f64 = 40.0;
/// Between panels.
const GAP: f64 = 20.0;
/// The box that a plane is fitted into, in pixels.
const LARGEST: [f64; 2] = [720.0, 540.0];
/// Narrowest picture, so that titles have room.
const NARROWEST: f64 = 900.0;
/// Where the panels begin.
const PANELS_TOP: f64 = 146.0;

/// Opens what a picture will be written to.
pub fn open_output(outputs: &mut Outputs, path: &Path) -> Outcome<()> {
    match path.extension() {
        Some(end) if end.eq_ignore_ascii_case("png") => outputs.open(path),
        _ => Err(Failure::write(path, "the name must end with .png")),
    }
}

/// Draws labels from files.
pub fn picture(arguments: &Arguments) -> Outcome<()> {
    let files = [&arguments.image, &arguments.labels];
    files.iter().try_for_each(|path| check_readable(path))?;
    let mut outputs = Outputs::new(files.iter().flat_map(|path| image_file::files(path)));
    open_output(&mut outputs, &arguments.out)?;
    let image = ImageFile::read(&arguments.image)?;
    let labels = ImageFile::read(&arguments.labels)?;
    if let Some(difference) = labels.grid_difference(&image) {
        return Err(Failure::image(&arguments.labels, format!("not on the image's grid: {difference}")));
    }
    let model = Model::open(&arguments.model, &ModelOptions::default())?;
    let values = labels.labels(&arguments.labels)?;
    let counts = count(&values, model.labels(), image.geometry.voxel_volume());
    let canvas = draw(&image, &values, &counts, model.name(), &arguments.caption);
    outputs.write(&arguments.out, |out| canvas.write(out))?;
    outputs.commit()
}

/// Draws labels over an image.
pub fn draw(image: &ImageFile, labels: &[u32], counts: &[Count], name: &str, caption: &Caption) -> Canvas {
    let (title, note) = (caption.title.as_deref().unwrap_or(name), caption.note.as_deref());
    let largest = counts.iter().max_by_key(|count| count.voxels).map(|count| count.label.value);
    let frames = View::ALL.map(|view| Frame::new(view, &image.geometry));
    let planes = frames.each_ref().map(|frame| frame.fullest(|index| Some(labels[index]) == largest));
    let panels = panels(image, labels, counts, &frames, planes);

    let widths = panels.each_ref().map(|panel| panel.size()[0] as f64);
    let panel_width = widths.iter().sum::<f64>() + 2.0 * GAP;
    let inner = panel_width.max(NARROWEST);
    let box_height = panels.iter().map(|panel| panel.size()[1]).max().unwrap_or(1) as f64;
    let legend = Legend::new(counts, inner);
    let legend_top = PANELS_TOP + box_height + 34.0;
    let note_height = if note.is_some() { 40.0 } else { 0.0 };
    let height = legend_top + legend.height() + note_height + MARGIN - 6.0;

    let mut canvas = Canvas::new((inner + 2.0 * MARGIN) as usize, height as usize, BACKGROUND);
    canvas.text(&shortened(title, TITLE.size, inner), MARGIN, MARGIN + 20.0, Align::Left, TITLE);
    let subtitle = shortened(&subtitle(image, counts), SUBTITLE.size, inner);
    canvas.text(&subtitle, MARGIN, MARGIN + 49.0, Align::Left, SUBTITLE);

    let colors: Vec<Color> = std::iter::once([0; 3])
        .chain(counts.iter().map(|count| count.label.color))
        .map(|color| color.map(f32::from))
        .collect();
    let mut left = MARGIN + (inner - panel_width) / 2.0;
    for ((panel, plane), width) in panels.iter().zip(planes).zip(widths) {
        canvas.rectangle(left, PANELS_TOP, [width, box_height], 0.0, PANEL, 1.0);
        let top = PANELS_TOP + ((box_height - panel.size()[1] as f64) / 2.0).floor();
        panel.draw(&mut canvas, [left as usize, top as usize], &colors);
        canvas.text(panel.view.name(), left, PANELS_TOP - 14.0, Align::Left, PANEL_NAME);
        let number = format!("plane {} of {}", plane + 1, panel.frame.planes);
        canvas.text(&number, left + width, PANELS_TOP - 14.0, Align::Right, SUBTITLE);
        left += width + GAP;
    }

    legend.draw(&mut canvas, MARGIN, legend_top);
    if let Some(note) = note {
        let y = legend_top + legend.height() + 12.0;
        canvas.rectangle(MARGIN, y, [inner, 1.0], 0.0, RULE, 1.0);
        canvas.text(&shortened(note, SUBTITLE.size, inner), MARGIN, y + 30.0, Align::Left, SUBTITLE);
    }
    canvas
}

/// The three planes, each as large as its box allows.
fn panels<'a>(
    image: &ImageFile,
    labels: &[u32],
    counts: &[Count],
    frames: &'a [Frame; 3],
    planes: [usize; 3],
) -> [Panel<'a>; 3] {
    let [low, high] = window::window(image);
    let grey = |value: f64| ((value - low) / (high - low)).clamp(0.0, 1.0) as f32;
    let index = |label: u32| match counts.binary_search_by_key(&label, |count| count.label.value) {
        Ok(index) => (index + 1) as u16,
        Err(_) => 0,
    };
    std::array::from_fn(|n| {
        let frame = &frames[n];
        let [across, down] = frame.extent();
        Panel {
            view: View::ALL[n],
            frame,
            grey: frame.cut(planes[n], |voxel| grey(image.value(voxel))),
            labels: frame.cut(planes[n], |voxel| index(labels[voxel])),
            scale: (LARGEST[0] / across).min(LARGEST[1] / down),
        }
    })
}

fn subtitle(image: &ImageFile, counts: &[Count]) -> String {
    let structures = match counts.len() {
        0 => "no structure".into(),
        1 => "1 structure".into(),
        many => format!("{many} structures"),
    };
    let total = counts.iter().map(|count| count.milliliters).sum::<f64>();
    let [x, y, z] = image.geometry.shape;
    let [dx, dy, dz] = image.geometry.spacing.map(|spacing| (spacing * 1000.0).round() / 1000.0);
    format!(
        "{structures}, {} mL  ·  {x} × {y} × {z} voxels of {dx} × {dy} × {dz} mm  ·  voxseg {}",
        thousands(total.round() as u64),
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_file::tests::plain;
    use voxseg::volume::{DType, Geometry};

    #[test]
    fn a_picture_has_its_size_shows_something_and_is_always_the_same() {
        let geometry = Geometry { spacing: [2.0, 2.0, 5.0], ..Geometry::with_shape([30, 20, 10]) };
        let bytes = (0..6000).map(|n| (n / 30) as u8).collect();
        let image = plain(geometry, DType::U8, bytes);
        let inside = |n: usize| (8..22).contains(&(n % 30)) && (5..15).contains(&(n / 30 % 20));
        let labels: Vec<u32> = (0..6000).map(|n| if inside(n) { 1 + (n / 3000) as u32 } else { 0 }).collect();
        let counts = count(&labels, &[], 20.0);
        let caption = Caption { title: Some("A title".into()), note: Some("a note".into()) };
        let canvas = draw(&image, &labels, &counts, "a name", &caption);
        assert_eq!(canvas.size()[0], (720.0 + 648.0 + 432.0 + 2.0 * GAP + 2.0 * MARGIN) as usize);
        let pixels = canvas.to_rgb();
        let colored = pixels.chunks_exact(3).filter(|pixel| pixel[0].abs_diff(pixel[2]) > 60).count();
        assert!(colored > 50_000, "{colored}");
        assert_eq!(pixels, draw(&image, &labels, &counts, "a name", &caption).to_rgb());
        assert_ne!(pixels, draw(&image, &labels, &counts, "a name", &Caption::default()).to_rgb());
    }

    #[test]
    fn an_empty_label_map_can_be_drawn() {
        let geometry = Geometry::with_shape([1, 3, 200]);
        let image = plain(geometry, DType::F32, vec![0xff; 2400]);
        let canvas = draw(&image, &[0; 600], &[], &"long ".repeat(100), &Caption::default());
        assert!(canvas.size()[0] as f64 >= NARROWEST);
    }
}
