// SPDX-License-Identifier: GPL-2.0

//! Jobs that run in the background, and a way to wait for all of them.
//!
//! There is one domain, for it is the module as a whole that must not be unloaded while a job runs: jobs are functions of
//! the modules that schedule them, and a module drains the domain before it goes.
//!
//! C header: [`include/linux/async.h`](srctree/include/linux/async.h)

use crate::sys;
use kernel::{
    prelude::*,
    types::{
        ForeignOwnable,
        Opaque, //
    },
};

/// A domain that `async_synchronize_full` leaves alone, as its jobs may wait for user space.
#[repr(transparent)]
struct Domain(Opaque<sys::async_domain>);

// SAFETY: The C functions lock what they change.
unsafe impl Sync for Domain {}

static DOMAIN: Domain = {
    let list = (&raw const DOMAIN).cast::<sys::list_head>().cast_mut();
    let mut domain: sys::async_domain = pin_init::zeroed();
    // The list of pending jobs is the first field, and an empty list points to itself.
    domain.pending.next = list;
    domain.pending.prev = list;
    Domain(Opaque::new(domain))
};

const _: () = assert!(core::mem::offset_of!(sys::async_domain, pending) == 0);

/// A job for the background.
pub trait Job: Send + Sized + 'static {
    /// Does it.
    fn run(self);
}

/// A job that only has to be scheduled, which cannot fail.
pub struct Prepared<J: Job>(KBox<J>);

impl<J: Job> Prepared<J> {
    /// Takes the memory for `job`.
    pub fn new(job: J) -> Result<Self> {
        Ok(Self(KBox::new(job, GFP_KERNEL)?))
    }

    /// Schedules the job, near the NUMA node `node` if that is not negative.
    ///
    /// If memory is short the job may run at once, before this returns.
    pub fn schedule(self, node: i32) {
        // SAFETY: The callback takes back what `into_foreign` gave, exactly once.
        unsafe {
            sys::async_schedule_node_domain(
                Some(callback::<J>),
                self.0.into_foreign(),
                node,
                DOMAIN.0.get(),
            );
        }
    }
}

/// Runs a job.
///
/// # Safety
///
/// `data` must come from `into_foreign` of a box of `J`, which becomes this function's.
unsafe extern "C" fn callback<J: Job>(data: *mut c_void, _cookie: sys::async_cookie_t) {
    // SAFETY: `data` came from `into_foreign` in `Prepared::schedule`, and the callback is called once.
    KBox::into_inner(unsafe { KBox::<J>::from_foreign(data) }).run();
}

/// Waits until no job is left, those included that jobs scheduled meanwhile. Never call it from a job, nor from what a
/// job may call: registration probes drivers.
pub fn drain() {
    // SAFETY: The domain is static.
    unsafe { sys::async_synchronize_full_domain(DOMAIN.0.get()) };
}
