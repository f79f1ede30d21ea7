// SPDX-License-Identifier: GPL-2.0

//! The table of slow tests in [`FILE`]: when each passed last, and at which commit. Each run of a
//! slow test updates it.

use super::{
    report::{
        self,
        Outcome,
        Verdict, //
    },
    script::Script,
};
use crate::{
    process,
    project, //
};
use anyhow::{
    Context,
    Result, //
};
use std::{
    collections::BTreeMap,
    fs,
    process::Command, //
};

const FILE: &str = "Documentation/results/slow-tests.md";

const HEAD: &str = "\
# Tests that CI leaves out

Tests with `# tags: slow` take too long for each change. `make test ARGS=\"--tag slow\"` runs them.
That command writes this table.

| test | passed last | at commit | seconds |
|---|---|---|---|
";

/// A row for each test under each of its stacks.
#[derive(Debug, Default, PartialEq)]
struct Table(BTreeMap<String, Row>);

/// The last run of a test that passed.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    date: String,
    commit: String,
    seconds: String,
}

impl Row {
    fn never() -> Self {
        Self {
            date: "never".to_owned(),
            commit: String::new(),
            seconds: String::new(),
        }
    }
}

impl Table {
    /// Reads the rows; other lines are ignored.
    fn parse(text: &str) -> Self {
        let rows = text.lines().filter_map(|line| {
            let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
            let cells = cells.split('|').map(str::trim).collect::<Vec<_>>();
            let [name, date, commit, seconds] = cells[..] else {
                return None;
            };
            let row = Row {
                date: date.to_owned(),
                commit: commit.to_owned(),
                seconds: seconds.to_owned(),
            };
            (name != "test").then(|| (name.to_owned(), row))
        });
        Self(rows.collect())
    }

    /// Removes the rows of all other tests, and adds those that are missing.
    fn keep_tests(&mut self, names: &[String]) {
        self.0.retain(|name, _| names.contains(name));
        for name in names {
            self.0.entry(name.clone()).or_insert_with(Row::never);
        }
    }

    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (name, row) in &self.0 {
            text.push_str(&format!(
                "| {name} | {} | {} | {} |\n",
                row.date, row.commit, row.seconds
            ));
        }
        text
    }
}

/// Returns the names of the rows of these scripts.
fn names(scripts: &[Script]) -> Vec<String> {
    let slow = scripts.iter().filter(|script| script.is_slow());
    slow.flat_map(|script| {
        let stacks = script.tested_stacks().iter();
        stacks.map(|&stack| report::name(&script.name, stack))
    })
    .collect()
}

/// Records which of the slow tests have passed. `scripts` are all scripts.
pub(super) fn record(scripts: &[Script], outcomes: &[Outcome]) -> Result<()> {
    let names = names(scripts);
    let passed = outcomes
        .iter()
        .filter(|outcome| outcome.verdict == Verdict::Passed && names.contains(&outcome.name))
        .collect::<Vec<_>>();
    if passed.is_empty() {
        return Ok(());
    }
    let path = project::root().join(FILE);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut table = Table::parse(&text);
    table.keep_tests(&names);
    let date = process::output(Command::new("date").args(["--utc", "+%F"]))?;
    for outcome in passed {
        let row = Row {
            date: date.trim().to_owned(),
            commit: project::commit().replace("commit ", ""),
            seconds: outcome.time.as_secs().to_string(),
        };
        table.0.insert(outcome.name.clone(), row);
    }
    fs::write(&path, table.text()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let mut table = Table::default();
        table.keep_tests(&["btt/x [c]".to_owned(), "btt/x [rust]".to_owned()]);
        let row = Row {
            date: "2026-11-28".to_owned(),
            commit: "0123456789ab with changes".to_owned(),
            seconds: "61".to_owned(),
        };
        table.0.insert("btt/x [rust]".to_owned(), row.clone());
        assert_eq!(Table::parse(&table.text()), table);
        table.keep_tests(&["btt/x [rust]".to_owned(), "btt/y [rust]".to_owned()]);
        assert_eq!(table.0["btt/x [rust]"], row);
        assert_eq!(table.0["btt/y [rust]"], Row::never());
        assert_eq!(table.0.len(), 2);
    }

    #[test]
    fn each_slow_test_has_a_row() {
        let scripts = Script::read_all(&project::root().join("qemu/tests")).unwrap();
        let mut names = names(&scripts);
        names.sort();
        let text = fs::read_to_string(project::root().join(FILE)).unwrap();
        let table = Table::parse(&text);
        assert_eq!(table.0.into_keys().collect::<Vec<_>>(), names);
    }
}
