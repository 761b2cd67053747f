//! The legend: colour, name and volume of each structure, the largest first.

use super::canvas::{Align, Canvas, Color, Style, shortened, text_width};
use crate::counts::{Count, thousands};

/// Height of a line in pixels.
const LINE: f64 = 30.0;
/// Most lines of a column.
const LINES: usize = 14;
/// Space between columns.
const GAP: f64 = 44.0;
/// Widest name.
const WIDEST: f64 = 260.0;
/// Space for colour and volume beside the name.
const BESIDE: f64 = 30.0 + 96.0;
const NAME: Style = Style { size: 11.0, weight: 0.115, color: [214.0, 220.0, 227.0] };
const VOLUME: Style = Style { size: 11.0, weight: 0.1, color: [142.0, 152.0, 163.0] };

/// Where entries go.
pub struct Legend<'a> {
    entries: Vec<&'a Count>,
    columns: usize,
    lines: usize,
    column_width: f64,
    left_out: usize,
}

/// A volume as people read it.
pub fn volume(milliliters: f64) -> String {
    match milliliters {
        99.95.. => format!("{} mL", thousands(milliliters.round() as u64)),
        0.1.. => format!("{milliliters:.1} mL"),
        _ => format!("{milliliters:.3} mL"),
    }
}

/// A model's name for a structure as words.
pub fn words(name: &str) -> String {
    name.replace('_', " ")
}

impl<'a> Legend<'a> {
    /// Arranges the legend in columns within `width` pixels.
    pub fn new(counts: &'a [Count], width: f64) -> Self {
        let mut entries: Vec<&Count> = counts.iter().collect();
        entries.sort_by(|a, b| b.voxels.cmp(&a.voxels).then(a.label.value.cmp(&b.label.value)));
        let names = entries.iter().map(|count| text_width(&words(&count.label.name), NAME.size));
        let least = names.fold(60.0, f64::max).min(WIDEST) + BESIDE;
        let fitting = (((width + GAP) / (least + GAP)) as usize).max(1);
        let lines = entries.len().div_ceil(fitting).clamp(1, LINES);
        let columns = entries.len().div_ceil(lines).clamp(1, fitting);
        // Columns share the width, yet names and volumes stay close together.
        let column_width = ((width + GAP) / columns as f64 - GAP).min(least + 16.0);
        let left_out = entries.len().saturating_sub(lines * columns);
        Legend { entries, columns, lines, column_width, left_out }
    }

    /// Its height in pixels.
    pub fn height(&self) -> f64 {
        LINE * (self.lines + usize::from(self.left_out > 0)) as f64
    }

    /// Draws it with its upper left corner at (`left`, `top`).
    pub fn draw(&self, canvas: &mut Canvas, left: f64, top: f64) {
        for (n, count) in self.entries.iter().take(self.lines * self.columns).enumerate() {
            let x = left + (n / self.lines) as f64 * (self.column_width + GAP);
            let y = top + (n % self.lines) as f64 * LINE;
            let color: Color = count.label.color.map(f32::from);
            canvas.rectangle(x, y + 6.0, [18.0, 18.0], 4.0, color, 1.0);
            canvas.rectangle(x + 2.0, y + 8.0, [14.0, 14.0], 2.5, [16.0, 20.0, 24.0], 0.4);
            let baseline = y + 15.0 + NAME.size / 2.0;
            let name = shortened(&words(&count.label.name), NAME.size, self.column_width - BESIDE + 1.0);
            canvas.text(&name, x + 30.0, baseline, Align::Left, NAME);
            canvas.text(&volume(count.milliliters), x + self.column_width, baseline, Align::Right, VOLUME);
        }
        let last = top + self.lines as f64 * LINE + 15.0 + NAME.size / 2.0;
        if self.left_out > 0 {
            canvas.text(
                &format!("and {} smaller structures", self.left_out),
                left,
                last,
                Align::Left,
                VOLUME,
            );
        } else if self.entries.is_empty() {
            canvas.text("no structure was found", left, top + 15.0 + NAME.size / 2.0, Align::Left, VOLUME);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::count;

    #[test]
    fn volumes() {
        assert_eq!(["1,234 mL", "12.3 mL", "0.027 mL"], [1234.4, 12.34, 0.027].map(volume)[..]);
    }

    #[test]
    fn many_entries_are_cut_off() {
        let labels: Vec<u32> = (1..=200).collect();
        let counts = count(&labels, &[], 1000.0);
        let legend = Legend::new(&counts, 1000.0);
        assert_eq!(legend.left_out, 200 - legend.columns * LINES);
        assert_eq!(legend.height(), LINE * 15.0);
        let all = Legend::new(&counts[..3], 1000.0);
        assert_eq!((all.columns, all.lines, all.left_out), (3, 1, 0));
    }
}
