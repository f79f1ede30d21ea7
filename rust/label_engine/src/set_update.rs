// SPDX-License-Identifier: GPL-2.0

//! Updates of the labels of one namespace on all DIMMs of its set.
//!
//! An update passes over the DIMMs twice: the first pass writes labels with the flag "updating",
//! the second one clears the flag. If all previous labels have the flag, it is cleared in them
//! before: a finished label among them identifies the old state until all labels are new. Whenever
//! the power fails, [`Set`](crate::Set) finds the namespace as it was or as it should become. While
//! a namespace on several DIMMs is being created or removed, it may also find labels that it
//! refuses.
//!
//! If a write fails, all DIMMs get their previous labels back, in steps that may be interrupted
//! like any other: no label is restored while another one is new and no longer "updating", and the
//! DIMM that was written last is restored first.

use crate::{
    area_update::{
        AreaUpdate,
        Store,
        UpdateError, //
    },
    namespace::LabelledNamespace,
    set::SetIdentity, //
};
use core::fmt;
use nd_format::{
    label::{
        ClaimClass,
        Extent,
        Flags,
        Label,
        Name,
        Types, //
    },
    uuid::Uuid, //
};

/// Access to the label area of a DIMM, through its provider.
pub trait Medium {
    /// The error of a write.
    type Error;

    /// Writes `bytes` at `offset` and returns once all of them are on the medium.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// A DIMM whose labels are updated.
#[derive(Debug)]
pub struct UpdateTarget<'a, M> {
    store: Store<'a>,
    medium: M,
    extent: Option<Extent>,
    previous: Option<Label>,
}

impl<'a, M: Medium> UpdateTarget<'a, M> {
    /// Takes the DIMM with the label area `store`, on which the namespace has, or is to have,
    /// `extent`.
    pub const fn new(store: Store<'a>, medium: M, extent: Option<Extent>) -> Self {
        Self {
            store,
            medium,
            extent,
            previous: None,
        }
    }

    /// Remembers the label that an update is about to drop.
    fn remember(&mut self, uuid: Uuid, replaces: Option<Uuid>, identity: &SetIdentity) {
        let labels_of = |uuid| self.store.labels_of(uuid, identity).next();
        self.previous = labels_of(uuid).or_else(|| labels_of(replaces?));
    }

    /// Returns `true` if there was a label without the flag "updating".
    fn was_finished(&self) -> bool {
        self.previous
            .is_some_and(|previous| !previous.flags.updating())
    }

    fn write_fields(
        &mut self,
        fields: &LabelFields,
        identity: &SetIdentity,
        (member, ways): (usize, usize),
        flags: Flags,
        replaces: Option<Uuid>,
    ) -> Result<(), Cause<M::Error>> {
        let area = self.store.area();
        let label = Label {
            uuid: fields.uuid,
            name: fields.name,
            flags,
            // A set has no more than 32 DIMMs.
            nlabel: u16::try_from(ways).unwrap_or(u16::MAX),
            position: u16::try_from(member).unwrap_or(u16::MAX),
            cookie: identity.cookie(&area),
            lba_size: fields.lba_size,
            extent: self.extent.ok_or(Cause::NoExtent)?,
            types: Some(Types {
                range: identity.range_type,
                class: fields.class,
            }),
        };
        self.write_label(&label, replaces, identity)
    }

    fn write_label(
        &mut self,
        label: &Label,
        replaces: Option<Uuid>,
        identity: &SetIdentity,
    ) -> Result<(), Cause<M::Error>> {
        let update = self.store.write_label(label, replaces, identity);
        run(update.map_err(Cause::Area)?, &mut self.medium).map_err(Cause::Medium)
    }

    fn delete_labels(&mut self, uuid: Uuid, identity: &SetIdentity) -> Result<(), Cause<M::Error>> {
        run(self.store.delete_labels(uuid, identity), &mut self.medium).map_err(Cause::Medium)
    }

    /// Makes sure that the medium is not ahead of memory, after a write has failed.
    fn resync(&mut self) -> Result<(), M::Error> {
        run(self.store.resync(), &mut self.medium)
    }

    /// Sets the flag "updating" in the label of `uuid`.
    fn mark_updating(&mut self, uuid: Uuid, identity: &SetIdentity) -> Result<(), Cause<M::Error>> {
        let label = self.store.labels_of(uuid, identity).next();
        match label {
            Some(label) => {
                let flags = Flags::UPDATING;
                self.write_label(&Label { flags, ..label }, None, identity)
            }
            None => Ok(()),
        }
    }

