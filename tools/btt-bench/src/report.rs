// SPDX-License-Identifier: GPL-2.0

//! Medians, ratios, and whether the goals are reached.

use crate::{
    kind::Kind,
    measure::{
        Load,
        Operation,
        Sample, //
    },
};
use std::fmt::{
    self,
    Write as _, //
};

/// All samples, by load and strategy.
#[derive(Default)]
pub(crate) struct Samples(Vec<(Load, Kind, Vec<Sample>)>);

/// Median and quartiles.
#[derive(Clone, Copy)]
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        Some(Self {
            low: values[last / 4],
            median: values[last / 2],
            high: values[last - last / 4],
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { low, median, high } = self;
        write!(f, "{median:.0} ({low:.0}–{high:.0})")
    }
}

impl Samples {
    pub(crate) fn add(&mut self, load: Load, kind: Kind, sample: Sample) {
        let known = self
            .0
            .iter_mut()
            .find(|(known, strategy, _)| (*known, *strategy) == (load, kind));
        match known {
            Some((.., samples)) => samples.push(sample),
            None => self.0.push((load, kind, vec![sample])),
        }
    }

    fn of(&self, load: &Load, kind: Kind) -> &[Sample] {
        self.0
            .iter()
            .find(|(known, strategy, _)| (known, *strategy) == (load, kind))
            .map_or(&[], |(.., samples)| samples)
    }

    fn time(&self, load: &Load, kind: Kind) -> Option<Spread> {
        let samples = self.of(load, kind).iter();
        Spread::of(samples.map(|sample| sample.nanoseconds).collect())
    }

    fn fences(&self, load: &Load, kind: Kind) -> Option<f64> {
        let samples = self.of(load, kind).iter();
        Spread::of(samples.map(|sample| sample.fences).collect()).map(|spread| spread.median)
    }

    /// Returns the engine's time as a share of another strategy's: the median of the rounds'
    /// ratios.
    fn ratio(&self, load: &Load, other: Kind) -> Option<f64> {
        self.ratio_of(load, Kind::Ours, other)
    }

    /// Returns the time of one strategy as a share of another one's.
    fn ratio_of(&self, load: &Load, one: Kind, other: Kind) -> Option<f64> {
        self.paired(self.of(load, one), self.of(load, other))
    }

    fn paired(&self, ours: &[Sample], others: &[Sample]) -> Option<f64> {
        let pairs = ours.iter().zip(others);
        let ratios = pairs.map(|(ours, other)| ours.nanoseconds / other.nanoseconds);
        Spread::of(ratios.collect()).map(|spread| spread.median)
    }

    /// Returns the whole report, in Markdown.
    pub(crate) fn markdown(&self, about: &str, loads: &[Load]) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text, about, loads);
        text
    }

    fn write(&self, f: &mut String, about: &str, loads: &[Load]) -> fmt::Result {
        writeln!(f, "{about}\n")?;
        writeln!(
            f,
            "Nanoseconds for a request of all threads together: median (quartiles).\n"
        )?;
        writeln!(
            f,
            "| | raw + 1 fence | ours | C protocol | libpmemblk | ours/raw | ours/C | ours/libpmemblk | fences ours | C |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        for load in loads {
            write!(f, "| {load} |")?;
            for kind in [Kind::Raw, Kind::Ours, Kind::CProtocol, Kind::PmemBlk] {
                match self.time(load, kind) {
                    Some(spread) => write!(f, " {spread} |")?,
                    None => write!(f, " – |")?,
                }
            }
            for kind in [Kind::Raw, Kind::CProtocol, Kind::PmemBlk] {
                match self.ratio(load, kind) {
                    Some(ratio) => write!(f, " {ratio:.2} |")?,
                    None => write!(f, " – |")?,
                }
            }
            for kind in [Kind::Ours, Kind::CProtocol] {
                match self.fences(load, kind) {
                    Some(fences) => write!(f, " {fences:.2} |")?,
                    None => write!(f, " – |")?,
                }
            }
            writeln!(f)?;
        }
        self.write_targets(f)?;
        self.write_floor(f, loads)
    }

    /// Writes how close to the other strategies any implementation of this format can come.
    fn write_floor(&self, f: &mut String, loads: &[Load]) -> fmt::Result {
        let header = "| | floor | floor/raw | floor/C | floor/libpmemblk | ours/floor |";
        writeln!(f, "\n{header}\n|---|--:|--:|--:|--:|--:|")?;
        for load in loads {
            let Some(time) = self.time(load, Kind::Floor) else {
                continue;
            };
            write!(f, "| {load} | {time} |")?;
            for (one, other) in [
                (Kind::Floor, Kind::Raw),
                (Kind::Floor, Kind::CProtocol),
                (Kind::Floor, Kind::PmemBlk),
                (Kind::Ours, Kind::Floor),
            ] {
                match self.ratio_of(load, one, other) {
                    Some(ratio) => write!(f, " {ratio:.2} |")?,
                    None => write!(f, " – |")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_targets(&self, f: &mut String) -> fmt::Result {
        let write = |bytes, threads| Load {
            operation: Operation::Write,
            bytes,
            sector: 4096,
            threads,
        };
        let (small, large) = (write(4 << 10, 1), write(128 << 10, 1));
        let scaling = |kind| self.paired(self.of(&small, kind), self.of(&write(4 << 10, 2), kind));
        writeln!(f, "\n| | goal | found | |\n|---|--:|--:|---|")?;
        let rows = [
            (
                "fences of a 4 KiB write",
                self.fences(&small, Kind::Ours),
                2.0,
                true,
            ),
            (
                "fences of a 128 KiB write",
                self.fences(&large, Kind::Ours),
                2.0,
                true,
            ),
            (
                "time of a 4 KiB write, ours/C protocol",
                self.ratio(&small, Kind::CProtocol),
                0.60,
                true,
            ),
            (
                "time of a 128 KiB write, ours/raw",
                self.ratio(&large, Kind::Raw),
                1.15,
                true,
            ),
            (
                "time of a 4 KiB write, ours/libpmemblk",
                self.ratio(&small, Kind::PmemBlk),
                0.5,
                true,
            ),
            (
                "throughput of 4 KiB writes, two threads/one",
                scaling(Kind::Ours),
                1.8,
                false,
            ),
        ];
        for (what, found, goal, at_most) in rows {
            let Some(found) = found else {
                continue;
            };
            let reached = if at_most {
                found <= goal
            } else {
                found >= goal
            };
            writeln!(
                f,
                "| {what} | {} {goal:.2} | {found:.2} | {} |",
                if at_most { "≤" } else { "≥" },
                if reached { "reached" } else { "missed" },
            )?;
        }
        if let Some(raw) = scaling(Kind::Raw) {
            writeln!(
                f,
                "\nWhat the machine gives: raw copies of 4 KiB scale to {raw:.2} with two threads."
            )?;
        }
        Ok(())
    }
}
