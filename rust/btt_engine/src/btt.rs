// SPDX-License-Identifier: GPL-2.0

//! A BTT in use.

use crate::{
    arena::{
        Arena,
        ArenaInfo,
        Parts, //
    },
    discover::{
        self,
        Detected,
        InfoBuffer,
        Restored,
        Site, //
    },
    error::{
        IoError,
        OpenError, //
    },
    lanes::Lane,
    map_locks::MapLocks,
    media::{
        Media,
        MediaError, //
    },
    open_params::OpenParams,
    recover::LostWord,
    statistics::Statistics,
    sync::{
        LockRing,
        NoMemory,
        Slots, //
    },
    tracking::ReadTable,
    write_gate::WriteGate,
};
use core::{
    fmt,
    ops::{
        Add,
        Range, //
    },
    slice, //
};
use nd_format::btt::FlogEntry;

/// A BTT that was just opened, and what was done to it.
pub struct Opened<M> {
    /// The BTT.
    pub btt: Btt<M>,
    /// The last info block that was restored from its copy, if one was.
    pub restored: Option<Restored>,
    /// The first map word that recovery needed and could not read, if there was one.
    pub lost_word: Option<LostWord>,
    /// Writes that a power failure had interrupted between flog and map, and that were finished.
    pub finished_writes: u32,
    /// What was not done as the medium is read-only, if there was something to do.
    pub postponed: Option<Postponed>,
}

/// What opening a BTT leaves to be done as its medium is read-only. The arenas concerned refuse to
/// be written until the BTT is opened again; they can be read, as if it had been done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Postponed {
    /// First info blocks that are to be restored from their copies.
    pub info_blocks: u32,
    /// Writes that a power failure has interrupted and that are to be finished.
    pub writes: u32,
}

impl fmt::Display for Postponed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            info_blocks,
            writes,
        } = self;
        write!(
            f,
            "its medium is read only: {writes} interrupted writes are not finished and {info_blocks} info blocks not restored, \
             and nothing is written until that is done"
        )
    }
}

/// A BTT in use. Any number of threads may call its methods at a time.
pub struct Btt<M> {
    media: M,
    detected: Detected,
    params: OpenParams,
    arenas: Slots<Arena>,
    /// One for each arena.
    unfinished: LockRing<Unfinished>,
    table: ReadTable,
}

/// The sectors of a request that lie in one arena.
pub(crate) struct Part<'a> {
    pub(crate) arena: &'a Arena,
    pub(crate) premaps: Range<u32>,
}

/// The parts of a request, in order.
pub(crate) struct Split<'a> {
    /// Arenas that were not looked at yet.
    arenas: slice::Iter<'a, Arena>,
    /// Disk sectors that are still to come.
    lbas: Range<u64>,
}

impl<'a> Iterator for Split<'a> {
    type Item = Part<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Part<'a>> {
        while !self.lbas.is_empty() {
            let arena = self.arenas.next()?;
            if let Some(premaps) = arena.premaps_of(&self.lbas) {
                self.lbas.start += premaps.len() as u64;
                return Some(Part { arena, premaps });
            }
        }
        None
    }
}

impl<M> Btt<M> {
    pub(crate) fn all_arenas(&self) -> impl Iterator<Item = &Arena> {
        self.arenas.iter()
    }

    /// Block of a sector that is not where the map says, in an arena that has such sectors.
    #[cold]
    pub(crate) fn moved(&self, arena: &Arena, premap: u32) -> Option<u32> {
        let unfinished = self.unfinished.lock(arena.index as usize);
        let found = unfinished.binary_search_by_key(&premap, |entry| entry.lba);
        Some(unfinished.get(found.ok()?)?.new)
    }

    /// The sum over all lane groups. Writers may go on meanwhile; each group is waited for.
    pub fn statistics(&self) -> Statistics {
        self.all_arenas()
            .flat_map(|arena| arena.groups())
            .map(|group| group.statistics)
            .fold(Statistics::default(), Statistics::add)
    }

    /// Takes over what recovery has left of a frozen arena.
    pub(crate) fn set_state(&self, arena: &Arena, state: ArenaState) {
        let is_behind = !state.unfinished.is_empty();
        *self.unfinished.lock(arena.index as usize) = state.unfinished;
        arena.set_state(is_behind, state.is_closed);
    }
}

