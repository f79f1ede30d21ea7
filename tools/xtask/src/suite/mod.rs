// SPDX-License-Identifier: GPL-2.0

//! The guest tests: which scripts there are ([`script`]), a boot for them ([`session`]), what came of it ([`report`]).
//!
//! Scripts whose needs are equal share a boot: before each one the NVDIMMs are zeros and the modules freshly loaded, after each
//! one the modules are unloaded, which must work. A script that takes its machine down costs the others only another boot.

pub(crate) mod report;
pub(crate) mod script;
pub(crate) mod session;

use crate::{
    cargo,
    modules::{
        self,
        ModuleTree,
        Stack, //
    },
    process,
    project,
    setup::Machine, //
};
use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use regex::{
    Captures,
    Regex, //
};
use report::{
    Outcome,
    Tally,
    Verdict, //
};
use script::{
    Boots,
    Hardware,
    Script, //
};
use session::{
    Ending,
    Media,
    Session, //
};
use std::{
    collections::BTreeMap,
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::ExitCode,
    sync::{
        LazyLock,
        Mutex,
        PoisonError, //
    },
    time::{
        Instant,
        SystemTime, //
    },
};

/// The status with which a script says that it cannot test anything here.
const SKIPPED: i32 = 77;
/// How many lines of a script's output are shown when it fails.
const TAIL: usize = 40;
/// Tests in one boot, at most: a boot is short, and more boots use more cores.
const TESTS_A_BOOT: usize = 6;
/// Results of so many runs are kept.
const KEPT_RUNS: usize = 5;

/// Which tests to run.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Selection {
    /// Only guest tests whose name contains one of these; no unit tests then.
    filters: Vec<String>,
    /// Only under this stack.
    #[arg(long)]
    stack: Option<Stack>,
    /// Guests at once.
    #[arg(long, short, default_value_t = default_jobs())]
    jobs: usize,
}

/// A guest under TCG keeps about one core busy and waits for devices in between.
fn default_jobs() -> usize {
    crate::kernel::jobs().min(4)
}

/// Something that runs on one machine after the other: a worker takes it as a whole.
enum Job {
    /// Scripts that share boots.
    Shared {
        stack: Stack,
        hardware: Hardware,
        scripts: Vec<Script>,
    },
    /// A script with boots of its own.
    Own { stack: Stack, script: Script },
}

/// What all jobs work with.
struct Run<'a> {
    machine: &'a Machine,
    trees: BTreeMap<Stack, ModuleTree>,
    results: PathBuf,
    outcomes: Mutex<Vec<Outcome>>,
}

/// `make test`.
pub(crate) fn test(selection: &Selection) -> Result<ExitCode> {
    let mut tally = Tally::default();
    let machine = Machine::prepare()?;
    if selection.filters.is_empty() {
        tally.add(cargo::unit()?);
    }
    tally.add(run_scripts(&machine, selection)?);
    Ok(tally.close())
}

fn run_scripts(machine: &Machine, selection: &Selection) -> Result<Tally> {
    let scripts = Script::read_all(&project::root().join("qemu/tests"))?;
    let wanted = |name: &str| {
        selection.filters.is_empty()
            || selection
                .filters
                .iter()
                .any(|filter| name.contains(filter.as_str()))
    };
    let scripts = scripts
        .into_iter()
        .filter(|script| wanted(&script.name))
        .collect::<Vec<_>>();
    ensure!(!scripts.is_empty(), "no guest test is called like that");

    let jobs = plan(&scripts, selection.stack);
    let mut trees = BTreeMap::new();
    for stack in jobs.iter().flat_map(Job::stacks) {
        if !trees.contains_key(&stack) {
            trees.insert(stack, modules::tree(machine, stack)?);
        }
    }
    let results = results_directory()?;
    let run = Run {
        machine,
        trees,
        results,
        outcomes: Mutex::default(),
    };
    let queue = Mutex::new(jobs.into_iter());
    std::thread::scope(|scope| {
        let workers = (0..selection.jobs.max(1))
            .map(|_| scope.spawn(|| run.work(&queue)))
            .collect::<Vec<_>>();
        let ends = workers.into_iter().map(|worker| worker.join());
        ends.map(|end| end.unwrap_or_else(|_| bail!("a worker panicked")))
            .collect::<Result<Vec<()>>>()
    })?;

    let mut outcomes = run
        .outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    outcomes.extend(compare(&run.results, &scripts, &outcomes));
    let mut tally = Tally::default();
    outcomes
        .iter()
        .for_each(|outcome| tally.count(&outcome.verdict));
    println!("            results: {}", run.results.display());
    Ok(tally)
}

