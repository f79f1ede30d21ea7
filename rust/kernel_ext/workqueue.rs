// SPDX-License-Identifier: GPL-2.0

//! Work queues of one's own; `kernel::workqueue` has those of the system only.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use crate::sys;
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    workqueue::RawWorkItem, //
};

/// A work queue. Dropping it waits for the work that is in it.
///
/// # Invariants
///
/// The pointer is a work queue from `alloc_workqueue` with `WQ_UNBOUND`, which this owns.
pub struct OwnedQueue(NonNull<sys::workqueue_struct>);

// SAFETY: A queue belongs to no thread.
unsafe impl Send for OwnedQueue {}

// SAFETY: The functions on queues may be called concurrently.
unsafe impl Sync for OwnedQueue {}

impl OwnedQueue {
    /// A queue of which no work is bound to a CPU. `ENOMEM`: there is no memory for it.
    ///
    /// It has no rescuer: when memory is short its work waits for a worker, so reclaim must not
    /// depend on it.
    pub fn new_unbound(name: &CStr) -> Result<Self> {
        // SAFETY: The format takes one string. 0 asks for the default of how much work is done at a
        // time.
        let queue = unsafe {
            sys::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                sys::wq_flags_WQ_UNBOUND,
                0,
                name.as_char_ptr(),
            )
        };
        // INVARIANT: It was just made.
        NonNull::new(queue).map(Self).ok_or(ENOMEM)
    }

    /// Enqueues a work item, to be done near the NUMA node `node` if that is online.
    ///
    /// This may fail if the work item is already enqueued in a workqueue.
    pub fn enqueue_near<W, const ID: u64>(&self, node: i32, w: W) -> W::EnqueueOutput
    where
        W: RawWorkItem<ID> + Send + 'static,
    {
        // SAFETY: `queue_work_node` returns `false` only for work that is in a queue, as work of
        // `RawWorkItem` is never disabled. `W` is `Send` and static. The pointer is valid as
        // `__enqueue` guarantees: during the call, and until the work is done if it was enqueued.
        // The queue is valid, and unbound, by the type invariant; nodes that do not exist are seen
        // through.
        unsafe { w.__enqueue(|work| sys::queue_work_node(node, self.0.as_ptr(), work)) }
    }

    /// Waits for all work that was enqueued before. Never call it from work of this queue.
    pub fn flush(&self) {
        // SAFETY: The queue is valid by the type invariant.
        unsafe { sys::__flush_workqueue(self.0.as_ptr()) };
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        // SAFETY: The queue is ours by the type invariant. This waits for its work, and for what
        // that enqueues.
        unsafe { sys::destroy_workqueue(self.0.as_ptr()) };
    }
}