impl<M: Media> Btt<M> {
    /// Opens the BTT on `media`: checks all of its metadata but the bulk of the map, restores first info blocks from
    /// their copies and finishes interrupted writes. An arena is read-only if its info block says that it has an error, or if
    /// it cannot be told whether one of its writes was interrupted.
    ///
    /// If the medium [is read-only](Media::is_read_only) nothing is stored. An arena where that
    /// would have been necessary is read-only until the BTT is opened again. Its sectors can be
    /// read as if it had been done.
    ///
    /// Nothing is changed when this fails, unless it is the medium that fails, or there is no memory for the arenas in the end: what was
    /// restored and finished by then is what the next opening would do.
    pub fn open(media: M, params: &OpenParams) -> Result<Opened<M>, OpenError> {
        let (detected, sites) = discover::discover(&media, params)?;
        let recovered = Recovered::new(&media, &sites)?;
        let lost_word = sites.iter().find_map(|site| site.plan.lost_word);
        let (arenas, unfinished) = arenas(sites, params, &recovered)?;
        Ok(Opened {
            btt: Self {
                arenas,
                unfinished,
                table: ReadTable::new(params.groups)?,
                media,
                detected,
                params: *params,
            },
            restored: recovered.restored,
            lost_word,
            finished_writes: recovered.finished_writes,
            postponed: recovered
                .postponed
                .filter(|postponed| *postponed != Postponed::default()),
        })
    }

    /// The medium under the BTT.
    #[inline]
    pub fn media(&self) -> &M {
        &self.media
    }

    /// What the info blocks say of the whole BTT.
    pub fn detected(&self) -> &Detected {
        &self.detected
    }

    /// Bytes of a sector: 512 or 4096.
    #[inline]
    pub fn sector_size(&self) -> u32 {
        self.detected.lba_size.sector()
    }

    /// Sectors of all arenas.
    #[inline]
    pub fn sector_count(&self) -> u64 {
        self.detected.sectors
    }

    /// Tells whether any arena refuses writes.
    pub fn is_read_only(&self) -> bool {
        self.arenas.iter().any(Arena::is_read_only)
    }

    /// The arenas, in order.
    pub fn arenas(&self) -> impl Iterator<Item = ArenaInfo> + '_ {
        self.arenas.iter().map(Arena::info)
    }

    /// Makes durable what writes have left to later writes to flush: the map words that the newest entries of the flog name.
    ///
    /// Whoever drives the medium next must find them so, as other drivers know nothing of words that are not durable. That is so if no
    /// request is under way, and none comes afterwards.
    pub fn write_back(&self) -> Result<(), MediaError> {
        for arena in self.arenas.iter() {
            for group in arena.groups() {
                for premap in group.lanes().iter().filter_map(Lane::pending_flush) {
                    arena.flush_map(&self.media, premap..premap + 1);
                }
            }
            if arena.is_read_only() {
                // Entries may be there whose fence has failed. The next driver finishes what they
                // say.
                arena.flush_flog(&self.media);
            }
        }
        self.media.fence()
    }

    /// How it was opened.
    pub(crate) fn params(&self) -> &OpenParams {
        &self.params
    }

    #[inline]
    pub(crate) fn table(&self) -> &ReadTable {
        &self.table
    }

    /// Splits a request where an arena ends.
    #[inline(always)]
    pub(crate) fn parts(&self, lba: u64, count: u64) -> Result<Split<'_>, IoError> {
        let sectors = self.sector_count();
        match lba.checked_add(count) {
            Some(end) if end <= sectors => Ok(Split {
                arenas: self.arenas.iter(),
                lbas: lba..end,
            }),
            _ => Err(IoError::OutOfRange {
                lba,
                count,
                sectors,
            }),
        }
    }
}

/// What was stored to recover a BTT.
pub(crate) struct Recovered {
    /// The last info block that was restored from its copy.
    restored: Option<Restored>,
    /// Writes that were finished.
    pub(crate) finished_writes: u32,
    /// What was not stored, if the medium is read-only.
    postponed: Option<Postponed>,
}

/// Writes of an arena that recovery could not finish, as the medium is read-only, in the order of
/// their sectors.
type Unfinished = Slots<FlogEntry>;

