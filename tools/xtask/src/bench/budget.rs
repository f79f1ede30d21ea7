// SPDX-License-Identifier: GPL-2.0

//! Budgets of instructions: `make bench ARGS="--budget"` counts instructions and fails if a cell
//! takes more than [`FILE`] allows. CI runs it, so that a slowdown is noticed.
//!
//! A budget is for the difference of two counts of the same run, which does not change with the
//! kernel around the modules. For a BTT it is what the BTT adds to the raw disk of the same stack.
//! For the raw disk it is what our driver takes more than the C driver, a negative number if it
//! takes fewer.
//!
//! Counts vary by up to 0.1 % between runs, so a budget includes 0.1 % of each of the two.
//! `--set-budgets` writes the file from a new count.

use super::{
    cells::{
        Cell,
        Disk, //
    },
    results::Results,
};
use crate::project;
use anyhow::{
    ensure,
    Context,
    Result, //
};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, //
};

/// The file of budgets, with a line for each cell. Its head says when budgets may be raised.
const FILE: &str = "qemu/bench/budgets";

/// The head of the file.
const HEAD: &str = "\
# Maximum instructions of a request: DISK PATTERN BYTES INSTRUCTIONS.
# `make bench ARGS=\"--budget\"` compares, as CI does; `--set-budgets` writes this file.
#
# BTT: instructions in addition to the raw disk. Raw disk: in addition to the C driver.
# A budget is the count when this file was written, plus 40 instructions and 0.1 % of each of the
# two counts, by which counts vary.
# A budget is raised only by a commit that says what the instructions buy. It is lowered when they
# turn out to be unnecessary.
";

/// Instructions that a budget allows for variation between runs, in addition to 0.1 % of each
/// count.
const SLACK: i64 = 40;

/// Maximum number of instructions of each cell.
#[derive(Debug, PartialEq)]
pub(super) struct Budgets(BTreeMap<Cell, i64>);

impl Budgets {
    /// Reads the budgets of exactly these cells.
    pub(super) fn read(cells: &[Cell]) -> Result<Self> {
        let path = project::root().join(FILE);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, cells).with_context(|| format!("in {FILE}"))
    }

    /// Parses the file. A cell without a budget is an error, and so is a budget without a cell.
    fn parse(text: &str, cells: &[Cell]) -> Result<Self> {
        let mut by_key = cells
            .iter()
            .map(|cell| (key(cell), *cell))
            .collect::<BTreeMap<_, _>>();
        let mut budgets = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words = line.split_whitespace().collect::<Vec<_>>();
            let [disk, pattern, size, budget] = words[..] else {
                ensure!(
                    words.is_empty(),
                    "'{line}': DISK PATTERN BYTES INSTRUCTIONS expected"
                );
                continue;
            };
            let name = format!("{disk} {pattern} {size}");
            let cell = by_key
                .remove(&name)
                .with_context(|| format!("'{name}' is not counted, or has two budgets"))?;
            let budget = budget
                .parse()
                .with_context(|| format!("'{budget}' for {name} is no number"))?;
            budgets.insert(cell, budget);
        }
        if let Some(name) = by_key.keys().next() {
            ensure!(by_key.is_empty(), "'{name}' has no budget");
        }
        Ok(Self(budgets))
    }

    /// Returns the budgets that follow from a count.
    pub(super) fn counted(results: &Results, cells: &[Cell]) -> Result<Self> {
        let budget = |cell: &Cell| {
            let counted = Counted::of(results, cell)
                .with_context(|| format!("{} was not measured", key(cell)))?;
            Ok((*cell, counted.difference() + SLACK + counted.sum() / 1000))
        };
        cells.iter().map(budget).collect::<Result<_>>().map(Self)
    }

    /// Writes the file.
    pub(super) fn write(&self) -> Result<()> {
        let path = project::root().join(FILE);
        fs::write(&path, self.text()).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Returns the text of the file.
    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (cell, budget) in &self.0 {
            text.push_str(&format!("{} {budget}\n", key(cell)));
        }
        text
    }

    /// Compares the budgets with a count. Returns a table, and whether every cell keeps its budget.
    pub(super) fn compare(&self, results: &Results) -> Result<(String, bool)> {
        let mut text = format!("{:30} {:>9} {:>9}\n", "", "counted", "budget");
        let mut kept = true;
        for (cell, &budget) in &self.0 {
            let counted = Counted::of(results, cell)
                .with_context(|| format!("{} was not measured", key(cell)))?
                .difference();
            let verdict = if counted > budget {
                kept = false;
                "  OVER"
            } else {
                ""
            };
            writeln!(text, "{:30} {counted:>9} {budget:>9}{verdict}", key(cell))?;
        }
        Ok((text, kept))
    }
}

