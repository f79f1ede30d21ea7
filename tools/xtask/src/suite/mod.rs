// SPDX-License-Identifier: GPL-2.0

//! The guest tests: the scripts ([`script`]), those that need another kernel ([`options`]), their
//! order ([`plan`]), the workers that run them ([`run`]), a boot ([`session`]), memory leaks of a
//! boot ([`leaks`]), power cuts ([`powercut`], [`stamps`], [`campaign`]), comparison of the two
//! stacks ([`compare`]), recorded results of the C stack ([`recorded`]), verdicts ([`report`]), the
//! directory of results ([`results`]), and when slow tests passed last ([`slow`]).
//!
//! Scripts with equal needs share a boot. Before each script the NVDIMMs are zeroed and the modules
//! are loaded; after it the modules are unloaded, which must succeed. If a script takes its machine
//! down, the remaining ones run in another boot.

pub(crate) mod campaign;
mod compare;
mod context;
mod leaks;
pub(crate) mod media;
mod options;
mod plan;
mod powercut;
mod recorded;
pub(crate) mod report;
mod results;
mod run;
pub(crate) mod script;
pub(crate) mod session;
mod slow;
pub(crate) mod stamps;

use crate::{
    cargo,
    firmware,
    host,
    kernel::{
        self,
        Flavour, //
    },
    modules::{
        GuestFiles,
        Stack, //
    },
    project,
    setup::Machine,
    stock::Series, //
};
use anyhow::{
    ensure,
    Result, //
};
use context::Context;
use plan::Job;
use powercut::Chain;
use recorded::Records;
use report::{
    Tally,
    Verdict, //
};
use results::Results;
use run::Run;
use script::{
    Script,
    Tag, //
};
use std::{
    collections::BTreeSet,
    process::ExitCode, //
};

/// The directory of the scripts in the checkout.
const TESTS: &str = "qemu/tests";

/// Which tests to run.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Selection {
    /// Only guest tests whose name, `group/name`, contains one of these; no unit tests then.
    filters: Vec<String>,
    /// List the guest tests with their stacks, tags and descriptions, and run none.
    #[arg(long)]
    list: bool,
    /// Only guest tests of this group; no unit tests then. May be repeated.
    #[arg(long)]
    group: Vec<String>,
    /// Only guest tests with this tag; no unit tests then. May be repeated. Slow tests run only
    /// with `--tag slow`, or if one of the names matches more than their group.
    #[arg(long)]
    tag: Vec<Tag>,
    /// Only under this stack.
    #[arg(long)]
    stack: Option<Stack>,
    /// Add a word to the command line of every guest's kernel, like preempt=full.
    #[arg(long, value_name = "WORD")]
    append: Vec<String>,
    /// Number of boots for tests with boots of their own. Their kernel's command line gets
    /// `boots=N`.
    #[arg(long, value_name = "N")]
    iterations: Option<u32>,
    /// Multiply the timeouts of the tests.
    #[arg(long, value_name = "N", default_value_t = 1)]
    timeout_scale: u32,
    /// Run tests under the C stack again instead of comparing with recorded results.
    #[arg(long)]
    no_baseline_cache: bool,
    /// Number of guests that run at the same time.
    #[arg(long, short, default_value_t = default_jobs())]
    jobs: usize,
    /// Arguments of the guest tests. The heads of tests that take some say which.
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Selection {
    /// Returns the quick tests under our stack.
    pub(crate) fn quick() -> Self {
        Self {
            filters: Vec::new(),
            list: false,
            group: Vec::new(),
            tag: vec![Tag::Quick],
            stack: Some(Stack::Rust),
            append: Vec::new(),
            iterations: None,
            timeout_scale: 1,
            no_baseline_cache: false,
            jobs: default_jobs(),
            arguments: Vec::new(),
        }
    }

    /// Returns `true` if everything is selected that is not slow.
    fn is_general(&self) -> bool {
        self.filters.is_empty() && self.group.is_empty() && self.tag.is_empty()
    }

    fn names(&self, name: &str, group: &str) -> bool {
        let mut filters = self.filters.iter();
        let named = self.filters.is_empty() || filters.any(|filter| name.contains(filter.as_str()));
        named && (self.group.is_empty() || self.group.iter().any(|one| one == group))
    }

    /// Returns `true` if it is selected, or would be if it were not slow.
    fn matches(&self, script: &Script) -> bool {
        let tagged = || self.tag.iter().any(|tag| script.tags.contains(tag));
        self.names(&script.name, script.group()) && (self.tag.is_empty() || tagged())
    }

    /// Returns `true` if the arguments ask for a script even if it is slow. A filter that matches
    /// its group alone does not.
    fn insists(&self, script: &Script) -> bool {
        let group = format!("{}/", script.group());
        let exact = |filter: &String| {
            script.name.contains(filter.as_str()) && !group.contains(filter.as_str())
        };
        self.tag.contains(&Tag::Slow) || self.filters.iter().any(exact)
    }

    fn wants(&self, script: &Script) -> bool {
        self.matches(script) && (!script.is_slow() || self.insists(script))
    }

    /// Returns the lines of a list of the selected tests. Slow tests are listed, too.
    fn listed(&self, scripts: &[Script], chains: &[Chain]) -> Vec<String> {
        let of_stack = |stack: &Stack| self.stack.is_none_or(|only| only == *stack);
        let line = |name: &str, stacks: &[Stack], tags: &[Tag], description: &str| {
            let stacks = stacks.iter().map(|stack| stack.name());
            let stacks = stacks.collect::<Vec<_>>().join(",");
            let tags = tags.iter().map(|tag| tag.name());
            let tags = tags.collect::<Vec<_>>().join(",");
            format!("{name:<32} {stacks:<7} {tags:<15} {description}")
        };
        let scripts = scripts
            .iter()
            .filter(|script| self.matches(script) && script.tested_stacks().iter().any(of_stack));
        let chains = chains
            .iter()
            .filter(|chain| self.wants_chain(chain) && of_stack(&chain.stack));
        let scripts = scripts.map(|script| {
            let stacks = script.tested_stacks();
            line(&script.name, stacks, &script.tags, &script.description)
        });
        let chains =
            chains.map(|chain| line(&chain.name(), &[chain.stack], &[], chain.description()));
        scripts.chain(chains).collect()
    }

    /// Fails if `--group` names a group that does not exist.
    fn check_groups(&self, scripts: &[Script]) -> Result<()> {
        let chains = Chain::all();
        let groups = scripts.iter().map(Script::group);
        let groups = groups.chain(chains.iter().map(|chain| chain.group()));
        let groups = groups.collect::<BTreeSet<_>>();
        for group in &self.group {
            ensure!(
                groups.contains(group.as_str()),
                "'{group}' is no group, expected one of {groups:?}"
            );
        }
        Ok(())
    }

    /// Power cuts have no tags.
    fn wants_chain(&self, chain: &Chain) -> bool {
        self.tag.is_empty() && self.names(&chain.name(), chain.group())
    }

    /// Returns `true` if recorded results of the C stack are used. With `--stack` tests are always
    /// run.
    fn recalls(&self) -> bool {
        self.stack.is_none() && !self.no_baseline_cache
    }
}

