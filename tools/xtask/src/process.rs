// SPDX-License-Identifier: GPL-2.0

//! Child processes, whose output goes to a log and which end when xtask does.
//!
//! Every child runs in a process group of its own, which is ended when the user interrupts xtask or
//! a deadline passes. Loops elsewhere call [`check_interrupt`], so that an interrupt unwinds
//! normally and temporary directories are removed.

use crate::ui::Step;
use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::File,
    io::{
        BufRead,
        BufReader,
        Write, //
    },
    os::unix::process::CommandExt,
    path::{
        Path,
        PathBuf, //
    },
    process::{
        Child,
        Command,
        ExitStatus,
        Stdio, //
    },
    sync::{
        atomic::{
            AtomicBool,
            Ordering, //
        },
        mpsc, //
    },
    time::{
        Duration,
        Instant, //
    },
};

/// Number of lines at the end of a log that an error message repeats.
const TAIL: usize = 30;
/// Time for a process group to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(50);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Turns SIGINT, SIGTERM and SIGHUP into a flag that [`check_interrupt`] reports.
pub(crate) fn catch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
        .context("cannot catch interrupts")
}

/// Fails if the user has interrupted xtask.
pub(crate) fn check_interrupt() -> Result<()> {
    ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
    Ok(())
}

/// Returns the command line, for messages.
pub(crate) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A child that leads a process group, which is ended when this is dropped.
pub(crate) struct Group(Child);

impl Group {
    /// Starts `command` in a group of its own.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let child = command.process_group(0).spawn();
        child
            .map(Self)
            .with_context(|| format!("cannot start `{}`", describe(command)))
    }

    /// Returns the child, for its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Returns the exit status of the child if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.0.try_wait().context("cannot wait for a child process")
    }

    /// Kills the whole group at once, as a power cut does.
    pub(crate) fn kill(&mut self) {
        self.signal(rustix::process::Signal::KILL);
        // An error means that the child has been waited for already.
        let _ = self.0.wait();
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let leader = i32::try_from(self.0.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(leader) = leader {
            // An error means that the group has ended already.
            let _ = rustix::process::kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(rustix::process::Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < GRACE {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(POLL);
        }
        self.kill();
    }
}

/// Runs `command` to its end with all output in `log`, and calls `on_line` with each line.
///
/// # Errors
///
/// The message has the command line, the exit status and the last lines of the log.
pub(crate) fn run_with(
    command: &mut Command,
    log: &Path,
    step: &Step,
    mut on_line: impl FnMut(&str),
) -> Result<()> {
    let mut log_file =
        File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    let (reader, writer) = std::io::pipe().context("cannot create a pipe")?;
    let errors = writer.try_clone().context("cannot duplicate a pipe")?;
    let mut group = Group::spawn(command.stdin(Stdio::null()).stdout(writer).stderr(errors))?;
    // `command` still holds the writing end of the pipe. Dropped here, or the reader would never
    // see the end of the file.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let (sender, lines) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(text).is_err() {
                break;
            }
            line.clear();
        }
    });

    let mut tail = VecDeque::with_capacity(TAIL);
    let status = loop {
        check_interrupt()?;
        step.tick();
        match lines.recv_timeout(POLL) {
            Ok(line) => {
                writeln!(log_file, "{line}")
                    .with_context(|| format!("cannot write {}", log.display()))?;
                on_line(&line);
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tail.push_back(line);
            }
            // A daemon that the command left behind may hold the pipe open, so the end of the child
            // is checked as well.
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if let Some(status) = group.ended()? {
                    break status;
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                if let Some(status) = group.ended()? {
                    break status;
                }
                std::thread::sleep(POLL);
            }
        }
    };
    drop(lines);
    if reading.is_finished() {
        // The thread returns nothing.
        let _ = reading.join();
    }
    if !status.success() {
        let tail = tail
            .into_iter()
            .map(|line| format!("\n    {line}"))
            .collect::<String>();
        bail!(
            "`{}` ended with {status}; the end of {}:{tail}",
            describe(command),
            log.display()
        );
    }
    Ok(())
}

/// [`run_with`] for commands whose output matters only when they fail.
pub(crate) fn run(command: &mut Command, log: &Path, step: &Step) -> Result<()> {
    run_with(command, log, step, |_| ())
}

/// Returns the standard output of a short command, trimmed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", describe(command)))?;
    let complaint = String::from_utf8_lossy(&done.stderr);
    ensure!(
        done.status.success(),
        "`{}` ended with {}: {}",
        describe(command),
        done.status,
        complaint.trim()
    );
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// Returns the search path with the directories of administration tools appended.
pub(crate) fn path_of_administrators() -> Option<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    // Joining fails only for a directory with a colon in its name.
    std::env::join_paths(std::env::split_paths(&path).chain(system)).ok()
}

/// Returns the path of `program`, if it is on the search path.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = path_of_administrators()?;
    let mut candidates = std::env::split_paths(&path).map(|directory| directory.join(program));
    candidates.find(|candidate| candidate.is_file())
}
