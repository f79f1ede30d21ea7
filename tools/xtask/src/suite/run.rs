// SPDX-License-Identifier: GPL-2.0

//! Workers, which take jobs from a queue, boot guests for them and report the verdict on each test.

use super::{
    context::Context,
    leaks,
    media::Media,
    plan::Job,
    report::{
        self,
        Outcome,
        Verdict, //
    },
    results::file_name,
    script::{
        Boots,
        Hardware,
        Script, //
    },
    session::{
        Boot,
        Call,
        Ending,
        Reaction,
        Session, //
    },
};
use crate::{
    kernel::Flavour,
    modules::Stack,
    process, //
};
use anyhow::{
    bail,
    Context as _,
    Result, //
};
use std::{
    sync::{
        Mutex,
        PoisonError, //
    },
    time::Instant,
};

/// Exit status of a script that was skipped.
const SKIPPED: i32 = 77;

/// A run of jobs.
pub(super) struct Run<'a> {
    pub(super) context: Context<'a>,
    outcomes: Mutex<Vec<Outcome>>,
}

impl<'a> Run<'a> {
    /// Creates a run that has not begun.
    pub(super) fn new(context: Context<'a>) -> Self {
        Self {
            context,
            outcomes: Mutex::default(),
        }
    }

    /// Runs all jobs with this number of workers.
    pub(super) fn all(&self, jobs: Vec<Job>, workers: usize) -> Result<Vec<Outcome>> {
        let queue = Mutex::new(jobs.into_iter());
        std::thread::scope(|scope| {
            let workers = (0..workers.max(1))
                .map(|_| scope.spawn(|| self.work(&queue)))
                .collect::<Vec<_>>();
            let mut ends = workers.into_iter().map(|worker| worker.join());
            ends.try_for_each(|end| end.unwrap_or_else(|_| bail!("a worker panicked")))
        })?;
        Ok(std::mem::take(
            &mut self.outcomes.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }

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
                Some(Job::Own { stack, script }) => {
                    let start = Instant::now();
                    let verdict = verdict_of(self.own(stack, &script))?;
                    self.report(&script.name, stack, start, verdict);
                }
                Some(Job::PowerCuts(chain)) => {
                    let start = Instant::now();
                    let verdict = verdict_of(chain.run(&self.context))?;
                    self.report(&chain.name(), chain.stack, start, verdict);
                }
            }
        }
    }

    fn report(&self, name: &str, stack: Stack, start: Instant, verdict: Verdict) {
        let outcome = Outcome {
            name: report::name(name, stack),
            verdict,
            time: start.elapsed(),
        };
        outcome.print();
        self.outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(outcome);
    }

    fn shared(&self, stack: Stack, hardware: &Hardware, scripts: &[Script]) -> Result<()> {
        let mut waiting = scripts.iter().peekable();
        while let Some(first) = waiting.peek() {
            let boot = first.name.clone();
            let output = self.context.output_directory(stack, &file_name(&boot))?;
            let media = Media::create(hardware)?;
            let start = Instant::now();
            let booted = Session::boot(Boot {
                machine: self.context.machine,
                files: &self.context.files,
                stack,
                hardware,
                media: &media,
                output: &output,
            });
            let mut session = match booted {
                Ok(session) => session,
                Err(error) => {
                    let verdict = verdict_of(Err(error))?;
                    self.report(&first.name, stack, start, verdict);
                    waiting.next();
                    continue;
                }
            };
            let mut usable = true;
            while usable {
                let Some(script) = waiting.next() else { break };
                let start = Instant::now();
                media.erase()?;
                let verdict = match one(&mut session, script, stack, 1) {
                    Ok((verdict, still_usable)) => {
                        usable = still_usable;
                        verdict
                    }
                    Err(error) => {
                        usable = false;
                        verdict_of(Err(error))?
                    }
                };
                self.report(&script.name, stack, start, verdict);
            }
            if usable && self.context.machine.kernel.flavour == Flavour::Debug {
                let start = Instant::now();
                let verdict = verdict_of(leaks::look(&mut session))?;
                self.report(&format!("leaks from {boot} on"), stack, start, verdict);
            }
            if usable {
                let start = Instant::now();
                if let Err(error) = session.halt() {
                    let verdict = verdict_of(Err(error))?;
                    self.report("power-off", stack, start, verdict);
                }
            }
        }
        Ok(())
    }

    fn own(&self, stack: Stack, script: &Script) -> Result<Verdict> {
        let stacks = match &script.boots {
            Boots::Own(count) => vec![stack; *count as usize],
            Boots::Stacks(stacks) => stacks.clone(),
            Boots::Shared => vec![stack],
        };
        let media = Media::create(&script.hardware)?;
        for (boot, &under) in (1..).zip(&stacks) {
            let name = format!("{}-boot{boot}", file_name(&script.name));
            let output = self.context.output_directory(stack, &name)?;
            let in_boot = || format!("in boot {boot}");
            let guest = Boot {
                machine: self.context.machine,
                files: &self.context.files,
                stack: under,
                hardware: &script.hardware,
                media: &media,
                output: &output,
            };
            let booted = Session::boot_with(guest, |setup| {
                let sizes = (setup.nvdimms.first_mut(), script.first_size(boot));
                if let (Some(first), Some(size)) = sizes {
                    first.size = size;
                }
                setup.firmware = media.firmware(boot).cloned();
            });
            let mut session = booted.with_context(in_boot)?;
            let (mut verdict, usable) =
                one(&mut session, script, under, boot).with_context(in_boot)?;
            if usable
                && verdict == Verdict::Passed
                && self.context.machine.kernel.flavour == Flavour::Debug
            {
                verdict = leaks::look(&mut session).with_context(in_boot)?;
            }
            if usable {
                session.halt().with_context(in_boot)?;
            }
            match verdict {
                Verdict::Passed => {}
                Verdict::Failed(reason) => {
                    return Ok(Verdict::Failed(format!("in boot {boot}: {reason}")))
                }
                Verdict::Skipped(_) | Verdict::Recorded => return Ok(verdict),
            }
        }
        Ok(Verdict::Passed)
    }
}

