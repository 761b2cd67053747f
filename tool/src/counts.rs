//! How often each label occurs, with names and volumes: what tables, reports and pictures show.

use std::collections::BTreeMap;
use std::io::{self, Write};

use voxseg::labels::{Label, Terms, colors};

/// One label of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// Its value, name and colour.
    pub label: Label,
    /// Voxels that have it.
    pub voxels: usize,
    /// Their volume in millilitres.
    pub milliliters: f64,
}

/// The labels that occur beside the background, in ascending order of their values. `voxel` is the volume of
/// a voxel in cubic millimetres.
pub fn count(labels: &[u32], names: &[Label], voxel: f64) -> Vec<Count> {
    let mut voxels = BTreeMap::new();
    // Labels come in runs; the map is asked once a run.
    for run in labels.chunk_by(|a, b| a == b) {
        *voxels.entry(run[0]).or_insert(0) += run.len();
    }
    voxels.remove(&0);
    let labelled = |(value, voxels): (u32, usize)| {
        let named = names.iter().find(|label| label.value == value).cloned();
        let label = named.unwrap_or_else(|| unnamed(value));
        Count { label, voxels, milliliters: voxels as f64 * voxel / 1000.0 }
    };
    voxels.into_iter().map(labelled).collect()
}

fn unnamed(value: u32) -> Label {
    // Far values share colours: there are only so many to tell apart.
    let index = (value.max(1) - 1) as usize % 255 + 1;
    Label { value, name: format!("label {value}"), color: colors(index + 1)[index], terms: Terms::default() }
}

/// Writes the table of labels.
pub fn table(out: &mut impl Write, counts: &[Count]) -> io::Result<()> {
    let name_width = counts.iter().map(|count| count.label.name.chars().count()).max().unwrap_or(0).max(4);
    writeln!(out, "{:>5}  {:<name_width$}  {:>12}  {:>10}", "label", "name", "voxels", "mL")?;
    for Count { label, voxels, milliliters } in counts {
        let voxels = thousands(*voxels as u64);
        writeln!(out, "{:>5}  {:<name_width$}  {voxels:>12}  {milliliters:>10.1}", label.value, label.name)?;
    }
    if counts.is_empty() {
        writeln!(out, "       (background only)")?;
    }
    Ok(())
}

/// A number with separators, for example 31,214,109.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in bytes as people say it.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.0} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let names = [Label { value: 2, name: "spleen".into(), color: [1, 2, 3], terms: Terms::default() }];
        let counts = count(&[0, 7, 2, 2, 0, 2], &names, 500.0);
        let found: Vec<_> = counts.iter().map(|c| (c.label.name.as_str(), c.voxels, c.milliliters)).collect();
        assert_eq!(found, [("spleen", 3, 1.5), ("label 7", 1, 0.5)]);
    }

    #[test]
    fn numbers() {
        assert_eq!(["0", "999", "1,000", "31,214,109"], [0, 999, 1000, 31_214_109].map(thousands)[..]);
        assert_eq!(["1.5 KiB", "3 MiB", "4.00 GiB"], [1536, 3 << 20, 4 << 30].map(size)[..]);
    }
}
