// SPDX-License-Identifier: GPL-2.0

//! The explorer itself.

use crate::{
    cuts::{
        apply,
        for_each,
        Cut, //
    },
    history::{
        uuid,
        Operation,
        CHANGED, //
    },
    wire::{
        Fault,
        FaultKind,
        Lost,
        Recorded, //
    },
    world::{
        Media,
        Placement,
        View,
        World, //
    },
};
use anyhow::{
    bail,
    ensure,
    Context as _,
    Result, //
};
use nd_format::{
    label::Left,
    uuid::Uuid, //
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
    /// Writes that failed.
    pub faults: u64,
}

impl Count {
    /// Adds what another exploration has counted.
    pub fn add(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.old += other.old;
        self.new += other.new;
        self.second_cuts += other.second_cuts;
        self.faults += other.faults;
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
    /// Units of DIMMs that somebody else has labels of.
    pub others: &'static [Other],
    /// How namespaces get their addresses.
    pub placement: Placement,
}

/// Somebody else on a DIMM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Other {
    /// The DIMM.
    pub member: usize,
    /// The first unit.
    pub first: u64,
    /// How many units.
    pub units: u64,
}

impl Setup {
    /// An area that holds three labels of version 1.1, and is too small for others.
    pub const SMALL_LABELS: usize = 512 + 3 * 128;

    /// An area that holds four labels of version 1.2.
    pub const LARGE_LABELS: usize = 512 + 4 * 256;

