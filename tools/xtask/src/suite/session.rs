// SPDX-License-Identifier: GPL-2.0

//! One boot of a guest: the agent's commands with their timeouts, and the kernel's log.

use super::{
    media::Media,
    script::Hardware, //
};
use crate::{
    kernel::Flavour,
    modules::{
        GuestFiles,
        Stack, //
    },
    monitor::Monitor,
    process, project,
    setup::Machine,
    units::MIB,
    vm::{
        Event,
        Guest,
        Setup, //
    },
};
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
    time::{
        Duration,
        Instant, //
    },
};

/// Timeout of loading or unloading all modules.
const MODULES_TIMEOUT: Duration = Duration::from_secs(90);

/// Number of lines of a script's output that are shown when it fails.
const TAIL: usize = 40;

/// Maximum number of attempts to boot a machine.
const BOOTS: u32 = 3;

/// Memory of a guest with a debug kernel, which needs a large part of it for shadow memory and
/// records.
const DEBUG_MEMORY: u64 = 2048 * MIB;

/// Texts in the kernel's log that fail a test, whatever its own status is.
const FAULTS: [&str; 15] = [
    "BUG:",
    "] BUG ", // of a slab
    "WARNING:",
    "Oops",
    "KASAN",
    "UBSAN:",
    "ODEBUG:",
    "list_add corruption",
    "list_del corruption",
    "kmemleak:",
    "rust_kernel: panicked",
    "INFO: task",
    "possible circular locking",
    "possible recursive locking",
    "general protection fault",
];

/// A script and its arguments.
pub(crate) struct Call<'a> {
    /// The path under qemu/.
    pub(crate) script: &'a str,
    /// The name of its output files, without a slash.
    pub(crate) name: &'a str,
    pub(crate) stack: Stack,
    pub(crate) boot: u32,
    /// Words for its command line.
    pub(crate) arguments: &'a str,
    pub(crate) timeout: Duration,
}

/// The end of an agent's command.
#[derive(Debug, PartialEq)]
pub(crate) enum Ending {
    /// With this status.
    Done(i32),
    /// The script or a reaction requested a power cut.
    PowerCut,
    /// The machine ended by itself.
    MachineEnded,
    /// The timeout expired; the machine was killed.
    Timeout,
}

/// The reaction to a line that a script sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reaction {
    GoOn,
    /// The power is cut after this time.
    CutAfter(Duration),
}

/// What to boot.
#[derive(Clone, Copy)]
pub(crate) struct Boot<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) files: &'a GuestFiles,
    /// The stack whose modules the guest has.
    pub(crate) stack: Stack,
    pub(crate) hardware: &'a Hardware,
    pub(crate) media: &'a Media,
    /// The directory where scripts, console and QEMU write.
    pub(crate) output: &'a Path,
}

/// A booted guest.
pub(crate) struct Session {
    guest: Guest,
    /// The directory where scripts write, /host/run in the guest.
    run: PathBuf,
    /// Factor of the timeouts of commands.
    timeout_scale: u32,
}

impl Session {
    /// Returns a virtual machine with this hardware that has the modules of the stack.
    fn setup(boot: Boot<'_>) -> Result<Setup> {
        let Boot {
            machine,
            hardware,
            media,
            ..
        } = boot;
        let files = boot.files.of(boot.stack)?;
        let image = machine.image.clone();
        let kernel = machine.kernel.image();
        let mut setup = Setup::new(kernel, image, machine.accelerator, boot.output);
        setup.initramfs = machine.kernel.initramfs();
        setup.timeout_scale = machine.kernel.flavour.timeout_scale();
        setup.boot_timeout *= setup.timeout_scale;
        if machine.kernel.flavour == Flavour::Debug {
            setup.memory = DEBUG_MEMORY;
        }
        setup.share("modules", files.modules);
        setup.share("tools", files.tools);
        // Not mounted by the guest: the test that reads them does that.
        setup.share("abi", project::root().join("Documentation/ABI/testing"));
        let (nvdimms, spares) = media.nvdimms().split_at(hardware.nvdimms.len());
        setup.nvdimms = nvdimms.to_vec();
        setup.spares = spares.to_vec();
        setup.firmware = media.firmware(1).cloned();
        setup.monitor = Some(media.directory().join("monitor"));
        setup
            .kernel_arguments
            .clone_from(&hardware.kernel_arguments);
        setup.kernel_arguments.extend(
            hardware
                .memmap
                .iter()
                .map(|range| format!("memmap={range}")),
        );
        if let Some(cpus) = hardware.cpus {
            setup.cpus = cpus;
        }
        Ok(setup)
    }

    /// Boots without changes of the setup: [`Session::boot_with`].
    pub(crate) fn boot(boot: Boot<'_>) -> Result<Self> {
        Self::boot_with(boot, |_| ())
    }

    /// Boots a machine whose setup `change` may adapt. The modules are not loaded yet, so a failed
    /// boot is not their fault: it is logged and repeated.
    ///
    /// Under multi-threaded TCG a guest was seen to hang while it calibrated its clock.
    pub(crate) fn boot_with(boot: Boot<'_>, change: impl FnOnce(&mut Setup)) -> Result<Self> {
        let mut setup = Self::setup(boot)?;
        change(&mut setup);
        let mut booted = setup.boot();
        for _ in 1..BOOTS {
            let Err(error) = &booted else { break };
            process::check_interrupt()?;
            println!("            booting again: {error:#}");
            booted = setup.boot();
        }
        let guest = booted?;
        Ok(Self {
            guest,
            run: boot.output.to_path_buf(),
            timeout_scale: setup.timeout_scale,
        })
    }

