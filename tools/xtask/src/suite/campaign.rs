// SPDX-License-Identifier: GPL-2.0

//! `make powercut`: a given number of power cuts, in chains of all kinds.

use super::{
    context::Context,
    plan::Job,
    powercut::{
        Chain,
        Kind,
        CUTS, //
    },
    report::Tally,
    results::Results,
    run::Run, //
};
use crate::{
    kernel::Flavour,
    modules::{
        GuestFiles,
        Stack, //
    },
    setup::Machine,
    ui, //
};
use anyhow::{
    bail,
    Result, //
};
use rand::{
    rngs::StdRng,
    RngExt,
    SeedableRng, //
};
use std::{
    collections::BTreeSet,
    process::ExitCode,
    sync::atomic::Ordering,
    time::{
        Duration,
        Instant, //
    },
};

/// Maximum number of cuts of a chain. Each chain starts from a new BTT.
const CUTS_A_CHAIN: u32 = 25;

/// Arguments of a campaign.
#[derive(clap::Args, Debug)]
pub(crate) struct Campaign {
    /// Number of power cuts.
    #[arg(long, default_value_t = 1000)]
    cuts: u32,
    /// Seed of all random choices; random by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of guests that run at the same time.
    #[arg(long, short, default_value_t = super::default_jobs())]
    jobs: usize,
}

/// Runs the campaign. It succeeds if the BTT survives all cuts.
pub(crate) fn run(campaign: &Campaign) -> Result<ExitCode> {
    let machine = Machine::prepare(Flavour::Ordinary)?;
    let files = GuestFiles::prepare(&machine, &BTreeSet::from([Stack::Rust, Stack::C]))?;
    let seed = campaign.seed.unwrap_or_else(rand::random);
    println!("            seed of this campaign: {seed}");
    let run = Run::new(Context {
        machine: &machine,
        files,
        results: Results::create()?,
    });
    let jobs = chains(campaign.cuts, seed).map(Job::PowerCuts).collect();
    let total = u64::from(campaign.cuts);
    let outcomes = ui::step("power cuts", |step| {
        std::thread::scope(|scope| {
            let work = scope.spawn(|| run.all(jobs, campaign.jobs));
            let start = Instant::now();
            while !work.is_finished() {
                let done = CUTS.load(Ordering::Relaxed);
                step.progress_with_estimate(done, total, start.elapsed());
                std::thread::sleep(Duration::from_millis(200));
            }
            step.note(format!(
                "{} of {total} survived",
                CUTS.load(Ordering::Relaxed)
            ));
            work.join()
                .unwrap_or_else(|_| bail!("the campaign panicked"))
        })
    })?;
    let mut tally = Tally::default();
    outcomes
        .iter()
        .for_each(|outcome| tally.count(&outcome.verdict));
    println!(
        "            results: {}",
        run.context.results.path().display()
    );
    Ok(tally.close())
}

/// Returns chains of all kinds in turns, with this total number of cuts.
fn chains(cuts: u32, seed: u64) -> impl Iterator<Item = Chain> {
    let mut random = StdRng::seed_from_u64(seed);
    let kinds = [
        (Kind::Plain, 512),
        (Kind::Plain, 4096),
        (Kind::Labelled, 4096),
        (Kind::Interleaved, 4096),
    ];
    // Short enough that even a short campaign has all kinds.
    let length = CUTS_A_CHAIN.min(cuts.div_ceil(kinds.len() as u32)).max(1);
    let starts = (0..cuts).step_by(length as usize);
    (1..).zip(starts).zip(kinds.into_iter().cycle()).map(
        move |((number, start), (kind, sector_size))| Chain {
            stack: Stack::Rust,
            kind,
            sector_size,
            cuts: length.min(cuts - start),
            seed: random.random(),
            mixed: kind.is_mixed(),
            number: Some(number),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_have_all_cuts_and_their_seeds_are_of_the_campaign() {
        let of = |seed| chains(80, seed).collect::<Vec<_>>();
        let cuts = |chains: &[Chain]| chains.iter().map(|chain| chain.cuts).collect::<Vec<_>>();
        assert_eq!(cuts(&of(1)), [20, 20, 20, 20]);
        assert_eq!(
            cuts(&chains(110, 1).collect::<Vec<_>>()),
            [25, 25, 25, 25, 10]
        );
        assert_eq!(cuts(&chains(10, 1).collect::<Vec<_>>()), [3, 3, 3, 1]);
        let seeds = |chains: &[Chain]| chains.iter().map(|chain| chain.seed).collect::<Vec<_>>();
        assert_eq!(seeds(&of(1)), seeds(&of(1)));
        assert_ne!(seeds(&of(1)), seeds(&of(2)));
    }
}