/// The two counts whose difference is budgeted.
struct Counted {
    instructions: f64,
    base: f64,
}

impl Counted {
    fn of(results: &Results, cell: &Cell) -> Option<Self> {
        let pair = results.pair(cell)?;
        let base = match cell.disk {
            Disk::Raw => pair.c,
            Disk::Btt4096 | Disk::Btt512 => {
                let raw = Cell {
                    disk: Disk::Raw,
                    ..*cell
                };
                results.pair(&raw)?.ours
            }
        };
        Some(Self {
            instructions: pair.ours,
            base,
        })
    }

    fn difference(&self) -> i64 {
        // CAST: A number of instructions, far below what a float holds exactly.
        (self.instructions - self.base).round() as i64
    }

    fn sum(&self) -> i64 {
        // CAST: As in `difference`.
        (self.instructions + self.base).round() as i64
    }
}

/// Returns the name of a cell in the file.
fn key(cell: &Cell) -> String {
    format!("{} {} {}", cell.disk.name(), cell.pattern(), cell.size)
}

#[cfg(test)]
mod tests {
    use super::{
        super::cells::{
            Extent,
            Sample, //
        },
        *,
    };
    use crate::modules::Stack;

    fn cells() -> Vec<Cell> {
        let mut cells = Cell::counted(Extent::Goals);
        cells.retain(|cell| !cell.write && cell.size == 4096);
        cells
    }

    const TEXT: &str = "# head\n\nbtt4096 randread 4096 200\nraw randread 4096 -10\n";

    fn counted(btt: u32, raw: u32, c: u32) -> Results {
        let samples = Sample::once(&cells());
        let printed = |btt: u32, raw: u32| {
            let number = |disk: Disk| if disk == Disk::Raw { raw } else { btt };
            let line =
                |sample: &Sample| format!("{} {}\n", sample.name(), number(sample.cell.disk));
            samples.iter().map(line).collect::<String>()
        };
        let mut results = Results::default();
        results
            .add(&samples, Stack::Rust, &printed(btt, raw))
            .unwrap();
        results.add(&samples, Stack::C, &printed(9999, c)).unwrap();
        results
    }

    #[test]
    fn every_cell_has_one_budget() {
        assert_eq!(Budgets::parse(TEXT, &cells()).unwrap().0.len(), 2);
        for wrong in [
            "raw randread 4096 -10\n".to_owned(),
            format!("{TEXT}raw randread 4096 1\n"),
            format!("{TEXT}raw randread 512 1\n"),
            TEXT.replace("200", "few"),
            TEXT.replace(" 200", ""),
        ] {
            assert!(Budgets::parse(&wrong, &cells()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_instruction_over_the_budget_is_noticed() {
        let budgets = Budgets::parse(TEXT, &cells()).unwrap();
        assert!(budgets.compare(&counted(1200, 1000, 1010)).unwrap().1);
        let (table, kept) = budgets.compare(&counted(1201, 1000, 1010)).unwrap();
        assert!(!kept);
        assert_eq!(table.matches("OVER").count(), 1);
        assert!(!budgets.compare(&counted(1201, 1001, 1010)).unwrap().1);
        assert!(budgets.compare(&Results::default()).is_err());
    }

    #[test]
    fn a_new_budget_leaves_room_for_what_a_count_repeats_within() {
        let budgets = Budgets::counted(&counted(1200, 1000, 1010), &cells()).unwrap();
        assert_eq!(
            budgets.text().strip_prefix(HEAD),
            Some("btt4096 randread 4096 242\nraw randread 4096 32\n")
        );
        assert_eq!(Budgets::parse(&budgets.text(), &cells()).unwrap(), budgets);
        assert!(Budgets::counted(&Results::default(), &cells()).is_err());
    }

    #[test]
    fn the_file_has_a_budget_for_every_cell() {
        Budgets::read(&Cell::counted(Extent::Full)).unwrap();
    }
}