    /// Replaces the label of `uuid` by the previous label, or drops it if there was none.
    fn restore(&mut self, uuid: Uuid, identity: &SetIdentity) -> Result<(), Cause<M::Error>> {
        match self.previous {
            Some(previous) => self.write_label(&previous, Some(uuid), identity),
            None => self.delete_labels(uuid, identity),
        }
    }
}

/// Performs the writes of an update of one area.
fn run<M: Medium>(mut update: AreaUpdate<'_>, medium: &mut M) -> Result<(), M::Error> {
    while let Some(write) = update.write() {
        medium.write(write.offset, write.bytes)?;
        update.confirm();
    }
    Ok(())
}

/// The fields that the labels of a namespace have in common on all DIMMs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LabelFields {
    /// UUID.
    pub uuid: Uuid,
    /// Name.
    pub name: Name,
    /// Sector size in bytes: 512, 4096, or 0 for "unspecified".
    pub lba_size: u64,
    /// Class.
    pub class: ClaimClass,
}

impl From<&LabelledNamespace> for LabelFields {
    fn from(namespace: &LabelledNamespace) -> Self {
        Self {
            uuid: namespace.uuid,
            name: namespace.name,
            lba_size: namespace.lba_size,
            class: namespace.class,
        }
    }
}

/// Writes the labels of a namespace on all DIMMs of its set, and drops those of the same UUID and
/// of `replaces`.
///
/// Nothing is written unless all areas have enough free slots and all targets have an extent.
pub fn write_labels<M: Medium>(
    targets: &mut [UpdateTarget<'_, M>],
    identity: &SetIdentity,
    fields: &LabelFields,
    replaces: Option<Uuid>,
) -> Result<(), Failure<M::Error>> {
    for (member, target) in targets.iter_mut().enumerate() {
        let ready = match target.extent {
            Some(_) => target
                .store
                .check_free_slots(fields.uuid, replaces, identity)
                .map_err(Cause::Area),
            None => Err(Cause::NoExtent),
        };
        ready.map_err(|cause| Failure::new(member, cause, Outcome::Old))?;
        target.remember(fields.uuid, replaces, identity);
    }
    finish_previous(targets, identity)?;
    for flags in [Flags::UPDATING, Flags::NONE] {
        for rank in 0..targets.len() {
            let ways = targets.len();
            let Some((member, target)) = ranked(targets, rank) else {
                continue;
            };
            let Err(cause) = target.write_fields(fields, identity, (member, ways), flags, replaces)
            else {
                continue;
            };
            let is_known = target.resync().is_ok();
            let outcome = match flags {
                Flags::UPDATING => {
                    restore(targets, (0..rank).rev(), fields.uuid, identity).outcome()
                }
                // The new label may be there, and no longer "updating".
                _ if !is_known => Outcome::New,
                _ => roll_back(targets, rank, fields.uuid, identity),
            };
            return Err(Failure::new(member, cause, outcome));
        }
    }
    Ok(())
}

/// Drops the labels of the namespace `uuid` on all DIMMs of its set, including damaged ones.
pub fn delete_labels<M: Medium>(
    targets: &mut [UpdateTarget<'_, M>],
    identity: &SetIdentity,
    uuid: Uuid,
) -> Result<(), Failure<M::Error>> {
    for target in targets.iter_mut() {
        target.remember(uuid, None, identity);
    }
    for rank in (0..targets.len()).rev() {
        let Some((member, target)) = ranked(targets, rank) else {
            continue;
        };
        if let Err(cause) = target.delete_labels(uuid, identity) {
            // If this fails as well, the label may be gone, as the caller wants it to be.
            let _ = target.resync();
            let outcome = restore(targets, rank + 1..targets.len(), uuid, identity).outcome();
            return Err(Failure::new(member, cause, outcome));
        }
    }
    Ok(())
}

/// Returns the DIMM that is written as the `rank`th one, with its number. DIMMs with finished
/// labels come last, so that one of these labels identifies the old state of the namespace until
/// all labels are new.
fn ranked<'t, 'a, M: Medium>(
    targets: &'t mut [UpdateTarget<'a, M>],
    rank: usize,
) -> Option<(usize, &'t mut UpdateTarget<'a, M>)> {
    let members = |finished: bool| {
        let targets = targets.iter().enumerate();
        targets
            .filter(move |(_, target)| target.was_finished() == finished)
            .map(|(member, _)| member)
    };
    let member = members(false).chain(members(true)).nth(rank)?;
    targets.get_mut(member).map(|target| (member, target))
}

/// Clears the flag "updating" of the previous labels if all of them have it, as those of kernels
/// before 5.2 do. Without the flag they identify the old state of the namespace until all labels
/// are new.
fn finish_previous<M: Medium>(
    targets: &mut [UpdateTarget<'_, M>],
    identity: &SetIdentity,
) -> Result<(), Failure<M::Error>> {
    let is_unfinished = |target: &UpdateTarget<'_, M>| {
        let previous = target.previous.map(|previous| previous.flags);
        previous.is_some_and(|flags| flags.updating())
    };
    if !targets.iter().all(is_unfinished) {
        return Ok(());
    }
    for (member, target) in targets.iter_mut().enumerate() {
        if let Some(previous) = &mut target.previous {
            previous.flags = Flags::NONE;
            let previous = *previous;
            let finished = target.write_label(&previous, None, identity);
            finished.map_err(|cause| Failure::new(member, cause, Outcome::Old))?;
        }
    }
    Ok(())
}

/// Undoes a second pass in which the first `count` DIMMs were written.
fn roll_back<M: Medium>(
    targets: &mut [UpdateTarget<'_, M>],
    count: usize,
    uuid: Uuid,
    identity: &SetIdentity,
) -> Outcome {
    for rank in 0..count {
        let marked = ranked(targets, rank).map(|(_, target)| target.mark_updating(uuid, identity));
        if matches!(marked, Some(Err(_))) {
            return Outcome::New;
        }
    }
    let all = (0..targets.len()).rev();
    let restored = restore(targets, all, uuid, identity);
    if restored.done == 0 {
        // All labels are still the new ones.
        return Outcome::New;
    }
    restored.outcome()
}

/// The number of DIMMs on which the previous labels were restored, and of those on which that
/// failed.
struct Restored {
    done: usize,
    failed: usize,
}

impl Restored {
    /// Returns the outcome, given that other DIMMs still have previous labels, or that some were
    /// restored.
    fn outcome(&self) -> Outcome {
        if self.failed == 0 {
            Outcome::Old
        } else {
            Outcome::Mixed
        }
    }
}

/// Restores the previous labels on the DIMMs of these ranks, in this order.
fn restore<M: Medium>(
    targets: &mut [UpdateTarget<'_, M>],
    ranks: impl Iterator<Item = usize>,
    uuid: Uuid,
    identity: &SetIdentity,
) -> Restored {
    let mut restored = Restored { done: 0, failed: 0 };
    for rank in ranks {
        match ranked(targets, rank).map(|(_, target)| target.restore(uuid, identity)) {
            Some(Ok(())) => restored.done += 1,
            Some(Err(_)) => restored.failed += 1,
            None => (),
        }
    }
    restored
}

/// The labels after a failed update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The previous ones.
    Old,
    /// The new ones, on some DIMMs still with the flag "updating". They are valid, and could not be
    /// taken back.
    New,
    /// The new ones on some DIMMs, the previous ones on the others. The namespace is as it was, see
    /// [`State::RolledBack`](crate::State::RolledBack); if it was to be created or removed, its
    /// labels are refused.
    Mixed,
}

/// The cause of a failed update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause<E> {
    /// The label area cannot take the label.
    Area(UpdateError),
    /// The namespace has no addresses on the DIMM.
    NoExtent,
    /// The provider failed to write.
    Medium(E),
}

/// A failed update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure<E> {
    /// Number of the region's mapping where it failed.
    pub member: usize,
    /// The cause.
    pub cause: Cause<E>,
    /// The labels that are left.
    pub outcome: Outcome,
}

impl<E> Failure<E> {
    const fn new(member: usize, cause: Cause<E>, outcome: Outcome) -> Self {
        Self {
            member,
            cause,
            outcome,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mapping{}: ", self.member)?;
        match &self.cause {
            Cause::Area(error) => error.fmt(f)?,
            Cause::NoExtent => f.write_str("no dpa, expected a reserved range")?,
            Cause::Medium(error) => write!(f, "label area cannot be written: {error}")?,
        }
        f.write_str(match self.outcome {
            Outcome::Old => "; labels are unchanged",
            Outcome::New => "; labels are new, but not marked as finished",
            Outcome::Mixed => "; labels are partly new",
        })
    }
}
