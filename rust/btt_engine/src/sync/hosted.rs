// SPDX-License-Identifier: GPL-2.0

//! The facade in user space: over the standard library, loom or shuttle.
//!
//! With the feature `watch` a tool can observe what a thread does here: see
//! [`watch`](super::watch).

extern crate std;

#[cfg(feature = "watch")]
use super::watch::{
    tell,
    Event,
    Id, //
};
use super::NoMemory;
use core::ops::{
    Deref,
    DerefMut, //
};
use std::{
    boxed::Box,
    sync::PoisonError,
    vec::Vec, //
};

#[cfg(loom)]
use loom::sync::{
    atomic::{
        fence,
        AtomicU64,
        Ordering, //
    },
    Condvar,
    Mutex,
    MutexGuard, //
};
#[cfg(shuttle)]
use shuttle::sync::{
    atomic::{
        fence,
        AtomicU64,
        Ordering, //
    },
    Condvar,
    Mutex,
    MutexGuard, //
};
#[cfg(not(any(loom, shuttle)))]
use std::sync::{
    atomic::{
        AtomicU64,
        Ordering, //
    },
    Condvar,
    Mutex,
    MutexGuard, //
};

#[cfg(not(any(loom, shuttle, target_arch = "x86_64")))]
use std::sync::atomic::fence;

/// A slice on the heap.
pub(crate) struct Slots<T>(Vec<T>);

impl<T> Slots<T> {
    /// Creates an empty slice with memory for `len` elements.
    pub(crate) fn with_capacity(len: usize) -> Result<Self, NoMemory> {
        let mut elements = Vec::new();
        elements.try_reserve_exact(len).map_err(|_| NoMemory)?;
        Ok(Self(elements))
    }

    /// Creates a slice of `len` elements, each by `make` from its index.
    pub(crate) fn new(len: usize, make: impl FnMut(usize) -> T) -> Result<Self, NoMemory> {
        let mut slots = Self::with_capacity(len)?;
        slots.0.extend((0..len).map(make));
        Ok(slots)
    }

    /// Adds an element.
    pub(crate) fn push(&mut self, element: T) -> Result<(), NoMemory> {
        self.0.try_reserve(1).map_err(|_| NoMemory)?;
        self.0.push(element);
        Ok(())
    }

    /// Returns the elements, in order.
    pub(crate) fn into_elements(self) -> impl Iterator<Item = T> {
        self.0.into_iter()
    }
}

impl<T> Deref for Slots<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Slots<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// A held lock of a [`LockRing`].
pub(crate) struct Guard<'a, T> {
    guard: MutexGuard<'a, T>,
    #[cfg(feature = "watch")]
    id: Id,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[cfg(feature = "watch")]
impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        tell(Event::Unlock(self.id));
    }
}

struct Cell<T> {
    lock: Mutex<T>,
    #[cfg(feature = "watch")]
    id: Id,
}

impl<T> Cell<T> {
    fn new(value: T) -> Self {
        Self {
            lock: Mutex::new(value),
            #[cfg(feature = "watch")]
            id: Id::of_lock(),
        }
    }

    fn guard<'a>(&'a self, guard: MutexGuard<'a, T>) -> Guard<'a, T> {
        #[cfg(feature = "watch")]
        tell(Event::Lock(self.id));
        Guard {
            guard,
            #[cfg(feature = "watch")]
            id: self.id,
        }
    }
}

/// Sleeping locks, indexed by any number, which wraps around.
pub(crate) struct LockRing<T>(Box<[Cell<T>]>);

impl<T> LockRing<T> {
    /// Creates `len` locks, but at least one, over values that `make` returns.
    pub(crate) fn new(
        len: usize,
        make: impl FnMut(usize) -> Result<T, NoMemory>,
    ) -> Result<Self, NoMemory> {
        let locks: Result<_, _> = (0..len.max(1))
            .map(make)
            .map(|value| value.map(Cell::new))
            .collect();
        Ok(Self(locks?))
    }

