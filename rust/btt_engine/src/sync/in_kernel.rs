// SPDX-License-Identifier: GPL-2.0

//! The facade over the kernel: the only file of the crate that names the `kernel` crate.

use super::NoMemory;
use core::{
    num::NonZeroUsize,
    ops::{
        Deref,
        DerefMut, //
    },
};
use kernel::{
    alloc::AllocError,
    new_condvar, new_mutex,
    prelude::*,
    processor::cpu_relax,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        lock::{
            self,
            mutex::MutexBackend, //
        },
        CondVar,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

impl From<AllocError> for NoMemory {
    fn from(_: AllocError) -> Self {
        Self
    }
}

impl From<NoMemory> for Error {
    fn from(_: NoMemory) -> Self {
        ENOMEM
    }
}

/// A slice on the heap.
pub(crate) struct Slots<T>(KVVec<T>);

impl<T> Slots<T> {
    /// Creates an empty slice with memory for `len` elements.
    pub(crate) fn with_capacity(len: usize) -> Result<Self, NoMemory> {
        Ok(Self(KVVec::with_capacity(len, GFP_KERNEL)?))
    }

    /// Creates a slice of `len` elements, each by `make` from its index.
    pub(crate) fn new(len: usize, mut make: impl FnMut(usize) -> T) -> Result<Self, NoMemory> {
        let mut slots = Self::with_capacity(len)?;
        for index in 0..len {
            slots.push(make(index))?;
        }
        Ok(slots)
    }

    /// Adds an element.
    pub(crate) fn push(&mut self, element: T) -> Result<(), NoMemory> {
        Ok(self.0.push(element, GFP_KERNEL)?)
    }

    /// Returns the elements, in order.
    pub(crate) fn into_elements(self) -> impl Iterator<Item = T> {
        self.0.into_iter()
    }
}

impl<T> Deref for Slots<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Slots<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// A held lock of a [`LockRing`].
pub(crate) type Guard<'a, T> = lock::Guard<'a, T, MutexBackend>;

#[pin_data]
struct Cell<T> {
    #[pin]
    lock: Mutex<T>,
}

/// Sleeping locks, indexed by any number, which wraps around.
pub(crate) struct LockRing<T> {
    first: Pin<KBox<Cell<T>>>,
    others: Pin<KVBox<[Cell<T>]>>,
    len: NonZeroUsize,
}

impl<T> LockRing<T> {
    /// Creates `len` locks, but at least one, over values that `make` returns.
    pub(crate) fn new(
        len: usize,
        mut make: impl FnMut(usize) -> Result<T, NoMemory>,
    ) -> Result<Self, NoMemory> {
        let len = NonZeroUsize::new(len).unwrap_or(NonZeroUsize::MIN);
        let mut cell = |index| {
            let value = make(index);
            try_pin_init!(Cell {
                lock <- new_mutex!(value?, "btt_lane_group"),
            }? Error)
        };
        let first = KBox::pin_init(cell(0), GFP_KERNEL).map_err(|_| NoMemory)?;
        let others = KVBox::pin_slice(|index| cell(index + 1), len.get() - 1, GFP_KERNEL);
        Ok(Self {
            first,
            others: others.map_err(|_: Error| NoMemory)?,
            len,
        })
    }

    /// Returns the number of locks.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// Takes lock number `index`, modulo their number. Waits for it.
    #[inline]
    pub(crate) fn lock(&self, index: usize) -> Guard<'_, T> {
        self.cell(index).lock()
    }

    /// Takes lock number `index`, modulo their number, if it is free.
    #[inline]
    pub(crate) fn try_lock(&self, index: usize) -> Option<Guard<'_, T>> {
        self.cell(index).try_lock()
    }

    #[inline]
    fn cell(&self, index: usize) -> &Mutex<T> {
        // Most indices are small enough, and a division would take longer than taking the lock.
        let index = if index < self.len.get() {
            index
        } else {
            index % self.len
        };
        let other = index.checked_sub(1);
        let other = other.and_then(|other| self.others.get(other));
        &other.unwrap_or(&self.first).lock
    }
}

