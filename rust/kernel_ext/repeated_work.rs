// SPDX-License-Identifier: GPL-2.0

//! Work that says when it is to be done again, and that can be stopped for good.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use crate::sys;
use kernel::{
    container_of,
    prelude::*,
    static_lock_class,
    sync::Arc,
    time::Jiffies,
    types::Opaque, //
};

/// Work for [`RepeatedWork`].
pub trait Job: Send + Sync + 'static {
    /// Does it once; never twice at a time. May sleep. Returns after how long it is to be done
    /// again; `None` if somebody will ask for it.
    fn run(&self) -> Option<Jiffies>;
}

/// Does a [`Job`] in the background. Dropping it waits for the job.
pub struct RepeatedWork<J: Job> {
    inner: Pin<KBox<Inner<J>>>,
}

/// # Invariants
///
/// `raw` was initialised with a callback of `J`, and is disabled before the value is dropped.
#[repr(C)]
#[pin_data]
struct Inner<J: Job> {
    #[pin]
    raw: Opaque<sys::delayed_work>,
    job: Arc<J>,
}

// SAFETY: The job may be used by any thread, and so may work.
unsafe impl<J: Job> Send for Inner<J> {}

// SAFETY: As above; the functions on work may be called concurrently.
unsafe impl<J: Job> Sync for Inner<J> {}

impl<J: Job> RepeatedWork<J> {
    /// Prepares to do `job`; nothing is done before [`Self::start`].
    pub fn new(job: Arc<J>) -> Result<Self> {
        let inner = KBox::pin_init(
            pin_init!(Inner {
                raw <- Opaque::ffi_init(|slot: *mut sys::delayed_work| {
                    // SAFETY: `slot` is valid for writes and pinned; the callback is that of the
                    // work in an `Inner<J>`.
                    unsafe { initialise(slot, callback::<J>) }
                }),
                job,
            }),
            GFP_KERNEL,
        )?;
        // INVARIANT: Initialised above; `drop` disables it.
        Ok(Self { inner })
    }

    /// The job.
    pub fn job(&self) -> &J {
        &self.inner.job
    }

    /// Has the job done as soon as possible, unless it waits for its time. If it is being done, it
    /// is done once more.
    pub fn start(&self) {
        queue(&self.inner.raw, 0);
    }

    /// Has the job done in `delay`, whatever time it waits for.
    pub fn hasten(&self, delay: Jiffies) {
        // SAFETY: The work is valid by the type invariant of `Inner`, and the queue is one that
        // always exists.
        unsafe {
            sys::mod_delayed_work_on(
                sys::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                sys::system_dfl_long_wq,
                self.inner.raw.get(),
                delay,
            )
        };
    }

    /// Tells whether the job is being done, or waits for its time.
    pub fn is_busy(&self) -> bool {
        // SAFETY: The work is valid by the type invariant of `Inner`. The answer may be old when it
        // arrives.
        unsafe { sys::work_busy(&raw mut (*self.inner.raw.get()).work) != 0 }
    }

    /// Stops for good: waits until the job is not being done any more, and lets nobody start it
    /// again.
    ///
    /// Never call it from the job.
    pub fn stop(&self) {
        // SAFETY: The work is valid by the type invariant of `Inner`.
        unsafe { sys::disable_delayed_work_sync(self.inner.raw.get()) };
    }
}

impl<J: Job> Drop for RepeatedWork<J> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn queue(raw: &Opaque<sys::delayed_work>, delay: Jiffies) {
    // SAFETY: Whoever calls this has initialised work; the queue is one that always exists.
    unsafe {
        sys::queue_delayed_work_on(
            sys::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
            sys::system_dfl_long_wq,
            raw.get(),
            delay,
        )
    };
}

/// Makes delayed work.
///
/// Not a part of the generic function that calls it: each module has its own copy of that and of
/// the names in it, and lockdep wants one name for a key.
///
/// # Safety
///
/// `slot` is valid for writes and does not move while the work is in use; `function` may be called
/// with its `work`.
#[inline(never)]
unsafe fn initialise(
    slot: *mut sys::delayed_work,
    function: unsafe extern "C" fn(*mut sys::work_struct),
) {
    // SAFETY: By the safety requirements; the timer's function is the one for delayed work.
    unsafe {
        sys::init_work_with_key(
            &raw mut (*slot).work,
            Some(function),
            false,
            c"nd_repeated_work".as_char_ptr(),
            static_lock_class!().as_ptr(),
        );
        sys::timer_init_key(
            &raw mut (*slot).timer,
            Some(sys::delayed_work_timer_fn),
            sys::TIMER_IRQSAFE,
            c"nd_repeated_work".as_char_ptr(),
            static_lock_class!().as_ptr(),
        );
    }
}

/// Does the job.
///
/// # Safety
///
/// To be called by the work queue alone, with the `work` of the `raw` of an [`Inner<J>`].
unsafe extern "C" fn callback<J: Job>(work: *mut sys::work_struct) {
    // SAFETY: By the requirements of this function. The value outlives the call, as it is disabled
    // before it is dropped.
    let inner = unsafe {
        let delayed = container_of!(work, sys::delayed_work, work);
        &*delayed.cast::<Inner<J>>()
    };
    if let Some(delay) = inner.job.run() {
        queue(&inner.raw, delay);
    }
}
