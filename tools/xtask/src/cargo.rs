// SPDX-License-Identifier: GPL-2.0

//! Steps that cargo does: unit tests of the crates that need no kernel, formatting and lints.

use crate::{
    cache::Cache,
    host,
    modules,
    process,
    project,
    prose,
    suite::report::Tally,
    ui, //
};
use anyhow::{
    Context,
    Result, //
};
use std::process::{
    Command,
    ExitCode, //
};

/// Parts of the workspace that are built separately: name in messages, packages. Built together
/// with the crash explorer, the engine would have its feature `watch`, which the modules do not
/// have.
const PARTS: [(&str, &[&str]); 2] = [
    ("tools", &["--workspace", "--exclude", ENGINE]),
    ("rust/btt_engine", &["--package", ENGINE]),
];

/// The package of the BTT engine.
const ENGINE: &str = "btt_engine";

/// Returns a cargo command for the workspace, with the products in `target/DIRECTORY`.
fn cargo_in(directory: &str, subcommand: &str) -> Command {
    let mut command = Command::new("cargo");
    command
        .args([subcommand, "--locked", "--manifest-path"])
        .arg(project::root().join("tools/Cargo.toml"))
        .arg("--target-dir")
        .arg(project::target().join(directory));
    command
}

fn cargo(subcommand: &str) -> Command {
    cargo_in("cargo", subcommand)
}

/// `make unit`: `cargo test` everywhere. Fails only if tests cannot be built; failed tests are
/// counted.
pub(crate) fn unit() -> Result<Tally> {
    let cache = Cache::open()?;
    let mut tally = Tally::default();
    for (name, packages) in PARTS {
        let counted = ui::step(&format!("unit tests of {name}"), |step| {
            let log = format!("unit-{}", name.replace('/', "-"));
            count_tests(cargo("test").args(packages), &cache, &log, step)
        })?;
        tally.add(counted);
    }
    tally.add(interleavings(&cache)?);
    Ok(tally)
}

/// Runs the models under loom. `--cfg loom` changes every crate below the engine, so they are built
/// in a directory of their own.
fn interleavings(cache: &Cache) -> Result<Tally> {
    ui::step("interleavings of rust/btt_engine", |step| {
        let mut test = cargo_in("loom", "test");
        test.args(["--package", ENGINE, "--release", "--test", "interleavings"])
            .env("RUSTFLAGS", "--cfg loom");
        count_tests(&mut test, cache, "unit-interleavings", step)
    })
}

/// `make crash`: runs the crash explorer with these arguments.
pub(crate) fn crash(arguments: &[String]) -> Result<ExitCode> {
    tool(&Cache::open()?, "btt-crash", arguments)
}

/// `make bench-engine`: measures the engine in user space, beside libpmemblk and others.
pub(crate) fn bench_engine(arguments: &[String]) -> Result<ExitCode> {
    let cache = Cache::open()?;
    // The library is loaded while the program runs; it has no program of its own.
    host::install_more(&cache, &[("libpmemblk1", None)])?;
    tool(&cache, "btt-bench", arguments)
}