    /// Loads the NVDIMM modules.
    ///
    /// # Errors
    ///
    /// The modules cannot be loaded. The message has the end of the console.
    pub(crate) fn load(&mut self, stack: Stack) -> Result<()> {
        let ending = self.command(&format!("load {}", stack.name()), MODULES_TIMEOUT, |_| {
            Reaction::GoOn
        })?;
        self.expect(ending, "load the modules")
    }

    /// Begins to load the NVDIMM modules, and cuts the power after this time, whether they are
    /// loaded by then or not.
    pub(crate) fn load_and_cut(&mut self, stack: Stack, after: Duration) -> Result<()> {
        self.guest.send(&format!("load {}", stack.name()))?;
        std::thread::sleep(after);
        self.guest.cut_power();
        Ok(())
    }

    /// Unloads the NVDIMM modules.
    pub(crate) fn unload(&mut self) -> Result<()> {
        let ending = self.command("unload", MODULES_TIMEOUT, |_| Reaction::GoOn)?;
        self.expect(ending, "unload the modules")
    }

    /// Returns kmemleak's report of unreferenced objects; nothing on a kernel without kmemleak. The
    /// modules must be unloaded before, so that nothing refers to objects that they leaked.
    pub(crate) fn leaks(&mut self) -> Result<String> {
        let ending = self.command("leaks", MODULES_TIMEOUT, |_| Reaction::GoOn)?;
        self.expect(ending, "look for leaks")?;
        let report = fs::read(self.run.join("leaks")).unwrap_or_default();
        Ok(String::from_utf8_lossy(&report).into_owned())
    }

    fn expect(&mut self, ending: Ending, what: &str) -> Result<()> {
        match ending {
            Ending::Done(0) => Ok(()),
            other => bail!("cannot {what}: {other:?}{}", self.guest.last_words()),
        }
    }

    /// Runs a script of qemu/ and waits for its end. `on_say` is called with each line that the
    /// script sends.
    pub(crate) fn run(
        &mut self,
        call: &Call<'_>,
        on_say: impl FnMut(&str) -> Reaction,
    ) -> Result<Ending> {
        let (stack, arguments) = (call.stack.name(), call.arguments);
        let line = format!(
            "run {} {} {stack} {} {arguments}",
            call.script, call.name, call.boot
        );
        self.command(line.trim_end(), call.timeout, on_say)
    }

    fn command(
        &mut self,
        line: &str,
        timeout: Duration,
        mut on_say: impl FnMut(&str) -> Reaction,
    ) -> Result<Ending> {
        self.guest.send(line)?;
        let deadline = Instant::now() + timeout * self.timeout_scale;
        let mut cut = None;
        loop {
            let next = cut.unwrap_or(deadline).min(deadline);
            let line = match self.guest.next(next)? {
                Event::Line(line) => line,
                Event::Ended => return Ok(Ending::MachineEnded),
                Event::Timeout => {
                    self.guest.cut_power();
                    return Ok(if cut.is_some() {
                        Ending::PowerCut
                    } else {
                        Ending::Timeout
                    });
                }
            };
            let (verb, text) = line.split_once(' ').unwrap_or((&line, ""));
            match verb {
                "done" => {
                    let status = text
                        .parse()
                        .with_context(|| format!("the agent said '{line}'"))?;
                    return Ok(Ending::Done(status));
                }
                "say" => {
                    if let Reaction::CutAfter(time) = on_say(text) {
                        cut = Some(Instant::now() + time);
                    }
                }
                "plug" => self.guest.plug()?,
                "cut" => {
                    self.guest.cut_power();
                    return Ok(Ending::PowerCut);
                }
                _ => bail!("the agent said '{line}'"),
            }
        }
    }

    /// Returns the contents of the file `<name>.<kind>` of a script, even if the machine died.
    pub(crate) fn written(&self, name: &str, kind: &str) -> String {
        let bytes = fs::read(self.run.join(format!("{name}.{kind}"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the ends of a script's output and of the kernel's log, for a failure's reason.
    pub(super) fn traces(&self, name: &str) -> String {
        let mut text = String::new();
        for (kind, title) in [
            ("err", "standard error"),
            ("out", "standard output"),
            ("dmesg", "kernel log"),
        ] {
            let lines = tail(&self.written(name, kind), TAIL);
            if !lines.is_empty() {
                text.push_str(&format!("{title}:\n{lines}\n"));
            }
        }
        text
    }

    /// Returns the last line of a script's output of this kind.
    pub(super) fn last_line(&self, name: &str, kind: &str) -> String {
        tail(&self.written(name, kind), 1)
    }

    /// Returns the lines of the kernel's log during a script that report a fault of the kernel.
    ///
    /// A script that was cut off has no log of its own. The whole console is searched then.
    pub(crate) fn faults(&self, name: &str) -> Vec<String> {
        let own = self.run.join(format!("{name}.dmesg"));
        let log = if own.exists() {
            own
        } else {
            self.run.join("console.log")
        };
        let log = fs::read(log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let faults = log
            .lines()
            .filter(|line| FAULTS.iter().any(|fault| line.contains(fault)));
        faults.map(str::to_owned).collect()
    }

    /// Connects to the machine's monitor. There can be one connection at a time.
    pub(crate) fn monitor(&self) -> Result<Monitor> {
        self.guest.monitor()
    }

    /// Returns the end of the console.
    pub(crate) fn last_words(&self) -> String {
        self.guest.last_words()
    }

    /// Powers the guest off.
    pub(crate) fn halt(self) -> Result<()> {
        process::check_interrupt()?;
        self.guest.halt()
    }
}

/// Returns the last lines of a text.
fn tail(text: &str, count: usize) -> String {
    let lines = text.lines().collect::<Vec<_>>();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
