// SPDX-License-Identifier: GPL-2.0

//! The cookies of an interleave set, by which labels name the set that they were written for.

/// The cookies of a set. How they are computed depends on what describes the set: for an NFIT see
/// [`nfit::interleave`](crate::nfit::interleave).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cookies {
    /// For labels of version 1.1.
    pub v1_1: u64,
    /// For labels of version 1.2.
    pub v1_2: u64,
    /// The cookie that early kernels wrote into labels of version 1.1. It is accepted, but never
    /// written.
    pub alternate: u64,
}
