// SPDX-License-Identifier: GPL-2.0

//! Jobs that come back after a while, until they are done or their owner gives up.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use crate::sys;
use core::mem::offset_of;
use kernel::{
    prelude::*,
    static_lock_class,
    time::{
        msecs_to_jiffies,
        Jiffies,
        Msecs, //
    },
    types::Opaque, //
};

/// What a [`Poller`] does.
pub trait Poll: Send + Sync + 'static {
    /// Does it once. `Some`: it is to be done again after so many milliseconds.
    fn poll(&self) -> Option<Msecs>;
}

/// Runs a job in the background, again and again.
///
/// Dropping it waits for the job if it is running, and lets it never run again; the job must not drop its own poller.
///
/// # Invariants
///
/// `work` is initialised, and its function is [`Inner::<T>::run`].
pub struct Poller<T: Poll>(Pin<KBox<Inner<T>>>);

#[pin_data]
#[repr(C)]
struct Inner<T: Poll> {
    #[pin]
    work: Opaque<sys::delayed_work>,
    job: T,
}

// SAFETY: The C functions lock what they change in the work, and the job may be used on any thread.
unsafe impl<T: Poll> Send for Poller<T> {}
// SAFETY: As above.
unsafe impl<T: Poll> Sync for Poller<T> {}

impl<T: Poll> Poller<T> {
    /// A poller that does not run yet.
    pub fn new(job: T) -> Result<Self> {
        // INVARIANT: The work is initialised here.
        Ok(Self(KBox::pin_init(
            pin_init!(Inner {
                work <- Opaque::ffi_init(|work| {
                    // SAFETY: `work` is the place of the work, which nobody else knows yet; the names are static.
                    unsafe { Inner::<T>::initialise(work) }
                }),
                job,
            }),
            GFP_KERNEL,
        )?))
    }

    /// Lets the job run after `delay` milliseconds, unless it is waiting to be run already.
    pub fn start(&self, delay: Msecs) {
        self.0.queue(delay);
    }
}

impl<T: Poll> Drop for Poller<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the work is initialised.
        unsafe { sys::cancel_delayed_work_sync(self.0.work.get()) };
    }
}

impl<T: Poll> Inner<T> {
    /// Initialises the work.
    ///
    /// # Safety
    ///
    /// `work` must be valid for writes, and be the `work` of an `Inner<T>` whenever the work runs.
    unsafe fn initialise(work: *mut sys::delayed_work) {
        // SAFETY: By the requirements of this function; name and class are static.
        unsafe {
            sys::init_work_with_key(
                &raw mut (*work).work,
                Some(Self::run),
                false,
                c"poller".as_char_ptr(),
                static_lock_class!().as_ptr(),
            )
        };
        // SAFETY: As above; this function of the timer is the one for a timer inside of a delayed work.
        unsafe {
            sys::timer_init_key(
                &raw mut (*work).timer,
                Some(sys::delayed_work_timer_fn),
                sys::TIMER_IRQSAFE,
                c"poller".as_char_ptr(),
                static_lock_class!().as_ptr(),
            )
        };
    }

    fn queue(&self, delay: Msecs) {
        let delay: Jiffies = msecs_to_jiffies(delay);
        // SAFETY: The work is initialised, and cancelled before it goes. The queue is static; it is for jobs on any CPU.
        unsafe {
            sys::queue_delayed_work_on(
                sys::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                sys::system_dfl_wq,
                self.work.get(),
                delay,
            )
        };
    }

    /// Runs the job.
    ///
    /// # Safety
    ///
    /// To be called by the workqueue alone, with the work of an `Inner<T>`.
    unsafe extern "C" fn run(work: *mut sys::work_struct) {
        const _: () = assert!(offset_of!(sys::delayed_work, work) == 0);

        // SAFETY: By the requirements of this function `work` begins the delayed work that an `Inner<T>` begins with. It is
        // alive, for whoever drops it waits for this.
        let this = unsafe { &*work.cast::<Self>() };
        if let Some(delay) = this.job.poll() {
            this.queue(delay);
        }
    }
}
