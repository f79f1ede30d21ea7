// SPDX-License-Identifier: GPL-2.0

//! Progress bars of long operations.

use indicatif::{
    ProgressBar,
    ProgressStyle, //
};

/// Returns a bar for the sectors of a map.
pub(crate) fn of_sectors(sectors: u64) -> ProgressBar {
    bar(
        sectors,
        "[{elapsed}] {bar:40} {percent}% of the map, {eta} left",
    )
}

/// Returns a bar for bytes that are written.
pub(crate) fn of_bytes(bytes: u64) -> ProgressBar {
    bar(
        bytes,
        "[{elapsed}] {bar:40} {binary_bytes} of {binary_total_bytes}, {eta} left",
    )
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
