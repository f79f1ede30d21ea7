// SPDX-License-Identifier: GPL-2.0

//! A mutex for statics that needs no initialisation by the module.
//!
//! A kernel mutex cannot be initialised at compile time from Rust, as its layout depends on the
//! kernel's debugging options. `kernel::sync::global_lock!` leaves the call to its user, as an
//! unsafe function that must run once and before the first use. [`StaticMutex`] makes this call
//! itself, when it is locked for the first time.
//!
//! What a static owns is not dropped when its module is unloaded. The user gives it up before.
//!
//! C header: [`include/linux/mutex.h`](srctree/include/linux/mutex.h)

use core::{
    cell::UnsafeCell,
    mem::MaybeUninit, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        lock::{
            mutex::MutexBackend,
            Guard, //
        },
        static_lock_class,
        LockClassKey,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

const UNUSED: i32 = 0;
const BEING_INITIALISED: i32 = 1;
const READY: i32 = 2;

/// A mutex for statics. Its value is [`Default::default`] when it is locked for the first time;
/// making it must not lock the same mutex.
///
/// All of them are one class for lockdep. They are leaves, and a thread holds one at a time.
///
/// # Invariants
///
/// `state` changes from [`UNUSED`] to [`BEING_INITIALISED`] to [`READY`], once each. The thread
/// that makes the first change has exclusive access to `mutex` until it makes the second. From then
/// on, `mutex` is initialised and only accessed through shared references.
pub struct StaticMutex<T> {
    state: Atomic<i32>,
    mutex: UnsafeCell<MaybeUninit<Mutex<T>>>,
}

// SAFETY: By the type invariant, threads that initialise or use the mutex do not conflict. Locking
// gives one thread at a time access to the value, which `T: Send` allows.
unsafe impl<T: Send> Sync for StaticMutex<T> {}

impl<T: Default> StaticMutex<T> {
    /// Returns an unlocked mutex.
    #[expect(clippy::new_without_default, reason = "it is for statics only")]
    pub const fn new() -> Self {
        // INVARIANT: No thread has accessed the mutex.
        Self {
            state: Atomic::new(UNUSED),
            mutex: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Locks the mutex. May sleep.
    pub fn lock(&'static self) -> Guard<'static, T, MutexBackend> {
        if self.state.load(Acquire) != READY {
            self.initialise();
        }
        // SAFETY: The state is `READY`, which this thread has read or stored. So by the type
        // invariant the mutex is initialised and there are only shared references to it. It is not
        // dropped or moved while `self` is borrowed, which is forever.
        unsafe { (*self.mutex.get()).assume_init_ref() }.lock()
    }

    /// Initialises the mutex, or waits until another thread has.
    fn initialise(&'static self) {
        if self
            .state
            .cmpxchg(UNUSED, BEING_INITIALISED, Relaxed)
            .is_ok()
        {
            let (name, class) = lock_class();
            // SAFETY: This thread has made the change from `UNUSED`, so by the type invariant it
            // has exclusive access until it stores `READY`, and it gives up the reference before.
            // The place is valid and aligned as part of `self`, which is borrowed forever. So the
            // mutex is not moved either: no function moves out of the cell.
            let place = unsafe { &mut *self.mutex.get() };
            let Ok(_) = place.write_pin_init(Mutex::new(T::default(), name, class));
            // INVARIANT: The mutex was initialised, and this thread has no reference to it left.
            self.state.store(READY, Release);
            return;
        }
        // Initialisation is short and happens once. A waiter sleeps, as the initialising thread may
        // need this CPU to finish.
        while self.state.load(Acquire) != READY {
            fsleep(Delta::from_micros(100));
        }
    }
}

/// Returns the name and the key by which lockdep knows all such mutexes.
///
/// Not a part of its generic caller, of which each module has its own copy: lockdep requires that
/// all users of a key pass the same name, and forgets a class when the module that has its name is
/// unloaded. Every user of a key depends on the module of this function.
#[inline(never)]
fn lock_class() -> (&'static CStr, Pin<&'static LockClassKey>) {
    (c"StaticMutex", static_lock_class!())
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_static_mutex)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lock_initialises_and_others_keep_the_value() {
        static NUMBER: StaticMutex<u32> = StaticMutex::new();

        assert_eq!(*NUMBER.lock(), 0);
        *NUMBER.lock() = 7;
        assert_eq!(*NUMBER.lock(), 7);
    }
}
