// SPDX-License-Identifier: GPL-2.0

//! Updates of the labels of one namespace on all DIMMs of its set.
//!
//! Two passes over the DIMMs, in their order: the first one writes labels with the flag "updating", the second one clears
//! it. Whenever the power fails, [`Set`](super::Set) finds the namespace as it was or as it should become.
//!
//! If a DIMM fails in the first pass, the DIMMs before it get their former labels back.

use super::{
    area::LabelArea,
    class::Class,
    extent::Extent,
    plan::{
        Plan,
        Store,
        UpdateError, //
    },
    record::{
        Flags,
        Label,
        Name,
        Types, //
    },
    set::Identity,
};
use crate::uuid::Uuid;
use core::fmt;

/// Writes into the label area of a DIMM, through its provider.
pub trait Medium {
    /// Why a write failed.
    type Error;

    /// Writes `bytes` at `offset` and returns once they are on the medium, whole.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// A DIMM whose labels are updated.
#[derive(Debug)]
pub struct Target<'a, M> {
    store: Store<'a>,
    medium: M,
    extent: Option<Extent>,
    former: Option<Label>,
}

impl<'a, M: Medium> Target<'a, M> {
    /// The DIMM with the label area `store`, on which the namespace has, or shall have, `extent`.
    pub const fn new(store: Store<'a>, medium: M, extent: Option<Extent>) -> Self {
        Self {
            store,
            medium,
            extent,
            former: None,
        }
    }

    /// Remembers the label that an update is about to drop.
    fn remember(&mut self, uuid: Uuid, replaces: Option<Uuid>) {
        let area = self.store.area();
        let mut former = area
            .labels_of(uuid)
            .chain(replaces.into_iter().flat_map(|uuid| area.labels_of(uuid)));
        self.former = former.next().map(|stored| stored.label);
    }

    fn put(&mut self, label: &Label, replaces: Option<Uuid>) -> Result<(), Cause<M::Error>> {
        let plan = self.store.publish(label, replaces).map_err(Cause::Area)?;
        run(plan, &mut self.medium).map_err(Cause::Medium)
    }

    fn drop_labels(&mut self, uuid: Uuid) -> Result<(), Cause<M::Error>> {
        run(self.store.remove(uuid), &mut self.medium).map_err(Cause::Medium)
    }

    /// Brings the former label back, in the place of that of `uuid`.
    fn restore(&mut self, uuid: Uuid) -> Result<(), Cause<M::Error>> {
        match self.former {
            Some(former) => self.put(&former, Some(uuid)),
            None => self.drop_labels(uuid),
        }
    }
}

/// Performs the writes of one plan.
fn run<M: Medium>(mut plan: Plan<'_>, medium: &mut M) -> Result<(), M::Error> {
    while let Some(write) = plan.write() {
        medium.write(write.offset, write.bytes)?;
        plan.confirm();
    }
    Ok(())
}

/// What the labels of a namespace say on each DIMM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contents {
    /// UUID.
    pub uuid: Uuid,
    /// Name.
    pub name: Name,
    /// Bytes of a sector: 512, 4096, or 0 for "not named".
    pub lba_size: u64,
    /// Class.
    pub class: Class,
}

impl Contents {
    fn label(
        &self,
        identity: &Identity,
        area: &LabelArea<'_>,
        place: (u16, u16),
        extent: Extent,
        flags: Flags,
    ) -> Label {
        let (position, nlabel) = place;
        Label {
            uuid: self.uuid,
            name: self.name,
            flags,
            nlabel,
            position,
            cookie: identity.cookie(area),
            lba_size: self.lba_size,
            extent,
            types: Some(Types {
                range: identity.range_type,
                class: self.class,
            }),
        }
    }
}

/// Writes the labels of a namespace on all DIMMs of its set, and drops those of the same UUID and of `replaces`.
///
/// Nothing is written unless all areas have room.
pub fn publish<M: Medium>(
    targets: &mut [Target<'_, M>],
    identity: &Identity,
    contents: &Contents,
    replaces: Option<Uuid>,
) -> Result<(), Failure<M::Error>> {
    let ways = u16::try_from(targets.len()).unwrap_or(u16::MAX);
    for (member, target) in targets.iter_mut().enumerate() {
        let ready = match target.extent {
            Some(_) => target
                .store
                .check_room(contents.uuid, replaces)
                .map_err(Cause::Area),
            None => Err(Cause::NoExtent),
        };
        ready.map_err(|cause| Failure::new(member, cause, Left::Old))?;
        target.remember(contents.uuid, replaces);
    }
    for flags in [Flags::UPDATING, Flags::NONE] {
        for position in 0..ways {
            let member = usize::from(position);
            let Some(target) = targets.get_mut(member) else {
                continue;
            };
            let Some(extent) = target.extent else {
                continue;
            };
            let label = contents.label(
                identity,
                &target.store.area(),
                (position, ways),
                extent,
                flags,
            );
            if let Err(cause) = target.put(&label, replaces) {
                let left = if flags.updating() {
                    undo(targets, member, contents.uuid)
                } else {
                    Left::New
                };
                return Err(Failure::new(member, cause, left));
            }
        }
    }
    Ok(())
}

/// Drops the labels of the namespace `uuid` on all DIMMs of its set.
pub fn retract<M: Medium>(
    targets: &mut [Target<'_, M>],
    uuid: Uuid,
) -> Result<(), Failure<M::Error>> {
    for target in targets.iter_mut() {
        target.remember(uuid, None);
    }
    for member in 0..targets.len() {
        let dropped = targets
            .get_mut(member)
            .map_or(Ok(()), |target| target.drop_labels(uuid));
        if let Err(cause) = dropped {
            let left = undo(targets, member, uuid);
            return Err(Failure::new(member, cause, left));
        }
    }
    Ok(())
}

/// Brings the former labels back on the DIMMs in front of `member`, the last one first.
fn undo<M: Medium>(targets: &mut [Target<'_, M>], member: usize, uuid: Uuid) -> Left {
    let written = targets.iter_mut().take(member).rev();
    let mut left = Left::Old;
    for target in written {
        if target.restore(uuid).is_err() {
            left = Left::Mixed;
        }
    }
    left
}

/// Which labels a failed update has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// Those from before.
    Old,
    /// The new ones, on some DIMMs still with the flag "updating".
    New,
    /// The new ones on some DIMMs, those from before on the others. The namespace counts as it was.
    Mixed,
}

/// What stopped an update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause<E> {
    /// The label area cannot take the label.
    Area(UpdateError),
    /// The namespace has no addresses on the DIMM.
    NoExtent,
    /// The provider could not write.
    Medium(E),
}

/// An update failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure<E> {
    /// The number of the region's mapping where it failed.
    pub member: usize,
    /// Why.
    pub cause: Cause<E>,
    /// What the labels are now.
    pub left: Left,
}

impl<E> Failure<E> {
    const fn new(member: usize, cause: Cause<E>, left: Left) -> Self {
        Self {
            member,
            cause,
            left,
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
        f.write_str(match self.left {
            Left::Old => "; labels are unchanged",
            Left::New => "; labels are new, but not marked as finished",
            Left::Mixed => "; labels are partly new",
        })
    }
}
