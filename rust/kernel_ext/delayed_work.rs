// SPDX-License-Identifier: GPL-2.0

//! Delayed work that reschedules itself and can be stopped for good.
//!
//! [`DelayedWork`] owns the work item and a reference to its [`DelayedJob`]. There are no locks.
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

/// The function of a [`DelayedWork`], with its data.
pub trait DelayedJob: Send + Sync + 'static {
    /// Runs the job once. It may sleep, and never runs concurrently with itself. Returns the delay
    /// after which it runs again; `None` if it runs again only when it is started.
    fn run(&self) -> Option<Jiffies>;
}

/// Runs a [`DelayedJob`] in the background. Dropping it stops the job and waits for it.
pub struct DelayedWork<J: DelayedJob> {
    inner: Pin<KBox<Inner<J>>>,
}

/// # Invariants
///
/// `raw` was initialised with the callback of `J`, is pinned, and is disabled and not running
/// before the value is dropped.
#[repr(C)]
#[pin_data]
struct Inner<J: DelayedJob> {
    #[pin]
    raw: Opaque<sys::delayed_work>,
    job: Arc<J>,
}

// SAFETY: A `J` may be used and dropped by any thread, and so may work.
unsafe impl<J: DelayedJob> Send for Inner<J> {}

// SAFETY: A `J` may be shared between threads, and the functions on work may be called
// concurrently.
unsafe impl<J: DelayedJob> Sync for Inner<J> {}

impl<J: DelayedJob> DelayedWork<J> {
    /// Creates work for `job`, which does not run before [`Self::start`]. `ENOMEM`: out of memory.
    pub fn new(job: Arc<J>) -> Result<Self> {
        let inner = KBox::pin_init(
            pin_init!(Inner {
                raw <- Opaque::ffi_init(|slot: *mut sys::delayed_work| {
                    // SAFETY: `slot` is valid for writes and pinned. It is the `raw` of an
                    // `Inner<J>`, with whose work the callback may be called.
                    unsafe { initialise(slot, callback::<J>) }
                }),
                job,
            }),
            GFP_KERNEL,
        )?;
        // INVARIANT: `raw` was initialised above; `drop` disables it.
        Ok(Self { inner })
    }

    /// Returns the job.
    pub fn job(&self) -> &J {
        &self.inner.job
    }

    /// Runs the job as soon as possible, unless it is pending already. If it is running, it runs
    /// once more. May be called in atomic context.
    pub fn start(&self) {
        queue(&self.inner.raw, 0);
    }

    /// Runs the job after `delay`, and replaces the delay of a pending one (`mod_delayed_work()`).
    pub fn mod_delayed(&self, delay: Jiffies) {
        // SAFETY: By the type invariant of `Inner` the work is initialised and pinned, and it is
        // disabled before it is freed. The queue is one of the kernel's, which always exists.
        unsafe {
            sys::mod_delayed_work_on(
                sys::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                sys::system_dfl_long_wq,
                self.inner.raw.get(),
                delay,
            )
        };
    }

    /// Returns `true` if the job is running or pending. That may have changed when this returns.
    pub fn is_busy(&self) -> bool {
        // SAFETY: By the type invariant of `Inner` the work is initialised.
        unsafe { sys::work_busy(&raw mut (*self.inner.raw.get()).work) != 0 }
    }

    /// Stops the job for good: waits until it does not run any more, and later starts do nothing.
    /// May sleep.
    ///
    /// The job must not call it, as it would wait for itself.
    pub fn stop(&self) {
        // SAFETY: By the type invariant of `Inner` the work is initialised. The function may sleep,
        // as the caller may.
        unsafe { sys::disable_delayed_work_sync(self.inner.raw.get()) };
    }
}

impl<J: DelayedJob> Drop for DelayedWork<J> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn queue(raw: &Opaque<sys::delayed_work>, delay: Jiffies) {
    // SAFETY: The work is that of an `Inner`, by whose type invariant it is initialised and pinned,
    // and is disabled before it is freed. The queue is one of the kernel's, which always exists.
    unsafe {
        sys::queue_delayed_work_on(
            sys::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
            sys::system_dfl_long_wq,
            raw.get(),
            delay,
        )
    };
}

/// Initialises delayed work.
///
/// Not a part of its generic caller, of which each module has its own copy: lockdep requires that
/// all users of a key pass the same name.
///
/// # Safety
///
/// `slot` must be valid for writes and stay in place while the work is in use. `function` must be
/// callable with its `work`.
#[inline(never)]
unsafe fn initialise(
    slot: *mut sys::delayed_work,
    function: unsafe extern "C" fn(*mut sys::work_struct),
) {
    // SAFETY: The caller guarantees that `slot` is valid for writes, stays in place, and that
    // `function` may be called with its `work`. Names and lock classes are static. The timer's
    // function is the one for delayed work, which finds its work around the timer.
    unsafe {
        sys::init_work_with_key(
            &raw mut (*slot).work,
            Some(function),
            false,
            c"nd_delayed_work".as_char_ptr(),
            static_lock_class!().as_ptr(),
        );
        sys::timer_init_key(
            &raw mut (*slot).timer,
            Some(sys::delayed_work_timer_fn),
            sys::TIMER_IRQSAFE,
            c"nd_delayed_work".as_char_ptr(),
            static_lock_class!().as_ptr(),
        );
    }
}

/// Runs the job.
///
/// # Safety
///
/// `work` must be the one in the `raw` of an [`Inner<J>`]. Only the workqueue may call this.
unsafe extern "C" fn callback<J: DelayedJob>(work: *mut sys::work_struct) {
    // SAFETY: The caller passes the work in the first field of an `Inner<J>`. The value outlives
    // the call, as dropping it waits for the work.
    let inner = unsafe {
        let delayed = container_of!(work, sys::delayed_work, work);
        &*delayed.cast::<Inner<J>>()
    };
    if let Some(delay) = inner.job.run() {
        queue(&inner.raw, delay);
    }
}
