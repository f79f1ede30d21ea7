// SPDX-License-Identifier: GPL-2.0

//! Waiting for what wakes no one: that something is not used any more, that no task is in a
//! function any more.

use crate::sys;
use kernel::time::{
    delay::fsleep,
    Delta, //
};

/// Waits for `condition`, which others bring about in their own time, and calls `complain` every
/// ten seconds.
pub(crate) fn wait_until(condition: impl Fn() -> bool, complain: impl Fn()) {
    const ROUNDS: u32 = 1000;

    let mut waited = 0u32;
    while !condition() {
        if waited % ROUNDS == ROUNDS - 1 {
            complain();
        }
        waited = waited.wrapping_add(1);
        // Most are done in no time.
        let pause = if waited < 10 { 1 } else { 10 };
        fsleep(Delta::from_millis(pause));
    }
}

/// Waits until every task that was in the text of a module has left it, unless it sleeps there: one
/// that was preempted between its last action and the return of its function goes on in that text.
pub(crate) fn wait_for_returns() {
    // SAFETY: There are no requirements, but that the caller may sleep, as all who wait here do.
    unsafe { sys::synchronize_rcu_tasks() };
}
