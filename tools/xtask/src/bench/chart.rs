// SPDX-License-Identifier: GPL-2.0

//! The chart of ratios: a bar for each cell, which ends to the right of 1 if our driver is faster.

use super::{
    cells::Cell,
    results::Results, //
};
use svg::{
    node::element::{
        Line,
        Rectangle,
        Text,
        Title, //
    },
    Document,
    Node, //
};

const ROW: f64 = 14.0;
const LABELS: f64 = 250.0;
/// Width of a ratio of 1.
const UNIT: f64 = 150.0;
/// Maximum length of a bar. The number beside it is not limited.
const MOST: f64 = 4.0;

/// Draws the ratios ours/C of all measured cells.
pub(crate) fn ratios(results: &Results, cells: &[Cell]) -> String {
    let rows = cells
        .iter()
        .filter_map(|cell| Some((cell, results.pair(cell)?.ratio.median)))
        .collect::<Vec<_>>();
    let height = ROW * (rows.len() as f64 + 2.0);
    let width = LABELS + UNIT * MOST + 60.0;
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, width, height))
        .set("font-family", "sans-serif")
        .set("font-size", 10);
    document.append(Title::new("Requests a second, ours/C"));
    for (index, (cell, ratio)) in rows.into_iter().enumerate() {
        let top = ROW * (index as f64 + 1.0);
        let text = |x: f64, text: String| Text::new(text).set("x", x).set("y", top + 10.0);
        let label = format!(
            "{} {} {} {}",
            cell.disk.name(),
            cell.pattern(),
            cell.size_text(),
            cell.users()
        );
        let bar = UNIT * ratio.min(MOST);
        document.append(text(LABELS - 6.0, label).set("text-anchor", "end"));
        document.append(
            Rectangle::new()
                .set("x", LABELS)
                .set("y", top + 2.0)
                .set("width", bar)
                .set("height", ROW - 4.0)
                .set("fill", if ratio >= 1.0 { "#2a7f62" } else { "#b23a48" }),
        );
        document.append(text(LABELS + bar + 4.0, format!("{ratio:.2}")));
    }
    document.append(
        Line::new()
            .set("x1", LABELS + UNIT)
            .set("x2", LABELS + UNIT)
            .set("y1", ROW)
            .set("y2", height - ROW)
            .set("stroke", "black"),
    );
    document.to_string()
}
