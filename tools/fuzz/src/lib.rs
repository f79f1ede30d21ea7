// SPDX-License-Identifier: GPL-2.0

//! What must hold whatever bytes are on the medium or in the tables of the firmware.
//!
//! Each target takes any bytes and fails by a panic. All have in common that nothing panics,
//! overflows or reads past the end, and that each run ends. The module of a target lists its other
//! properties.
//!
//! There are two ways to run the targets. `cargo test` runs each one over its seeds, over the
//! inputs in `corpus/` and over a fixed number of mutations of both, the same ones each time. `make
//! fuzz` has libFuzzer look for new inputs, guided by the code that they reach (`libfuzzer/`).

mod arena;
mod flog;
mod info;
mod input;
mod labels;
mod map;
pub mod mutate;
mod nfit;
mod sparse;

use anyhow::{
    Context,
    Result, //
};
use std::path::Path;

/// A target of fuzzing.
pub struct Target {
    /// Its name, which is also the name of its directory in `corpus/`.
    pub name: &'static str,
    /// Panics if a property does not hold for these bytes.
    pub run: fn(&[u8]),
    /// Returns the inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Number of mutations that `cargo test` runs.
    pub mutations: usize,
}

/// All targets.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "info",
        run: info::run,
        seeds: info::seeds,
        mutations: 50_000,
    },
    Target {
        name: "flog",
        run: flog::run,
        seeds: flog::seeds,
        mutations: 100_000,
    },
    Target {
        name: "map",
        run: map::run,
        seeds: map::seeds,
        mutations: 100_000,
    },
    Target {
        name: "arena",
        run: arena::run,
        seeds: arena::seeds,
        mutations: 10_000,
    },
    Target {
        name: "labels",
        run: labels::run,
        seeds: labels::seeds,
        mutations: 20_000,
    },
    Target {
        name: "nfit",
        run: nfit::run,
        seeds: nfit::seeds,
        mutations: 50_000,
    },
];

/// Runs one target over one input, for libFuzzer.
///
/// # Panics
///
/// If there is no such target, or if a property of it does not hold.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("there is no target {name}"));
    (target.run)(input);
}

/// Returns the inputs that are kept for a target, in the order of their names.
///
/// # Errors
///
/// The directory or one of its files cannot be read.
pub fn corpus(name: &str) -> Result<Vec<Vec<u8>>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let context = || format!("cannot read {}", directory.display());
    let entries = std::fs::read_dir(&directory).with_context(context)?;
    let mut files = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(context)?;
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read(file).with_context(|| format!("cannot read {}", file.display())))
        .collect()
}