/// An atomic word on a cache line of its own.
#[repr(align(64))]
pub(crate) struct PaddedWord(Atomic<u64>);

impl PaddedWord {
    /// Creates a word.
    pub(crate) fn new(value: u64) -> Self {
        Self(Atomic::new(value))
    }

    /// Loads the word; later accesses come after it.
    #[inline]
    pub(crate) fn load(&self) -> u64 {
        self.0.load(Acquire)
    }

    /// Stores the word; earlier accesses come before it.
    #[inline]
    pub(crate) fn store(&self, value: u64) {
        self.0.store(value, Release);
    }

    /// Replaces the word and is a full barrier.
    #[inline]
    pub(crate) fn swap(&self, value: u64) -> u64 {
        self.0.xchg(value, Full)
    }

    /// Replaces the word if it is `expected` and is a full barrier if it was.
    #[inline]
    pub(crate) fn replace(&self, expected: u64, value: u64) -> bool {
        self.0.cmpxchg(expected, value, Full).is_ok()
    }
}

/// A word that is a lock, and a number that the lock protects, on a cache line of their own.
#[repr(align(64))]
pub(crate) struct LockWord {
    word: Atomic<u64>,
    number: Atomic<u64>,
}

impl LockWord {
    /// Creates a word; the number is 0.
    pub(crate) fn new(value: u64) -> Self {
        Self {
            word: Atomic::new(value),
            number: Atomic::new(0),
        }
    }

    /// Replaces the word; later accesses come after it.
    #[inline]
    pub(crate) fn swap_acquire(&self, value: u64) -> u64 {
        self.word.xchg(value, Acquire)
    }

    /// Replaces the word; earlier accesses come before it.
    #[inline]
    pub(crate) fn swap_release(&self, value: u64) -> u64 {
        self.word.xchg(value, Release)
    }

    /// Replaces the word if it is `expected`; later accesses come after it if it was.
    #[inline]
    pub(crate) fn replace_acquire(&self, expected: u64, value: u64) -> bool {
        self.word.cmpxchg(expected, value, Acquire).is_ok()
    }

    /// Returns the number. For the holder of the lock.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Relaxed)
    }

    /// Sets the number. For the holder of the lock.
    #[inline]
    pub(crate) fn set_number(&self, number: u64) {
        self.number.store(number, Relaxed);
    }
}

#[pin_data]
struct Sleepers {
    #[pin]
    lock: Mutex<()>,
    #[pin]
    changed: CondVar,
}

/// A queue of threads that wait for conditions to change.
pub(crate) struct WaitQueue(Pin<KBox<Sleepers>>);

impl WaitQueue {
    /// Creates an empty queue.
    pub(crate) fn new() -> Result<Self, NoMemory> {
        let lot = pin_init!(Sleepers {
            lock <- new_mutex!((), "btt_wait_queue"),
            changed <- new_condvar!("btt_wait_queue"),
        });
        KBox::pin_init(lot, GFP_KERNEL)
            .map(Self)
            .map_err(|_| NoMemory)
    }

    /// Sleeps as long as `condition` returns `true`.
    pub(crate) fn wait_while(&self, mut condition: impl FnMut() -> bool) {
        let mut guard = self.0.lock.lock();
        while condition() {
            self.0.changed.wait(&mut guard);
        }
    }

    /// Wakes all threads, which evaluate their conditions again.
    pub(crate) fn wake_all(&self) {
        // A thread holds this lock while it evaluates its condition and releases it when it is
        // asleep. So a thread that has not seen the change is asleep now.
        drop(self.0.lock.lock());
        self.0.changed.notify_all();
    }
}

/// Orders all earlier accesses before all later ones, including stores before loads.
#[inline]
pub(crate) fn full_barrier() {
    kernel_compat::smp_mb();
}

/// Waits a little between two looks at a condition. Spins at first; sleeps from attempt 64 on.
pub(crate) fn relax(attempt: u32) {
    const SPINS: u32 = 64;
    if attempt < SPINS {
        cpu_relax();
    } else {
        fsleep(Delta::from_micros(20));
    }
}
