// SPDX-License-Identifier: GPL-2.0

//! Labels that are lost on one DIMM after the namespaces were complete: the wrong DIMM was
//! initialised or wiped, a bit has flipped, or an older backup was written. The administrator then
//! writes the right backup.
//!
//! The explorer checks for each loss:
//!
//! 1. The namespaces that are shown without the lost labels existed before, at the same place and
//!    of the same size.
//! 2. The backup brings every namespace back as it was.
//! 3. It does so as well after another namespace was changed or created in between. No such
//!    operation drops or changes a label of an incomplete namespace, or takes its addresses.
//!
//! Enabling a region writes nothing, so it is not a step here.
//!
//! Labels of version 1.1 have no checksum. A flipped bit may turn one into another label, so the
//! first point is not checked for them.

use crate::{
    explore::{
        apply_all,
        Setup, //
    },
    history::Operation,
    world::{
        Media,
        View,
        World, //
    },
};
use anyhow::{
    ensure,
    Context as _,
    Result, //
};
use nd_format::label::Flags;
use std::ops::Range;

/// Numbers of explored cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Losses {
    /// Losses of labels.
    pub losses: u64,
    /// Losses after which namespaces were missing.
    pub noticed: u64,
    /// Changes between a loss and the backup.
    pub changes: u64,
}

impl Losses {
    /// Adds the numbers of another exploration.
    pub fn add(&mut self, other: &Self) {
        self.losses += other.losses;
        self.noticed += other.noticed;
        self.changes += other.changes;
    }
}

/// How a DIMM loses labels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// `ndctl init-labels`: both indexes are as in a fresh area, and the bytes of labels stay.
    Initialised,
    /// `ndctl zero-labels`.
    Wiped,
    /// A bit has flipped.
    Flipped {
        /// The byte.
        byte: usize,
        /// The bit.
        bit: u8,
    },
    /// The area is as it was this many operations ago.
    Older(usize),
}

/// The writer of the labels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writer {
    /// This code.
    Ours,
    /// A kernel before 5.2, which leaves the flag "updating" in all labels.
    OldKernel,
}

/// Loses labels in every way on each DIMM after `history`. `bits` are the bits of a byte that flip.
pub fn explore_losses(
    setup: &Setup,
    history: &[Operation],
    writer: Writer,
    bits: &[u8],
) -> Result<Losses> {
    let mut losses = Losses::default();
    let stages = setup.stages(history)?;
    let stages: Vec<Media> = stages
        .into_iter()
        .map(|media| match writer {
            Writer::Ours => Ok(media),
            Writer::OldKernel => World::mount(&media)?.with_flags(Flags::UPDATING),
        })
        .collect::<Result<_>>()?;
    let Some(backup) = stages.last() else {
        return Ok(losses);
    };
    let known = stages.iter().map(|media| Ok(World::mount(media)?.view()));
    let known: Vec<View> = known.collect::<Result<_>>()?;
    for (member, area) in backup.iter().enumerate() {
        for loss in losses_of(area, bits, stages.len() - 1) {
            judge(&mut losses, setup, &stages, &known, member, loss).with_context(|| {
                format!("history {history:?} by {writer:?}, DIMM {member}: {loss:?}")
            })?;
        }
    }
    Ok(losses)
}

fn losses_of(area: &[u8], bits: &[u8], stages: usize) -> Vec<Loss> {
    let flips = area.iter().enumerate().filter(|(_, value)| **value != 0);
    let flips = flips.flat_map(|(byte, _)| {
        let flip = move |&bit| Loss::Flipped { byte, bit };
        bits.iter().map(flip)
    });
    [Loss::Initialised, Loss::Wiped]
        .into_iter()
        .chain((1..=stages).map(Loss::Older))
        .chain(flips)
        .collect()
}

fn judge(
    losses: &mut Losses,
    setup: &Setup,
    stages: &[Media],
    known: &[View],
    member: usize,
    loss: Loss,
) -> Result<()> {
    losses.losses += 1;
    let (Some(backup), Some(old)) = (stages.last(), known.last()) else {
        return Ok(());
    };
    let mut media = backup.clone();
    let area = &mut media[member];
    match loss {
        Loss::Initialised => World::initialise(area)?,
        Loss::Wiped => area.fill(0),
        Loss::Flipped { byte, bit } => area[byte] ^= 1 << bit,
        Loss::Older(count) => *area = stages[stages.len() - 1 - count][member].clone(),
    }
    let world = World::mount(&media)?;
    let view = world.view();
    losses.noticed += u64::from(old.keys().any(|uuid| !view.contains_key(uuid)));
    if setup.area == Setup::LARGE_LABELS {
        // Without its latest index, an area is as it was before the latest write.
        for (uuid, seen) in &view {
            ensure!(
                known.iter().any(|known| known.get(uuid) == Some(seen)),
                "found {uuid}: {seen:#?}, expected one of {known:#?}"
            );
        }
    }
    check_backup(&media, backup, old, member)?;
    let mut lost = old.clone();
    lost.retain(|uuid, _| !view.contains_key(uuid));
    for change in Operation::ALL.into_iter().chain([Operation::Another]) {
        let mut world = world.clone();
        let effect = change.perform(&mut world)?;
        if effect.log.is_empty() {
            continue;
        }
        losses.changes += 1;
        if reserves(setup, loss) {
            let mut kept = lost.clone();
            kept.retain(|uuid, _| !change.targets().contains(uuid));
            check_disjoint(&world.view(), &kept).with_context(|| format!("after {change:?}"))?;
        }
        let mut media = media.clone();
        apply_all(&mut media, &effect.log);
        // The backup has older labels of the changed namespace.
        let mut spared = old.clone();
        spared.retain(|uuid, _| !change.targets().contains(uuid));
        check_backup(&media, backup, &spared, member)
            .with_context(|| format!("after {change:?}"))?;
    }
    Ok(())
}

/// Returns `true` if a label, on another DIMM or damaged, still names the addresses of each
/// namespace.
fn reserves(setup: &Setup, loss: Loss) -> bool {
    const LABELS: usize = 512;
    const LABEL_LEN: usize = 256;
    const ADDRESSES: Range<usize> = 104..120;
    let is_damaged = match loss {
        Loss::Flipped { byte, .. } if setup.area == Setup::LARGE_LABELS => byte
            .checked_sub(LABELS)
            .is_some_and(|byte| !ADDRESSES.contains(&(byte % LABEL_LEN))),
        _ => false,
    };
    setup.dimms > 1 || is_damaged
}

/// Checks that no namespace has addresses of the `lost` ones.
fn check_disjoint(view: &View, lost: &View) -> Result<()> {
    for (uuid, seen) in view {
        for (other, wanted) in lost {
            ensure!(
                // The namespace is back once the label in its way is given up.
                uuid == other
                    || seen.offset + seen.size <= wanted.offset
                    || wanted.offset + wanted.size <= seen.offset,
                "{uuid} has addresses of {other}"
            );
        }
    }
    Ok(())
}

/// Writes the backup of one DIMM and checks that the namespaces `expected` are found. Namespaces
/// that were created meanwhile lose labels by it.
fn check_backup(media: &Media, backup: &Media, expected: &View, member: usize) -> Result<()> {
    let mut media = media.clone();
    media[member].clone_from(&backup[member]);
    let view = World::mount(&media)?.view();
    for (uuid, seen) in expected {
        ensure!(
            view.get(uuid) == Some(seen),
            "with the backup, found {view:#?}, expected {uuid}: {seen:#?}"
        );
    }
    Ok(())
}
