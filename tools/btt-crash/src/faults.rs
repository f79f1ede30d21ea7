// SPDX-License-Identifier: GPL-2.0

//! Parts of the protocol that can be left out, to show that the explorer notices.

use crate::{
    access::{
        Access,
        Request, //
    },
    layout::Layout,
};

/// A kind of word that is flushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flushed {
    /// Data of a block.
    Data,
    /// A map word of a sector of the request.
    OwnMap,
    /// Another map word.
    OtherMap,
    /// First half of a flog slot.
    FirstHalf,
    /// Second half of a flog slot.
    SecondHalf,
}

/// A part of the protocol that is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The fence with this number in each request does nothing.
    NoFence(usize),
    /// Flushes of this kind do nothing after this number of fences of the request, except those of
    /// lines that map locks remember.
    NoFlush(Flushed, usize),
    /// Lines that map locks remember are not flushed.
    NoFlushOfLines,
    /// Map locks do not remember lines.
    NoMemory,
    /// The first half of a flog slot is stored after the first fence, with the second half.
    LateFirstHalf,
    /// Map locks do not exclude other threads.
    NoMapLocks,
    /// Map locks are released before the map is stored.
    EarlyUnlock,
    /// Lane locks do not exclude other threads.
    NoLaneLocks,
    /// Writers do not wait for readers.
    NoLook,
    /// Errors of free blocks are not cleared.
    NoClear,
    /// Map words are not flushed when a BTT is opened.
    NoFlushWhenOpened,
    /// The gate is not checked while map locks are held.
    NoSecondLook,
    /// A write that could not store a map word does not store the ones after it.
    MapStopsAtError,
    /// A write stores map words although its second fence has failed.
    MapAfterFailedFence,
    /// A fence that fails is taken for successful.
    FenceNeverFails,
    /// The gate is not closed.
    NoClose,
}

impl Fault {
    /// Returns `true` if the fault shows only when accesses fail.
    pub(crate) fn needs_failures(self) -> bool {
        matches!(
            self,
            Self::NoSecondLook
                | Self::MapStopsAtError
                | Self::MapAfterFailedFence
                | Self::FenceNeverFails
                | Self::NoClose
        )
    }

    /// Returns the accesses of a request with the fault, from access number `seen` on.
    pub(crate) fn apply(
        self,
        request: &Request,
        layout: &Layout,
        log: &[Access],
        seen: usize,
    ) -> Vec<Access> {
        let mut kept = Vec::new();
        let mut held_back = Vec::new();
        let mut fences = 0;
        let mut before = None;
        for (number, &access) in log.iter().enumerate() {
            let is_of_line = matches!(
                (before, access),
                (Some(Access::Recall(_)), Access::Flush(_))
            );
            before = Some(access);
            let mut keep = |access| {
                if number >= seen {
                    kept.push(access);
                }
            };
            match (self, access) {
                (Self::NoFence(which), Access::Fence) if which == fences => {}
                (Self::NoFlush(kind, when), Access::Flush(cells))
                    if when == fences && !is_of_line =>
                {
                    match cells & !cells_of(kind, request, layout) {
                        0 => {}
                        cells => keep(Access::Flush(cells)),
                    }
                }
                (Self::LateFirstHalf, Access::Store(cell, _))
                    if is_of(Flushed::FirstHalf, request, layout, 1 << cell) =>
                {
                    held_back.push(access);
                }
                (Self::LateFirstHalf, Access::Flush(cells))
                    if is_of(Flushed::FirstHalf, request, layout, cells) =>
                {
                    held_back.push(access);
                }
                (Self::LateFirstHalf, Access::Fence) if fences == 0 => {
                    keep(access);
                    held_back.drain(..).for_each(keep);
                }
                (Self::EarlyUnlock, Access::Store(cell, _))
                    if usize::from(cell) < layout.sectors() =>
                {
                    // Releasing it again does nothing.
                    for taken in &log[..number] {
                        if let Access::Acquire(lock) = taken {
                            keep(Access::Release(*lock));
                        }
                    }
                    keep(access);
                }
                (Self::NoMapLocks, Access::Acquire(_) | Access::Release(_)) => {}
                (Self::NoFlushOfLines, Access::Flush(_)) if is_of_line => {}
                (Self::NoMemory, Access::Remember(..)) => {}
                (Self::NoLook, Access::Look) => {}
                (Self::NoClear, Access::Clear(_)) => {}
                _ => keep(access),
            }
            fences += usize::from(access == Access::Fence);
        }
        kept
    }
}

fn is_of(kind: Flushed, request: &Request, layout: &Layout, cells: u32) -> bool {
    cells != 0 && cells & !cells_of(kind, request, layout) == 0
}

fn cells_of(kind: Flushed, request: &Request, layout: &Layout) -> u32 {
    let (sectors, lanes) = (layout.sectors(), layout.lanes());
    let all = sectors + lanes * 4 + layout.blocks();
    let is = |cell: usize| match kind {
        Flushed::OwnMap => request.sectors().contains(&cell),
        Flushed::OtherMap => cell < sectors && !request.sectors().contains(&cell),
        Flushed::FirstHalf | Flushed::SecondHalf => {
            let second = (kind == Flushed::SecondHalf).into();
            (sectors..sectors + lanes * 4).contains(&cell) && (cell - sectors) % 2 == second
        }
        Flushed::Data => cell >= sectors + lanes * 4,
    };
    (0..all)
        .filter(|&cell| is(cell))
        .map(|cell| 1 << cell)
        .sum()
}