    /// A driver on fresh media that has performed `history`, and the media.
    fn perform(&self, history: &[Operation]) -> Result<(World, Media)> {
        let mut media = vec![vec![self.fill; self.area]; self.dimms];
        let mut world = World::mount(&media)?;
        for (number, other) in (0xf0..).zip(self.others) {
            let uuid = Uuid::from_bytes([number; 16]);
            let log = world.occupy(other.member, uuid, other.first, other.units)?;
            apply_all(&mut media, &log);
        }
        world.placement = self.placement;
        for operation in history {
            apply_all(&mut media, &operation.perform(&mut world)?.log);
        }
        Ok((world, media))
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
    let (mut world, media) = setup.perform(first)?;
    let old = world.view()?;
    let mut log = last.perform(&mut world)?.log;
    let new = world.view()?;
    if let Some(mutation) = mutation {
        log = mutation(log);
    }
    for_each(&media, &log, |cut, media| {
        judge(&mut count, cut, media, &[&old, &new]).with_context(|| describe(history, &log, cut))
    })?;
    Ok(count)
}

/// Fails the power in every way during the last operation of `history`, on namespaces that are at other offsets of each DIMM:
/// the driver may refuse them, but must neither show them elsewhere nor touch their labels.
pub fn explore_apart(setup: &Setup, history: &[Operation]) -> Result<Count> {
    let mut count = Count::default();
    let Some((last, first)) = history.split_last() else {
        return Ok(count);
    };
    let (mut world, media) = setup.perform(first)?;
    let old = world.view()?;
    let names: Vec<_> = CHANGED.into_iter().map(uuid).collect();
    if !names.iter().any(|name| old.contains_key(name)) {
        return Ok(count);
    }
    let log = last.perform(&mut world)?.log;
    let new = world.view()?;
    for_each(&media, &log, |cut, media| {
        let judged = judge_apart(&mut count, media, [&old, &new], &names);
        judged.with_context(|| describe(history, &log, cut))
    })?;
    Ok(count)
}

fn judge_apart(
    count: &mut Count,
    media: &Media,
    [old, new]: [&View; 2],
    names: &[Uuid],
) -> Result<()> {
    count.cuts += 1;
    let mut world = World::mount(media)?;
    let view = world.partial_view();
    for (name, seen) in &view {
        ensure!(
            [old, new]
                .iter()
                .any(|expected| expected.get(name) == Some(seen)),
            "found {name}: {seen:#?}, expected one of {old:#?}, {new:#?}"
        );
    }
    count.old += u64::from(view == *old);
    count.new += u64::from(view != *old && view == *new);
    let before = world.labels_of(names);
    world.mend()?;
    let after = world.labels_of(names);
    ensure!(before == after, "mending made {after:#?} of {before:#?}");
    ensure!(
        world.partial_view() == view,
        "mending changed the namespaces"
    );
    Ok(())
}

/// Lets each write of the last but one operation of `history` fail, in every way, and then fails the power: while
/// the driver takes the operation back, while it mends what it could not take back, and during the last operation.
pub fn explore_faults(setup: &Setup, history: &[Operation]) -> Result<Count> {
    let mut count = Count::default();
    let [first @ .., faulty, last] = history else {
        return Ok(count);
    };
    let (world, media) = setup.perform(first)?;
    for (kind, then) in FaultKind::ALL
        .into_iter()
        .flat_map(|kind| Lost::ALL.map(|then| (kind, then)))
    {
        for after in 0.. {
            let mut world = world.clone();
            world.fault = Some(Fault { after, kind, then });
            let faulted = fail_and_go_on(&mut count, &mut world, media.clone(), [*faulty, *last])
                .with_context(|| format!("history {history:?}, {:?}", world.fault))?;
            if !faulted {
                break;
            }
            count.faults += 1;
        }
    }
    Ok(count)
}

/// Tells whether the operation `faulty` had a write that could fail.
fn fail_and_go_on(
    count: &mut Count,
    world: &mut World,
    mut media: Media,
    [faulty, last]: [Operation; 2],
) -> Result<bool> {
    let old = world.view()?;
    let new = {
        let mut ideal = world.clone();
        ideal.fault = None;
        faulty.perform(&mut ideal)?;
        ideal.view()?
    };
    let outcome = faulty.perform(world)?;
    let Some(left) = outcome.left else {
        return Ok(false);
    };
    for_each(&media, &outcome.log, |cut, media| {
        judge(count, cut, media, &[&old, &new]).context("while it is taken back")
    })?;
    apply_all(&mut media, &outcome.log);
    let expected = match left {
        // Labels that are left on some DIMMs only make up no namespace.
        Left::Mixed if faulty == Operation::Remove => &new,
        Left::Old | Left::Mixed => &old,
        Left::New => &new,
    };
    let view = world.view()?;
    ensure!(
        view == *expected,
        "{left:?} is left, but the driver has {view:#?}"
    );
    if world.fault.is_some_and(|fault| fault.then != Lost::Nothing) {
        return Ok(true);
    }
    world.fault = None;
    let log = world.mend()?;
    for_each(&media, &log, |cut, media| {
        judge(count, cut, media, &[&old, &new]).context("while it is mended")
    })?;
    apply_all(&mut media, &log);
    world.check_settled()?;
    let log = last.perform(world)?.log;
    let newest = world.view()?;
    for_each(&media, &log, |cut, media| {
        judge(count, cut, media, &[&old, &new, &newest]).context("in the next operation")
    })?;
    apply_all(&mut media, &log);
    let found = World::mount(&media)?.view()?;
    ensure!(
        log.is_empty() || found == newest,
        "at last, found {found:#?}, expected {newest:#?}"
    );
    Ok(true)
}

/// Mounts what a power failure has left. The namespaces must be one of `expected`, the first of which are the old
/// ones.
fn judge(count: &mut Count, cut: Cut, media: &Media, expected: &[&View]) -> Result<()> {
    count.cuts += 1;
    let mut world = World::mount(media)?;
    let view = world.view()?;
    match expected.iter().position(|expected| **expected == view) {
        Some(0) => count.old += 1,
        Some(_) => count.new += 1,
        None => bail!("found {view:#?}, expected one of {expected:#?}"),
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

fn apply_all(media: &mut Media, log: &[Recorded]) {
    for write in log {
        apply(media, write);
    }
}

fn describe(history: &[Operation], log: &[Recorded], cut: Cut) -> String {
    let (Cut::Before(number) | Cut::Within(number)) = cut;
    let write = log
        .get(number)
        .map_or_else(|| "the end".to_owned(), ToString::to_string);
    format!("history {history:?}, power failure {cut:?} ({write})")
}