/// Builds the tool `name`, optimised, and runs it.
fn tool(cache: &Cache, name: &str, arguments: &[String]) -> Result<ExitCode> {
    ui::step(&format!("building tools/{name}"), |step| {
        let mut build = cargo("build");
        build.args(["--release", "--package", name]);
        process::run(&mut build, &cache.log(name), step)
    })?;
    let program = project::target().join("cargo/release").join(name);
    let status = Command::new(&program)
        .args(arguments)
        // Makes libpmemblk treat ordinary memory as persistent memory.
        .env("PMEM_IS_PMEM_FORCE", "1")
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// `make shuttle`: runs the engine under thread schedules, with power failures; `schedules` of them
/// for each kind of scheduler.
pub(crate) fn shuttle(schedules: u32) -> Result<ExitCode> {
    let cache = Cache::open()?;
    let tally = ui::step(&format!("{schedules} schedules, random and PCT"), |step| {
        // `--cfg shuttle` changes all crates, so they are built in a directory of their own.
        let mut test = cargo_in("shuttle", "test");
        test.args(["--package", ENGINE, "--release", "--test", "schedules"])
            .env("RUSTFLAGS", "--cfg shuttle")
            .env("SCHEDULES", schedules.to_string());
        count_tests(&mut test, &cache, "shuttle", step)
    })?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A big-endian target.
const BIG_ENDIAN: &str = "s390x-unknown-linux-gnu";

/// `make big-endian`: the tests of the pure crates, compiled for a big-endian machine and run by
/// QEMU.
///
/// No package has the standard library of this rustc's version for that machine, so cargo builds it
/// as well. `RUSTC_BOOTSTRAP` makes that option available.
pub(crate) fn big_endian() -> Result<ExitCode> {
    let cache = Cache::open()?;
    host::install_more(
        &cache,
        &[
            ("gcc-s390x-linux-gnu", Some("s390x-linux-gnu-gcc")),
            ("libc6-dev-s390x-cross", None),
            ("qemu-user", Some("qemu-s390x")),
        ],
    )?;
    let mut tally = Tally::default();
    for name in ["nd_format", ENGINE, "label_engine"] {
        let counted = ui::step(&format!("{name} on {BIG_ENDIAN}"), |step| {
            let mut test = cargo("test");
            test.args(["--package", name, "-Zbuild-std", "--target", BIG_ENDIAN])
                .env("RUSTC_BOOTSTRAP", "1")
                .env(
                    "CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER",
                    "s390x-linux-gnu-gcc",
                )
                .env(
                    "CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER",
                    "qemu-s390x -L /usr/s390x-linux-gnu",
                )
                // Emulation is slow: a few cases of each property are enough.
                .env("PROPTEST_CASES", "32");
            count_tests(&mut test, &cache, &format!("big-endian-{name}"), step)
        })?;
        tally.add(counted);
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs tests and counts them. Fails only if they cannot be built.
fn count_tests(test: &mut Command, cache: &Cache, log: &str, step: &ui::Step) -> Result<Tally> {
    let mut counted = Tally::default();
    let outcome = process::run_with(test.arg("--no-fail-fast"), &cache.log(log), step, |line| {
        counted.add(parse_summary(line).unwrap_or_default())
    });
    step.note(format!(
        "{} passed, {} failed",
        counted.passed, counted.failed
    ));
    // A failure without a failed test is a failed build.
    match outcome {
        Err(error) if counted.failed > 0 => {
            process::check_interrupt()?;
            step.say(&format!("{error:#}"));
            Ok(counted)
        }
        outcome => outcome.map(|()| counted),
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …`
fn parse_summary(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        let part = counts
            .split(';')
            .find_map(|part| part.trim().strip_suffix(word))?;
        part.trim().parse().ok()
    };
    Some(Tally {
        passed: count("passed")?,
        failed: count("failed")?,
        skipped: count("ignored")?,
        ..Tally::default()
    })
}

/// `make check`: formatting of all Rust files, comments and prose ([`prose`]), and clippy on
/// everything, warnings denied.
pub(crate) fn check() -> Result<()> {
    let cache = Cache::open()?;
    ui::step("formatting", |step| {
        let mut list = Command::new("git");
        list.current_dir(project::root())
            .args(["ls-files", "-co", "--exclude-standard", "*.rs"]);
        let files = process::output(&mut list)?;
        let root = project::root();
        let files = files
            .lines()
            .map(|file| root.join(file))
            .filter(|file| file.is_file())
            .collect::<Vec<_>>();
        step.note(format!("{} files", files.len()));
        let mut format = Command::new("rustfmt");
        format
            .args(["--check", "--edition", "2021", "--config-path"])
            .arg(root.join("rustfmt.toml"))
            .args(&files);
        process::run(&mut format, &cache.log("rustfmt"), step)
    })?;
    prose::check()?;
    for (name, packages) in PARTS {
        ui::step(&format!("clippy of {name}"), |step| {
            let mut clippy = cargo("clippy");
            clippy
                .args(packages)
                .args(["--all-targets", "--", "-D", "warnings"]);
            process::run(
                &mut clippy,
                &cache.log(&format!("clippy-{}", name.replace('/', "-"))),
                step,
            )
        })?;
    }
    modules::lint()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_cargo_test() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(
            parse_summary(line),
            Some(Tally {
                passed: 3,
                failed: 1,
                skipped: 2,
                recorded: 0
            })
        );
        assert_eq!(parse_summary("test x ... ok"), None);
    }
}