/// Returns the number of guests at the same time. A guest under TCG uses about one core.
fn default_jobs() -> usize {
    kernel::jobs().min(4)
}

/// `make test ARGS="--list"`: prints one line a test. Needs no set-up.
fn list(selection: &Selection) -> Result<ExitCode> {
    let scripts = Script::read_all(&project::root().join(TESTS))?;
    selection.check_groups(&scripts)?;
    for line in selection.listed(&scripts, &Chain::all()) {
        println!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// `make test`.
pub(crate) fn test(selection: &Selection) -> Result<ExitCode> {
    if selection.list {
        return list(selection);
    }
    Ok(tally(selection)?.close())
}

/// Runs unit tests and guest tests, and counts them.
pub(crate) fn tally(selection: &Selection) -> Result<Tally> {
    let mut tally = Tally::default();
    let machine = Machine::prepare(Flavour::Ordinary)?;
    if selection.is_general() {
        tally.add(cargo::unit()?);
    }
    tally.add(in_guests(&machine, selection, Flavour::Ordinary)?);
    Ok(tally)
}

/// `make test-debug` and `make test-realtime`: guest tests on another kernel. Without `--stack`,
/// only our stack is tested.
pub(crate) fn test_on(flavour: Flavour, selection: &Selection) -> Result<ExitCode> {
    if selection.list {
        return list(selection);
    }
    let machine = Machine::prepare(flavour)?;
    let selection = Selection {
        stack: selection.stack.or(Some(Stack::Rust)),
        ..selection.clone()
    };
    Ok(in_guests(&machine, &selection, flavour)?.close())
}

/// `make test-stock`: guest tests on Debian's own kernels, under both stacks.
pub(crate) fn test_stock(series: Option<Series>, selection: &Selection) -> Result<ExitCode> {
    if selection.list {
        return list(selection);
    }
    Ok(tally_of_stock(series, selection)?.close())
}

/// Runs guest tests on Debian's kernel of this series, or of all, and counts them.
pub(crate) fn tally_of_stock(series: Option<Series>, selection: &Selection) -> Result<Tally> {
    let mut tally = Tally::default();
    for series in series.map_or_else(|| Series::ALL.to_vec(), |series| vec![series]) {
        let flavour = Flavour::Stock(series);
        let machine = Machine::prepare(flavour)?;
        tally.add(in_guests(&machine, selection, flavour)?);
    }
    Ok(tally)
}

fn in_guests(machine: &Machine, selection: &Selection, flavour: Flavour) -> Result<Tally> {
    let all = Script::read_all(&project::root().join(TESTS))?;
    selection.check_groups(&all)?;
    let mut scripts = all.clone();
    scripts.retain(|script| selection.wants(script));
    for script in &mut scripts {
        let arguments = &mut script.hardware.kernel_arguments;
        arguments.extend_from_slice(&selection.append);
        if let Some(boots) = selection.iterations {
            arguments.push(format!("boots={boots}"));
            script.boots = script.boots.prolonged(boots);
        }
        script.arguments = selection.arguments.join(" ");
        script.timeout = script.timeout.saturating_mul(selection.timeout_scale);
    }
    let mut chains = Chain::all();
    chains.retain(|chain| selection.wants_chain(chain));
    let mut outcomes =
        options::without_options(&mut scripts, &machine.kernel.config()?, selection.stack);
    let jobs = plan::plan(&scripts, chains.clone(), selection.stack);
    if jobs.is_empty() && !outcomes.is_empty() {
        return Ok(Tally::of(&outcomes));
    }
    ensure!(!jobs.is_empty(), "no guest test is selected");

    let stacks = jobs.iter().flat_map(Job::stacks).collect::<BTreeSet<_>>();
    if scripts
        .iter()
        .any(|script| !script.hardware.firmware.is_empty())
    {
        let (package, compiler) = firmware::COMPILER;
        host::install_more(&machine.cache, &[(package, Some(compiler))])?;
    }
    let files = GuestFiles::prepare(machine, &stacks)?;
    let results = Results::create()?;
    let records = Records::open(machine, &files.tools())?;
    let mut to_run = scripts.clone();
    if let Some(records) = records.as_ref().filter(|_| selection.recalls()) {
        for script in &mut to_run {
            if let Some(outcome) = records.recall(script, results.path())? {
                outcome.print();
                outcomes.push(outcome);
                script.stacks.retain(|&stack| stack != Stack::C);
            }
        }
    }
    let jobs = plan::plan(&to_run, chains, selection.stack);
    let run = Run::new(Context {
        machine,
        files,
        results,
    });
    outcomes.extend(run.all(jobs, selection.jobs)?);
    if let Some(records) = &records {
        for script in &scripts {
            let name = report::name(&script.name, Stack::C);
            let mut passed = outcomes
                .iter()
                .filter(|outcome| outcome.verdict == Verdict::Passed);
            if passed.any(|outcome| outcome.name == name) {
                records.keep(
                    script,
                    &compare::printed(run.context.results.path(), Stack::C, &script.name),
                )?;
            }
        }
    }
    outcomes.extend(compare::compare(
        run.context.results.path(),
        &scripts,
        &outcomes,
    ));
    if flavour == Flavour::Ordinary {
        slow::record(&all, &outcomes)?;
    }
    println!(
        "            results: {}",
        run.context.results.path().display()
    );
    report::print_failures(&outcomes);
    Ok(Tally::of(&outcomes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        selection: Selection,
    }

    fn parse(words: &str) -> Selection {
        let words = std::iter::once("test").chain(words.split(' '));
        Arguments::try_parse_from(words).unwrap().selection
    }

    #[test]
    fn words_for_the_tests_come_last() {
        let selection = parse("--append a=1 --append b=2 btt/ label/ -- 4 --deep");
        assert_eq!(selection.append, ["a=1", "b=2"]);
        assert_eq!(selection.filters, ["btt/", "label/"]);
        assert_eq!(selection.arguments, ["4", "--deep"]);
    }

    #[test]
    fn slow_tests_are_named_or_tagged() {
        let script = |name: &str, tags: &[Tag]| {
            let mut script = Script::named(name);
            script.tags = tags.to_vec();
            script
        };
        let slow = script("btt/long", &[Tag::Slow, Tag::NfitTest]);
        let short = script("btt/short", &[Tag::NfitTest]);
        for (words, slow_too) in [
            ("btt/", false),
            ("btt", false),
            ("--group btt", false),
            ("--tag nfit_test", false),
            ("btt/long btt/s", true),
            ("o btt/s", true),
            ("--tag slow --tag nfit_test", true),
        ] {
            let selection = parse(words);
            assert_eq!(selection.wants(&slow), slow_too, "{words}");
            assert!(selection.wants(&short), "{words}");
        }
        assert!(!parse("--group label").wants(&short));
        assert!(!parse("--group btt --tag slow").wants(&short));
        assert!(parse("--group btt --tag slow").wants(&slow));
    }

    #[test]
    fn groups_exist() {
        let scripts = [Script::named("btt/x")];
        for (words, known) in [
            ("--group btt --group power-cut", true),
            ("--group btt/", false),
        ] {
            assert_eq!(parse(words).check_groups(&scripts).is_ok(), known);
        }
    }

    #[test]
    fn lists_have_a_line_a_test() {
        let scripts = Script::read_all(&project::root().join(TESTS)).unwrap();
        let chains = Chain::all();
        let count = |words| parse(words).listed(&scripts, &chains).len();
        assert_eq!(count("--list"), scripts.len() + chains.len());
        assert_eq!(count("--list nfit/devices"), 1);
        assert_eq!(count("--list --group power-cut"), chains.len());
        let slow = scripts.iter().filter(|script| script.is_slow()).count();
        assert_eq!(count("--list --tag slow"), slow);
        let lines = parse("--list nfit/devices").listed(&scripts, &chains);
        assert!(lines[0].starts_with("nfit/devices "), "{lines:?}");
        assert!(lines[0].contains(" rust,c "), "{lines:?}");
    }
}
