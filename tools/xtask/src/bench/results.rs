// SPDX-License-Identifier: GPL-2.0

//! Results: numbers for each cell and stack in the order of measurement, their medians and ratios.

use super::cells::{
    Cell,
    Sample, //
};
use crate::modules::Stack;
use anyhow::{
    Context,
    Result, //
};
use std::collections::BTreeMap;

/// All numbers of a run.
#[derive(Default)]
pub(crate) struct Results(BTreeMap<(Cell, Stack), Vec<f64>>);

/// Median and quartiles of some numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    /// Half of the numbers lie between these.
    pub(crate) quartiles: (f64, f64),
}

impl Summary {
    /// Returns `None` without numbers.
    pub(crate) fn of(numbers: &[f64]) -> Option<Self> {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        // Interpolates between two numbers.
        let at = |share: f64| {
            let place = share * last as f64;
            let (below, above) = (
                sorted[place.floor() as usize],
                sorted[place.ceil() as usize],
            );
            below + (above - below) * place.fract()
        };
        Some(Self {
            median: at(0.5),
            quartiles: (at(0.25), at(0.75)),
        })
    }
}

impl Results {
    /// Adds the output of the script in one boot: a sample's name and a number a line.
    pub(crate) fn add(&mut self, samples: &[Sample], stack: Stack, printed: &str) -> Result<()> {
        let numbers = printed
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect::<BTreeMap<_, _>>();
        for sample in samples.iter().filter(|sample| sample.counts()) {
            let name = sample.name();
            let number = numbers
                .get(name.as_str())
                .with_context(|| format!("the guest did not measure {name}"))?;
            let number = number
                .parse()
                .with_context(|| format!("'{number}' for {name} is no number"))?;
            self.0.entry((sample.cell, stack)).or_default().push(number);
        }
        Ok(())
    }

    /// Returns the numbers of both stacks.
    pub(crate) fn pair(&self, cell: &Cell) -> Option<Pair> {
        let c = self.0.get(&(*cell, Stack::C))?;
        let ours = self.0.get(&(*cell, Stack::Rust))?;
        Pair::of(c, ours)
    }
}

/// A cell under both stacks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    /// Medians.
    pub(crate) c: f64,
    pub(crate) ours: f64,
    /// Ours/C, of numbers measured side by side.
    pub(crate) ratio: Summary,
}

impl Pair {
    fn of(c: &[f64], ours: &[f64]) -> Option<Self> {
        let ratios = c.iter().zip(ours).map(|(c, ours)| ours / c);
        Some(Self {
            c: Summary::of(c)?.median,
            ours: Summary::of(ours)?.median,
            ratio: Summary::of(&ratios.collect::<Vec<_>>())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(Summary::of(&[]), None);
        let summary = Summary::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((summary.median, summary.quartiles), (2.0, (1.5, 2.5)));
        assert_eq!(Summary::of(&[4.0, 2.0]).unwrap().median, 3.0);
    }

    #[test]
    fn what_was_slow_for_both_does_not_count() {
        let pair = Pair::of(&[10.0, 2.0, 10.0], &[20.0, 4.0, 20.0]).unwrap();
        assert_eq!((pair.c, pair.ours), (10.0, 20.0));
        assert_eq!((pair.ratio.median, pair.ratio.quartiles), (2.0, (2.0, 2.0)));
    }
}
