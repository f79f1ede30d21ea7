// SPDX-License-Identifier: GPL-2.0

//! The parts of `btt` that other tools share: images as media, the tables on them, the check.

pub mod arenas;
pub mod check;
pub mod copies;
pub mod flog;
pub mod image;
pub mod tables;