/// Turns an error of the machine into a failure of the test. Only an interrupt stays an error.
fn verdict_of(result: Result<Verdict>) -> Result<Verdict> {
    process::check_interrupt()?;
    Ok(result.unwrap_or_else(|error| Verdict::Failed(format!("{error:#}"))))
}

/// Runs one script with freshly loaded modules. Returns the verdict, and whether the machine is
/// still usable.
fn one(session: &mut Session, script: &Script, stack: Stack, boot: u32) -> Result<(Verdict, bool)> {
    let path = format!("tests/{}.sh", script.name);
    let name = file_name(&script.name);
    session.load(stack)?;
    let call = Call {
        script: &path,
        name: &name,
        stack,
        boot,
        arguments: &script.arguments,
        timeout: script.timeout,
    };
    let ending = session.run(&call, |_| Reaction::GoOn)?;
    let mut reasons = Vec::new();
    match ending {
        Ending::Done(0) => {}
        Ending::Done(SKIPPED) => {
            let reason = session.last_line(&name, "err");
            let usable = session.unload().is_ok();
            return Ok((Verdict::Skipped(reason), usable));
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
    reasons.extend(session.faults(&name));
    if !reasons.is_empty() {
        reasons.push(session.traces(&name));
    }
    let mut usable = matches!(ending, Ending::Done(_));
    if usable {
        if let Err(error) = session.unload() {
            reasons.push(format!("afterwards: {error:#}"));
            usable = false;
        }
    }
    let verdict = if reasons.is_empty() {
        Verdict::Passed
    } else {
        Verdict::Failed(reasons.join("\n"))
    };
    Ok((verdict, usable))
}