/// In which state recovery leaves an arena.
pub(crate) struct ArenaState {
    /// Writes that are not finished.
    pub(crate) unfinished: Unfinished,
    /// Whether it must not be written.
    pub(crate) is_closed: bool,
}

impl Recovered {
    /// Does what the plans want. All that lanes and map say is durable then.
    pub(crate) fn new<M: Media>(media: &M, sites: &Slots<Site>) -> Result<Self, OpenError> {
        let postponed = media.is_read_only().then(|| postpone(sites));
        let restored = match postponed {
            Some(_) => None,
            None => restore(media, sites)?,
        };
        Ok(Self {
            restored,
            finished_writes: finish(media, sites, postponed.is_none())?,
            postponed,
        })
    }

    /// Takes from a plan what it leaves to be done.
    pub(crate) fn take_state(&self, site: &mut Site) -> Result<ArenaState, NoMemory> {
        let mut unfinished = Slots::with_capacity(0)?;
        let mut is_closed = site.plan.info.error || site.plan.lost_word.is_some();
        if self.postponed.is_some() {
            unfinished = site.plan.take_unfinished()?;
            is_closed |= site.restored.is_some() || !unfinished.is_empty();
        }
        Ok(ArenaState {
            unfinished,
            is_closed,
        })
    }
}

/// What would have to be stored.
fn postpone(sites: &Slots<Site>) -> Postponed {
    let mut postponed = Postponed::default();
    for site in sites.iter() {
        postponed.info_blocks += u32::from(site.restored.is_some());
        postponed.writes += site.plan.unfinished();
    }
    postponed
}

/// Finishes the writes that were interrupted, if that `may_store`. Returns how many there were. All
/// that lanes and map say is durable then.
fn finish<M: Media>(media: &M, sites: &Slots<Site>, may_store: bool) -> Result<u32, OpenError> {
    for site in sites.iter() {
        site.plan.flush_flog(media);
    }
    media.fence()?;
    let mut finished_writes = 0;
    for site in sites.iter() {
        if may_store {
            finished_writes += site.plan.finish(media)?;
        }
        site.plan.flush_map(media);
    }
    media.fence()?;
    Ok(finished_writes)
}

/// Puts the arenas into use.
//
// Not inlined: the discovery, which needs the stack, is over by then.
#[inline(never)]
fn arenas(
    sites: Slots<Site>,
    params: &OpenParams,
    recovered: &Recovered,
) -> Result<(Slots<Arena>, LockRing<Unfinished>), OpenError> {
    let count = sites.len();
    let mut arenas = Slots::with_capacity(count)?;
    let mut unfinished = Slots::with_capacity(count)?;
    let mut sectors = 0;
    for (index, mut site) in (0..).zip(sites.into_elements()) {
        let state = recovered.take_state(&mut site)?;
        let plan = site.plan;
        let info = plan.info;
        let arena = Arena::new(Parts {
            index,
            start: plan.start,
            origin: params.version.initial_offset(),
            first_sector: sectors,
            info,
            flog_layout: plan.flog_layout,
            groups: plan.into_groups(params.groups)?,
            map_locks: MapLocks::new()?,
            gate: WriteGate::new()?,
        });
        arena.set_state(!state.unfinished.is_empty(), state.is_closed);
        arenas.push(arena)?;
        unfinished.push(state.unfinished)?;
        sectors += u64::from(info.geometry.external_nlba());
    }
    let mut unfinished = unfinished.into_elements();
    let unfinished = LockRing::new(count, |_| match unfinished.next() {
        Some(entries) => Ok(entries),
        None => Slots::with_capacity(0),
    })?;
    Ok((arenas, unfinished))
}

/// Writes the first info blocks that were lost from their copies, without a fence. Returns the last one.
fn restore<M: Media>(media: &M, sites: &Slots<Site>) -> Result<Option<Restored>, OpenError> {
    let mut last = None;
    for restored in sites.iter().filter_map(|site| site.restored) {
        let mut block = InfoBuffer::new()?;
        let copy = block.read(media, restored.copy)?;
        media.write_bytes(restored.offset, copy)?;
        last = Some(restored);
    }
    Ok(last)
}
