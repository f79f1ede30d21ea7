// SPDX-License-Identifier: GPL-2.0

//! The namespaces that the labels of the DIMMs of an interleave set describe.
//!
//! A namespace has one label on each DIMM. Updates write them DIMM by DIMM, first all with the flag
//! "updating", then all without it, and each write drops the DIMM's previous label. The labels that
//! are found are judged as follows:
//!
//! | Labels found                                               | Result                     |
//! |------------------------------------------------------------|----------------------------|
//! | on all DIMMs, and they agree                               | the namespace              |
//! | on all DIMMs: finished ones agree, updating ones agree     | the namespace, as finished |
//! | finished on some DIMMs; on the others updating ones, which | the namespace, as finished |
//! | are the same but for their UUID                            |                            |
//! | any others                                                 | none: they are refused     |
//!
//! Judging writes nothing and causes no writes. Refused labels stay, and so do the addresses that
//! they reserve: the labels of an incomplete namespace do not show whether it was being created,
//! was being removed, or has lost labels. Labels of kernels before 5.2 have the flag "updating"
//! forever, so the flag alone proves nothing. Lost labels can be restored from a backup, which
//! brings the namespace back. Giving it up is left to the administrator.
//!
//! In the second and third row an update was interrupted. There the flag does show which labels are
//! old: before an update at least one label is finished (`set_update.rs`), and stays until all
//! labels are new, and the first pass writes new labels as updating ones. Old labels that are gone
//! already can be inferred: the labels of a namespace differ only in position and DPA, and an
//! interleaved namespace has the same offset in each mapping. For namespaces that do not, see
//! `offset.rs`. An interrupted namespace is shown as it was; its labels stay as they are until it
//! is changed. The third row cannot take two complete namespaces for one: they would have the same
//! addresses.

use crate::{
    defect::Defect,
    namespace::{
        LabelledNamespace,
        Place,
        Refused,
        State, //
    },
};
use nd_format::{
    label::{
        Cookies,
        Damaged,
        Extent,
        Label,
        LabelArea, //
    },
    uuid::{
        Guid,
        Uuid, //
    },
};

/// The fields that distinguish the labels of one set from those of others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetIdentity {
    /// Cookies of the set.
    pub cookies: Cookies,
    /// Type of its range of system physical addresses.
    pub range_type: Guid,
}

impl SetIdentity {
    /// Returns `true` if a label in `area` that has `cookie` belongs to the set.
    pub(crate) fn has_label(&self, area: &LabelArea<'_>, cookie: u64) -> bool {
        [self.cookie(area), self.cookies.alternate].contains(&cookie)
    }

    /// Returns the cookie for new labels in `area`.
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
pub struct SetMember<'a> {
    /// Label area of the DIMM.
    pub area: LabelArea<'a>,
    /// The part of the DIMM that belongs to the set.
    pub mapping: Extent,
}

/// The DIMMs of a set, in the order of the region's mappings.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a> {
    pub(crate) members: &'a [SetMember<'a>],
    identity: SetIdentity,
}

