// SPDX-License-Identifier: GPL-2.0

//! Workqueues that a module owns. `kernel::workqueue` has the system's queues only.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use crate::sys;
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    workqueue::RawWorkItem, //
};

/// A workqueue. Dropping it waits for the work in it. May sleep.
///
/// # Invariants
///
/// The pointer is a workqueue that `alloc_workqueue` made with `WQ_UNBOUND`, and it is owned.
pub struct OwnedQueue(NonNull<sys::workqueue_struct>);

// SAFETY: A workqueue is not tied to a thread and may be destroyed by any.
unsafe impl Send for OwnedQueue {}

// SAFETY: `queue_work_node` and `__flush_workqueue` may be called concurrently on a queue.
unsafe impl Sync for OwnedQueue {}

impl OwnedQueue {
    /// Creates a queue whose work is not bound to a CPU. `ENOMEM`: out of memory.
    ///
    /// It has no rescuer. When memory is short, its work may wait for a worker, so reclaim must not
    /// depend on it.
    pub fn new_unbound(name: &CStr) -> Result<Self> {
        // SAFETY: The format takes one string, which is passed. Both are C strings and are copied.
        // 0 stands for the default limit on concurrent work. The function may sleep, as this one
        // may.
        let queue = unsafe {
            sys::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                sys::wq_flags_WQ_UNBOUND,
                0,
                name.as_char_ptr(),
            )
        };
        // INVARIANT: The queue was just created with this flag, and is owned.
        NonNull::new(queue).map(Self).ok_or(ENOMEM)
    }

    /// Enqueues a work item, to run near the NUMA node `node` if that is online.
    ///
    /// This may fail if the work item is in a workqueue already.
    pub fn enqueue_near<W, const ID: u64>(&self, node: i32, w: W) -> W::EnqueueOutput
    where
        W: RawWorkItem<ID> + Send + 'static,
    {
        // SAFETY: `queue_work_node` returns `false` only for work that is in a queue already, as
        // the work of a `RawWorkItem` is never disabled. `W` is `Send` and `'static`. `__enqueue`
        // guarantees that the pointer is valid during the call and, if the work was enqueued, until
        // it runs. By the type invariant the queue is valid and unbound. A node that is not online
        // or does not exist is ignored.
        unsafe { w.__enqueue(|work| sys::queue_work_node(node, self.0.as_ptr(), work)) }
    }

    /// Waits for all work that was enqueued before. May sleep. Work of this queue must not call it.
    pub fn flush(&self) {
        // SAFETY: By the type invariant the queue is valid. The function may sleep, as the caller
        // may.
        unsafe { sys::__flush_workqueue(self.0.as_ptr()) };
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the queue is owned; it is destroyed once and not used
        // afterwards. The function waits for its work and for what that work enqueues. It may
        // sleep, as the owner of a queue may.
        unsafe { sys::destroy_workqueue(self.0.as_ptr()) };
    }
}
