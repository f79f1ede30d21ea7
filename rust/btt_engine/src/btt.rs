// SPDX-License-Identifier: GPL-2.0

//! A BTT in use: opening it, its arenas, and how requests are split among them.
//!
//! [`Btt`] owns the medium, the arenas and the read tracking table. Requests are in `read.rs`,
//! `write.rs` and `discard.rs`. The lock order is that of the crate. The lock of an arena's
//! interrupted writes (`Btt::unfinished`) is a leaf.

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

/// A BTT that was just opened, and what opening has done.
pub struct Opened<M> {
    /// The BTT.
    pub btt: Btt<M>,
    /// The last info block that was restored from its copy, if one was.
    pub restored: Option<Restored>,
    /// The first map word that recovery needed and could not read, if any.
    pub lost_word: Option<LostWord>,
    /// Number of writes that a power failure had interrupted between flog and map, and that were
    /// completed.
    pub finished_writes: u32,
    /// What was not done because the medium is read-only, if there was something to do.
    pub postponed: Option<Postponed>,
}

/// What opening a BTT could not do because its medium is read-only.
///
/// The arenas concerned are read-only until the BTT is opened again. They can be read as if it had
/// been done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Postponed {
    /// Number of first info blocks that have to be restored from their copies.
    pub info_blocks: u32,
    /// Number of writes that a power failure has interrupted and that have to be completed.
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
            "its medium is read only: {writes} interrupted writes are not finished and \
             {info_blocks} info blocks not restored, and nothing is written until that is done"
        )
    }
}

/// A BTT in use. Any number of threads may call its methods at a time.
pub struct Btt<M> {
    media: M,
    detected: Detected,
    params: OpenParams,
    arenas: Slots<Arena>,
    /// Interrupted writes, one list for each arena.
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
    /// Arenas that were not considered yet.
    arenas: slice::Iter<'a, Arena>,
    /// Sectors of the disk that are still to be assigned.
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

    /// Returns the block of a sector for which the map is behind the flog. `None` if the map is
    /// right. For arenas that have such sectors.
    #[cold]
    pub(crate) fn moved(&self, arena: &Arena, premap: u32) -> Option<u32> {
        let unfinished = self.unfinished.lock(arena.index as usize);
        let found = unfinished.binary_search_by_key(&premap, |entry| entry.lba);
        Some(unfinished.get(found.ok()?)?.new)
    }

    /// Returns the sum over all lane groups. Waits for each group in turn, while writers go on.
    pub fn statistics(&self) -> Statistics {
        self.all_arenas()
            .flat_map(|arena| arena.groups())
            .map(|group| group.statistics)
            .fold(Statistics::default(), Statistics::add)
    }

    /// Sets the state in which recovery has left a frozen arena.
    pub(crate) fn set_state(&self, arena: &Arena, state: ArenaState) {
        let is_behind = !state.unfinished.is_empty();
        *self.unfinished.lock(arena.index as usize) = state.unfinished;
        arena.set_state(is_behind, state.is_closed);
    }
}

impl<M: Media> Btt<M> {
    /// Opens the BTT on `media`: checks all of its metadata except the bulk of the map, restores
    /// first info blocks from their copies and completes interrupted writes. An arena is read-only
    /// if its info block has the error flag, or if a map word that recovery needs cannot be read.
    ///
    /// If the medium [is read-only](Media::is_read_only) nothing is stored. An arena for which that
    /// would have been necessary is read-only until the BTT is opened again. Its sectors can be
    /// read as if it had been done.
    ///
    /// When this fails nothing has changed, except when the medium fails, or when memory runs out
    /// at the end. What was restored and completed by then is what the next opening would do.
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

    /// Returns the medium below the BTT.
    #[inline]
    pub fn media(&self) -> &M {
        &self.media
    }

    /// Returns what the info blocks say about the whole BTT.
    pub fn detected(&self) -> &Detected {
        &self.detected
    }

    /// Returns the size of a sector in bytes: 512 or 4096.
    #[inline]
    pub fn sector_size(&self) -> u32 {
        self.detected.lba_size.sector()
    }

    /// Returns the number of sectors of all arenas.
    #[inline]
    pub fn sector_count(&self) -> u64 {
        self.detected.sectors
    }

    /// Returns `true` if any arena refuses writes.
    pub fn is_read_only(&self) -> bool {
        self.arenas.iter().any(Arena::is_read_only)
    }

    /// Returns the arenas, in order.
    pub fn arenas(&self) -> impl Iterator<Item = ArenaInfo> + '_ {
        self.arenas.iter().map(Arena::info)
    }

    /// Makes the map words durable that writes have left to later writes to flush: those that the
    /// newest flog entries name.
    ///
    /// The next driver of the medium relies on that, as it does not know which words are not
    /// durable. The caller makes sure that no request is in flight and that none follows.
    pub fn write_back(&self) -> Result<(), MediaError> {
        for arena in self.arenas.iter() {
            for group in arena.groups() {
                for premap in group.lanes().iter().filter_map(Lane::pending_flush) {
                    arena.flush_map(&self.media, premap..premap + 1);
                }
            }
            if arena.is_read_only() {
                // There may be entries whose fence has failed. The next driver completes what they
                // say, so they have to be durable.
                arena.flush_flog(&self.media);
            }
        }
        self.media.fence()
    }

    /// Returns the parameters with which the BTT was opened.
    pub(crate) fn params(&self) -> &OpenParams {
        &self.params
    }

    #[inline]
    pub(crate) fn table(&self) -> &ReadTable {
        &self.table
    }

    /// Splits a request at the ends of arenas.
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
    /// Number of writes that were completed.
    pub(crate) finished_writes: u32,
    /// What was not stored because the medium is read-only.
    postponed: Option<Postponed>,
}

/// Writes of an arena that recovery could not complete because the medium is read-only, ordered by
/// sector.
type Unfinished = Slots<FlogEntry>;

/// The state in which recovery leaves an arena.
pub(crate) struct ArenaState {
    /// Writes that are not completed.
    pub(crate) unfinished: Unfinished,
    /// Whether the arena must not be written.
    pub(crate) is_closed: bool,
}

impl Recovered {
    /// Carries out the plans of `sites`. All that lanes and map say is durable afterwards.
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

    /// Takes the state of an arena out of its plan.
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

/// Counts what would have to be stored.
fn postpone(sites: &Slots<Site>) -> Postponed {
    let mut postponed = Postponed::default();
    for site in sites.iter() {
        postponed.info_blocks += u32::from(site.restored.is_some());
        postponed.writes += site.plan.unfinished();
    }
    postponed
}

/// Completes the interrupted writes if `may_store`. Returns their number. All that lanes and map
/// say is durable afterwards.
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

/// Creates the arenas.
//
// Not inlined: the discovery, which needs much stack, is over by then.
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

/// Restores lost first info blocks from their copies, without a fence. Returns the last one.
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
