// SPDX-License-Identifier: GPL-2.0

//! The explorer itself.

use crate::{
    cuts::{
        apply,
        for_each,
        Cut, //
    },
    history::Operation,
    world::{
        Media,
        Recorded,
        View,
        World, //
    },
};
use anyhow::{
    ensure,
    Context as _,
    Result, //
};

/// What was explored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Power failures in operations.
    pub cuts: u64,
    /// Of these, ones that left the namespaces as they were, and ones that completed the operation.
    pub old: u64,
    /// See `old`.
    pub new: u64,
    /// Power failures while the driver mended what another one had left.
    pub second_cuts: u64,
}

impl Count {
    /// Adds what another exploration has counted.
    pub fn add(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.old += other.old;
        self.new += other.new;
        self.second_cuts += other.second_cuts;
    }
}

/// Label areas to start from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// DIMMs of the set.
    pub dimms: usize,
    /// Bytes of each label area.
    pub area: usize,
    /// What is in it before the first label.
    pub fill: u8,
}

impl Setup {
    /// An area that holds three labels of version 1.1, and is too small for others.
    pub const SMALL_LABELS: usize = 512 + 3 * 128;

    /// An area that holds four labels of version 1.2.
    pub const LARGE_LABELS: usize = 512 + 4 * 256;

    fn media(&self) -> Media {
        vec![vec![self.fill; self.area]; self.dimms]
    }
}

/// A change to the writes of an operation that makes them wrong, to see that the explorer notices.
pub type Mutation = fn(Vec<Recorded>) -> Vec<Recorded>;

/// Fails the power in every way during the last operation of `history`.
pub fn explore(setup: &Setup, history: &[Operation], mutation: Option<Mutation>) -> Result<Count> {
    let mut count = Count::default();
    let Some((last, first)) = history.split_last() else {
        return Ok(count);
    };
    let mut media = setup.media();
    let mut world = World::mount(&media)?;
    for operation in first {
        for write in operation.perform(&mut world)? {
            apply(&mut media, &write);
        }
    }
    let old = world.view()?;
    let mut log = last.perform(&mut world)?;
    let new = world.view()?;
    if let Some(mutation) = mutation {
        log = mutation(log);
    }
    for_each(&media, &log, |cut, media| {
        count.cuts += 1;
        judge(&mut count, cut, media, &old, &new).with_context(|| describe(history, &log, cut))
    })?;
    Ok(count)
}

/// Mounts what a power failure has left.
fn judge(count: &mut Count, cut: Cut, media: &Media, old: &View, new: &View) -> Result<()> {
    let mut world = World::mount(media)?;
    let view = world.view()?;
    ensure!(
        view == *old || view == *new,
        "found {view:#?}, expected {old:#?} or {new:#?}"
    );
    if view == *old {
        count.old += 1;
    } else {
        count.new += 1;
    }
    let log = world.mend()?;
    world.check_settled()?;
    ensure!(
        world.view()? == view,
        "mending made {:#?} of {view:#?}",
        world.view()?
    );
    // A torn label lies in a free slot, where mending does not care for it. Cuts between writes stand for all others.
    if log.is_empty() || matches!(cut, Cut::Within(_)) {
        return Ok(());
    }
    for_each(media, &log, |_, media| {
        count.second_cuts += 1;
        let mut world = World::mount(media)?;
        let found = world.view()?;
        ensure!(
            found == view,
            "after the second failure, found {found:#?}, expected {view:#?}"
        );
        world.mend()?;
        world.check_settled()?;
        ensure!(
            world.view()? == view,
            "mending twice changed the namespaces"
        );
        Ok(())
    })
}

fn describe(history: &[Operation], log: &[Recorded], cut: Cut) -> String {
    let (Cut::Before(number) | Cut::Within(number)) = cut;
    let write = log
        .get(number)
        .map_or_else(|| "the end".to_owned(), ToString::to_string);
    format!("history {history:?}, power failure {cut:?} ({write})")
}
