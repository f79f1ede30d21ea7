// SPDX-License-Identifier: GPL-2.0

//! The namespaces that the labels of the DIMMs of an interleave set make up.
//!
//! A namespace has one label on each DIMM. Updates write them DIMM by DIMM, first all with the flag "updating",
//! then all without it, and each write drops the DIMM's former label. What a power failure can leave follows from
//! that:
//!
//! | Labels found                                           | Meaning                    | Result                  |
//! |--------------------------------------------------------|----------------------------|-------------------------|
//! | all agree, some updating                               | new ones are all there     | the new namespace       |
//! | updating ones, and others that agree without them      | update under way           | the old namespace       |
//! | some missing, where an updating one of another UUID is | change of UUID under way   | the old namespace       |
//! | some missing, all others updating                      | creation under way         | none; others are residue|
//! | some missing, but still to be read in free slots       | removal under way          | none; others are residue|
//! | some missing                                           | damage                     | none                    |
//!
//! Slots of a DIMM on which neither index names a label do not count as free ones to read: it was initialised anew.
//!
//! In the second and third row the old label is gone from DIMMs that have been written already. It is known all the
//! same: the labels of a set differ in nothing but the position and the DPA, and an interleaved namespace is at the
//! same offset of each mapping. Where it is not, the labels are left alone, see `offset.rs`.
//!
//! Labels that a creation seems to have left are no residue while a namespace lacks labels for no such reason: they may be its
//! new ones, under a new UUID.

use super::{
    area::LabelArea,
    defect::Defect,
    extent::Extent,
    namespace::{
        Namespace,
        Refused,
        State, //
    },
    record::Label,
};
use crate::{
    nfit::interleave::Cookies,
    uuid::{
        Guid,
        Uuid, //
    },
};
use core::iter;

/// What tells the labels of one set from those of others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cookies of the set.
    pub cookies: Cookies,
    /// The type of its range of system physical addresses.
    pub range_type: Guid,
}

impl Identity {
    /// The cookie that labels in `area` get.
    pub fn cookie(&self, area: &LabelArea<'_>) -> u64 {
        if area.layout().has_v1_1_cookies() {
            self.cookies.v1_1
        } else {
            self.cookies.v1_2
        }
    }
}

/// A DIMM of a set.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The labels of the DIMM.
    pub area: LabelArea<'a>,
    /// The part of the DIMM that is in the set.
    pub mapping: Extent,
}

/// The DIMMs of a set, in the order of the region's mappings.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a> {
    pub(super) members: &'a [Member<'a>],
    identity: Identity,
}

