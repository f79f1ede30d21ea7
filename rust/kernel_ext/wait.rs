// SPDX-License-Identifier: GPL-2.0

//! Waiting for conditions that send no wake-up: that an object is not used any more, or that no
//! task runs a function any more.

use crate::sys;
use kernel::time::{
    delay::fsleep,
    Delta, //
};

/// Polls `condition` until it is true, and calls `warn` about every ten seconds. May sleep.
pub(crate) fn wait_until(condition: impl Fn() -> bool, warn: impl Fn()) {
    const ROUNDS: u32 = 1000;

    let mut waited = 0u32;
    while !condition() {
        if waited % ROUNDS == ROUNDS - 1 {
            warn();
        }
        waited = waited.wrapping_add(1);
        // Most waits are short.
        let pause = if waited < 10 { 1 } else { 10 };
        fsleep(Delta::from_millis(pause));
    }
}

/// Waits until every task that was preempted in module text has left it. Without this wait, a task
/// that was preempted between the last action of a function and its return could resume in text
/// that has been freed. It does not wait for a task that sleeps there voluntarily.
pub(crate) fn wait_for_returns() {
    // SAFETY: The function takes nothing and must be called where sleeping is allowed. Its callers
    // have slept, or could have, in `wait_until`.
    unsafe { sys::synchronize_rcu_tasks() };
}
