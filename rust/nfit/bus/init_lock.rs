// SPDX-License-Identifier: GPL-2.0

//! Barrier between the merge of a table and `wait_probe`.
//!
//! The bus is registered before its DIMMs, and the DIMMs before the regions. `wait_probe` returns
//! only when all of them are, so it waits for the end of the merge. The
//! [`Provider`](crate::provider::Provider) owns the bus, so the bus cannot refer back to it: the
//! two share this lock instead.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        lock::{
            mutex::MutexBackend,
            Guard, //
        },
        Arc,
        Mutex, //
    },
};

/// Lock that a provider and its bus share.
#[pin_data]
pub(crate) struct InitLock {
    #[pin]
    lock: Mutex<()>,
}

impl InitLock {
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                lock <- new_mutex!(()),
            }),
            GFP_KERNEL,
        )
    }

    /// Starts a merge. It ends when the returned guard is dropped.
    pub(crate) fn lock(&self) -> Guard<'_, (), MutexBackend> {
        self.lock.lock()
    }

    /// Waits until no merge is in progress. Must not be called by work that a merge waits for.
    pub(crate) fn wait(&self) {
        drop(self.lock());
    }
}
