// SPDX-License-Identifier: GPL-2.0

//! `label-crash`: explores power failures in label updates.

use anyhow::Result;
use clap::Parser;
use label_crash::{
    explore::{
        explore,
        explore_faults,
        Count,
        Setup, //
    },
    history::histories,
    loss::{
        explore_losses,
        Losses,
        Writer, //
    },
    world::Placement, //
};
use std::time::Instant;

/// Explores what power failures can do to namespace labels.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Longest sequence of operations.
    #[arg(long, default_value_t = 3)]
    depth: usize,
    /// Largest number of DIMMs in a set.
    #[arg(long, default_value_t = 2)]
    dimms: usize,
}

/// The bits of a byte.
const ALL_BITS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    for dimms in 1..=arguments.dimms {
        for (version, area) in [("1.1", Setup::SMALL_LABELS), ("1.2", Setup::LARGE_LABELS)] {
            let setup = Setup {
                dimms,
                area,
                fill: 0,
                others: &[],
                placement: Placement::CommonOffset,
            };
            let started = Instant::now();
            let mut count = Count::default();
            for history in (1..=arguments.depth).flat_map(histories) {
                count.add(&explore(&setup, &history, None)?);
                count.add(&explore_faults(&setup, &history)?);
            }
            println!(
                "labels {version} on {dimms} DIMMs: {} power failures ({} old, {} new, {} with labels refused), {} second ones",
                count.cuts, count.old, count.new, count.refused, count.second_cuts
            );
            println!(
                "    {} failed writes, {:.1} s",
                count.faults,
                started.elapsed().as_secs_f32()
            );
            for writer in [Writer::Ours, Writer::OldKernel] {
                let started = Instant::now();
                let mut losses = Losses::default();
                for history in (1..=arguments.depth.min(2)).flat_map(histories) {
                    losses.add(&explore_losses(&setup, &history, writer, &ALL_BITS)?);
                }
                println!(
                    "    labels by {writer:?}: {} losses, {} of them of namespaces, {} changes before the backup, {:.1} s",
                    losses.losses,
                    losses.noticed,
                    losses.changes,
                    started.elapsed().as_secs_f32()
                );
            }
        }
    }
    Ok(())
}
