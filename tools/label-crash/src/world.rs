// SPDX-License-Identifier: GPL-2.0

//! An interleave set whose DIMMs record what is written to their label areas.

use crate::recorder::{
    Fault,
    Recorded,
    RecordedMedium, //
    Recorder,
    WriteFailed,
};
use anyhow::{
    anyhow,
    ensure,
    Context as _,
    Result, //
};
use label_engine::{
    delete_labels,
    free_space::{
        common_extent,
        FreeSpace, //
        Mappings,
    },
    write_labels,
    Cause,
    Failure,
    LabelFields,
    LabelledNamespace,
    Outcome,
    Refused,
    Set,
    SetIdentity,
    SetMember,
    State,
    Store,
    UpdateTarget, //
};
use nd_format::{
    label::{
        ClaimClass,
        Cookies,
        Extent,
        Flags,
        Label,
        LabelArea,
        Layout,
        Name,
        Stored, //
    },
    uuid::{
        Guid,
        Uuid, //
    },
};
use std::{
    cell::RefCell,
    collections::{
        BTreeMap,
        BTreeSet, //
    },
};

/// Bytes that each DIMM gives to the set.
pub const MAPPING_LEN: u64 = 64 << 20;

/// The share of a namespace on each DIMM is a multiple of this.
pub const UNIT: u64 = 1 << 20;

const IDENTITY: SetIdentity = SetIdentity {
    cookies: Cookies {
        v1_1: 0x1111,
        v1_2: 0x1212,
        alternate: 0xa1a1,
    },
    range_type: Guid::new(0x00000001_0002_0003_0404_040404040404),
};

/// The identity of another set, to which a DIMM belonged before.
const OTHER_SET: SetIdentity = SetIdentity {
    cookies: Cookies {
        v1_1: 0x3131,
        v1_2: 0x3232,
        alternate: 0xb3b3,
    },
    ..IDENTITY
};

/// The label areas of all DIMMs on the media.
pub type Media = Vec<Vec<u8>>;

/// A namespace as a user sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Name.
    pub name: Name,
    /// Sector size in bytes.
    pub lba_size: u64,
    /// Class; labels of version 1.1 have none.
    pub class: ClaimClass,
    /// Offset in the region in bytes.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
}

/// All namespaces.
pub type View = BTreeMap<Uuid, Seen>;

/// A DIMM with its driver's copy of the label area.
#[derive(Clone, Debug)]
struct Dimm {
    bytes: Vec<u8>,
    layout: Layout,
    mapping: Extent,
}

impl Dimm {
    fn mount(number: usize, bytes: &[u8]) -> Result<Self> {
        let size = u32::try_from(bytes.len())?;
        let layout = Layout::discover(size, bytes).map_err(|error| anyhow!("{error}"))?;
        // Mappings differ, so that offsets cannot be mistaken for addresses.
        let start = MAPPING_LEN * u64::try_from(number)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            layout,
            mapping: Extent::new(start, MAPPING_LEN).context("mapping")?,
        })
    }

    fn area(&self) -> LabelArea<'_> {
        LabelArea::new(&self.bytes, &self.layout)
    }

    /// Returns the labels of another set.
    fn other_labels(&self) -> impl Iterator<Item = Label> + '_ {
        let cookie = OTHER_SET.cookie(&self.area());
        let labels = self.area().labels().map(|stored| stored.label);
        labels.filter(move |label| label.cookie == cookie)
    }

    /// Returns the range of the namespace `owner`.
    fn extent(&self, owner: Uuid) -> Option<Extent> {
        let mut labels = self.area().labels_of(owner);
        labels.next().map(|stored| stored.label.extent)
    }
}

/// How a namespace gets its addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Placement {
    /// At a common offset of all DIMMs.
    #[default]
    CommonOffset,
    /// On each DIMM by itself, as Linux does it.
    PerDimm,
}

/// The labels that an operation writes.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Fields of the labels.
    pub fields: LabelFields,
    /// Units on each DIMM; [`None`] leaves the addresses as they are.
    pub units: Option<u64>,
    /// The previous UUID of the namespace, if it changes.
    pub replaces: Option<Uuid>,
}

/// The effect of an operation.
#[derive(Debug)]
pub struct Effect {
    /// The writes that reached the media.
    pub log: Vec<Recorded>,
    /// The labels that are left, if the operation failed.
    pub outcome: Option<Outcome>,
}

