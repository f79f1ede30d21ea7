// SPDX-License-Identifier: GPL-2.0

//! The tables of Documentation/results/benchmarks.md. A run replaces its own section only.

use super::{
    cells::{
        Cell,
        Disk, //
    },
    results::Results,
};
use anyhow::{
    Context,
    Result, //
};
use std::{
    fmt::Write as _,
    fs,
    path::Path, //
};

/// The goal of a cell: a limit of its ratio ours/C.
#[derive(Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(limit) => ratio >= limit,
            Self::AtMost(limit) => ratio <= limit,
        }
    }

    fn text(self, ratio: f64) -> String {
        let (sign, limit) = match self {
            Self::AtLeast(limit) => ('≥', limit),
            Self::AtMost(limit) => ('≤', limit),
        };
        let verdict = if self.is_met(ratio) { "met" } else { "missed" };
        format!("{sign} {limit:.2}: {verdict}")
    }
}

/// Returns the goal for requests a second.
fn timed_goal(cell: &Cell) -> Goal {
    let is_btt_write = cell.write && cell.disk == Disk::Btt4096;
    match cell.size {
        4096 if is_btt_write && cell.random && cell.jobs == 2 => Goal::AtLeast(1.25),
        size if is_btt_write && size >= 128 << 10 => Goal::AtLeast(1.6),
        _ => Goal::AtLeast(1.0),
    }
}

/// Returns the goal for the instructions that a BTT adds to a raw request.
fn added_goal(cell: &Cell) -> Option<Goal> {
    match (cell.write, cell.size) {
        (true, 4096) => Some(Goal::AtMost(0.45)),
        (true, 0x20000) => Some(Goal::AtMost(0.20)),
        (false, 4096) => Some(Goal::AtMost(0.8)),
        (false, 0x20000) => Some(Goal::AtMost(0.4)),
        _ => None,
    }
}

/// Returns a table of requests a second of every cell.
pub(crate) fn timed(results: &Results, cells: &[Cell], rounds: u32) -> Result<String> {
    let mut text = format!(
        "Requests a second: medians of {rounds} rounds. In each round one virtual machine of each stack,\n\
         with two CPUs, runs side by side with the other; they alternate. ours/C is the median of the\n\
         ratios of measurements made side by side. Half of the ratios lie between the two numbers in\n\
         brackets.\n"
    );
    let met = |cell: &&Cell| {
        let ratio = results.pair(cell).map(|pair| pair.ratio.median);
        ratio.is_some_and(|ratio| timed_goal(cell).is_met(ratio))
    };
    let met = cells.iter().filter(met).count();
    writeln!(text, "{met} of {} cells meet their goals.", cells.len())?;
    for disk in Disk::ALL {
        let mut of_disk = cells.iter().filter(|cell| cell.disk == disk).peekable();
        if of_disk.peek().is_none() {
            continue;
        }
        write!(text, "\n### {}\n\n", disk.title())?;
        text.push_str(
            "| | size | jobs | C | ours | ours/C | goal |\n|---|---|---|---|---|---|---|\n",
        );
        for cell in of_disk {
            let pair = results.pair(cell).context("a cell was not measured")?;
            let (ratio, (low, high)) = (pair.ratio.median, pair.ratio.quartiles);
            writeln!(
                text,
                "| {} | {} | {} | {:.0} | {:.0} | {ratio:.2} ({low:.2}, {high:.2}) | {} |",
                cell.pattern(),
                cell.size_text(),
                cell.users(),
                pair.c,
                pair.ours,
                timed_goal(cell).text(ratio)
            )?;
        }
    }
    Ok(text)
}

/// Returns a table of instructions a request, and what a BTT adds to them.
pub(crate) fn counted(results: &Results, cells: &[Cell]) -> Result<String> {
    let mut text = String::from(
        "Mean guest instructions a request, from fio's call to its return: QEMU's `-icount shift=0`,\n\
         one CPU, one job, psync, random offsets.\n\n\
         | disk | | size | C | ours | ours/C | BTT adds, C | BTT adds, ours | ours/C | goal |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for cell in cells {
        let pair = results.pair(cell).context("a cell was not measured")?;
        write!(
            text,
            "| {} | {} | {} | {:.0} | {:.0} | {:.2} |",
            cell.disk.name(),
            cell.pattern(),
            cell.size_text(),
            pair.c,
            pair.ours,
            pair.ratio.median
        )?;
        let raw = Cell {
            disk: Disk::Raw,
            ..*cell
        };
        match results.pair(&raw) {
            Some(raw) if cell.disk != Disk::Raw => {
                let (c, ours) = (pair.c - raw.c, pair.ours - raw.ours);
                let goal = added_goal(cell).filter(|_| cell.disk == Disk::Btt4096);
                let goal = goal.map(|goal| goal.text(ours / c)).unwrap_or_default();
                writeln!(text, " {c:.0} | {ours:.0} | {:.2} | {goal} |", ours / c)?;
            }
            _ => writeln!(
                text,
                " | | | {} |",
                Goal::AtMost(1.0).text(pair.ratio.median)
            )?,
        }
    }
    Ok(text)
}

/// Writes `section` between its two marks in a document, which is created if it does not exist.
pub(crate) fn replace_section(
    document: &Path,
    name: &str,
    title: &str,
    section: &str,
) -> Result<()> {
    let text = match fs::read_to_string(document) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "# Benchmarks\n".to_owned(),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", document.display()))
        }
    };
    let text = with_section(&text, name, title, section);
    fs::write(document, text).with_context(|| format!("cannot write {}", document.display()))
}

fn with_section(text: &str, name: &str, title: &str, section: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->\n"),
    );
    let body = format!("{begin}## {title}\n\n{section}{end}");
    let replaced = text.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some(format!("{before}{body}{after}"))
    });
    replaced.unwrap_or_else(|| format!("{text}\n{body}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_itself() {
        let first = with_section("# B\n", "x", "X", "1\n");
        assert_eq!(first, "# B\n\n<!-- x -->\n## X\n\n1\n<!-- end of x -->\n");
        let both = with_section(&first, "y", "Y", "2\n");
        let third = with_section(&both, "x", "X", "3\n");
        assert_eq!(third, both.replace("1\n", "3\n"));
    }
}
