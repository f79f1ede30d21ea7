// SPDX-License-Identifier: GPL-2.0

//! What was measured: a number for each cell, stack and round; medians, spreads and ratios of them.

use super::cells::Cell;
use crate::modules::Stack;
use anyhow::{
    Context,
    Result, //
};
use std::collections::BTreeMap;

/// All numbers of a run.
#[derive(Default)]
pub(crate) struct Results(BTreeMap<(Cell, Stack), Vec<f64>>);

/// The numbers of a cell under one stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    /// (Largest − smallest) / median.
    pub(crate) spread: f64,
}

impl Summary {
    /// `None` without numbers.
    pub(crate) fn of(numbers: &[f64]) -> Option<Self> {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&smallest, &largest) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            *sorted.get(middle)?
        } else {
            (sorted.get(middle - 1)? + sorted.get(middle)?) / 2.0
        };
        let spread = if median > 0.0 {
            (largest - smallest) / median
        } else {
            0.0
        };
        Some(Self { median, spread })
    }
}

impl Results {
    /// Takes what the script printed in one boot: a cell's name and a number a line.
    pub(crate) fn add(&mut self, cells: &[Cell], stack: Stack, printed: &str) -> Result<()> {
        let numbers = printed
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect::<BTreeMap<_, _>>();
        for cell in cells {
            let name = cell.name();
            let number = numbers
                .get(name.as_str())
                .with_context(|| format!("the guest did not measure {name}"))?;
            let number = number
                .parse()
                .with_context(|| format!("'{number}' for {name} is no number"))?;
            self.0.entry((*cell, stack)).or_default().push(number);
        }
        Ok(())
    }

    pub(crate) fn summary(&self, cell: &Cell, stack: Stack) -> Option<Summary> {
        Summary::of(self.0.get(&(*cell, stack))?)
    }

    /// Both stacks' medians.
    pub(crate) fn pair(&self, cell: &Cell) -> Option<Pair> {
        Some(Pair {
            c: self.summary(cell, Stack::C)?,
            ours: self.summary(cell, Stack::Rust)?,
        })
    }
}

/// A cell under both stacks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) c: Summary,
    pub(crate) ours: Summary,
}

impl Pair {
    /// Ours/C.
    pub(crate) fn ratio(&self) -> f64 {
        self.ours.median / self.c.median
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(Summary::of(&[]), None);
        let summary = Summary::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((summary.median, summary.spread), (2.0, 1.0));
        assert_eq!(Summary::of(&[4.0, 2.0]).unwrap().median, 3.0);
    }
}