impl Effect {
    /// Nothing had to be done, or nothing could be done.
    pub const NONE: Self = Self {
        log: Vec::new(),
        outcome: None,
    };
}

/// A set of DIMMs with a running driver.
#[derive(Clone, Debug)]
pub struct World {
    dimms: Vec<Dimm>,
    /// How namespaces get their addresses.
    pub placement: Placement,
    /// The write that is to fail, counted from the start of the next operation.
    pub fault: Option<Fault>,
    /// UUIDs of namespaces whose creation has failed since the driver was started. The driver knows
    /// that their labels are leftovers.
    unsized_uuids: BTreeSet<Uuid>,
}

impl World {
    /// Starts the driver on `media`.
    pub fn mount(media: &Media) -> Result<Self> {
        let dimms = media.iter().enumerate();
        let dimms = dimms.map(|(number, bytes)| Dimm::mount(number, bytes));
        Ok(Self {
            dimms: dimms.collect::<Result<_>>()?,
            placement: Placement::CommonOffset,
            fault: None,
            unsized_uuids: BTreeSet::new(),
        })
    }

    /// Gives units of the DIMM `member` to another set. Returns the writes.
    pub fn occupy(
        &mut self,
        member: usize,
        uuid: Uuid,
        first: u64,
        units: u64,
    ) -> Result<Vec<Recorded>> {
        let recorder = Recorder::new(None);
        let dimm = self.dimms.get_mut(member).context("DIMM")?;
        let start = dimm.mapping.start() + first * UNIT;
        let fields = LabelFields {
            uuid,
            name: Name::EMPTY,
            lba_size: 0,
            class: ClaimClass::None,
        };
        let store = Store::new(&mut dimm.bytes, &mut dimm.layout);
        let store = store.map_err(|error| anyhow!("{error}"))?;
        let extent = Extent::new(start, units * UNIT);
        let medium = RecordedMedium {
            recorder: &recorder,
            member,
        };
        let mut targets = [UpdateTarget::new(store, medium, extent)];
        outcome(write_labels(&mut targets, &OTHER_SET, &fields, None))?;
        Ok(recorder.into_inner().log)
    }

    /// Returns the namespaces whose labels are refused, except leftovers that the driver knows.
    pub fn refused(&self) -> BTreeSet<Uuid> {
        let refused = self.found().into_iter().filter_map(Result::err);
        refused
            .map(|refused| refused.uuid)
            .filter(|uuid| !self.unsized_uuids.contains(uuid))
            .collect()
    }

    /// Returns the UUIDs of the usable namespaces.
    pub fn namespaces(&self) -> Vec<Uuid> {
        let found = self.found().into_iter().flatten();
        found.map(|namespace| namespace.uuid).collect()
    }

    /// Returns the usable namespaces, as a user sees them, and the labels of another set.
    pub fn view(&self) -> View {
        let namespaces = self.found().into_iter().flatten().map(|namespace| {
            let seen = Seen {
                name: namespace.name,
                lba_size: namespace.lba_size,
                class: namespace.class,
                offset: namespace.offset,
                size: namespace.size,
            };
            (namespace.uuid, seen)
        });
        let others = self.dimms.iter().flat_map(Dimm::other_labels).map(|label| {
            let seen = Seen {
                name: label.name,
                lba_size: label.lba_size,
                class: label.class(),
                offset: label.extent.start(),
                size: label.extent.len(),
            };
            (label.uuid, seen)
        });
        namespaces.chain(others).collect()
    }

    fn found(&self) -> Vec<Result<LabelledNamespace, Refused>> {
        let members = self.members();
        Set::new(&members, IDENTITY).namespaces().collect()
    }

