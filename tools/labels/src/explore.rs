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
    recorder::{
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
    ensure,
    Context as _,
    Result, //
};
use nd_format::{
    label::Left,
    uuid::Uuid, //
};
use std::collections::BTreeSet;

/// What was explored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Power failures in operations.
    pub cuts: u64,
    /// Of these, ones that left the namespaces as they were, and ones that completed the operation.
    pub old: u64,
    /// See `old`.
    pub new: u64,
    /// Power failures in operations after which labels were left that make up no namespace.
    pub refused: u64,
    /// Power failures while what another one had left was changed or given up.
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
        self.refused += other.refused;
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
    pub others: &'static [OtherLabel],
    /// How namespaces get their addresses.
    pub placement: Placement,
}

/// Somebody else on a DIMM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OtherLabel {
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

    /// The media before `history`, and after each of its operations.
    pub(crate) fn stages(&self, history: &[Operation]) -> Result<Vec<Media>> {
        let media = |len| Ok(self.perform(&history[..len])?.1);
        (0..=history.len()).map(media).collect()
    }
}

/// A change to the writes of an operation that makes them wrong, to see that the explorer notices.
pub type Mutation = fn(Vec<Recorded>) -> Vec<Recorded>;

/// What may be found on the media.
#[derive(Clone, Debug)]
struct Expected<'a> {
    /// The namespaces, the first of which are the old ones.
    views: Vec<&'a View>,
    /// Namespaces that were being created or removed: their labels may be refused.
    may_be_refused: BTreeSet<Uuid>,
}

