// SPDX-License-Identifier: GPL-2.0

mod functions;
mod interleave;
mod sample;
mod table;
mod views;
