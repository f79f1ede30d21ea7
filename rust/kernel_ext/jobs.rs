// SPDX-License-Identifier: GPL-2.0

//! Jobs that are done once, in the background, and a way to wait for all of them.
//!
//! There is one queue, for it is the module as a whole that must not be unloaded while a job runs:
//! jobs are functions of the modules that schedule them, and a module drains the queue before it
//! goes. The core owns it ([`Registration`]).
//!
//! # Memory and locks
//!
//! A job is there for those who hold locks that it wants, so it must never run at once. All memory
//! that it needs is taken by [`Prepared::new`]: its work lies beside it, and [`Prepared::schedule`]
//! takes none.
//!
//! Jobs wait for each other: for locks of devices, which probes hold for long. None waits for one
//! that has not begun, so the bound on how many run at a time does no harm. They take memory and
//! may wait for user space; reclaim never waits for them, and the queue has no rescuer. When there
//! is no memory for a further worker, jobs wait until there is.
//!
//! The queue is not `async` of the kernel: that would run a job at once when it finds no memory,
//! and its jobs would be waited for by whoever loads a module (`async_synchronize_full`).

use crate::{
    wait::wait_until,
    workqueue::OwnedQueue, //
};
use core::{
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    impl_has_work,
    prelude::*,
    static_lock_class,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Release, //
        },
        LockClassKey, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

/// The queue of the [`Registration`], or null.
static QUEUE: Atomic<*mut OwnedQueue> = Atomic::new(ptr::null_mut());

/// How many [`QueueUse`]s there are.
static USERS: Atomic<usize> = Atomic::new(0);

/// How many jobs were ever scheduled. A job is counted after it was enqueued.
static SCHEDULED: Atomic<usize> = Atomic::new(0);

/// The queue for jobs, as long as this lives. Dropping it waits until all of them are done.
pub struct Registration {
    _queue: KBox<OwnedQueue>,
}

impl Registration {
    /// Makes the queue, under the name `name`. `EBUSY`: there is one.
    pub fn new(name: &CStr) -> Result<Self> {
        let mut queue = KBox::new(OwnedQueue::new_unbound(name)?, GFP_KERNEL)?;
        QUEUE
            .cmpxchg(ptr::null_mut(), &raw mut *queue, Full)
            .map_err(|_| EBUSY)?;
        Ok(Self { _queue: queue })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Both are fully ordered, and so is what a user does: either it is counted here or it finds
        // no queue.
        QUEUE.xchg(ptr::null_mut(), Full);
        wait_until(
            || USERS.fetch_add(0, Full) == 0,
            || pr_warn!("waiting for jobs that are to be scheduled\n"),
        );
        // The queue is dropped next, and waits for its work.
    }
}

/// A use of the queue, which is there as long as this lives.
///
/// # Invariants
///
/// The pointer was that of a [`Registration`] after this was counted in [`USERS`].
struct QueueUse(NonNull<OwnedQueue>);

// SAFETY: A queue may be used by any thread.
unsafe impl Send for QueueUse {}

// SAFETY: As above.
unsafe impl Sync for QueueUse {}

impl QueueUse {
    /// `None`: there is no queue.
    fn new() -> Option<Self> {
        USERS.fetch_add(1, Full);
        let queue = NonNull::new(QUEUE.load(Acquire));
        if queue.is_none() {
            USERS.fetch_sub(1, Full);
        }
        // INVARIANT: It was counted before.
        queue.map(Self)
    }
}

impl Deref for QueueUse {
    type Target = OwnedQueue;

    fn deref(&self) -> &OwnedQueue {
        // SAFETY: By the type invariant the registration was not dropped when this was counted, and
        // it waits until this is not counted any more before it drops its queue.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for QueueUse {
    fn drop(&mut self) {
        USERS.fetch_sub(1, Full);
    }
}

/// A job for the background.
pub trait Job: Send + Sized + 'static {
    /// Does it.
    fn run(self);
}

/// A job and its work.
#[pin_data]
struct Item<J: Job> {
    #[pin]
    work: Work<Item<J>>,
    /// Always there until the work is done.
    job: Option<J>,
}

impl_has_work! {
    impl{J: Job} HasWork<Self> for Item<J> { self.work }
}

impl<J: Job> WorkItem for Item<J> {
    type Pointer = Pin<KBox<Self>>;

    fn run(mut this: Pin<KBox<Self>>) {
        let job = this.as_mut().project().job.take();
        drop(this);
        if let Some(job) = job {
            job.run();
        }
    }
}

/// What lockdep is to know of the work of all jobs.
///
/// Not a part of the generic function that calls it: each module has its own copy of that and of
/// the names in it, and lockdep wants one name for a key.
#[inline(never)]
fn lock_class() -> (&'static CStr, Pin<&'static LockClassKey>) {
    (c"nd_job", static_lock_class!())
}

/// A job that only has to be scheduled, which takes no memory and cannot fail.
pub struct Prepared<J: Job> {
    item: Pin<KBox<Item<J>>>,
    queue: QueueUse,
}

impl<J: Job> Prepared<J> {
    /// Takes the memory for `job`. `ENODEV`: there is no queue.
    pub fn new(job: J) -> Result<Self> {
        let queue = QueueUse::new().ok_or(ENODEV)?;
        let (name, key) = lock_class();
        let item = KBox::pin_init(
            pin_init!(Item {
                work <- Work::new(name, key),
                job: Some(job),
            }),
            GFP_KERNEL,
        )?;
        Ok(Self { item, queue })
    }

    /// Schedules the job, near the NUMA node `node` if that is online. It never runs before this
    /// returns, unless on another thread.
    pub fn schedule(self, node: i32) {
        let Self { item, queue } = self;
        queue.enqueue_near(node, item);
        SCHEDULED.fetch_add(1, Release);
    }
}

/// Waits until no job is left, those included that jobs scheduled meanwhile. Never call it from a
/// job, nor from what a job may call: registration probes drivers.
pub fn drain() {
    let Some(queue) = QueueUse::new() else {
        return;
    };
    loop {
        let scheduled = SCHEDULED.load(Acquire);
        // The jobs that were counted, and what they scheduled until they ended, which is counted by
        // then.
        queue.flush();
        if SCHEDULED.load(Acquire) == scheduled {
            return;
        }
    }
}