/// A new directory for the results of this run, `target/results/<seconds since 1970>`; `latest` leads to it.
fn results_directory() -> Result<PathBuf> {
    let all = project::target_directory("results")?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let name = format!("{}-{}", now.as_secs(), std::process::id());
    let directory = all.join(&name);
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let latest = all.join("latest");
    // There is none in the first run.
    let _ = fs::remove_file(&latest);
    std::os::unix::fs::symlink(&name, &latest).context("cannot link the latest results")?;

    let entries = fs::read_dir(&all)
        .context("cannot read the results")?
        .flatten();
    let mut runs = entries
        .map(|entry| entry.path())
        .filter(|path| *path != latest)
        .collect::<Vec<_>>();
    runs.sort();
    for old in runs.iter().rev().skip(KEPT_RUNS) {
        fs::remove_dir_all(old).with_context(|| format!("cannot remove {}", old.display()))?;
    }
    Ok(directory)
}

/// Sorts scripts into jobs, the long ones first, so that no core is idle at the end.
fn plan(scripts: &[Script], only: Option<Stack>) -> Vec<Job> {
    let mut shared: BTreeMap<(Stack, &Hardware), Vec<Script>> = BTreeMap::new();
    let mut jobs = Vec::new();
    for script in scripts {
        let stacks = match script.boots {
            // A test of both stacks in turns is a test of ours.
            Boots::Stacks(_) => &[Stack::Rust],
            Boots::Shared | Boots::Own(_) => script.stacks.as_slice(),
        };
        for &stack in stacks
            .iter()
            .filter(|&&stack| only.is_none_or(|only| only == stack))
        {
            match script.boots {
                Boots::Shared => shared
                    .entry((stack, &script.hardware))
                    .or_default()
                    .push(script.clone()),
                Boots::Own(_) | Boots::Stacks(_) => jobs.push(Job::Own {
                    stack,
                    script: script.clone(),
                }),
            }
        }
    }
    for ((stack, hardware), scripts) in shared {
        for scripts in scripts.chunks(TESTS_A_BOOT) {
            jobs.push(Job::Shared {
                stack,
                hardware: hardware.clone(),
                scripts: scripts.to_vec(),
            });
        }
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.longest()));
    jobs
}

impl Job {
    fn stacks(&self) -> Vec<Stack> {
        match self {
            Self::Own {
                script:
                    Script {
                        boots: Boots::Stacks(stacks),
                        ..
                    },
                ..
            } => stacks.clone(),
            Self::Shared { stack, .. } | Self::Own { stack, .. } => vec![*stack],
        }
    }

    fn longest(&self) -> std::time::Duration {
        match self {
            Self::Shared { scripts, .. } => scripts.iter().map(|script| script.timeout).sum(),
            Self::Own { script, .. } => script.timeout,
        }
    }
}

