// SPDX-License-Identifier: GPL-2.0

//! `make fuzz`: runs libFuzzer on all targets of `tools/fuzz`, one after another.
//!
//! The compiler is the stable one; `RUSTC_BOOTSTRAP` lets it accept the options for coverage and
//! the address sanitizer. Results go to `target/fuzz`: inputs that reach new code to
//! `corpus/TARGET`, from which the next run starts, and failing inputs to `failed/TARGET`.

use crate::{
    cache::Cache,
    process,
    project,
    ui, //
};
use anyhow::{
    ensure,
    Context,
    Result, //
};
use std::{
    path::PathBuf,
    process::Command, //
};

/// The tested version of cargo-fuzz.
const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// Targets and time.
#[derive(clap::Args)]
pub(crate) struct Selection {
    /// Seconds for each target.
    #[arg(default_value_t = 60)]
    seconds: u32,
    /// Targets; all by default.
    targets: Vec<String>,
}

/// Fuzzes the selected targets.
///
/// # Errors
///
/// A property does not hold for some input. The message has the directory of that input.
pub(crate) fn run(selection: &Selection) -> Result<()> {
    let cache = Cache::open()?;
    let cargo_fuzz = install(&cache)?;
    let tools = project::root().join("tools");
    let inputs = || {
        let mut cargo = Command::new("cargo");
        cargo
            .args(["run", "--quiet", "--locked", "--package", "fuzz"])
            .arg("--manifest-path")
            .arg(tools.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(project::target().join("cargo"))
            .arg("--");
        cargo
    };
    let known = process::output(inputs().arg("list"))?;
    let known: Vec<&str> = known.lines().collect();
    for target in &selection.targets {
        ensure!(
            known.contains(&target.as_str()),
            "there is no target {target}, expected one of {}",
            known.join(" ")
        );
    }
    let wanted = |name: &&&str| {
        selection.targets.is_empty() || selection.targets.iter().any(|target| target == **name)
    };
    for name in known.iter().filter(wanted) {
        ui::step(&format!("fuzzing {name}"), |step| {
            let corpus = project::target_directory(&format!("fuzz/corpus/{name}"))?;
            let failed = project::target_directory(&format!("fuzz/failed/{name}"))?;
            let seeds = project::target_directory(&format!("fuzz/seeds/{name}"))?;
            process::output(inputs().arg("seeds").arg(name).arg(&seeds))?;

            let mut fuzz = Command::new(&cargo_fuzz);
            fuzz.args(["fuzz", "run", "--fuzz-dir"])
                .arg(tools.join("fuzz/libfuzzer"))
                .arg("--target-dir")
                .arg(project::target().join("fuzz/build"))
                .arg(name)
                .arg(&corpus)
                .arg(&seeds)
                .arg(tools.join("fuzz/corpus").join(name))
                .arg("--")
                .arg(format!("-max_total_time={}", selection.seconds))
                .arg(format!("-artifact_prefix={}/", failed.display()))
                .args(["-max_len=8192", "-timeout=10", "-print_final_stats=1"])
                .env("RUSTC_BOOTSTRAP", "1")
                .current_dir(tools.join("fuzz"));
            let mut last = String::new();
            let mut runs = String::new();
            let log = cache.log(&format!("fuzz-{name}"));
            process::run_with(&mut fuzz, &log, step, |line| {
                if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
                    runs = count.trim().to_owned();
                } else if line.contains(" cov: ") {
                    last = covered(line).unwrap_or_default();
                }
            })
            .with_context(|| format!("inputs that fail are in {}", failed.display()))?;
            step.note(format!("{runs} runs, {last}"));
            Ok(())
        })?;
    }
    Ok(())
}

/// `#123 REDUCE cov: 456 ft: 789 corp: …` without what precedes and follows the coverage.
fn covered(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(" cov: ")?;
    let edges = rest.split_whitespace().next()?;
    let (_, corpus) = rest.split_once(" corp: ")?;
    let inputs = corpus.split('/').next()?;
    Some(format!("{edges} edges, {inputs} inputs in the corpus"))
}

fn install(cache: &Cache) -> Result<PathBuf> {
    ui::step("cargo-fuzz", |step| {
        step.note(CARGO_FUZZ_VERSION);
        let name = format!("cargo-fuzz-{CARGO_FUZZ_VERSION}");
        let root = cache.artefact(&name, step, |place| {
            let mut install = Command::new("cargo");
            install
                .args(["install", "--locked", "--version", CARGO_FUZZ_VERSION])
                .args(["cargo-fuzz", "--root"])
                .arg(place)
                .env_remove("CARGO_TARGET_DIR")
                .env_remove("CARGO_BUILD_TARGET");
            process::run(&mut install, &cache.log("cargo-fuzz"), step)
        })?;
        Ok(root.join("bin/cargo-fuzz"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_of_libfuzzer() {
        let line =
            "#2097152\tpulse  cov: 312 ft: 902 corp: 77/4321b lim: 4096 exec/s: 1048576 rss: 45Mb";
        assert_eq!(
            covered(line).as_deref(),
            Some("312 edges, 77 inputs in the corpus")
        );
        assert_eq!(covered("INFO: seed corpus"), None);
    }
}
