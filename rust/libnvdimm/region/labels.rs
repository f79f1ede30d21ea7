// SPDX-License-Identifier: GPL-2.0

//! The labels of a region: those of all its DIMMs, seen as one set.
//!
//! An update changes the label areas of all DIMMs at once, under the bus lock. The copies in memory
//! are in the state of the bus, from which the lock lends all of them together.

use super::{
    Mapping,
    Region, //
};
use crate::{
    bus::BusLock,
    dimm::LabelWriter,
    text::Foreign, //
};
use kernel::prelude::*;
use kernel_ext::device::TypedDevice;
use label_engine::{
    free_space::{
        common_extent,
        FreeSpace,
        Mappings, //
    },
    Cause,
    Defect,
    LabelFields,
    Outcome,
    Refused,
    Set,
    SetIdentity,
    SetMember,
    UpdateError,
    UpdateTarget, //
};
use nd_format::{
    label::{
        Cookies,
        Extent, //
    },
    sort::sort_by_key,
    uuid::Uuid, //
};

impl Mapping {
    /// Returns the range of the DIMM.
    fn extent(&self) -> Option<Extent> {
        Extent::new(self.dpa(), self.size())
    }
}

impl Region {
    /// Returns what identifies the labels of the region. Fails with `ENXIO` if the provider does
    /// not know the interleave set.
    pub(super) fn label_identity(&self) -> Result<SetIdentity> {
        let set = self.interleave_set().ok_or(ENXIO)?;
        Ok(SetIdentity {
            cookies: Cookies {
                v1_1: set.cookie_v1_1,
                v1_2: set.cookie_v1_2,
                alternate: set.alternate_cookie,
            },
            range_type: set.type_guid,
        })
    }

