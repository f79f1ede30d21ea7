// SPDX-License-Identifier: GPL-2.0

//! Finding a BTT, and telling a namespace without one from a namespace whose BTT is damaged.
//!
//! An arena has two info blocks with the same contents: the first one at its start, and a copy at
//! its end, which UEFI calls the backup.
//!
//! A first info block that has a good checksum and names this namespace is meant to be there. If
//! one of its fields does not fit, for example because the namespace has become smaller than its
//! BTT, the BTT is damaged: with the old size the data are back. An info block that names another
//! namespace counts as none, so that a new namespace may begin where an old one did.
//!
//! The first info block of an arena may be lost while its copy, the map and the flog are good.
//! Creating a new BTT there would destroy everything. So the copy is searched where it lies in an
//! arena that fills the available space. But a copy also remains where a BTT was given up on
//! purpose. So it counts only if the first info block is unreadable or still recognisable:
//!
//! | First info block | Copy | Flog | Result |
//! |---|---|---|---|
//! | good | | good | open |
//! | good | | damaged | damaged |
//! | good checksum, a field does not fit | | | damaged |
//! | good checksum, of another namespace | | | no BTT |
//! | unreadable, or the remains of the copy | good | good | restored from the copy |
//! | unreadable, or the remains of the copy | good | damaged | damaged |
//! | unreadable, or signature with a wrong checksum | none | | no BTT, none permitted |
//! | all zeroes, as tools leave it when they destroy a BTT | | | no BTT |
//! | other data | good | | no BTT, none permitted |
//! | other data | none | | no BTT |
//!
//! "None permitted": no BTT may be created until the block is zeroed.
//!
//! "No BTT" holds for one version of the layout. A complete first info block of the other version
//! that names this namespace also keeps a new BTT from being created.
//!
//! The info block of a later arena is expected because the arena before it says so. Therefore its
//! copy counts whatever has happened to its first info block, unless that one is complete.

use crate::{
    error::{
        Absence,
        OpenError, //
    },
    media::{
        Media,
        MediaError, //
    },
    open_params::OpenParams,
    recover::Plan,
    sync::Slots, //
};
use core::fmt;
use nd_format::{
    btt::{
        info::{
            is_remnant,
            parent_uuid,
            Place,
            INFO_LEN, //
        },
        ArenaSpan,
        Info,
        InfoError,
        LbaSize,
        Version,
        ARENA_MIN,
        INFO_SIZE, //
    },
    uuid::Uuid, //
};

/// A BTT that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Detected {
    /// UUID of the BTT.
    pub uuid: Uuid,
    /// Size of a sector in bytes, with its metadata.
    pub lba_size: LbaSize,
    /// Version of the layout.
    pub version: Version,
    /// Number of arenas.
    pub arenas: usize,
    /// Number of sectors of all arenas.
    pub sectors: u64,
}

/// A first info block that was restored from its copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restored {
    /// Number of the arena.
    pub arena: u32,
    /// Offset of the info block on the medium, in bytes.
    pub offset: u64,
    /// Offset of its copy on the medium, in bytes.
    pub copy: u64,
    /// What was wrong with the info block.
    pub damage: Damage,
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            arena,
            offset,
            copy,
            damage,
        } = self;
        write!(
            f,
            "arena {arena}: info block at {offset:#x} was restored from its copy at {copy:#x}: {damage}"
        )
    }
}

/// What is wrong with a first info block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// It cannot be read.
    Unreadable(MediaError),
    /// Its contents are wrong.
    Invalid(InfoError),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Invalid(error) => error.fmt(f),
        }
    }
}

/// An arena that was found.
pub(crate) struct Site {
    /// Its place and layout, and what recovery will do.
    pub(crate) plan: Plan,
    /// Set if the first info block must be restored.
    pub(crate) restored: Option<Restored>,
}

/// Looks for a BTT and changes nothing. Checks the metadata as [`Btt::open`](crate::Btt::open)
/// does.
pub fn probe<M: Media>(media: &M, params: &OpenParams) -> Result<Detected, OpenError> {
    discover(media, params).map(|(detected, _)| detected)
}