    /// Returns the number of locks.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes lock number `index`, modulo their number. Waits for it.
    pub(crate) fn lock(&self, index: usize) -> Guard<'_, T> {
        let cell = self.cell(index);
        cell.guard(cell.lock.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes lock number `index`, modulo their number, if it is free.
    pub(crate) fn try_lock(&self, index: usize) -> Option<Guard<'_, T>> {
        let cell = self.cell(index);
        cell.lock.try_lock().ok().map(|guard| cell.guard(guard))
    }

    fn cell(&self, index: usize) -> &Cell<T> {
        // There is at least one lock, and the remainder is below their number.
        self.0
            .get(index)
            .unwrap_or_else(|| &self.0[index % self.0.len()])
    }
}

/// An atomic word on a cache line of its own.
#[repr(align(64))]
pub(crate) struct PaddedWord {
    word: AtomicU64,
    #[cfg(feature = "watch")]
    id: Id,
}

impl PaddedWord {
    /// Creates a word.
    pub(crate) fn new(value: u64) -> Self {
        Self {
            word: AtomicU64::new(value),
            #[cfg(feature = "watch")]
            id: Id::of_word(),
        }
    }

    /// Loads the word; later accesses come after it.
    pub(crate) fn load(&self) -> u64 {
        #[cfg(feature = "watch")]
        if let Some(value) = tell(Event::Load(self.id)) {
            self.word.store(value, Ordering::Release);
        }
        self.word.load(Ordering::Acquire)
    }

    /// Stores the word; earlier accesses come before it.
    pub(crate) fn store(&self, value: u64) {
        #[cfg(feature = "watch")]
        tell(Event::Store(self.id, value));
        self.word.store(value, Ordering::Release);
    }

    /// Replaces the word and is a full barrier.
    pub(crate) fn swap(&self, value: u64) -> u64 {
        #[cfg(feature = "watch")]
        tell(Event::Store(self.id, value));
        // By the rules of the language no access orders the accesses around it, however strong its
        // own ordering is.
        access_barrier();
        let before = self.word.swap(value, Ordering::AcqRel);
        access_barrier();
        before
    }

    /// Replaces the word if it is `expected` and is a full barrier if it was.
    pub(crate) fn replace(&self, expected: u64, value: u64) -> bool {
        #[cfg(feature = "watch")]
        tell(Event::Store(self.id, value));
        access_barrier();
        let replaced = self
            .word
            .compare_exchange(expected, value, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        access_barrier();
        replaced
    }
}

/// A word that is a lock, and a number that the lock protects, on a cache line of their own.
#[repr(align(64))]
pub(crate) struct LockWord {
    word: AtomicU64,
    number: AtomicU64,
    #[cfg(feature = "watch")]
    id: Id,
}

impl LockWord {
    /// Creates a word; the number is 0.
    pub(crate) fn new(value: u64) -> Self {
        Self {
            word: AtomicU64::new(value),
            number: AtomicU64::new(0),
            #[cfg(feature = "watch")]
            id: Id::of_word(),
        }
    }

    /// Replaces the word; later accesses come after it.
    pub(crate) fn swap_acquire(&self, value: u64) -> u64 {
        self.word.swap(value, Ordering::Acquire)
    }

    /// Replaces the word; earlier accesses come before it.
    pub(crate) fn swap_release(&self, value: u64) -> u64 {
        #[cfg(feature = "watch")]
        tell(Event::Release(self.id));
        self.word.swap(value, Ordering::Release)
    }

