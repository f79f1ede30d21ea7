// SPDX-License-Identifier: GPL-2.0

//! Power failures in operations, and failed writes.

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
use label_engine::Outcome;
use nd_format::uuid::Uuid;
use std::collections::BTreeSet;

/// Numbers of explored cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Power failures in operations.
    pub cuts: u64,
    /// Those that left the namespaces as they were.
    pub old: u64,
    /// Those after which the operation was complete.
    pub new: u64,
    /// Power failures in operations after which labels were refused.
    pub refused: u64,
    /// Power failures while the result of another one was changed, recovered or given up.
    pub second_cuts: u64,
    /// Failed writes.
    pub faults: u64,
}

impl Count {
    /// Adds the numbers of another exploration.
    pub fn add(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.old += other.old;
        self.new += other.new;
        self.refused += other.refused;
        self.second_cuts += other.second_cuts;
        self.faults += other.faults;
    }
}

/// The label areas to start from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// DIMMs of the set.
    pub dimms: usize,
    /// Bytes of each label area.
    pub area: usize,
    /// The byte that fills it before the first label.
    pub fill: u8,
    /// Units of DIMMs that labels of another set reserve.
    pub others: &'static [OtherLabel],
    /// How namespaces get their addresses.
    pub placement: Placement,
}

/// A label of another set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OtherLabel {
    /// The DIMM.
    pub member: usize,
    /// The first unit.
    pub first: u64,
    /// Number of units.
    pub units: u64,
}

impl Setup {
    /// An area that holds three labels of version 1.1, and is too small for those of version 1.2.
    pub const SMALL_LABELS: usize = 512 + 3 * 128;

    /// An area that holds four labels of version 1.2.
    pub const LARGE_LABELS: usize = 512 + 4 * 256;

    /// Returns a driver on fresh media that has performed `history`, and the media.
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

    /// Returns the media before `history` and after each of its operations.
    pub(crate) fn stages(&self, history: &[Operation]) -> Result<Vec<Media>> {
        let media = |len| Ok(self.perform(&history[..len])?.1);
        (0..=history.len()).map(media).collect()
    }
}

/// A change that makes the writes of an operation wrong, to prove that the explorer notices.
pub type Mutation = fn(Vec<Recorded>) -> Vec<Recorded>;

/// The states that may be found on the media.
#[derive(Clone, Debug)]
struct Expected<'a> {
    /// The possible namespaces. The first element is the old state.
    views: Vec<&'a View>,
    /// Namespaces that were being created or removed. Their labels may be refused.
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

    /// Starts the driver on `media`. Returns it with the number of the view that it has.
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

/// Fails the power in every way during the last operation of `history`, on namespaces at a
/// different offset of each DIMM. The driver may refuse them, but must not show them elsewhere.
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

/// Fails each write of the last but one operation of `history` in every way, and then the power:
/// while the driver takes the operation back, and during the last operation.
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

/// Returns `true` if the operation `faulty` had a write that could fail.
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
    let Some(outcome) = effect.outcome else {
        return Ok(false);
    };
    let expected = Expected::new(&[&old, &new], &[faulty]);
    for_each(&media, &effect.log, |cut, media| {
        let judged = judge(count, cut, media, &expected);
        judged.map(|_| ()).context("while it is taken back")
    })?;
    apply_all(&mut media, &effect.log);
    let wanted = match outcome {
        // Labels that are left on only some DIMMs describe no namespace.
        Outcome::Mixed if faulty == Operation::Remove => &new,
        Outcome::Old | Outcome::Mixed => &old,
        Outcome::New => &new,
    };
    let view = world.view();
    ensure!(
        view == *wanted,
        "{outcome:?} is the outcome, but the driver has {view:#?}"
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

/// Starts the driver on the media after a power failure, checks that the state is `expected`, and
/// recovers it. Returns the driver as it was before recovery if the failure was between two writes:
/// a torn label lies in a free slot, where it does not matter.
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

/// Performs every operation on the media after a power failure, and fails the power again.
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

/// Gives up refused labels, and fails the power meanwhile.
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

/// Recovers a namespace whose update was interrupted, and fails the power meanwhile.
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

/// Removes everything that is visible and checks that no slot is taken.
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