/// Finds and checks all arenas. Changes nothing.
pub(crate) fn discover<M: Media>(
    media: &M,
    params: &OpenParams,
) -> Result<(Detected, Slots<Site>), OpenError> {
    let origin = params.version.initial_offset();
    let size = media.size().saturating_sub(origin);
    let mut search = Search {
        media,
        params,
        block: InfoBuffer::new()?,
        copy: InfoBuffer::new()?,
        sites: Slots::with_capacity(1)?,
    };
    if size < ARENA_MIN {
        return Err(search.in_too_little(origin, size));
    }
    let first = search.first(origin)?;
    let mut detected = Detected {
        uuid: first.uuid,
        lba_size: first.geometry.lba_size(),
        version: params.version,
        arenas: 1,
        sectors: first.geometry.external_nlba().into(),
    };
    let (mut start, mut next) = (origin, first.next_offset);
    // Arenas are far enough apart for the medium to end before their number leaves 32 bits.
    for arena in 1.. {
        if next == 0 {
            break;
        }
        start += next;
        let info = search.later(arena, start, &detected)?;
        detected.arenas += 1;
        detected.sectors += u64::from(info.geometry.external_nlba());
        next = info.next_offset;
    }
    Ok((detected, search.sites))
}

/// A buffer for an info block.
pub(crate) struct InfoBuffer(Slots<u8>);

impl InfoBuffer {
    pub(crate) fn new() -> Result<Self, OpenError> {
        Ok(Self(Slots::new(INFO_LEN, |_| 0)?))
    }

    pub(crate) fn read<M: Media>(
        &mut self,
        media: &M,
        offset: u64,
    ) -> Result<&mut [u8; INFO_LEN], MediaError> {
        media.read_bytes(offset, &mut self.0)?;
        self.as_array().ok_or(MediaError::OutOfRange {
            offset,
            len: INFO_SIZE,
        })
    }

    /// Returns the buffer, which has the length of an info block.
    pub(crate) fn as_array(&mut self) -> Option<&mut [u8; INFO_LEN]> {
        (&mut *self.0).try_into().ok()
    }
}

/// The result of looking for the copy of an info block.
enum Copy {
    /// The copy and the rest of the arena are good.
    Good(Info),
    /// The copy is good, but the rest of the arena is not.
    Damaged(OpenError),
    /// There is no good copy.
    None,
    /// The place of the copy cannot be read.
    Unreadable,
}

struct Search<'a, M> {
    media: &'a M,
    params: &'a OpenParams,
    block: InfoBuffer,
    copy: InfoBuffer,
    /// The arenas found so far.
    sites: Slots<Site>,
}

