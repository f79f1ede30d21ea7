// SPDX-License-Identifier: GPL-2.0

//! Hibernation: the machine goes on with the memory of an image, while the medium has gone on
//! without it.
//!
//! ```text
//!   freeze ── image ──┬── thaw ── the image is written, perhaps to sectors of this BTT ── power off
//!                     └── (started again from the image) ── resume
//! ```
//!
//! What an engine knows of its medium is in its lanes: the free block of each one, and where its
//! flog goes on. In the image they are as of [`freeze`](Btt::freeze). What was written since has
//! moved blocks between lanes and map, so lanes of before name blocks that sectors have by now.
//! [`resume`](Btt::resume) recovers the BTT as if it were opened, and takes the lanes from there.
//!
//! From [`freeze`](Btt::freeze) on no map word and no lane changes: the gates of all arenas are
//! paused, requests that came before are through, and all map locks are held, for the sake of
//! requests that need no lane. Reads go on: they keep nothing of the map from one sector to the
//! next.
//!
//! Lock order: gates, lane groups one at a time, then the map locks of all arenas. No request has
//! those of two arenas at a time.

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
    /// Lets no sector change until [`thaw`](Self::thaw) or [`resume`](Self::resume) is called.
    /// Waits for requests under way; those that come later wait.
    ///
    /// To be called once before each of these.
    pub fn freeze(&self) {
        self.all_arenas().for_each(Arena::freeze);
    }

    /// Goes on with the same memory.
    pub fn thaw(&self) {
        self.all_arenas().for_each(Arena::thaw);
    }

    /// Goes on with memory that was frozen, on a medium that others may have written meanwhile.
    /// Returns how many interrupted writes were finished.
    ///
    /// If this fails all arenas refuse to be written until the BTT is opened again; so does each
    /// one that opening would refuse to write.
    pub fn resume(&self) -> Result<u32, OpenError> {
        let finished = self.reload();
        if finished.is_err() {
            self.all_arenas().for_each(Arena::close);
        }
        self.thaw();
        finished
    }

    /// Takes the lanes from the medium again.
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
