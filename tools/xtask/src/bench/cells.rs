// SPDX-License-Identifier: GPL-2.0

//! Cells of the measurement: one for each disk, direction, pattern, block size, number of jobs and
//! I/O engine, and how often each is measured in a boot.

use clap::ValueEnum;

/// One measurement, as fio makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) disk: Disk,
    pub(crate) write: bool,
    pub(crate) random: bool,
    /// Bytes of a request.
    pub(crate) size: u32,
    pub(crate) jobs: u8,
    pub(crate) engine: Engine,
}

/// The disk of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Disk {
    Btt4096,
    Btt512,
    Raw,
}

/// The I/O engine of fio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Engine {
    Psync,
    IoUring,
}

/// The set of cells to measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Extent {
    /// Everything.
    #[default]
    Full,
    /// The cells that have a goal.
    Goals,
}

const SIZES: [u32; 5] = [512, 4 << 10, 64 << 10, 128 << 10, 1 << 20];

impl Disk {
    pub(crate) const ALL: [Self; 3] = [Self::Btt4096, Self::Btt512, Self::Raw];

    /// Returns the name in the script.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Btt4096 => "btt4096",
            Self::Btt512 => "btt512",
            Self::Raw => "raw",
        }
    }

    /// Returns the title in the documentation.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Btt4096 => "BTT, sectors of 4096 bytes",
            Self::Btt512 => "BTT, sectors of 512 bytes",
            Self::Raw => "raw",
        }
    }

    fn takes(self, size: u32) -> bool {
        self != Self::Btt4096 || size >= 4096
    }
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Psync => "psync",
            Self::IoUring => "io_uring",
        }
    }
}

impl Cell {
    /// Returns the cells that are measured in requests a second.
    pub(crate) fn timed(extent: Extent) -> Vec<Self> {
        let mut cells = Vec::new();
        for disk in Disk::ALL {
            for size in SIZES.into_iter().filter(|&size| disk.takes(size)) {
                for (write, random) in [(false, true), (false, false), (true, true), (true, false)]
                {
                    for (jobs, engine) in [
                        (1, Engine::Psync),
                        (2, Engine::Psync),
                        (1, Engine::IoUring),
                        (2, Engine::IoUring),
                    ] {
                        cells.push(Self {
                            disk,
                            write,
                            random,
                            size,
                            jobs,
                            engine,
                        });
                    }
                }
            }
        }
        if extent == Extent::Goals {
            cells.retain(|cell| cell.has_goal());
        }
        cells
    }

    /// Returns the cells that are measured in instructions: one job, which waits for each request.
    pub(crate) fn counted(extent: Extent) -> Vec<Self> {
        let mut cells = Self::timed(Extent::Full);
        cells.retain(|cell| {
            let sizes: &[u32] = match extent {
                Extent::Full => &SIZES,
                Extent::Goals => &[4 << 10, 128 << 10],
            };
            cell.jobs == 1
                && cell.engine == Engine::Psync
                && cell.random
                && sizes.contains(&cell.size)
                && (extent == Extent::Full || cell.disk != Disk::Btt512)
        });
        cells
    }

    fn has_goal(&self) -> bool {
        let large = self.size >= 128 << 10;
        self.disk != Disk::Btt512
            && self.random
            && self.engine == Engine::Psync
            && (self.size == 4096 || large)
    }

    /// Returns `true` for cells that run first, so that the emulator has translated most of the
    /// code.
    fn warms_up(&self) -> bool {
        self.size == 4096 && self.jobs == 2
    }

    /// Returns a unique name.
    fn name(&self) -> String {
        format!(
            "{}-{}-{}-{}x{}",
            self.disk.name(),
            self.pattern(),
            self.size,
            self.engine.name(),
            self.jobs
        )
    }

    /// Returns fio's name of the pattern.
    pub(crate) fn pattern(&self) -> &'static str {
        match (self.random, self.write) {
            (true, false) => "randread",
            (true, true) => "randwrite",
            (false, false) => "read",
            (false, true) => "write",
        }
    }

    /// `512 B`, `4 KiB`, `1 MiB`.
    pub(crate) fn size_text(&self) -> String {
        match self.size {
            size if size >= 1 << 20 => format!("{} MiB", size >> 20),
            size if size >= 1 << 10 => format!("{} KiB", size >> 10),
            size => format!("{size} B"),
        }
    }

    /// `1 × psync`.
    pub(crate) fn users(&self) -> String {
        format!("{} × {}", self.jobs, self.engine.name())
    }
}

/// One measurement of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sample {
    pub(crate) cell: Cell,
    /// The number of the measurement in a boot. 0 is for warming up.
    time: u32,
}

/// How often a cell with a goal is measured in a boot.
const TIMES: u32 = 3;

impl Sample {
    /// Returns every cell once.
    pub(crate) fn once(cells: &[Cell]) -> Vec<Self> {
        cells.iter().map(|&cell| Self { cell, time: 1 }).collect()
    }

    /// Returns a warm-up, every cell once, and those with a goal more often.
    pub(crate) fn timed(cells: &[Cell]) -> Vec<Self> {
        let mut samples = Vec::new();
        for time in 0..=TIMES {
            let wanted = cells.iter().filter(|cell| match time {
                0 => cell.warms_up(),
                1 => true,
                _ => cell.has_goal(),
            });
            samples.extend(wanted.map(|&cell| Self { cell, time }));
        }
        samples
    }

    /// Returns `true` unless it is only for warming up.
    pub(crate) fn counts(&self) -> bool {
        self.time > 0
    }

    /// Returns a unique name.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.time, self.cell.name())
    }

    /// Returns a line of the list for the script.
    pub(crate) fn line(&self) -> String {
        let cell = &self.cell;
        format!(
            "{} {} {} {} {} {}\n",
            self.name(),
            cell.disk.name(),
            cell.pattern(),
            cell.size,
            cell.jobs,
            cell.engine.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let cells = Cell::timed(Extent::Full);
        let names = cells.iter().map(Cell::name).collect::<BTreeSet<_>>();
        assert_eq!(names.len(), cells.len());
        assert_eq!(cells.len(), 14 * 4 * 4);
    }

    #[test]
    fn goals_are_sampled_more_often() {
        let all = Sample::timed(&Cell::timed(Extent::Full));
        let counted = all.iter().filter(|sample| sample.counts()).count();
        let goals = Cell::timed(Extent::Goals).len();
        assert_eq!(counted, 14 * 4 * 4 + 2 * goals);
        assert_eq!(all.len() - counted, 3 * 4 * 2);
    }

    #[test]
    fn goals_are_part_of_everything() {
        let all = Cell::timed(Extent::Full);
        assert!(Cell::timed(Extent::Goals)
            .iter()
            .all(|cell| all.contains(cell)));
        assert_eq!(Cell::counted(Extent::Goals).len(), 8);
    }
}