impl<'a> Set<'a> {
    /// The set of `members`.
    pub const fn new(members: &'a [Member<'a>], identity: Identity) -> Self {
        Self { members, identity }
    }

    /// All namespaces for which there is a label with one of the set's cookies and an address in the set.
    ///
    /// They come in the order in which their labels are found. Linux numbers them by address, see
    /// [`by_address`](super::by_address).
    pub fn namespaces(self) -> impl Iterator<Item = Result<Namespace, Refused>> + 'a {
        let mut is_damaged = None;
        self.candidates()
            .filter_map(move |uuid| match self.namespace(uuid) {
                Ok(namespace) => Some(Ok(namespace)),
                Err(Defect::Interrupted) if self.is_new_name(uuid) => None,
                Err(Defect::Interrupted)
                    if *is_damaged.get_or_insert_with(|| self.has_incomplete()) =>
                {
                    let defect = Defect::Unclear;
                    Some(Err(Refused { uuid, defect }))
                }
                Err(defect) => Some(Err(Refused { uuid, defect })),
            })
    }

    /// The namespace `uuid`.
    pub fn namespace(&self, uuid: Uuid) -> Result<Namespace, Defect> {
        if self.identity.cookie_of(self.members) == 0 {
            return Err(Defect::NoCookie);
        }
        let mut positions = 0u64;
        for member in 0..self.members.len() {
            if let Some(label) = self.label(member, uuid)? {
                self.check(member, &label)?;
                let position = 1u64.checked_shl(label.position.into()).unwrap_or(0);
                if positions & position != 0 {
                    return Err(Defect::SamePosition {
                        member,
                        position: label.position,
                    });
                }
                positions |= position;
            }
        }
        let missing = self.missing(uuid).next();
        let (label, state) = match missing {
            None => self.complete(uuid)?,
            Some(missing) => self.incomplete(uuid, missing)?,
        };
        self.assemble(&label, state)
    }

    /// The part of the DIMM `member` that belongs to `namespace`.
    pub fn extent(&self, namespace: &Namespace, member: usize) -> Option<Extent> {
        let own = self.label(member, namespace.uuid).ok().flatten();
        let own = own.filter(|label| label.extent.len() == namespace.share);
        match own {
            Some(label) => Some(label.extent),
            None => {
                let mapping = self.members.get(member)?.mapping;
                let start = mapping.start().checked_add(namespace.share_offset)?;
                Extent::new(start, namespace.share).filter(|extent| mapping.covers(extent))
            }
        }
    }

    /// UUIDs of the labels that could belong to the set, each once.
    fn candidates(self) -> impl Iterator<Item = Uuid> + 'a {
        let members = self.members.iter().enumerate();
        members.flat_map(move |(number, member)| {
            let mine = move |slot: u32, label: &Label| -> bool {
                let earlier = |other: &Member<'_>| {
                    other
                        .area
                        .labels_of(label.uuid)
                        .any(|other_label| self.is_candidate(other, &other_label.label))
                };
                self.is_candidate(member, label)
                    && !self.members.iter().take(number).any(earlier)
                    && !member
                        .area
                        .labels_of(label.uuid)
                        .take_while(|other| other.slot < slot)
                        .any(|other| self.is_candidate(member, &other.label))
            };
            member
                .area
                .labels()
                .filter(move |stored| mine(stored.slot, &stored.label))
                .map(|stored| stored.label.uuid)
        })
    }

    fn is_candidate(&self, member: &Member<'_>, label: &Label) -> bool {
        self.has_cookie(label) && member.mapping.holds(label.extent.start())
    }

    /// Tells whether `label` was written for this set.
    pub(super) fn has_cookie(&self, label: &Label) -> bool {
        [
            self.identity.cookie_of(self.members),
            self.identity.cookies.alternate,
        ]
        .contains(&label.cookie)
    }

    /// The only label of `uuid` on a DIMM.
    fn label(&self, member: usize, uuid: Uuid) -> Result<Option<Label>, Defect> {
        let Some(area) = self.members.get(member).map(|member| member.area) else {
            return Ok(None);
        };
        let mut labels = area
            .labels_of(uuid)
            .filter(|stored| self.has_cookie(&stored.label));
        match (labels.next(), labels.next()) {
            (Some(first), Some(second)) => Err(Defect::Duplicate {
                member,
                slots: [first.slot, second.slot],
            }),
            (first, _) => Ok(first.map(|stored| stored.label)),
        }
    }

    /// The labels of `uuid`, in the order of the DIMMs.
    pub(super) fn labels(&self, uuid: Uuid) -> impl Iterator<Item = (usize, Label)> + '_ {
        (0..self.members.len())
            .filter_map(move |member| Some((member, self.label(member, uuid).ok().flatten()?)))
    }

    /// The DIMMs that have no label of `uuid`.
    fn missing(&self, uuid: Uuid) -> impl Iterator<Item = usize> + '_ {
        (0..self.members.len()).filter(move |&member| matches!(self.label(member, uuid), Ok(None)))
    }

    /// Checks a label by itself.
    fn check(&self, member: usize, label: &Label) -> Result<(), Defect> {
        let ways = self.members.len();
        let range_type = label.types.map(|types| types.range);
        if let Some(found) = range_type.filter(|&found| found != self.identity.range_type) {
            return Err(Defect::RangeType {
                member,
                found,
                expected: self.identity.range_type,
            });
        }
        if usize::from(label.nlabel) != ways {
            return Err(Defect::LabelCount {
                member,
                found: label.nlabel,
                expected: ways,
            });
        }
        if usize::from(label.position) >= ways {
            return Err(Defect::Position {
                member,
                found: label.position,
                ways,
            });
        }
        let mapping = self.members.get(member).map(|member| member.mapping);
        match mapping.filter(|mapping| !mapping.covers(&label.extent)) {
            Some(mapping) => Err(Defect::Outside {
                member,
                found: label.extent,
                mapping,
            }),
            None => Ok(()),
        }
    }

    /// Judges labels of which every DIMM has one: the label that describes the namespace, and its state.
    fn complete(&self, uuid: Uuid) -> Result<(Label, State), Defect> {
        let labels = || self.labels(uuid).map(|(_, label)| label);
        // Finished labels are written last, others in the order of the DIMMs. So these are the oldest ones.
        let finished = labels().filter(|label| !label.flags.updating()).last();
        let old = finished.or_else(|| labels().last());
        let first = labels().find(|label| label.position == 0);
        let (old, first) = old.zip(first).ok_or(Defect::Missing { member: 0 })?;
        if labels().all(|label| !label.flags.updating()) {
            // No update is to blame for a difference. Linux takes all but the size from the first label.
            return match self
                .labels(uuid)
                .find(|(_, label)| label.extent.len() != first.extent.len())
            {
                Some((member, label)) => Err(Defect::Size {
                    member,
                    found: label.extent.len(),
                    expected: first.extent.len(),
                }),
                None => Ok((first, State::Settled)),
            };
        }
        let Some(new) = labels().find(|label| !same_contents(label, &old)) else {
            let is_sound = self.common_offset(uuid).is_ok();
            let state = if is_sound {
                State::Unfinished
            } else {
                State::Settled
            };
            return Ok((first, state));
        };
        let stray = self.labels(uuid).find(|(_, label)| {
            let is_new = label.flags.updating() && same_contents(label, &new);
            !is_new && !same_contents(label, &old)
        });
        match stray {
            Some((member, _)) => Err(Defect::Disagree { member }),
            None => {
                self.check_update(uuid, &old)?;
                Ok((old, State::RolledBack { replaces: None }))
            }
        }
    }

    /// Judges labels of which at least the DIMM `missing` has none.
    fn incomplete(&self, uuid: Uuid, missing: usize) -> Result<(Label, State), Defect> {
        let mut labels = self.labels(uuid).map(|(_, label)| label);
        let Some(old) = labels.by_ref().find(|label| !label.flags.updating()) else {
            self.common_offset(uuid)?;
            return Err(Defect::Interrupted);
        };
        if !self
            .labels(uuid)
            .all(|(_, label)| same_contents(&label, &old))
        {
            return Err(Defect::Missing { member: missing });
        }
        let Ok(offset) = self.common_offset(uuid) else {
            return Err(Defect::Missing { member: missing });
        };
        if let Some(replaces) = self.new_name(uuid, &old, missing, offset) {
            let replaces = Some(replaces);
            return Ok((old, State::RolledBack { replaces }));
        }
        let removed = |member| self.was_removed(member, uuid, &old, offset);
        if self.missing(uuid).all(removed) {
            return Err(Defect::Removed);
        }
        Err(Defect::Missing { member: missing })
    }

    /// Tells whether the DIMM `member` had a label like `old` at `offset`, and was told to drop it.
    ///
    /// As long as a label of the DIMM is damaged, that one might be the label. What `ndctl init-labels` has made anew may still
    /// have the bytes of labels, but nobody removed these one by one.
    fn was_removed(&self, member: usize, uuid: Uuid, old: &Label, offset: u64) -> bool {
        let area = self.members.get(member).map(|member| member.area);
        area.is_some_and(|area| area.entries().all(|(_, label)| label.is_ok()) && !area.is_fresh())
            && self
                .former_offsets(member, uuid, old)
                .any(|former| former == offset)
    }

    /// Tells whether there is a namespace of which labels are missing, and not since it was removed: labels of another UUID
    /// may then be its new ones.
    fn has_incomplete(&self) -> bool {
        self.candidates().any(|uuid| {
            self.missing(uuid).next().is_some()
                && self.labels(uuid).any(|(_, label)| !label.flags.updating())
                && !matches!(self.namespace(uuid), Ok(_) | Err(Defect::Removed))
        })
    }

    /// The UUID that the namespace of the label `old` at `offset`, which the DIMM `missing` has not, was about to get.
    ///
    /// The first label that looks like it decides, lest a crafted area be searched for every pair of labels.
    fn new_name(&self, uuid: Uuid, old: &Label, missing: usize, offset: u64) -> Option<Uuid> {
        let stands_in = |member: usize, label: &Label| {
            label.flags.updating()
                && self.check(member, label).is_ok()
                && same_contents(label, old)
                && self.is_at(member, label, offset)
        };
        let mut labels = self.members.get(missing)?.area.labels();
        let new = labels
            .find(|stored| stored.label.uuid != uuid && stands_in(missing, &stored.label))?
            .label
            .uuid;
        let changes = |member| match (self.label(member, uuid), self.label(member, new)) {
            (Ok(Some(_)), Ok(None)) => true,
            (Ok(None), Ok(Some(label))) => stands_in(member, &label),
            _ => false,
        };
        (0..self.members.len()).all(changes).then_some(new)
    }

    /// Tells whether some namespace was about to get `uuid`: one whose label is still on a DIMM that has none of `uuid`.
    fn is_new_name(&self, uuid: Uuid) -> bool {
        let Some((_, new)) = self.labels(uuid).next() else {
            return false;
        };
        let (Some(offset), Some(member)) =
            (self.share_offset(uuid, &new), self.missing(uuid).next())
        else {
            return false;
        };
        let is_old = |label: &Label| {
            !label.flags.updating()
                && same_contents(label, &new)
                && self.is_at(member, label, offset)
        };
        let mut labels = self
            .members
            .get(member)
            .into_iter()
            .flat_map(|member| member.area.labels());
        let old = labels.find(|stored| is_old(&stored.label));
        let namespace = old.map(|stored| self.namespace(stored.label.uuid));
        namespace.is_some_and(|namespace| {
            namespace.is_ok_and(|namespace| namespace.state.replaces() == Some(uuid))
        })
    }

    /// Makes the namespace that `label` describes.
    fn assemble(&self, label: &Label, state: State) -> Result<Namespace, Defect> {
        let share = label.extent.len();
        let too_large = Defect::TooLarge { share };
        let ways = u64::try_from(self.members.len()).map_err(|_| too_large)?;
        let mut namespace = Namespace {
            uuid: label.uuid,
            name: label.name,
            lba_size: label.lba_size,
            class: label.class(),
            share,
            size: share.checked_mul(ways).ok_or(too_large)?,
            offset: 0,
            state,
            share_offset: self.share_offset(label.uuid, label).ok_or(too_large)?,
        };
        for (member, mapping) in self.members.iter().map(|member| member.mapping).enumerate() {
            let extent = self
                .extent(&namespace, member)
                .ok_or(Defect::Missing { member })?;
            if member == 0 {
                let offset = extent.start().checked_sub(mapping.start());
                let offset = offset.and_then(|offset| offset.checked_mul(ways));
                namespace.offset = offset.ok_or(too_large)?;
            }
            self.check_free(&namespace, member, &extent)?;
        }
        Ok(namespace)
    }

    /// Checks that nobody else has the addresses `extent`, which `namespace` has by inference.
    fn check_free(
        &self,
        namespace: &Namespace,
        member: usize,
        extent: &Extent,
    ) -> Result<(), Defect> {
        if namespace.state == State::Settled {
            return Ok(());
        }
        let own = iter::once(namespace.uuid).chain(namespace.state.replaces());
        let mut labels = self
            .members
            .get(member)
            .into_iter()
            .flat_map(|member| member.area.labels())
            .map(|stored| stored.label)
            .filter(|label| own.clone().all(|uuid| uuid != label.uuid));
        match labels.find(|label| label.extent.overlaps(extent)) {
            Some(other) => Err(Defect::Overlap {
                member,
                other: other.uuid,
            }),
            None => Ok(()),
        }
    }
}

impl Identity {
    /// The cookie of a set with these members.
    fn cookie_of(&self, members: &[Member<'_>]) -> u64 {
        members
            .first()
            .map_or(0, |member| self.cookie(&member.area))
    }
}

/// Tells whether two labels describe the same namespace, but for its UUID.
pub(super) fn same_contents(label: &Label, other: &Label) -> bool {
    label.name == other.name
        && label.lba_size == other.lba_size
        && label.class() == other.class()
        && label.extent.len() == other.extent.len()
}
