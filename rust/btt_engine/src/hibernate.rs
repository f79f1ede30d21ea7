// SPDX-License-Identifier: GPL-2.0

//! Hibernation: the machine is restored from a memory image, while the medium may have changed
//! since the image was made.
//!
//! ```text
//!   freeze ── image ──┬── thaw ── the image is written, perhaps to this BTT ── power off
//!                     └── (the machine starts from the image) ── resume
//! ```
//!
//! The engine's knowledge of its medium is in its lanes: the free block of each, and the state of
//! its flog. The image has the lanes as they were at [`freeze`](Btt::freeze). Writes since then,
//! such as those of the image itself to a swap area on this BTT, have moved blocks between lanes
//! and map. The lanes of the image would name free blocks that hold sectors by now. So
//! [`resume`](Btt::resume) recovers the BTT as if it were opened and takes the lanes from the
//! medium.
//!
//! From [`freeze`](Btt::freeze) on no map word and no lane changes. The gates of all arenas are
//! frozen, requests that were in flight have finished, and all map locks are held, because discards
//! and readers that mark lost sectors take no lane. Reads go on: they keep nothing of the map from
//! one sector to the next.
//!
//! Lock order: gates, lane groups one at a time, then the map locks of all arenas. No request holds
//! map locks of two arenas.

use crate::{
    arena::Arena,
    btt::{
        Btt,
        Recovered, //
    },
    discover,
    error::OpenError,
    media::Media, //
};

impl<M: Media> Btt<M> {
    /// Keeps all sectors as they are until [`thaw`](Self::thaw) or [`resume`](Self::resume). Waits
    /// for requests in flight. Later ones wait.
    ///
    /// The caller calls this once before each of the two.
    pub fn freeze(&self) {
        self.all_arenas().for_each(Arena::freeze);
    }

    /// Ends a [`freeze`](Self::freeze) with the memory and the medium as they were.
    pub fn thaw(&self) {
        self.all_arenas().for_each(Arena::thaw);
    }

    /// Ends a [`freeze`](Self::freeze) with memory that was restored, on a medium that may have
    /// been written since. Returns the number of interrupted writes that were completed.
    ///
    /// If this fails all arenas are read-only until the BTT is opened again. Otherwise those are
    /// read-only that [`Btt::open`] would make so.
    pub fn resume(&self) -> Result<u32, OpenError> {
        let finished = self.reload();
        if finished.is_err() {
            self.all_arenas().for_each(Arena::close);
        }
        self.thaw();
        finished
    }

    /// Recovers the BTT and replaces the lanes.
    fn reload(&self) -> Result<u32, OpenError> {
        let params = self.params();
        let (detected, sites) = discover::discover(self.media(), params)?;
        let is_same = |(arena, site): (&Arena, &discover::Site)| arena.is_at(&site.plan);
        let mut pairs = self.all_arenas().zip(sites.iter());
        if detected != *self.detected() || !pairs.all(is_same) {
            return Err(OpenError::Replaced);
        }
        let recovered = Recovered::new(self.media(), &sites)?;
        for (arena, mut site) in self.all_arenas().zip(sites.into_elements()) {
            self.set_state(arena, recovered.take_state(&mut site)?);
            arena.set_lanes(&site.plan.into_groups(params.groups)?)?;
        }
        Ok(recovered.finished_writes)
    }
}
