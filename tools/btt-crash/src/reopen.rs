// SPDX-License-Identifier: GPL-2.0

//! Opening a BTT again without a power failure and without an orderly release before. This is what
//! happens if the kernel crashed and the next one was started by `kexec`.
//!
//! The caches are kept. So what is not durable is visible, and the next power failure may lose it
//! unless it is flushed. The former owner's knowledge of such words is lost. If accesses can fail,
//! those of the opening can as well: the opening then fails, and the next one finds what it has
//! left.

use crate::{
    access::{
        Failure,
        Map,
        Value,
        TOKEN_LOST, //
    },
    cell::Cell,
    crash::{
        key_of,
        Court, //
    },
    image::Lost,
    judge,
    medium::Medium,
    state::State,
};
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// The metadata of a BTT after it was opened.
struct Opened {
    /// Map words of the sectors.
    map: Vec<Cell>,
    /// Cells that are durable, one bit each.
    durable: u64,
    lost: Lost,
    /// Arenas that are read-only or not open, one bit each.
    closed: u8,
    /// Number of accesses that have failed.
    failures: u8,
}

/// Opens BTTs again.
pub(crate) struct Reopening {
    /// `true` if flushes of map words do nothing during the opening.
    no_flush_of_map: bool,
    /// `true` if accesses may fail, so that writes can be left half done.
    failures: bool,
    /// The results, by everything that may be on the medium and in the caches before.
    known: FxHashMap<Vec<Value>, Rc<Vec<Opened>>>,
}

impl Reopening {
    pub(crate) fn new(no_flush_of_map: bool, failures: bool) -> Self {
        Self {
            no_flush_of_map,
            failures,
            known: FxHashMap::default(),
        }
    }

    /// Returns the states after the BTT was opened again, or could not be opened. Returns none if
    /// that changes nothing.
    pub(crate) fn reopen(&mut self, court: &Court, state: &State) -> Result<Vec<State>, String> {
        let count = court.shape().metadata();
        let is_durable = state.cells[..count].iter().all(|cell| cell.is_durable());
        let is_sound = state.closed == 0 && state.lost.is_empty() && state.failures == 0;
        if is_durable && is_sound {
            let mut after = state.clone();
            after.lines.clear();
            let changes = !state.lines.is_empty();
            return Ok(changes.then_some(after).into_iter().collect());
        }
        if state.lost.any_flog() {
            return Ok(Vec::new());
        }
        let mut key = Vec::new();
        for cell in &state.cells[..count] {
            let before = key.len();
            key.extend(cell.candidates());
            key.push((key.len() - before) as Value);
        }
        key.extend(key_of(state.lost));
        key.push(state.failures.into());
        let opened = match self.known.get(&key) {
            Some(opened) => opened.clone(),
            None => {
                let opened = Rc::new(self.open_in_all_ways(court, state)?);
                self.known.insert(key, opened.clone());
                opened
            }
        };
        Ok(opened.iter().map(|opened| opened.apply(state)).collect())
    }

    /// Opens the BTT without a failure, and with each failure that is possible.
    fn open_in_all_ways(&self, court: &Court, state: &State) -> Result<Vec<Opened>, String> {
        let mut opened = Vec::new();
        opened.extend(self.open(court, state, None)?);
        if state.failures > 0 {
            for failure in Failure::ALL {
                for number in 0.. {
                    match self.open(court, state, Some((number, failure)))? {
                        Some(failed) => opened.push(failed),
                        None => break,
                    }
                }
            }
        }
        Ok(opened)
    }

    /// Opens the BTT with the real engine. Returns `None` if there is no access with the number of
    /// the one that is to fail.
    fn open(
        &self,
        court: &Court,
        state: &State,
        fails: Option<(u32, Failure)>,
    ) -> Result<Option<Opened>, String> {
        let count = court.shape().metadata();
        let sectors = court.shape().sectors;
        let cells: Vec<Vec<Value>> = state.cells[..count]
            .iter()
            .map(|cell| cell.candidates().collect())
            .collect();
        let most = cells.iter().map(Vec::len).max().unwrap_or_default();
        let words = |age: usize| -> Vec<Value> {
            let value = |values: &Vec<Value>| values[age.min(values.len() - 1)];
            cells.iter().map(value).collect()
        };
        // Initial map words name blocks by themselves, visible or not.
        let initial = cells[..sectors]
            .iter()
            .enumerate()
            .flat_map(|(sector, values)| {
                let maps = values.iter().map(|&value| Map::of(value));
                let initial = maps.filter(|map| map.flags == Map::INITIAL);
                initial.map(move |map| (sector as u8, map.block))
            })
            .collect::<Vec<_>>();
        let encoding = court
            .encoding(&words(most - 1), &initial, 0)
            .ok_or("no format fits")?;
        let layout = encoding.layout();
        let mut image = court.image(&encoding, &words(0), None);
        image.lost = state.lost;
        let medium = Medium::new(layout, &image);
        for age in 1..most {
            let image = court.image(&encoding, &words(age), None);
            for (index, values) in cells.iter().enumerate() {
                if age < values.len() {
                    let cell = court.place(&encoding, index);
                    medium.store_cell(cell, image.words[cell]);
                }
            }
        }
        medium.ignore_flushes_of_map(self.no_flush_of_map);
        if let Some((number, failure)) = fails {
            medium.fail_at(number, failure);
        }
        let result = judge::open(layout, &medium, 1);
        let has_failed = medium.stop_failing().is_some();
        if fails.is_some() && !has_failed {
            return Ok(None);
        }
        let closed = match result {
            Ok(opened) => {
                if opened.finished_writes != 0 && !self.failures {
                    return Err("no write was interrupted, but one was finished".into());
                }
                let read_only = (0..).zip(opened.btt.arenas());
                read_only
                    .map(|(number, arena)| u8::from(arena.read_only) << number)
                    .sum()
            }
            // It is not open, so nothing can be written.
            Err(_) if has_failed => u8::MAX >> (8 - layout.arenas().len()),
            Err(what) => return Err(what),
        };
        let after = medium.cells();
        let values = |cell: usize| after.candidates(court.place(&encoding, cell));
        let map = (0..sectors).map(|sector| {
            if after.lost().word(sector) {
                let mut cell = state.cells[sector];
                cell.make_durable();
                return Some(cell);
            }
            let mut values = values(sector).map(|word| encoding.map_value(sector, word as u32));
            let mut cell = Cell::new(values.next()??);
            for value in values {
                cell.store(value?);
            }
            Some(cell)
        });
        let map: Option<Vec<Cell>> = map.collect();
        let is_durable = |index: &usize| values(*index).count() == 1;
        Ok(Some(Opened {
            map: map.ok_or("the map names a block that is not used")?,
            durable: (0..count).filter(is_durable).map(|index| 1 << index).sum(),
            lost: after.lost(),
            closed,
            failures: has_failed.into(),
        }))
    }
}

impl Opened {
    fn apply(&self, state: &State) -> State {
        let mut after = state.clone();
        for (index, cell) in after.cells.iter_mut().enumerate().take(u64::BITS as usize) {
            if self.durable & 1 << index != 0 {
                cell.make_durable();
            }
        }
        for (sector, cell) in self.map.iter().enumerate() {
            after.cells[sector] = *cell;
            if self.lost.word(sector) {
                after.allowed[sector] = 1 << TOKEN_LOST;
            }
        }
        after.lost = self.lost;
        after.closed = self.closed;
        after.failures -= self.failures;
        after.lines.clear();
        after
    }
}