impl<'a> Set<'a> {
    /// Takes the `members` of the set.
    pub const fn new(members: &'a [SetMember<'a>], identity: SetIdentity) -> Self {
        Self { members, identity }
    }

    /// Returns all namespaces that have a label with one of the set's cookies and an address in the
    /// set. The label may be damaged.
    ///
    /// The order is that in which their labels are found. Linux numbers namespaces by address, see
    /// [`linux_sort_key`](crate::linux_sort_key).
    pub fn namespaces(self) -> impl Iterator<Item = Result<LabelledNamespace, Refused>> + 'a {
        self.candidates()
            .filter_map(move |uuid| match self.namespace(uuid) {
                Ok(namespace) => Some(Ok(namespace)),
                Err(Defect::Missing { .. }) if self.is_new_uuid(uuid) => None,
                Err(defect) => Some(Err(self.refuse(uuid, defect))),
            })
    }

    /// Returns the namespace `uuid`, or the reason why its labels are refused.
    pub fn namespace(&self, uuid: Uuid) -> Result<LabelledNamespace, Defect> {
        let mut positions = 0u64;
        for (member, of) in self.members.iter().enumerate() {
            if self.identity.cookie(&of.area) == 0 {
                return Err(Defect::NoCookie);
            }
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
            None => self.judge_complete(uuid)?,
            Some(missing) => self.judge_incomplete(uuid, missing)?,
        };
        self.assemble(&label, state)
    }

    /// Returns `true` if a DIMM has a label of `uuid` for the set, valid or damaged.
    pub fn is_named(&self, uuid: Uuid) -> bool {
        let members = self.members.iter();
        members
            .flat_map(|member| self.entries_of(member, uuid))
            .next()
            .is_some()
    }

    /// Describes the labels of `uuid`, which are refused because of `defect`.
    pub fn refuse(&self, uuid: Uuid, defect: Defect) -> Refused {
        let entries = || {
            let members = self.members.iter().enumerate();
            members.flat_map(|(number, member)| {
                let entries = self.entries_of(member, uuid);
                entries.map(move |(slot, entry)| {
                    (
                        Place {
                            member: number,
                            slot,
                        },
                        entry,
                    )
                })
            })
        };
        let label = entries().find_map(|(place, entry)| Some((place, entry.ok()?)));
        let extents = entries().filter_map(|(_, entry)| match entry {
            Ok(label) => Some(label.extent),
            Err(damaged) => damaged.extent,
        });
        Refused {
            uuid,
            defect,
            label,
            reserved: extents.fold(0, |sum, extent| sum.saturating_add(extent.len())),
        }
    }

    /// Returns the range of `namespace` on the DIMM `member`.
    pub fn extent(&self, namespace: &LabelledNamespace, member: usize) -> Option<Extent> {
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

    /// Returns the range in the first label of `uuid` on the DIMM `member` that was written for the
    /// set.
    pub fn own_extent(&self, uuid: Uuid, member: usize) -> Option<Extent> {
        let area = self.members.get(member)?.area;
        let mut labels = area.labels_of(uuid);
        let own = labels.find(|stored| self.is_of_set(member, &stored.label))?;
        Some(own.label.extent)
    }

    /// Returns the UUIDs of the labels that could belong to the set, each once.
    fn candidates(self) -> impl Iterator<Item = Uuid> + 'a {
        let members = self.members.iter().enumerate();
        members.flat_map(move |(number, member)| {
            let is_first = move |slot: u32, uuid: Uuid| -> bool {
                let earlier = |other: &SetMember<'_>| self.entries_of(other, uuid).next().is_some();
                !self.members.iter().take(number).any(earlier)
                    && self.entries_of(member, uuid).next().map(|(first, _)| first) == Some(slot)
            };
            member.area.entries().filter_map(move |(slot, entry)| {
                let uuid = match entry {
                    Ok(label) => label.uuid,
                    Err(damaged) => damaged.uuid,
                };
                is_first(slot, uuid).then_some(uuid)
            })
        })
    }

    /// Returns the labels of `uuid` on a DIMM that could belong to the set, including damaged ones,
    /// with their slots.
    fn entries_of<'m>(
        &'m self,
        member: &'m SetMember<'_>,
        uuid: Uuid,
    ) -> impl Iterator<Item = (u32, Result<Label, Damaged>)> + 'm {
        let entries = member.area.entries_of(uuid);
        entries.filter(move |(_, entry)| {
            let (cookie, extent) = match entry {
                Ok(label) => (label.cookie, Some(label.extent)),
                Err(damaged) => (damaged.cookie, damaged.extent),
            };
            self.identity.has_label(&member.area, cookie)
                && extent.is_none_or(|extent| member.mapping.holds(extent.start()))
        })
    }

    /// Returns the only label of `uuid` on a DIMM; [`Defect::Duplicate`] if there are more.
    fn label(&self, member: usize, uuid: Uuid) -> Result<Option<Label>, Defect> {
        let Some(area) = self.members.get(member).map(|member| member.area) else {
            return Ok(None);
        };
        let mut labels = area
            .labels_of(uuid)
            .filter(|stored| self.identity.has_label(&area, stored.label.cookie));
        match (labels.next(), labels.next()) {
            (Some(first), Some(second)) => Err(Defect::Duplicate {
                member,
                slots: [first.slot, second.slot],
            }),
            (first, _) => Ok(first.map(|stored| stored.label)),
        }
    }

    /// Returns the labels of `uuid` in the order of the DIMMs.
    pub(crate) fn labels(&self, uuid: Uuid) -> impl Iterator<Item = (usize, Label)> + '_ {
        (0..self.members.len())
            .filter_map(move |member| Some((member, self.label(member, uuid).ok().flatten()?)))
    }

    /// Returns `true` if `label`, which is on the DIMM `member`, was written for this set.
    pub(crate) fn is_of_set(&self, member: usize, label: &Label) -> bool {
        let member = self.members.get(member);
        member.is_some_and(|member| self.identity.has_label(&member.area, label.cookie))
    }

    /// Returns the DIMMs that have no label of `uuid`.
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

    /// Judges the labels of `uuid`, of which every DIMM has one. Returns the label that describes
    /// the namespace, and its state.
    fn judge_complete(&self, uuid: Uuid) -> Result<(Label, State), Defect> {
        let labels = || self.labels(uuid).map(|(_, label)| label);
        let first = labels().find(|label| label.position == 0);
        let first = first.ok_or(Defect::Missing { member: 0 })?;
        let old = labels().filter(|label| !label.flags.updating()).last();
        let Some(old) = old.filter(|_| labels().any(|label| label.flags.updating())) else {
            // A difference does not come from an update of this code. Linux takes all fields but
            // the size from the first label.
            return match self
                .labels(uuid)
                .find(|(_, label)| label.extent.len() != first.extent.len())
            {
                Some((member, label)) => Err(Defect::Size {
                    member,
                    found: label.extent.len(),
                    expected: first.extent.len(),
                }),
                None => Ok((first, State::Clean)),
            };
        };
        let Some(new) = labels().find(|label| !same_contents(label, &old)) else {
            return Ok((first, State::Clean));
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

    /// Judges the labels of `uuid`, of which at least the DIMM `missing` has none. Returns the same
    /// as [`Self::judge_complete`].
    fn judge_incomplete(&self, uuid: Uuid, missing: usize) -> Result<(Label, State), Defect> {
        let replaced = || {
            let mut labels = self.labels(uuid).map(|(_, label)| label);
            let old = labels.find(|label| !label.flags.updating())?;
            if !labels.all(|label| same_contents(&label, &old)) {
                return None;
            }
            let offset = self.common_offset(uuid).ok()?;
            let replaces = Some(self.new_uuid(uuid, &old, missing, offset)?);
            Some((old, State::RolledBack { replaces }))
        };
        replaced().ok_or_else(|| {
            let mut damaged = self.missing(uuid).filter_map(|member| {
                let (slot, entry) = self.entries_of(self.members.get(member)?, uuid).next()?;
                let error = entry.err()?.error;
                Some(Defect::Damaged {
                    member,
                    slot,
                    error,
                })
            });
            damaged
                .next()
                .unwrap_or(Defect::Missing { member: missing })
        })
    }

    /// Returns the UUID that an interrupted update was giving to the namespace of the label `old`
    /// at `offset`, which has no label on the DIMM `missing`.
    ///
    /// The first label that fits decides, so that a crafted area is not searched for every pair of
    /// labels.
    fn new_uuid(&self, uuid: Uuid, old: &Label, missing: usize, offset: u64) -> Option<Uuid> {
        let is_replacement = |member: usize, label: &Label| {
            label.flags.updating()
                && self.check(member, label).is_ok()
                && same_contents(label, old)
                && self.is_at(member, label, offset)
        };
        let mut labels = self.members.get(missing)?.area.labels();
        let new = labels
            .find(|stored| stored.label.uuid != uuid && is_replacement(missing, &stored.label))?
            .label
            .uuid;
        let changes = |member| match (self.label(member, uuid), self.label(member, new)) {
            (Ok(Some(_)), Ok(None)) => true,
            (Ok(None), Ok(Some(label))) => is_replacement(member, &label),
            _ => false,
        };
        (0..self.members.len()).all(changes).then_some(new)
    }

    /// Returns `true` if an interrupted update was giving `uuid` to a namespace, whose label is
    /// still on a DIMM that has none of `uuid`.
    fn is_new_uuid(&self, uuid: Uuid) -> bool {
        let is_renamed = || {
            let (_, new) = self.labels(uuid).next()?;
            if !new.flags.updating() {
                return None;
            }
            let offset = self.share_offset(uuid, &new)?;
            let member = self.missing(uuid).next()?;
            let is_old = |label: &Label| {
                !label.flags.updating()
                    && same_contents(label, &new)
                    && self.is_at(member, label, offset)
            };
            let mut labels = self.members.get(member)?.area.labels();
            let old = labels.find(|stored| is_old(&stored.label))?.label.uuid;
            self.namespace(old).ok()?.state.replaces()
        };
        is_renamed() == Some(uuid)
    }

    /// Makes the namespace that `label` describes.
    fn assemble(&self, label: &Label, state: State) -> Result<LabelledNamespace, Defect> {
        let share = label.extent.len();
        let too_large = Defect::TooLarge { share };
        let ways = u64::try_from(self.members.len()).map_err(|_| too_large)?;
        let mut namespace = LabelledNamespace {
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
            self.check_free(&namespace, member, extent)?;
        }
        Ok(namespace)
    }

    /// Checks that no other label on the DIMM `member` names addresses in `extent`, the range of
    /// `namespace`.
    fn check_free(
        &self,
        namespace: &LabelledNamespace,
        member: usize,
        extent: Extent,
    ) -> Result<(), Defect> {
        let Some(of) = self.members.get(member) else {
            return Ok(());
        };
        let (own, replaces) = (namespace.uuid, namespace.state.replaces());
        let is_own = |label: &Label| {
            self.identity.has_label(&of.area, label.cookie)
                && (label.uuid == own || replaces == Some(label.uuid))
        };
        let mut labels = of.area.overlapping(extent).map(|stored| stored.label);
        match labels.find(|label| !is_own(label)) {
            Some(other) => Err(Defect::Overlap {
                member,
                found: extent,
                other: other.uuid,
                taken: other.extent,
            }),
            None => Ok(()),
        }
    }
}

/// Returns `true` if two labels describe the same namespace, apart from its UUID.
pub(crate) fn same_contents(label: &Label, other: &Label) -> bool {
    label.name == other.name
        && label.lba_size == other.lba_size
        && label.class() == other.class()
        && label.extent.len() == other.extent.len()
}