    /// Replaces the word if it is `expected`; later accesses come after it if it was.
    pub(crate) fn replace_acquire(&self, expected: u64, value: u64) -> bool {
        #[cfg(feature = "watch")]
        tell(Event::Acquire(self.id));
        self.word
            .compare_exchange(expected, value, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Returns the number. For the holder of the lock.
    pub(crate) fn number(&self) -> u64 {
        #[cfg(feature = "watch")]
        if let Some(number) = tell(Event::Recall(self.id)) {
            return number;
        }
        self.number.load(Ordering::Relaxed)
    }

    /// Sets the number. For the holder of the lock.
    pub(crate) fn set_number(&self, number: u64) {
        #[cfg(feature = "watch")]
        tell(Event::Remember(self.id, number));
        self.number.store(number, Ordering::Relaxed);
    }
}

/// A queue of threads that wait for conditions to change.
pub(crate) struct WaitQueue {
    lock: Mutex<()>,
    changed: Condvar,
}

impl WaitQueue {
    /// Creates an empty queue.
    pub(crate) fn new() -> Result<Self, NoMemory> {
        Ok(Self {
            lock: Mutex::new(()),
            changed: Condvar::new(),
        })
    }

    /// Sleeps as long as `condition` returns `true`.
    pub(crate) fn wait_while(&self, mut condition: impl FnMut() -> bool) {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while condition() {
            guard = self
                .changed
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes all threads, which evaluate their conditions again.
    pub(crate) fn wake_all(&self) {
        // A thread holds this lock while it evaluates its condition and releases it when it is
        // asleep. So a thread that has not seen the change is asleep now.
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

/// Orders all earlier accesses before all later ones, including stores before loads.
#[cfg(any(loom, shuttle, not(target_arch = "x86_64")))]
pub(crate) fn full_barrier() {
    #[cfg(loom)]
    if weak::is(weak::Side::Writer) {
        return fence(Ordering::AcqRel);
    }
    fence(Ordering::SeqCst);
}

/// Orders all earlier accesses before all later ones, including stores before loads.
///
/// A locked instruction does it, as in the kernel: a fence is several times as slow. The compiler
/// keeps earlier stores before the exchange, which is a release, and later loads behind it, as it
/// is an acquire. The CPU does not let a load pass a locked instruction.
#[cfg(all(not(any(loom, shuttle)), target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn full_barrier() {
    std::thread_local! {
        static WORD: AtomicU64 = const { AtomicU64::new(0) };
    }
    WORD.with(|word| word.swap(0, Ordering::AcqRel));
}

/// Makes an access a full barrier when called before and after it. On x86 the access is one by
/// itself, for the same reasons as in [`full_barrier`].
#[inline(always)]
fn access_barrier() {
    #[cfg(loom)]
    if weak::is(weak::Side::Reader) {
        return fence(Ordering::AcqRel);
    }
    #[cfg(any(loom, shuttle, not(target_arch = "x86_64")))]
    fence(Ordering::SeqCst);
}

/// Mutants: parts of the synchronisation that can be left out, to see that loom and shuttle notice.
#[cfg(any(loom, shuttle))]
pub mod weak {
    extern crate std;

    use std::cell::Cell;

    /// The part that is left out.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Side {
        /// The barrier before a writer looks at the read tracking table.
        Writer,
        /// The barriers around the publication of a block.
        Reader,
        /// A writer's check of the gate.
        Gate,
        /// The second check of the gate, with the map locks held.
        GateUnderLocks,
        /// The store of the map words after one that could not be stored.
        Settling,
        /// Leaving the map alone after a flog entry that may not be durable.
        Doubt,
    }

    std::thread_local! {
        static WEAK: Cell<Option<Side>> = const { Cell::new(None) };
    }

    /// Leaves out `side` in all models that this thread runs from now on.
    pub fn set(side: Side) {
        WEAK.set(Some(side));
    }

    pub(crate) fn is(side: Side) -> bool {
        WEAK.get() == Some(side)
    }
}

/// Waits a little between two looks at a condition.
pub(crate) fn relax(_attempt: u32) {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
    #[cfg(not(any(loom, shuttle)))]
    std::thread::yield_now();
}