    fn members(&self) -> Vec<SetMember<'_>> {
        let members = self.dimms.iter().map(|dimm| SetMember {
            area: dimm.area(),
            mapping: dimm.mapping,
        });
        members.collect()
    }

    /// Returns the media with `flags` in all labels.
    pub fn with_flags(&self, flags: Flags) -> Result<Media> {
        let mut media = Media::new();
        for dimm in &self.dimms {
            let mut bytes = dimm.bytes.clone();
            let geometry = *dimm.layout.geometry();
            for Stored { slot, label } in dimm.area().labels() {
                let start = usize::try_from(geometry.label_offset(slot).context("slot")?)?;
                let label = Label { flags, ..label };
                label.encode(&mut bytes[start..], geometry.format(), slot);
            }
            media.push(bytes);
        }
        Ok(media)
    }

    /// Does to an area what `ndctl init-labels` does: the indexes become those of a fresh area.
    pub fn initialise(area: &mut [u8]) -> Result<()> {
        let fresh = Dimm::mount(0, area)?;
        let mut bytes = vec![0; area.len()];
        let mut layout = fresh.layout;
        let mut blank = Layout::discover(u32::try_from(area.len())?, &bytes)
            .map_err(|error| anyhow!("{error}"))?;
        if fresh.layout.current().is_none() {
            layout = blank;
        }
        let len = usize::try_from(2 * layout.geometry().index_size())?;
        let recorder = Recorder::new(None);
        let store = Store::new(&mut bytes, &mut blank).map_err(|error| anyhow!("{error}"))?;
        let medium = RecordedMedium {
            recorder: &recorder,
            member: 0,
        };
        let mut targets = [UpdateTarget::new(store, medium, Extent::new(0, UNIT))];
        let fields = LabelFields {
            uuid: Uuid::NIL,
            name: Name::EMPTY,
            lba_size: 0,
            class: ClaimClass::None,
        };
        outcome(write_labels(&mut targets, &OTHER_SET, &fields, None))?;
        // The first two writes are those of the indexes.
        for write in recorder.into_inner().log.iter().take(2) {
            let end = write.offset + write.bytes.len();
            ensure!(end <= len, "a write of {end} bytes, expected an index");
            area[write.offset..end].copy_from_slice(&write.bytes);
        }
        Ok(())
    }

    /// Recovers a namespace whose update was interrupted by writing its labels again.
    pub fn recover(&mut self, uuid: Uuid) -> Result<Effect> {
        let members = self.members();
        let set = Set::new(&members, IDENTITY);
        let namespace = match set.namespace(uuid) {
            Ok(namespace) if namespace.state.needs_recovery() => namespace,
            _ => return Ok(Effect::NONE),
        };
        let extents: Vec<_> = (0..members.len())
            .map(|member| set.extent(&namespace, member))
            .collect();
        let fields = LabelFields::from(&namespace);
        self.write_labels(&fields, &extents, namespace.state.replaces())
    }

    /// Returns the namespaces whose update was interrupted.
    pub fn dirty(&self) -> Vec<Uuid> {
        let found = self.found().into_iter().flatten();
        let dirty = found.filter(|namespace| namespace.state != State::Clean);
        dirty.map(|namespace| namespace.uuid).collect()
    }

    fn is_named(&self, uuid: Uuid) -> bool {
        Set::new(&self.members(), IDENTITY).is_named(uuid)
    }

    fn is_refused(&self, uuid: Uuid) -> bool {
        let members = self.members();
        let set = Set::new(&members, IDENTITY);
        set.is_named(uuid) && set.namespace(uuid).is_err()
    }

    /// Checks that all slots are free except those of another set.
    pub fn check_empty(&self) -> Result<()> {
        for (member, dimm) in self.dimms.iter().enumerate() {
            let taken = dimm.area().slots().taken().count() - dimm.other_labels().count();
            ensure!(
                taken == 0,
                "DIMM {member}: {taken} slots are taken, and no namespace has them"
            );
        }
        Ok(())
    }

    /// Writes labels. Nothing is done if addresses or slots are lacking, or if labels are in the
    /// way.
    pub fn update(&mut self, wanted: &Request) -> Result<Effect> {
        let uuid = wanted.fields.uuid;
        let owner = wanted.replaces.unwrap_or(uuid);
        let mut effect = if self.unsized_uuids.contains(&uuid) && self.is_named(uuid) {
            self.delete_labels(uuid)?
        } else {
            self.recover(owner)?
        };
        if effect.outcome.is_some() {
            return Ok(effect);
        }
        if self.is_refused(owner) || (wanted.replaces.is_some() && self.is_named(uuid)) {
            return Ok(effect);
        }
        let is_new = !self.is_named(owner);
        let extents = match (wanted.units, self.placement) {
            (None, _) => {
                let own = self.dimms.iter().map(|dimm| dimm.extent(owner));
                own.collect()
            }
            (Some(units), Placement::CommonOffset) => place(&self.dimms, owner, units)?,
            (Some(units), Placement::PerDimm) => {
                let alone = |dimm| place(core::slice::from_ref(dimm), owner, units);
                self.dimms
                    .iter()
                    .map(alone)
                    .collect::<Result<Vec<_>>>()?
                    .concat()
            }
        };
        if extents.contains(&None) || !self.has_room(uuid, wanted.replaces) {
            return Ok(effect);
        }
        let written = self.write_labels(&wanted.fields, &extents, wanted.replaces)?;
        if is_new
            && written
                .outcome
                .is_some_and(|outcome| outcome != Outcome::New)
        {
            self.unsized_uuids.insert(uuid);
        } else {
            self.unsized_uuids.remove(&uuid);
        }
        effect.log.extend(written.log);
        effect.outcome = written.outcome;
        Ok(effect)
    }

    fn has_room(&mut self, uuid: Uuid, replaces: Option<Uuid>) -> bool {
        self.dimms.iter_mut().all(|dimm| {
            Store::new(&mut dimm.bytes, &mut dimm.layout)
                .is_ok_and(|store| store.check_free_slots(uuid, replaces, &IDENTITY).is_ok())
        })
    }

    fn write_labels(
        &mut self,
        fields: &LabelFields,
        extents: &[Option<Extent>],
        replaces: Option<Uuid>,
    ) -> Result<Effect> {
        let recorder = Recorder::new(self.fault);
        let mut targets = targets(&mut self.dimms, extents, &recorder)?;
        let outcome = outcome(write_labels(&mut targets, &IDENTITY, fields, replaces))?;
        let log = recorder.into_inner().log;
        Ok(Effect { log, outcome })
    }

    /// Removes a namespace, or gives up refused labels.
    pub fn remove(&mut self, uuid: Uuid) -> Result<Effect> {
        let mut effect = self.recover(uuid)?;
        if effect.outcome.is_some() {
            return Ok(effect);
        }
        let removed = self.delete_labels(uuid)?;
        effect.log.extend(removed.log);
        effect.outcome = removed.outcome;
        Ok(effect)
    }

    fn delete_labels(&mut self, uuid: Uuid) -> Result<Effect> {
        let recorder = Recorder::new(self.fault);
        let none = vec![None; self.dimms.len()];
        let mut targets = targets(&mut self.dimms, &none, &recorder)?;
        let outcome = outcome(delete_labels(&mut targets, &IDENTITY, uuid))?;
        let log = recorder.into_inner().log;
        Ok(Effect { log, outcome })
    }
}

