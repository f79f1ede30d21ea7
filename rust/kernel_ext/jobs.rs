// SPDX-License-Identifier: GPL-2.0

//! Jobs that run once in the background, and a way to wait for all of them.
//!
//! All jobs share one queue, which the core owns ([`Registration`]). Jobs are functions of the
//! modules that schedule them, so a module must [`drain`] the queue before it is unloaded.
//!
//! # Memory and locks
//!
//! A job is scheduled by code that holds locks which the job takes, so it must never run
//! synchronously. [`Prepared::new`] allocates all memory that scheduling needs: the work item lies
//! beside the job. [`Prepared::schedule`] allocates none.
//!
//! Jobs wait for each other, as they take device locks, which probes hold for a long time. No job
//! waits for one that has not begun, so the limit on concurrent jobs cannot cause a deadlock. Jobs
//! allocate memory and may wait for user space. Reclaim never waits for them, so the queue has no
//! rescuer: without memory for another worker, jobs wait until there is some.
//!
//! There are no locks here. [`Registration`] and [`QueueUse`] synchronise by fully ordered atomics.
//!
//! The kernel's `async` functions would not do. They run a job synchronously if they find no
//! memory, and loading a module waits for their jobs (`async_synchronize_full`).

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

/// Number of [`QueueUse`]s.
static USERS: Atomic<usize> = Atomic::new(0);

/// Number of jobs that were scheduled so far. A job is counted after it was enqueued.
static SCHEDULED: Atomic<usize> = Atomic::new(0);

/// Owner of the queue. Dropping it waits until all jobs have run. May sleep.
pub struct Registration {
    _queue: KBox<OwnedQueue>,
}

impl Registration {
    /// Creates the queue, called `name`. `EBUSY`: there is one already. `ENOMEM`: out of memory.
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
        // Both are fully ordered, like the increment in `QueueUse::new`: a user is either counted
        // here or finds no queue.
        QUEUE.xchg(ptr::null_mut(), Full);
        wait_until(
            || USERS.fetch_add(0, Full) == 0,
            || pr_warn!("waiting for jobs that are to be scheduled\n"),
        );
        // Dropping the field `_queue` waits for the work in the queue.
    }
}

/// A use of the queue. The queue is not destroyed while this lives.
///
/// # Invariants
///
/// The pointer was loaded from [`QUEUE`] after this use was counted in [`USERS`], and it is counted
/// until this is dropped.
struct QueueUse(NonNull<OwnedQueue>);

// SAFETY: `OwnedQueue` is `Sync`, so any thread may use it through the pointer, and the count is
// atomic.
unsafe impl Send for QueueUse {}

// SAFETY: A shared `QueueUse` gives access to a shared `OwnedQueue` only, which is `Sync`.
unsafe impl Sync for QueueUse {}

impl QueueUse {
    /// Returns a use of the queue; `None` if there is no queue.
    fn new() -> Option<Self> {
        USERS.fetch_add(1, Full);
        let queue = NonNull::new(QUEUE.load(Acquire));
        if queue.is_none() {
            USERS.fetch_sub(1, Full);
        }
        // INVARIANT: This use was counted before the pointer was loaded.
        queue.map(Self)
    }
}

impl Deref for QueueUse {
    type Target = OwnedQueue;

    fn deref(&self) -> &OwnedQueue {
        // SAFETY: By the type invariant the pointer was that of a registration after this use was
        // counted. The registration owns the queue and does not drop it before this use is not
        // counted any more, so it is valid while `self` is borrowed. It is only borrowed shared
        // after it was published.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for QueueUse {
    fn drop(&mut self) {
        USERS.fetch_sub(1, Full);
    }
}

/// A job that runs in the background.
pub trait Job: Send + Sized + 'static {
    /// Runs the job. May sleep.
    fn run(self);
}

/// A job and its work item.
#[pin_data]
struct Item<J: Job> {
    #[pin]
    work: Work<Item<J>>,
    /// `Some` until the work runs.
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

/// Returns the name and the key by which lockdep knows the work of all jobs.
///
/// Not a part of its generic caller, of which each module has its own copy: lockdep requires that
/// all users of a key pass the same name.
#[inline(never)]
fn lock_class() -> (&'static CStr, Pin<&'static LockClassKey>) {
    (c"nd_job", static_lock_class!())
}

/// A job that is ready to be scheduled. Scheduling allocates no memory and cannot fail.
pub struct Prepared<J: Job> {
    item: Pin<KBox<Item<J>>>,
    queue: QueueUse,
}

impl<J: Job> Prepared<J> {
    /// Allocates the memory for `job`. `ENODEV`: there is no queue. `ENOMEM`: out of memory.
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

    /// Schedules the job, near the NUMA node `node` if that is online. It runs on another thread,
    /// maybe before this returns.
    pub fn schedule(self, node: i32) {
        let Self { item, queue } = self;
        queue.enqueue_near(node, item);
        SCHEDULED.fetch_add(1, Release);
    }
}

/// Waits until no job is left, including those that jobs schedule meanwhile. May sleep. It must not
/// be called from a job, nor from code that a job calls, such as the probe of a driver.
pub fn drain() {
    let Some(queue) = QueueUse::new() else {
        return;
    };
    loop {
        let scheduled = SCHEDULED.load(Acquire);
        // This waits for the counted jobs. What they have scheduled is counted by the time they
        // end.
        queue.flush();
        if SCHEDULED.load(Acquire) == scheduled {
            return;
        }
    }
}
