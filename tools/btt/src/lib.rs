// SPDX-License-Identifier: GPL-2.0

//! What `btt` is made of, for other tools, too: images as media, the tables on them, the check.

pub mod arenas;
pub mod check;
pub mod copies;
pub mod flog;
pub mod image;
pub mod tables;