/// Returns the ranges for the namespace `owner`, at the same offset of all DIMMs; [`None`] if there
/// is not enough free space.
fn place(dimms: &[Dimm], owner: Uuid, units: u64) -> Result<Vec<Option<Extent>>> {
    let own = dimms.iter().map(|dimm| (dimm.mapping, dimm.extent(owner)));
    let Ok(old) = common_extent(own) else {
        return Ok(vec![None; dimms.len()]);
    };
    let mappings = Mappings::new(dimms.iter().map(|dimm| dimm.mapping), UNIT);
    let mappings = mappings.context("mappings")?;
    let taken = |dimm: &Dimm| -> Vec<_> { mappings.reserved(dimm.area(), dimm.mapping).collect() };
    let mut taken: Vec<_> = dimms.iter().flat_map(taken).collect();
    let new = FreeSpace::new(mappings, &mut taken).resize(old, units * UNIT);
    let new = new.ok().flatten();
    let moved = |dimm: &Dimm| new?.moved(dimms.first()?.mapping, dimm.mapping);
    Ok(dimms.iter().map(moved).collect())
}

/// Returns the labels that a failed write has left. Other failures are errors: only writes are made
/// to fail.
fn outcome(result: Result<(), Failure<WriteFailed>>) -> Result<Option<Outcome>> {
    match result {
        Ok(()) => Ok(None),
        Err(failure) => match failure.cause {
            Cause::Medium(WriteFailed) => Ok(Some(failure.outcome)),
            Cause::Area(error) => Err(anyhow!("{error}")),
            Cause::NoExtent => Err(anyhow!("no extent")),
        },
    }
}

fn targets<'a>(
    dimms: &'a mut [Dimm],
    extents: &[Option<Extent>],
    recorder: &'a RefCell<Recorder>,
) -> Result<Vec<UpdateTarget<'a, RecordedMedium<'a>>>> {
    let members = dimms.iter_mut().zip(extents).enumerate();
    members
        .map(|(member, (dimm, &extent))| {
            let store = Store::new(&mut dimm.bytes, &mut dimm.layout)
                .map_err(|error| anyhow!("{error}"))?;
            Ok(UpdateTarget::new(
                store,
                RecordedMedium { recorder, member },
                extent,
            ))
        })
        .collect()
}