impl Run<'_> {
    fn work(&self, queue: &Mutex<impl Iterator<Item = Job>>) -> Result<()> {
        loop {
            process::check_interrupt()?;
            let job = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            match job {
                None => return Ok(()),
                Some(Job::Shared {
                    stack,
                    hardware,
                    scripts,
                }) => self.shared(stack, &hardware, &scripts)?,
                Some(Job::Own { stack, script }) => self.own(stack, &script)?,
            }
        }
    }

    fn report(&self, script: &Script, stack: Stack, start: Instant, verdict: Verdict) {
        let name = format!("{} [{}]", script.name, stack.name());
        let outcome = Outcome {
            name,
            verdict,
            time: start.elapsed(),
        };
        outcome.print();
        self.outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(outcome);
    }

    fn tree(&self, stack: Stack) -> Result<&ModuleTree> {
        self.trees
            .get(&stack)
            .with_context(|| format!("no modules of the {} stack", stack.name()))
    }

    /// Where scripts write under a stack: outputs of all boots side by side.
    fn output_directory(&self, stack: Stack, what: &str) -> Result<PathBuf> {
        let directory = self.results.join(stack.name()).join(what);
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(directory)
    }

    fn shared(&self, stack: Stack, hardware: &Hardware, scripts: &[Script]) -> Result<()> {
        let mut waiting = scripts.iter().peekable();
        while let Some(first) = waiting.peek() {
            let scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
            let output = self.output_directory(stack, &first.name)?;
            let media = Media::create(hardware, scratch.path())?;
            let setup = Session::setup(self.machine, hardware, self.tree(stack)?, &media, &output);
            let start = Instant::now();
            let mut session = match Session::boot(&setup, &output) {
                Ok(session) => session,
                Err(error) => {
                    process::check_interrupt()?;
                    if let Some(script) = waiting.next() {
                        self.report(script, stack, start, Verdict::Failed(format!("{error:#}")));
                    }
                    continue;
                }
            };
            let mut alive = true;
            while alive {
                let Some(script) = waiting.next() else { break };
                let start = Instant::now();
                media.erase()?;
                let (verdict, still_alive) = one(&mut session, script, stack, 1)?;
                alive = still_alive;
                self.report(script, stack, start, verdict);
            }
            if alive {
                session.halt()?;
            }
        }
        Ok(())
    }

    fn own(&self, stack: Stack, script: &Script) -> Result<()> {
        let start = Instant::now();
        let stacks = match &script.boots {
            Boots::Own(count) => vec![stack; *count as usize],
            Boots::Stacks(stacks) => stacks.clone(),
            Boots::Shared => vec![stack],
        };
        let scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
        let media = Media::create(&script.hardware, scratch.path())?;
        let mut verdict = Verdict::Passed;
        for (boot, &under) in (1..).zip(&stacks) {
            let output = self.output_directory(stack, &format!("{}-boot{boot}", script.name))?;
            let setup = Session::setup(
                self.machine,
                &script.hardware,
                self.tree(under)?,
                &media,
                &output,
            );
            verdict = match Session::boot(&setup, &output) {
                Ok(mut session) => {
                    let (verdict, alive) = one(&mut session, script, under, boot)?;
                    if alive {
                        session.halt()?;
                    }
                    verdict
                }
                Err(error) => Verdict::Failed(format!("{error:#}")),
            };
            process::check_interrupt()?;
            if verdict != Verdict::Passed {
                if let Verdict::Failed(reason) = &mut verdict {
                    reason.insert_str(0, &format!("in boot {boot}: "));
                }
                break;
            }
        }
        self.report(script, stack, start, verdict);
        Ok(())
    }
}

/// Runs one script with freshly loaded modules; also tells whether the machine can be used on.
fn one(session: &mut Session, script: &Script, stack: Stack, boot: u32) -> Result<(Verdict, bool)> {
    let file = format!("tests/{}.sh", script.name);
    if let Err(error) = session.load(stack) {
        process::check_interrupt()?;
        return Ok((Verdict::Failed(format!("{error:#}")), false));
    }
    let ending = session.run(&file, &script.name, stack, boot, script.timeout, |_| ())?;
    let mut reasons = Vec::new();
    match ending {
        Ending::Done(0) => {}
        Ending::Done(SKIPPED) => {
            let reason = tail(&session.written(&script.name, "err"), 1);
            let alive = session.unload().is_ok();
            return Ok((Verdict::Skipped(reason), alive));
        }
        Ending::Done(status) => reasons.push(format!("ended with status {status}")),
        Ending::PowerCut => return Ok((Verdict::Passed, false)),
        Ending::MachineEnded => reasons.push(format!("the machine ended{}", session.last_words())),
        Ending::Timeout => {
            let limit = script.timeout.as_secs();
            reasons.push(format!(
                "did not end within {limit} s{}",
                session.last_words()
            ));
        }
    }
    reasons.extend(session.faults(&script.name));
    if !reasons.is_empty() {
        for (kind, title) in [
            ("out", "it printed"),
            ("err", "it complained"),
            ("dmesg", "the kernel said"),
        ] {
            let text = tail(&session.written(&script.name, kind), TAIL);
            if !text.is_empty() {
                reasons.push(format!("{title}:\n{text}"));
            }
        }
    }
    let mut alive = matches!(ending, Ending::Done(_));
    if alive {
        if let Err(error) = session.unload() {
            process::check_interrupt()?;
            reasons.push(format!("afterwards: {error:#}"));
            alive = false;
        }
    }
    let verdict = if reasons.is_empty() {
        Verdict::Passed
    } else {
        Verdict::Failed(reasons.join("\n"))
    };
    Ok((verdict, alive))
}

