// SPDX-License-Identifier: GPL-2.0

//! Stores and fences that fail, with and without waiting requests: what is left on the medium is
//! opened again and judged.

#![cfg(not(any(loom, shuttle)))]

mod disk;
mod medium;
mod one_by_one;
mod waiting;
