//! The progress bar: on standard error, and only when that is a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use voxseg::progress::{Progress, Stage};

/// Characters of the bar.
const WIDTH: usize = 32;
/// Time between two drawings, so that many small tiles don't cost time.
const PAUSE: Duration = Duration::from_millis(80);

/// A bar with the stage, the share that is done and the time that is left.
pub struct Bar {
    visible: bool,
    started: Instant,
    drawn: Option<Instant>,
    width: usize,
}

impl Bar {
    /// A bar, or nothing at all when `quiet` or when nobody watches.
    pub fn new(quiet: bool) -> Self {
        let visible = !quiet && std::io::stderr().is_terminal();
        Bar { visible, started: Instant::now(), drawn: None, width: 0 }
    }

    /// Shows how far a run is.
    pub fn show(&mut self, progress: &Progress) {
        if self.visible && (progress.fraction >= 1.0 || self.drawn.is_none_or(|last| last.elapsed() >= PAUSE))
        {
            self.drawn = Some(Instant::now());
            self.draw(&line(progress, self.started.elapsed().as_secs_f64()));
        }
    }

    fn draw(&mut self, text: &str) {
        let width = text.chars().count();
        let rest = self.width.saturating_sub(width);
        self.width = width;
        // A terminal that went away is no reason to stop the run.
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "\r{text}{:rest$}", "").and_then(|()| out.flush());
    }

    /// Takes the bar away.
    pub fn clear(&mut self) {
        if self.visible && self.width > 0 {
            self.draw("");
            self.draw("");
        }
    }
}

fn line(progress: &Progress, seconds: f64) -> String {
    let filled = ((progress.fraction * WIDTH as f64) as usize).min(WIDTH);
    let bar: String =
        std::iter::repeat_n('█', filled).chain(std::iter::repeat_n('░', WIDTH - filled)).collect();
    let stage = match progress.stage {
        Stage::Preprocess => "preparing".into(),
        Stage::Network => format!("tile {}/{}", progress.tiles_done, progress.tiles),
        Stage::Restore => "restoring".into(),
        Stage::Measure => "measuring".into(),
    };
    let left = match progress.fraction {
        0.1..1.0 => format!("  {} left", clock(seconds / progress.fraction * (1.0 - progress.fraction))),
        _ => String::new(),
    };
    format!("{bar} {:>3.0} %  {stage}{left}", progress.fraction * 100.0)
}

fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let half = Progress { stage: Stage::Network, fraction: 0.5, tiles_done: 4, tiles: 9 };
        assert_eq!(
            line(&half, 90.0),
            format!("{}{}  50 %  tile 4/9  1:30 left", "█".repeat(16), "░".repeat(16))
        );
        let end = Progress { stage: Stage::Restore, fraction: 1.0, tiles_done: 9, tiles: 9 };
        assert!(line(&end, 90.0).ends_with("100 %  restoring"));
    }
}