impl<M: Media> Search<'_, M> {
    /// Finds the first arena.
    fn first(&mut self, start: u64) -> Result<Info, OpenError> {
        let damage = match self.whole(start) {
            Ok(info) => return self.keep(0, start, info, None),
            Err(Damage::Invalid(error)) if error.is_misfit() => {
                return Err(OpenError::BadArena { arena: 0, error });
            }
            Err(Damage::Invalid(error)) if error.is_whole() => {
                return Err(OpenError::NotFound(Absence::NoInfo(error)));
            }
            Err(damage) => damage,
        };
        let copy = self.copy_offset(start);
        let found = self.copy(0, start, copy)?;
        let absence = match (damage, found) {
            (Damage::Unreadable(error), Copy::Unreadable) => Absence::CopyUnreadable(error),
            (Damage::Unreadable(error), Copy::None) => Absence::Unreadable(error),
            (Damage::Invalid(error), Copy::None | Copy::Unreadable) => match self.other_version() {
                Some(other) if error == InfoError::Signature => other,
                _ => Absence::NoInfo(error),
            },
            (damage, Copy::Good(_) | Copy::Damaged(_)) if self.is_erased(&damage) => {
                Absence::Erased
            }
            (damage, Copy::Good(info)) if self.is_recognisable(&damage) => {
                return self.keep(0, start, info, Some((copy, damage)));
            }
            (damage, Copy::Damaged(error)) if self.is_recognisable(&damage) => return Err(error),
            (_, Copy::Good(_) | Copy::Damaged(_)) => Absence::Overwritten {
                offset: start,
                copy,
            },
        };
        Err(OpenError::NotFound(absence))
    }

    /// Returns the error for a namespace that is too small for an arena: it is empty, or it has the
    /// beginning of a BTT.
    fn in_too_little(&mut self, start: u64, size: u64) -> OpenError {
        let too_small = OpenError::TooSmall { size };
        if size < INFO_SIZE {
            return too_small;
        }
        match self.whole(start) {
            Err(Damage::Invalid(error)) if error.is_misfit() => {
                OpenError::BadArena { arena: 0, error }
            }
            _ => too_small,
        }
    }

    /// Returns `true` if the info block that was read last is all zeroes.
    fn is_erased(&self, damage: &Damage) -> bool {
        matches!(damage, Damage::Invalid(_)) && self.block.0.iter().all(|&byte| byte == 0)
    }

    /// Returns `true` if the info block that was read last seems to belong to the copy that was
    /// read last.
    fn is_recognisable(&mut self, damage: &Damage) -> bool {
        match (damage, self.block.as_array(), self.copy.as_array()) {
            (Damage::Invalid(_), Some(block), Some(copy)) => is_remnant(block, copy),
            (damage, ..) => matches!(damage, Damage::Unreadable(_)),
        }
    }

    /// Looks for a complete info block of this namespace at the place of the other version.
    #[inline(never)]
    fn other_version(&mut self) -> Option<Absence> {
        let version = match self.params.version {
            Version::V1_1 => Version::V2_0,
            Version::V2_0 => Version::V1_1,
        };
        let offset = version.initial_offset();
        let place = Place {
            version,
            ..self.place(offset)
        };
        let block = self.copy.read(self.media, offset).ok()?;
        if parent_uuid(block) != self.params.namespace_uuid {
            return None;
        }
        match Info::decode(block, &place) {
            Err(error) if !error.is_misfit() => None,
            _ => Some(Absence::OtherVersion { version, offset }),
        }
    }

    /// Finds an arena to which the arena before points.
    fn later(&mut self, arena: u32, start: u64, first: &Detected) -> Result<Info, OpenError> {
        let info = match self.whole(start) {
            Ok(info) => self.keep(arena, start, info, None)?,
            Err(Damage::Invalid(error)) if error.is_whole() => {
                return Err(OpenError::BadArena { arena, error });
            }
            Err(damage) => {
                let copy = self.copy_offset(start);
                match (self.copy(arena, start, copy)?, damage) {
                    (Copy::Good(info), _) => self.keep(arena, start, info, Some((copy, damage)))?,
                    (Copy::Damaged(error), _) => return Err(error),
                    (_, Damage::Unreadable(error)) => return Err(error.into()),
                    (_, Damage::Invalid(error)) => {
                        return Err(OpenError::BadArena { arena, error })
                    }
                }
            }
        };
        if info.uuid != first.uuid {
            return Err(OpenError::ForeignArena {
                arena,
                found: info.uuid,
                expected: first.uuid,
            });
        }
        let lba_size = info.geometry.lba_size();
        if lba_size != first.lba_size {
            return Err(OpenError::MixedLbaSize {
                arena,
                found: lba_size,
                expected: first.lba_size,
            });
        }
        Ok(info)
    }

    /// Reads the first info block of an arena.
    #[inline(never)]
    fn whole(&mut self, start: u64) -> Result<Info, Damage> {
        let place = self.place(start);
        let block = self
            .block
            .read(self.media, start)
            .map_err(Damage::Unreadable)?;
        Info::decode(block, &place).map_err(Damage::Invalid)
    }

    /// Checks the rest of an arena and adds it. `restored` has the place of the copy and the damage
    /// if `info` comes from a copy.
    //
    // Not inlined, like other steps that hold large values: together their frames would take a good
    // part of the kernel's stack.
    #[inline(never)]
    fn keep(
        &mut self,
        arena: u32,
        start: u64,
        info: Info,
        restored: Option<(u64, Damage)>,
    ) -> Result<Info, OpenError> {
        self.sites.push(Site {
            plan: Plan::new(self.media, arena, start, &info)?,
            restored: restored.map(|(copy, damage)| Restored {
                arena,
                offset: start,
                copy,
                damage,
            }),
        })?;
        Ok(info)
    }

    fn place(&self, start: u64) -> Place {
        Place {
            version: self.params.version,
            namespace_uuid: self.params.namespace_uuid,
            available: self.media.size().saturating_sub(start),
        }
    }

    /// Returns the offset of the info block's copy if the arena is as large as a new BTT would make
    /// it.
    fn copy_offset(&self, start: u64) -> u64 {
        let available = self.place(start).available;
        let size = ArenaSpan::at(0, available).map_or(available, |span| span.size);
        start + (size - size % INFO_SIZE).saturating_sub(INFO_SIZE)
    }

    /// Looks for the copy of a lost info block. Fails only if memory runs out.
    #[inline(never)]
    fn copy(&mut self, arena: u32, start: u64, offset: u64) -> Result<Copy, OpenError> {
        let place = self.place(start);
        let Ok(block) = self.copy.read(self.media, offset) else {
            return Ok(Copy::Unreadable);
        };
        let info = Info::decode(block, &place).ok();
        let Some(info) = info.filter(|info| start + info.geometry.info2_offset() == offset) else {
            return Ok(Copy::None);
        };
        match Plan::new(self.media, arena, start, &info) {
            Ok(_) => Ok(Copy::Good(info)),
            Err(OpenError::NoMemory) => Err(OpenError::NoMemory),
            Err(error) => Ok(Copy::Damaged(error)),
        }
    }
}
