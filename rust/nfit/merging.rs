// SPDX-License-Identifier: GPL-2.0

//! Whether a table is being merged.
//!
//! The bus is there before its DIMMs, and these before the regions; who asks for all of them has to wait for the end of the merge. The bus
//! cannot ask its [`Provider`](crate::provider::Provider), which keeps the bus; so this is between them.

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

/// Shared by a provider and its bus.
#[pin_data]
pub(crate) struct Merging {
    #[pin]
    lock: Mutex<()>,
}

impl Merging {
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                lock <- new_mutex!(()),
            }),
            GFP_KERNEL,
        )
    }

    /// A merge begins; it ends when the result is dropped.
    pub(crate) fn begin(&self) -> Guard<'_, (), MutexBackend> {
        self.lock.lock()
    }

    /// Waits for the end of the merge that is going on, if there is one. Never call it from something that a merge waits for.
    pub(crate) fn wait(&self) {
        drop(self.begin());
    }
}