    /// Returns the label area of each DIMM and the range of the DIMM that is in the region. Fails
    /// with `ENXIO` if a DIMM is disabled.
    pub(super) fn members<'a>(&'a self, lock: &'a BusLock<'_>) -> Result<KVec<SetMember<'a>>> {
        let mut members = KVec::with_capacity(self.mappings().len(), GFP_KERNEL)?;
        for mapping in self.mappings() {
            members.push(
                SetMember {
                    area: mapping.dimm().area(lock).ok_or(ENXIO)?.area(),
                    mapping: mapping.extent().ok_or(ENXIO)?,
                },
                GFP_KERNEL,
            )?;
        }
        Ok(members)
    }

    /// Returns `true` if the label area of every DIMM is in memory: the DIMM has one and is
    /// enabled, or held by an enabled region.
    pub(crate) fn has_all_labels(&self, lock: &BusLock<'_>) -> bool {
        self.mappings()
            .iter()
            .all(|mapping| mapping.dimm().area(lock).is_some())
    }

    /// Returns the namespaces that the labels describe, in the order of their numbers, and those
    /// that are refused.
    pub(crate) fn labelled_namespaces(&self, lock: &BusLock<'_>) -> Result<LabelledNamespaces> {
        let members = self.members(lock)?;
        let mut good = KVVec::new();
        let mut refused = KVVec::new();
        let set = Set::new(&members, self.label_identity()?);
        for namespace in set.namespaces() {
            match namespace {
                Ok(namespace) if !self.contains(&namespace) => {
                    let defect = Defect::Beyond {
                        end: namespace.offset.saturating_add(namespace.size),
                        region: self.size(),
                    };
                    refused.push(set.refuse(namespace.uuid, defect), GFP_KERNEL)?;
                }
                Ok(namespace) => good.push(namespace, GFP_KERNEL)?,
                Err(namespace) => refused.push(namespace, GFP_KERNEL)?,
            }
        }
        sort_by_key(&mut good, |namespace| {
            label_engine::linux_sort_key(self.start() + namespace.offset)
        });
        Ok(LabelledNamespaces { good, refused })
    }

    /// Returns `true` if `namespace` is within the region. Labels were checked against mappings,
    /// but the firmware may describe mappings that are larger than the region.
    fn contains(&self, namespace: &label_engine::LabelledNamespace) -> bool {
        let end = namespace.offset.checked_add(namespace.size);
        end.is_some_and(|end| end <= self.size())
    }

    /// Logs why the labels of a namespace are refused, and that `holder` represents it.
    pub(crate) fn report_refused(
        self: &TypedDevice<Self>,
        refused: &Refused,
        holder: &TypedDevice<crate::Namespace>,
    ) {
        let (uuid, why) = (Foreign(refused.uuid), Foreign(*refused));
        let remedy = "its space stays reserved until its labels are restored, or deleted by size 0";
        let holder = holder.device().name();
        let mapping = refused
            .defect
            .member()
            .and_then(|member| self.mappings().get(member));
        if let Some(mapping) = mapping {
            let dimm = mapping.dimm().device().name();
            dev_err!(
                self,
                "namespace {uuid} refused: {why} ({dimm}); {holder}: {remedy}\n"
            );
        } else {
            dev_err!(
                self,
                "namespace {uuid} refused: {why}; {holder}: {remedy}\n"
            );
        }
    }

    /// Returns the first physical address of the namespace that has `extent` on the first DIMM.
    pub(crate) fn namespace_start(&self, extent: Extent) -> Option<u64> {
        let first = self.mappings().first()?;
        let offset = extent.start().checked_sub(first.dpa())?;
        self.start()
            .checked_add(offset.checked_mul(self.mappings().len() as u64)?)
    }

    /// Returns the range on each DIMM that gives the namespace `owner` the size `size`, a multiple
    /// of the alignment of the region; `None` on all DIMMs for 0. The ranges are at the same offset
    /// of each mapping.
    ///
    /// Fails with `ENXIO` if a DIMM is disabled, if there is no free space next to the namespace,
    /// or if its ranges are at different offsets.
    pub(crate) fn place(
        self: &TypedDevice<Self>,
        owner: Uuid,
        size: u64,
        lock: &BusLock<'_>,
    ) -> Result<KVec<Option<Extent>>> {
        let ways = self.mappings().len() as u64;
        let share = size.checked_div(ways).ok_or(ENXIO)?;
        let old = self.common_extent(owner, &self.extents(owner, lock)?)?;
        let new = self.with_free_space(lock, |free_space| {
            free_space.resize(old, share).map_err(|error| {
                dev_err!(self, "namespace {}: {}\n", Foreign(owner), Foreign(error));
                ENXIO
            })
        })?;
        let first = self.mappings().first().and_then(Mapping::extent);
        let mut extents = KVec::with_capacity(self.mappings().len(), GFP_KERNEL)?;
        for mapping in self.mappings() {
            let own = mapping.extent().ok_or(ENXIO)?;
            extents.push(new.and_then(|new| new.moved(first?, own)), GFP_KERNEL)?;
        }
        Ok(extents)
    }

    /// Returns the range that the namespace `owner` has on each DIMM.
    pub(crate) fn extents(&self, owner: Uuid, lock: &BusLock<'_>) -> Result<KVec<Option<Extent>>> {
        let members = self.members(lock)?;
        let set = Set::new(&members, self.label_identity()?);
        let mut extents = KVec::with_capacity(members.len(), GFP_KERNEL)?;
        for member in 0..members.len() {
            extents.push(set.own_extent(owner, member), GFP_KERNEL)?;
        }
        Ok(extents)
    }

    /// Returns the range on the first DIMM of the namespace `owner`, which has `extents`. Fails
    /// with `ENXIO` if the others are at different offsets.
    fn common_extent(
        self: &TypedDevice<Self>,
        owner: Uuid,
        extents: &[Option<Extent>],
    ) -> Result<Option<Extent>> {
        let own = self.mappings().iter().map(Mapping::extent);
        let shares = own.zip(extents);
        let shares = shares.filter_map(|(mapping, extent)| Some((mapping?, *extent)));
        common_extent(shares).map_err(|apart| {
            dev_err!(
                self,
                "namespace {}: {}: its labels can be removed, but not changed\n",
                Foreign(owner),
                Foreign(apart)
            );
            ENXIO
        })
    }

    /// Returns how many bytes are free on all DIMMs, in units that are at the same offset of each;
    /// 0 if a DIMM is disabled.
    pub(crate) fn available_size(&self, lock: &BusLock<'_>) -> u64 {
        if !self.has_all_labels(lock) {
            return 0;
        }
        self.all_shares(self.with_free_space(lock, |free_space| Ok(free_space.available_size())))
    }

    /// Returns the size in bytes that one new namespace can have. Disabled DIMMs are ignored, as by
    /// the C driver.
    pub(crate) fn max_available_extent(&self, lock: &BusLock<'_>) -> u64 {
        self.all_shares(
            self.with_free_space(lock, |free_space| Ok(free_space.max_available_extent())),
        )
    }

    /// Returns the size on all DIMMs, given that on each; 0 for an error.
    fn all_shares(&self, share: Result<u64>) -> u64 {
        let ways = self.mappings().len() as u64;
        share.map_or(0, |share| share.saturating_mul(ways))
    }

    /// Calls `f` with the free space of the enabled DIMMs. Fails with `ENXIO` if none is enabled.
    fn with_free_space<R>(
        &self,
        lock: &BusLock<'_>,
        f: impl FnOnce(&FreeSpace<'_>) -> Result<R>,
    ) -> Result<R> {
        let align = self
            .align()
            .checked_div(self.mappings().len() as u64)
            .ok_or(ENXIO)?;
        let own = self.mappings().iter().filter_map(Mapping::extent);
        let mappings = Mappings::new(own, align).ok_or(ENXIO)?;
        let mut reserved = KVVec::new();
        let mut is_any_enabled = false;
        for mapping in self.mappings() {
            let Some(area) = mapping.dimm().area(lock) else {
                continue;
            };
            is_any_enabled = true;
            for extent in mappings.reserved(area.area(), mapping.extent().ok_or(ENXIO)?) {
                reserved.push(extent, GFP_KERNEL)?;
            }
        }
        if !is_any_enabled {
            return Err(ENXIO);
        }
        f(&FreeSpace::new(mappings, &mut reserved))
    }

    /// Writes the labels of a namespace to all DIMMs. They replace labels of the same UUID and of
    /// `replaces`.
    ///
    /// Success means that the new labels are valid. A warning is logged if some of them may still
    /// have the flag "updating". After a failure the namespace is as it was, but
    /// [`Self::recover_labels`] may have to write its labels before the next change. If there was
    /// no namespace, the remains of the new labels must be deleted.
    ///
    /// Fails with `ENXIO` if a DIMM is disabled, has a damaged label area or no free slot, or if
    /// `extents` are at different offsets of the mappings: the remains of an interrupted update of
    /// such labels could not be interpreted. Other errors are those of the provider.
    pub(crate) fn write_labels(
        self: &TypedDevice<Self>,
        fields: &LabelFields,
        extents: &[Option<Extent>],
        replaces: Option<Uuid>,
        lock: &mut BusLock<'_>,
    ) -> Result {
        self.common_extent(fields.uuid, extents)?;
        let identity = self.label_identity()?;
        let result = self.update_labels(extents, lock, |targets| {
            label_engine::write_labels(targets, &identity, fields, replaces)
        })?;
        self.check_result(result)
    }

    /// Deletes the labels of the namespace `uuid` on all DIMMs.
    pub(crate) fn delete_labels(
        self: &TypedDevice<Self>,
        uuid: Uuid,
        lock: &mut BusLock<'_>,
    ) -> core::result::Result<(), DeleteLabelsError> {
        let identity = self.label_identity()?;
        let result = self.update_labels(&[], lock, |targets| {
            label_engine::delete_labels(targets, &identity, uuid)
        })?;
        let is_partial = matches!(&result, Err(failure) if failure.outcome != Outcome::Old);
        self.check_result(result)
            .map_err(|error| DeleteLabelsError { error, is_partial })
    }

    /// Calls `update` with the label areas of all DIMMs as targets; `extents` are the ranges of the
    /// namespace on the DIMMs.
    ///
    /// Fails with `ENXIO`, without calling `update`, if a DIMM is disabled.
    fn update_labels(
        &self,
        extents: &[Option<Extent>],
        lock: &mut BusLock<'_>,
        update: impl FnOnce(&mut [UpdateTarget<'_, LabelWriter<'_>>]) -> UpdateResult,
    ) -> Result<UpdateResult> {
        let dimms = self.mappings().iter().map(Mapping::dimm);
        let mut caches = lock.all_labels_mut(dimms.clone().map(|dimm| dimm.label_slot()))?;
        let mut targets = KVec::with_capacity(caches.len(), GFP_KERNEL)?;
        for (index, (dimm, cache)) in dimms.clone().zip(&mut caches).enumerate() {
            let area = cache.as_mut().and_then(|cache| cache.area_mut());
            let area = area.ok_or_else(|| {
                dev_err!(dimm, "is disabled: its labels cannot be changed\n");
                ENXIO
            })?;
            let extent = extents.get(index).copied().flatten();
            targets.push(area.target(dimm, extent)?, GFP_KERNEL)?;
        }
        let result = update(&mut targets);
        drop(targets);
        for (dimm, cache) in dimms.zip(caches) {
            if let Some(cache) = cache {
                dimm.note_update(cache);
            }
        }
        Ok(result)
    }

    /// Logs a failed update. Returns an error unless the new labels are valid in spite of the
    /// failure.
    fn check_result(self: &TypedDevice<Self>, result: UpdateResult) -> Result {
        let Err(failure) = result else {
            return Ok(());
        };
        if failure.outcome == Outcome::New {
            dev_warn!(
                self,
                "labels: {}; the change is in effect\n",
                Failure(&failure)
            );
            return Ok(());
        }
        dev_err!(self, "labels: {}\n", Failure(&failure));
        Err(match failure.cause {
            Cause::Medium(error) => error,
            Cause::Area(
                UpdateError::NoFreeSlot | UpdateError::Length { .. } | UpdateError::Damaged(_),
            )
            | Cause::NoExtent => ENXIO,
        })
    }
}

