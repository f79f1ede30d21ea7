// SPDX-License-Identifier: GPL-2.0

//! All targets over their seeds, their corpus and mutations of both.
//!
//! A failure leaves its input in the temporary directory. `cargo run -p fuzz -- run TARGET FILE`
//! runs it again.

use fuzz::{
    corpus,
    mutate::Mutator,
    Target,
    TARGETS, //
};
use std::panic::{
    catch_unwind,
    resume_unwind, //
};

fn check(target: &Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(|| (target.run)(input)) {
        let file =
            std::env::temp_dir().join(format!("fuzz-{}-{}", target.name, std::process::id()));
        let kept = std::fs::write(&file, input);
        eprintln!(
            "input of {} bytes: {} ({kept:?})",
            input.len(),
            file.display()
        );
        resume_unwind(panic);
    }
}

fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("no target {name}"));
    let mut pool = (target.seeds)();
    let found = corpus(name).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(!found.is_empty(), "{name} has no corpus");
    pool.extend(found);
    for input in &pool {
        check(target, input);
    }
    let mut mutator = Mutator::new(pool, 0x5eed);
    for _ in 0..target.mutations {
        check(target, &mutator.next_input());
    }
}

#[test]
fn info() {
    run("info");
}

#[test]
fn flog() {
    run("flog");
}

#[test]
fn map() {
    run("map");
}

#[test]
fn arena() {
    run("arena");
}

#[test]
fn labels() {
    run("labels");
}

#[test]
fn nfit() {
    run("nfit");
}
