// SPDX-License-Identifier: GPL-2.0

//! A word of the medium: its durable value, and the values that are pending.
//!
//! A store appends to the pending values. A flush marks the last one with the thread that flushed.
//! A fence of that thread makes the last value that it marked durable, and forgets the ones before.
//! Without any of these, a pending value may have become durable at any moment. After a power
//! failure a word therefore holds its durable value or any of its pending values, independently of
//! all other words. This is the *strict* medium, weaker than any real one.

use crate::access::Value;

/// Maximum number of pending stores of a word.
const MOST: usize = 7;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Pending {
    value: Value,
    /// Threads that have flushed the word since, one bit each.
    flushed_by: u8,
}

/// A word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cell {
    durable: Value,
    len: u8,
    pending: [Pending; MOST],
}

impl Cell {
    pub(crate) fn new(durable: Value) -> Self {
        Self {
            durable,
            len: 0,
            pending: Default::default(),
        }
    }

    fn pending(&self) -> &[Pending] {
        &self.pending[..self.len.into()]
    }

    /// Returns the value that a load sees.
    pub(crate) fn visible(&self) -> Value {
        self.pending()
            .last()
            .map_or(self.durable, |pending| pending.value)
    }

    /// Returns `true` if a power failure leaves the visible value.
    pub(crate) fn is_durable(&self) -> bool {
        self.len == 0
    }

    /// Iterates over the values that a power failure may leave. A value may occur twice.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = Value> + '_ {
        let pending = self.pending().iter().map(|pending| pending.value);
        std::iter::once(self.durable).chain(pending)
    }

    pub(crate) fn store(&mut self, value: Value) {
        let slot = self.pending.get_mut(usize::from(self.len));
        *slot.expect("no word is stored so often") = Pending {
            value,
            flushed_by: 0,
        };
        self.len += 1;
    }

    pub(crate) fn flush(&mut self, thread: usize) {
        let len = usize::from(self.len);
        if let Some((last, before)) = self.pending[..len].split_last_mut() {
            last.flushed_by |= 1 << thread;
            // A fence of this thread now makes the last value durable, not an earlier one.
            before
                .iter_mut()
                .for_each(|pending| pending.flushed_by &= !(1 << thread));
        }
        self.simplify();
    }

    pub(crate) fn fence(&mut self, thread: usize) {
        let flushed = |pending: &Pending| pending.flushed_by & 1 << thread != 0;
        if let Some(reached) = self.pending().iter().rposition(flushed) {
            self.durable = self.pending[reached].value;
            self.pending.copy_within(reached + 1.., 0);
            self.len -= reached as u8 + 1;
            self.simplify();
        }
    }

    /// Makes the visible value durable.
    pub(crate) fn make_durable(&mut self) {
        *self = Self::new(self.visible());
    }

    /// Forgets what a thread has flushed: the thread flushes again what it needs.
    ///
    /// This only adds to what power failures can leave.
    pub(crate) fn forget_flushes(&mut self, thread: usize) {
        let len = usize::from(self.len);
        self.pending[..len]
            .iter_mut()
            .for_each(|pending| pending.flushed_by &= !(1 << thread));
        self.simplify();
    }

    /// Exchanges the two threads.
    pub(crate) fn exchange_threads(&mut self) {
        let len = usize::from(self.len);
        for pending in &mut self.pending[..len] {
            let marks = pending.flushed_by;
            pending.flushed_by = marks >> 1 & 1 | marks << 1 & 2;
        }
    }

    /// Renames all values.
    pub(crate) fn rename(&mut self, mut name: impl FnMut(Value) -> Value) {
        self.durable = name(self.durable);
        let len = usize::from(self.len);
        for pending in &mut self.pending[..len] {
            pending.value = name(pending.value);
        }
        self.simplify();
    }

    /// Makes cells equal that no future can distinguish.
    ///
    /// Between the durable value or a marked value and the next marked one, the order of the values
    /// does not matter: a fence forgets them together. The last value is the visible one.
    fn simplify(&mut self) {
        let pending: [Pending; MOST] = self.pending;
        let len = usize::from(self.len);
        let Some(last) = pending[..len].last().copied() else {
            self.pending = Default::default();
            return;
        };
        let mut kept: [Pending; MOST] = Default::default();
        let mut count = 0;
        let mut head = self.durable;
        let mut start = 0;
        for pending in &pending[..len - 1] {
            if pending.flushed_by != 0 {
                kept[start..count].sort_unstable_by_key(|pending| pending.value);
                kept[count] = *pending;
                count += 1;
                start = count;
                head = pending.value;
            } else if pending.value != head
                && kept[start..count]
                    .iter()
                    .all(|other| other.value != pending.value)
            {
                kept[count] = *pending;
                count += 1;
            }
        }
        if last.flushed_by == 0 {
            // It need not be among the others of its set as well.
            let mut others = start;
            for index in start..count {
                if kept[index].value != last.value {
                    kept[others] = kept[index];
                    others += 1;
                }
            }
            count = others;
        }
        kept[start..count].sort_unstable_by_key(|pending| pending.value);
        if last.flushed_by != 0 || last.value != head || count > start {
            kept[count] = last;
            count += 1;
        }
        kept[count..].fill(Pending::default());
        self.pending = kept;
        self.len = count as u8;
    }

    /// Appends everything that distinguishes the cell from others.
    pub(crate) fn serialize(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.durable.to_le_bytes());
        bytes.push(self.len);
        for pending in self.pending() {
            bytes.extend(pending.value.to_le_bytes());
            bytes.push(pending.flushed_by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(values: &[Value]) -> Cell {
        let mut cell = Cell::new(0);
        values.iter().for_each(|&value| cell.store(value));
        cell
    }

    #[test]
    fn a_fence_needs_a_flush_of_the_same_thread() {
        let mut cell = cell(&[1]);
        cell.fence(0);
        cell.flush(0);
        cell.fence(1);
        assert_eq!(cell.candidates().collect::<Vec<_>>(), [0, 1]);
        cell.store(2);
        cell.fence(0);
        assert_eq!(cell.candidates().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(cell.visible(), 2);
    }

    #[test]
    fn order_between_marks_does_not_matter() {
        let simple = |values: &[Value]| {
            let mut cell = cell(values);
            cell.simplify();
            cell
        };
        assert_eq!(simple(&[1, 2, 3]), simple(&[2, 1, 2, 3]));
        assert_ne!(simple(&[1, 2, 3]), simple(&[1, 3, 2]));
        assert_eq!(simple(&[0]), simple(&[]));
        assert_eq!(simple(&[1, 0]).visible(), 0);
        assert_eq!(simple(&[1, 0]).candidates().collect::<Vec<_>>(), [0, 1, 0]);
    }

    #[test]
    fn what_comes_after_a_mark_outlives_the_fence() {
        let mut cell = cell(&[1]);
        cell.flush(0);
        cell.store(0);
        cell.store(2);
        cell.fence(0);
        assert_eq!(cell.candidates().collect::<Vec<_>>(), [1, 0, 2]);
    }
}