impl<'a> Expected<'a> {
    fn new(views: &[&'a View], operations: &[Operation]) -> Self {
        let may_be_refused = operations.iter().copied();
        Self {
            views: views.to_vec(),
            may_be_refused: may_be_refused
                .filter_map(Operation::created_or_removed)
                .collect(),
        }
    }

    /// Starts the driver on `media`, and finds which of the views it has.
    fn check(&self, media: &Media) -> Result<(World, usize)> {
        let world = World::mount(media)?;
        let (view, refused) = (world.view(), world.refused());
        ensure!(
            refused.is_subset(&self.may_be_refused),
            "refused are {refused:#?}, expected at most {:#?}",
            self.may_be_refused
        );
        let number = self.views.iter().position(|expected| **expected == view);
        let number = number
            .with_context(|| format!("found {view:#?}, expected one of {:#?}", self.views))?;
        Ok((world, number))
    }
}

/// Fails the power in every way during the last operation of `history`.
pub fn explore(setup: &Setup, history: &[Operation], mutation: Option<Mutation>) -> Result<Count> {
    let mut count = Count::default();
    let Some((last, first)) = history.split_last() else {
        return Ok(count);
    };
    let (mut world, media) = setup.perform(first)?;
    let old = world.view();
    let mut log = last.perform(&mut world)?.log;
    let new = world.view();
    if let Some(mutation) = mutation {
        log = mutation(log);
    }
    let expected = Expected::new(&[&old, &new], &[*last]);
    for_each(&media, &log, |cut, media| {
        let world = judge(&mut count, cut, media, &expected);
        let explored = world.and_then(|world| match world {
            Some(world) => explore_next(&mut count, &world, media),
            None => Ok(()),
        });
        explored.with_context(|| describe(history, &log, cut))
    })?;
    Ok(count)
}

/// Fails the power in every way during the last operation of `history`, on namespaces that are at other offsets of each DIMM:
/// the driver may refuse them, but must not show them elsewhere.
pub fn explore_per_dimm(setup: &Setup, history: &[Operation]) -> Result<Count> {
    let mut count = Count::default();
    let Some((last, first)) = history.split_last() else {
        return Ok(count);
    };
    let (mut world, media) = setup.perform(first)?;
    let old = world.view();
    if !CHANGED.map(uuid).iter().any(|name| old.contains_key(name)) {
        return Ok(count);
    }
    let log = last.perform(&mut world)?.log;
    let new = world.view();
    for_each(&media, &log, |cut, media| {
        let judged = judge_per_dimm(&mut count, media, [&old, &new]);
        judged.with_context(|| describe(history, &log, cut))
    })?;
    Ok(count)
}

fn judge_per_dimm(count: &mut Count, media: &Media, [old, new]: [&View; 2]) -> Result<()> {
    count.cuts += 1;
    let view = World::mount(media)?.view();
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
    Ok(())
}

/// Lets each write of the last but one operation of `history` fail, in every way, and then fails the power: while
/// the driver takes the operation back, and during the last operation.
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
            let faulted = explore_fault(&mut count, &mut world, media.clone(), [*faulty, *last])
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
fn explore_fault(
    count: &mut Count,
    world: &mut World,
    mut media: Media,
    [faulty, last]: [Operation; 2],
) -> Result<bool> {
    let old = world.view();
    let new = {
        let mut ideal = world.clone();
        ideal.fault = None;
        faulty.perform(&mut ideal)?;
        ideal.view()
    };
    let effect = faulty.perform(world)?;
    let Some(left) = effect.left else {
        return Ok(false);
    };
    let expected = Expected::new(&[&old, &new], &[faulty]);
    for_each(&media, &effect.log, |cut, media| {
        let judged = judge(count, cut, media, &expected);
        judged.map(|_| ()).context("while it is taken back")
    })?;
    apply_all(&mut media, &effect.log);
    let wanted = match left {
        // Labels that are left on some DIMMs only make up no namespace.
        Left::Mixed if faulty == Operation::Remove => &new,
        Left::Old | Left::Mixed => &old,
        Left::New => &new,
    };
    let view = world.view();
    ensure!(
        view == *wanted,
        "{left:?} is left, but the driver has {view:#?}"
    );
    if world.fault.is_some_and(|fault| fault.then != Lost::Nothing) {
        return Ok(true);
    }
    world.fault = None;
    let log = last.perform(world)?.log;
    let newest = world.view();
    let expected = Expected::new(&[&old, &new, &newest], &[faulty, last]);
    for_each(&media, &log, |cut, media| {
        let judged = judge(count, cut, media, &expected);
        judged.map(|_| ()).context("in the next operation")
    })?;
    apply_all(&mut media, &log);
    let found = World::mount(&media)?.view();
    ensure!(
        log.is_empty() || found == newest,
        "at last, found {found:#?}, expected {newest:#?}"
    );
    Ok(true)
}

/// Starts the driver on what a power failure has left, which must be `expected`, and brings it in order. Returns the driver as it was
/// before, if the failure was between two writes: a torn label lies in a free slot, where it does not matter.
fn judge(
    count: &mut Count,
    cut: Cut,
    media: &Media,
    expected: &Expected<'_>,
) -> Result<Option<World>> {
    count.cuts += 1;
    let (world, number) = expected.check(media)?;
    if number == 0 {
        count.old += 1;
    } else {
        count.new += 1;
    }
    count.refused += u64::from(!world.refused().is_empty());
    if matches!(cut, Cut::Within(_)) {
        return Ok(None);
    }
    for name in world.refused() {
        give_up(count, &world, media, name).with_context(|| format!("giving up {name}"))?;
    }
    for name in world.dirty() {
        recover(count, &world, media, name).with_context(|| format!("recovering {name}"))?;
    }
    remove_all(world.clone())?;
    Ok(Some(world))
}

/// Performs any operation on what a power failure has left, and fails the power again.
fn explore_next(count: &mut Count, world: &World, media: &Media) -> Result<()> {
    let view = world.view();
    for next in Operation::ALL {
        let mut world = world.clone();
        let log = next.perform(&mut world)?.log;
        let new = world.view();
        let mut expected = Expected::new(&[&view, &new], &[next]);
        expected.may_be_refused.extend(world.refused());
        let mut media = media.clone();
        for write in &log {
            count.second_cuts += 1;
            expected
                .check(&media)
                .with_context(|| format!("after {next:?} was interrupted, too"))?;
            apply(&mut media, write);
        }
        expected.views.remove(0);
        expected
            .check(&media)
            .with_context(|| format!("after {next:?}"))?;
        remove_all(world)?;
    }
    Ok(())
}

/// Gives up labels that are refused, and fails the power meanwhile.
fn give_up(count: &mut Count, world: &World, media: &Media, name: Uuid) -> Result<()> {
    let view = world.view();
    let expected = Expected {
        views: vec![&view],
        may_be_refused: world.refused(),
    };
    let mut world = world.clone();
    let log = world.remove(name)?.log;
    for_each(media, &log, |_, media| {
        count.second_cuts += 1;
        expected.check(media).map(|_| ())
    })?;
    ensure!(world.view() == view, "other namespaces were changed");
    ensure!(!world.refused().contains(&name), "it is refused as before");
    Ok(())
}

/// Writes the labels again of a namespace of which an update was cut short, and fails the power meanwhile.
fn recover(count: &mut Count, world: &World, media: &Media, name: Uuid) -> Result<()> {
    let view = world.view();
    let expected = Expected {
        views: vec![&view],
        may_be_refused: world.refused(),
    };
    let mut world = world.clone();
    let log = world.recover(name)?.log;
    ensure!(!log.is_empty(), "nothing is written");
    for_each(media, &log, |_, media| {
        count.second_cuts += 1;
        expected.check(media).map(|_| ())
    })?;
    ensure!(world.view() == view, "the namespaces were changed");
    ensure!(!world.dirty().contains(&name), "it is as before");
    Ok(())
}

/// Removes all that can be seen: nothing is left, neither slots nor addresses are lost.
fn remove_all(mut world: World) -> Result<()> {
    let refused = world.refused();
    let names: Vec<_> = world.namespaces().into_iter().chain(refused).collect();
    for name in names {
        world.remove(name)?;
    }
    world.check_empty()
}

pub(crate) fn apply_all(media: &mut Media, log: &[Recorded]) {
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
