// SPDX-License-Identifier: GPL-2.0

//! `xtask`: builds everything between a fresh clone and a guest that runs our modules.
//!
//! Called by the top-level `Makefile`. The steps depend on each other in one direction:
//!
//! ```text
//! packages ─ toolchain ─ kernel ─ modules ─┐
//!                 guest image (Debian) ────┼─ vm ─ suite, powercut, demo
//! ```
//!
//! Expensive results are kept in a cache outside of the checkout ([`cache`]); a step that finds its
//! result there does nothing. Files of a single run are in `target/` of the checkout or in a
//! temporary directory.

mod accelerator;
mod bench;
mod cache;
mod cargo;
mod ci;
mod deb;
mod debian;
mod demo;
#[cfg(test)]
mod documentation;
mod firmware;
mod fuzz;
mod host;
mod image;
mod initramfs;
mod installed;
mod kbuild_crates;
mod kernel;
mod modules;
mod monitor;
mod nvdimm;
mod probe;
mod process;
mod project;
mod prose;
#[cfg(test)]
mod refusals;
mod setup;
mod stock;
mod suite;
mod toolchain;
mod ui;
mod units;
mod vm;
mod vmlinux;

use anyhow::Result;
use clap::{
    Parser,
    Subcommand, //
};
use kernel::{
    Choice,
    Flavour, //
};
use std::process::ExitCode;
use stock::Series;

#[derive(Parser)]
#[command(about = "Builds, boots and tests the NVDIMM modules", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prepare the machine: packages, toolchain, kernel, guest image.
    Setup,
    /// Build the kernel modules into target/modules, or target/modules-stock-SERIES.
    Modules {
        /// The kernel to build for. KDIR takes precedence.
        #[arg(long, default_value = "own")]
        kernel: Choice,
    },
    /// Build the kernel modules and install them into updates/ of the kernel in KDIR, or of the
    /// running one.
    ModulesInstall,
    /// Show the modules at work in a virtual machine, with a power cut in the middle.
    Run {
        /// The kernel of the virtual machine. KDIR takes precedence.
        #[arg(long, default_value = "7.3")]
        kernel: Choice,
    },
    /// Run the unit tests, then every guest test.
    Test(suite::Selection),
    /// Run guest tests on a debug kernel: KASAN, lockdep, kmemleak, UBSAN, fault injection.
    TestDebug(suite::Selection),
    /// Run guest tests on Debian's own kernels.
    TestStock {
        /// Only on kernels of this series.
        #[arg(long)]
        series: Option<Series>,
        #[command(flatten)]
        selection: suite::Selection,
    },
    /// Run guest tests on a real-time kernel.
    TestRealtime(suite::Selection),
    /// Cut the power of guests under load repeatedly.
    Powercut(suite::campaign::Campaign),
    /// Measure both stacks side by side in the guest.
    Bench(bench::Options),
    /// Run the tests of the crates that need no kernel.
    Unit,
    /// Fuzz the parsers and the engine with libFuzzer.
    Fuzz(fuzz::Selection),
    /// Run the tests of the pure crates on an emulated big-endian machine.
    BigEndian,
    /// Run the BTT engine under random thread schedules, with power failures.
    Shuttle {
        /// Number of schedules for each of the two schedulers.
        #[arg(default_value_t = 20_000)]
        schedules: u32,
    },
    /// Explore all states that power failures can leave of small BTTs.
    Crash {
        /// Arguments of the explorer; --help lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure the BTT engine in user space.
    BenchEngine {
        /// Arguments of the benchmark; --help lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the documentation of all crates into target/rustdoc.
    Rustdoc,
    /// Write rust-project.json, which rust-analyzer reads.
    RustAnalyzer,
    /// Check formatting, the width of comments, and lints, with warnings denied.
    Check,
    /// Run the check, the tests and the comparison with the budgets, and count all of them.
    Ci(suite::Selection),
    /// Build the packages for Debian 13 into target/deb.
    Deb,
    /// Remove build results from the checkout. The cache stays.
    Clean,
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Setup => setup::Machine::prepare(Flavour::Ordinary).map(|_| ExitCode::SUCCESS),
        Command::Modules { kernel } => modules::build_for_guest(kernel).map(|()| ExitCode::SUCCESS),
        Command::ModulesInstall => modules::install().map(|()| ExitCode::SUCCESS),
        Command::Run { kernel } => demo::run(kernel).map(|()| ExitCode::SUCCESS),
        Command::Test(selection) => suite::test(&selection),
        Command::TestDebug(selection) => suite::test_on(Flavour::Debug, &selection),
        Command::TestStock { series, selection } => suite::test_stock(series, &selection),
        Command::TestRealtime(selection) => suite::test_on(Flavour::RealTime, &selection),
        Command::Powercut(campaign) => suite::campaign::run(&campaign),
        Command::Bench(options) => bench::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Unit => cargo::unit().map(|_| ExitCode::SUCCESS),
        Command::Fuzz(selection) => fuzz::run(&selection).map(|()| ExitCode::SUCCESS),
        Command::BigEndian => cargo::big_endian(),
        Command::Shuttle { schedules } => cargo::shuttle(schedules),
        Command::Crash { arguments } => cargo::crash(&arguments),
        Command::BenchEngine { arguments } => cargo::bench_engine(&arguments),
        Command::Rustdoc => kbuild_crates::document().map(|()| ExitCode::SUCCESS),
        Command::RustAnalyzer => kbuild_crates::analyze().map(|()| ExitCode::SUCCESS),
        Command::Check => cargo::check().map(|_| ExitCode::SUCCESS),
        Command::Ci(selection) => Ok(ci::run(&selection)),
        Command::Deb => deb::run().map(|()| ExitCode::SUCCESS),
        Command::Clean => project::clean().map(|()| ExitCode::SUCCESS),
    }
}

fn main() -> ExitCode {
    let outcome = process::catch_interrupts().and_then(|()| run(Arguments::parse().command));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            ui::error(&error);
            ExitCode::FAILURE
        }
    }
}