/// The last lines of a text.
fn tail(text: &str, count: usize) -> String {
    let lines = text.lines().collect::<Vec<_>>();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// For scripts that are to print the same under all stacks: whether they did.
fn compare(results: &Path, scripts: &[Script], outcomes: &[Outcome]) -> Vec<Outcome> {
    let passed = |name: &str| {
        let outcome = outcomes.iter().find(|outcome| outcome.name == name);
        outcome.is_some_and(|outcome| outcome.verdict == Verdict::Passed)
    };
    let mut comparisons = Vec::new();
    for script in scripts.iter().filter(|script| script.compare) {
        let start = Instant::now();
        let [first, second] = [Stack::C, Stack::Rust].map(|stack| stack.name());
        // A script that failed or was not run has nothing to compare, and has been reported.
        if ![first, second]
            .iter()
            .all(|stack| passed(&format!("{} [{stack}]", script.name)))
        {
            continue;
        }
        let [theirs, ours] =
            [first, second].map(|stack| normalise(&printed(results, stack, &script.name)));
        let difference = similar::TextDiff::from_lines(&theirs, &ours)
            .unified_diff()
            .header(first, second)
            .to_string();
        let verdict = match (difference.is_empty(), theirs.is_empty()) {
            (_, true) => Verdict::Failed("it printed nothing that could be compared".to_owned()),
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

/// What a script printed under a stack. Which boot it was in is only known from where its output lies.
fn printed(results: &Path, stack: &str, name: &str) -> String {
    let boots = fs::read_dir(results.join(stack))
        .into_iter()
        .flatten()
        .flatten();
    let mut files = boots
        .map(|boot| boot.path().join(format!("{name}.out")))
        .filter(|file| file.exists());
    files
        .next()
        .and_then(|file| fs::read_to_string(file).ok())
        .unwrap_or_default()
}

/// Replaces what is different in every run: a UUID by its number in order of appearance.
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
    fn uuids_become_numbers() {
        let text =
            "a 00000000-0000-0000-0000-00000000000a b 11111111-0000-0000-0000-000000000000\n\
            00000000-0000-0000-0000-00000000000a 1111-2";
        assert_eq!(normalise(text), "a <uuid 1> b <uuid 2>\n<uuid 1> 1111-2");
    }

    #[test]
    fn equal_needs_share_a_job() {
        let script = |name: &str, cpus| Script {
            name: name.to_owned(),
            hardware: Hardware {
                cpus,
                ..Hardware::default()
            },
            stacks: vec![Stack::Rust, Stack::C],
            compare: false,
            timeout: std::time::Duration::from_secs(1),
            boots: Boots::Shared,
        };
        let mut scripts = vec![script("1", None), script("2", Some(1)), script("3", None)];
        assert_eq!(plan(&scripts, None).len(), 4);
        assert_eq!(plan(&scripts, Some(Stack::C)).len(), 2);
        scripts[2].boots = Boots::Own(2);
        assert_eq!(plan(&scripts, Some(Stack::C)).len(), 3);
    }
}