/// Error of a deletion of labels.
pub(crate) struct DeleteLabelsError {
    /// The cause.
    pub(crate) error: Error,
    /// Some labels were deleted and could not be restored, so the remaining ones form no namespace.
    pub(crate) is_partial: bool,
}

impl From<Error> for DeleteLabelsError {
    fn from(error: Error) -> Self {
        Self {
            error,
            is_partial: false,
        }
    }
}

impl From<DeleteLabelsError> for Error {
    fn from(error: DeleteLabelsError) -> Self {
        error.error
    }
}

/// What the labels of a region describe.
pub(crate) struct LabelledNamespaces {
    /// Namespaces.
    pub(crate) good: KVVec<label_engine::LabelledNamespace>,
    /// Labels that are refused.
    pub(crate) refused: KVVec<Refused>,
}

/// Result of an update.
type UpdateResult = core::result::Result<(), label_engine::Failure<Error>>;

/// Prints a failure. Its cause may be a kernel error, which cannot be printed with `Display`.
struct Failure<'a>(&'a label_engine::Failure<Error>);

impl kernel::fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        let label_engine::Failure {
            member,
            cause,
            outcome,
        } = self.0;
        write!(f, "mapping{member}: {cause:?}, labels are ")?;
        f.write_str(match outcome {
            Outcome::Old => "as they were",
            Outcome::New => "new, but some still marked as being updated",
            Outcome::Mixed => "partly new",
        })
    }
}
