// SPDX-License-Identifier: GPL-2.0

//! Comparison of tests that must print the same under both stacks.
//!
//! Only UUIDs may differ, which are new in every run. They are normalised here.

use super::{
    report::{
        self,
        Outcome,
        Verdict, //
    },
    results::file_name,
    script::Script, //
};
use crate::modules::Stack;
use regex::{
    Captures,
    Regex, //
};
use std::{
    fs,
    path::Path,
    sync::LazyLock,
    time::Instant, //
};

/// Compares the output of scripts that must print the same under all stacks.
pub(super) fn compare(results: &Path, scripts: &[Script], outcomes: &[Outcome]) -> Vec<Outcome> {
    let passed = |name: &str| {
        let outcome = outcomes.iter().find(|outcome| outcome.name == name);
        outcome
            .is_some_and(|outcome| matches!(outcome.verdict, Verdict::Passed | Verdict::Recorded))
    };
    let mut comparisons = Vec::new();
    for script in scripts.iter().filter(|script| script.compare) {
        let start = Instant::now();
        let stacks = [Stack::C, Stack::Rust];
        // A script that failed or was not run has no output to compare. It has been reported
        // already.
        if !stacks
            .iter()
            .all(|&stack| passed(&report::name(&script.name, stack)))
        {
            continue;
        }
        let [theirs, ours] = stacks.map(|stack| normalise(&printed(results, stack, &script.name)));
        let difference = similar::TextDiff::from_lines(&theirs, &ours)
            .unified_diff()
            .header(stacks[0].name(), stacks[1].name())
            .to_string();
        let verdict = match (difference.is_empty(), theirs.is_empty()) {
            (_, true) => Verdict::Failed("it printed nothing to compare".to_owned()),
            (true, false) => Verdict::Passed,
            (false, false) => Verdict::Failed(difference),
        };
        let name = format!("{} [c = rust]", script.name);
        let outcome = Outcome {
            name,
            verdict,
            time: start.elapsed(),
        };
        outcome.print();
        comparisons.push(outcome);
    }
    comparisons
}

/// Returns what a script printed under a stack, in the order of its boots.
pub(super) fn printed(results: &Path, stack: Stack, name: &str) -> String {
    let boots = fs::read_dir(results.join(stack.name()))
        .into_iter()
        .flatten()
        .flatten();
    let file = format!("{}.out", file_name(name));
    let mut files = boots
        .map(|boot| boot.path().join(&file))
        .filter(|file| file.exists())
        .collect::<Vec<_>>();
    // The names of the directories end in the number of the boot.
    files.sort_by_key(|file| (file.as_os_str().len(), file.clone()));
    // Bytes that are no text count, too.
    let texts = files.iter().filter_map(|file| fs::read(file).ok());
    texts
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .collect()
}

/// Replaces each UUID by its number in order of appearance.
fn normalise(text: &str) -> String {
    static UUID: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
        Regex::new(pattern).expect("the pattern is a constant")
    });
    let mut known = Vec::new();
    let number = |found: &Captures<'_>| {
        let uuid = found[0].to_owned();
        let index = known
            .iter()
            .position(|other| *other == uuid)
            .unwrap_or_else(|| {
                known.push(uuid);
                known.len() - 1
            });
        format!("<uuid {}>", index + 1)
    };
    UUID.replace_all(text, number).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_all_boots_counts_in_their_order() {
        let results = tempfile::tempdir().unwrap();
        for boot in [10, 2, 1] {
            let boot_directory = results.path().join(format!("rust/group-test-boot{boot}"));
            fs::create_dir_all(&boot_directory).unwrap();
            let text = [b"\xff", boot.to_string().as_bytes()].concat();
            fs::write(boot_directory.join("group-test.out"), text).unwrap();
            fs::write(boot_directory.join("group-other.out"), "other\n").unwrap();
        }
        let text = printed(results.path(), Stack::Rust, "group/test");
        assert_eq!(text, "\u{fffd}1\u{fffd}2\u{fffd}10");
        assert_eq!(printed(results.path(), Stack::C, "group/test"), "");
    }

    #[test]
    fn uuids_become_numbers() {
        let text =
            "a 00000000-0000-0000-0000-00000000000a b 11111111-0000-0000-0000-000000000000\n\
            00000000-0000-0000-0000-00000000000a 1111-2";
        assert_eq!(normalise(text), "a <uuid 1> b <uuid 2>\n<uuid 1> 1111-2");
    }
}
