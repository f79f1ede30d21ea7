// SPDX-License-Identifier: GPL-2.0

//! Opening a BTT again without a power failure, after it was given up out of order: its kernel crashed, say, and the next one was started
//! by `kexec`.
//!
//! The caches are kept, so what is not durable is visible, and stays at the mercy of the next power failure unless it is flushed. What the
//! former owner knew of such words is lost with it.

use crate::{
    access::{
        Map,
        Value, //
    },
    crash::Court,
    judge,
    medium::Medium,
    state::State,
};
use rustc_hash::FxHashMap;

/// Opens BTTs again.
pub(crate) struct Reopening {
    /// Whether flushes of map words do nothing meanwhile.
    no_flush_of_map: bool,
    /// Cells that are durable afterwards, one bit each, of all that may be on the medium and in the caches before.
    known: FxHashMap<Vec<Value>, u64>,
}

impl Reopening {
    pub(crate) fn new(no_flush_of_map: bool) -> Self {
        Self {
            no_flush_of_map,
            known: FxHashMap::default(),
        }
    }

    /// The state after the BTT was opened again; `None` if that changes nothing.
    pub(crate) fn reopen(&mut self, court: &Court, state: &State) -> Result<Option<State>, String> {
        let count = court.shape().metadata();
        let mut after = state.clone();
        after.lines.clear();
        if state.cells[..count].iter().all(|cell| cell.is_settled()) {
            return Ok((!state.lines.is_empty()).then_some(after));
        }
        let mut key = Vec::new();
        for cell in &state.cells[..count] {
            let before = key.len();
            key.extend(cell.candidates());
            key.push((key.len() - before) as Value);
        }
        let durable = match self.known.get(&key) {
            Some(&durable) => durable,
            None => {
                let durable = self.open(court, state)?;
                self.known.insert(key, durable);
                durable
            }
        };
        for (index, cell) in after.cells[..count].iter_mut().enumerate() {
            if durable & 1 << index != 0 {
                cell.settle();
            }
        }
        Ok(Some(after))
    }

    /// Opens the BTT with the real engine. Returns which cells are durable then.
    fn open(&self, court: &Court, state: &State) -> Result<u64, String> {
        let count = court.shape().metadata();
        let cells: Vec<Vec<Value>> = state.cells[..count]
            .iter()
            .map(|cell| cell.candidates().collect())
            .collect();
        let most = cells.iter().map(Vec::len).max().unwrap_or_default();
        let words = |age: usize| -> Vec<Value> {
            let value = |values: &Vec<Value>| values[age.min(values.len() - 1)];
            cells.iter().map(value).collect()
        };
        // Initial map words name blocks by themselves, whether or not they are what is visible.
        let initial = cells[..court.shape().sectors]
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
        let medium = Medium::new(layout, &court.image(&encoding, &words(0), None));
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
        let opened = judge::open(layout, &medium, 1)?;
        if opened.finished_writes != 0 {
            return Err("opened again: no write was interrupted, but one was finished".into());
        }
        let after = medium.cells();
        let is_durable = |index: &usize| {
            let cell = court.place(&encoding, *index);
            after.candidates(cell).count() == 1
        };
        Ok((0..count).filter(is_durable).map(|index| 1 << index).sum())
    }
}
