// SPDX-License-Identifier: GPL-2.0

//! One boot as a test sees it: the agent's commands, with deadlines, and what the kernel has to say.

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
    process,
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

/// Time for loading or unloading all modules.
const MODULES_TIMEOUT: Duration = Duration::from_secs(90);

/// How often a machine may begin to boot until it is there.
const BOOTS: u32 = 3;

/// Memory of a guest whose kernel watches itself: shadows and records take a good part of it.
const DEBUG_MEMORY: u64 = 2048 * MIB;

/// What in the kernel's log fails a test, whatever the test itself finds.
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

/// A script and how it is called.
pub(crate) struct Call<'a> {
    /// Its path under qemu/.
    pub(crate) script: &'a str,
    /// What its outputs are called.
    pub(crate) name: &'a str,
    pub(crate) stack: Stack,
    pub(crate) boot: u32,
    /// Words for its command line.
    pub(crate) arguments: &'a str,
    pub(crate) timeout: Duration,
}

/// How an agent's command ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Ending {
    /// With this status.
    Done(i32),
    /// The script asked for a power cut, or a reaction did.
    PowerCut,
    /// The machine ended by itself.
    MachineEnded,
    /// The deadline passed; the machine was stopped.
    Timeout,
}

/// What follows from something that a script says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reaction {
    GoOn,
    /// The power fails in so much time.
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
    /// Where scripts write, /host/run in the guest.
    run: PathBuf,
    /// Factor of all times that a command may take.
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
        setup.timeout_scale = machine.kernel.flavour.timeout_scale();
        setup.boot_timeout *= setup.timeout_scale;
        if machine.kernel.flavour == Flavour::Debug {
            setup.memory = DEBUG_MEMORY;
        }
        setup.share("modules", files.modules);
        setup.share("tools", files.tools);
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

    /// Boots a machine whose setup `change` may adapt. The modules are not loaded yet, so a machine that does not come up says nothing about them: it gets other
    /// chances, and a line in the log.
    ///
    /// Under multi-threaded TCG one was seen to hang while it calibrated its clock.
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
    /// They cannot be loaded; the message has the end of the console.
    pub(crate) fn load(&mut self, stack: Stack) -> Result<()> {
        let ending = self.command(&format!("load {}", stack.name()), MODULES_TIMEOUT, |_| {
            Reaction::GoOn
        })?;
        self.expect(ending, "load the modules")
    }

    /// Begins to load the NVDIMM modules, and cuts the power after so much time, whether they are loaded by then or not.
    pub(crate) fn load_and_cut(&mut self, stack: Stack, after: Duration) -> Result<()> {
        self.guest.send(&format!("load {}", stack.name()))?;
        std::thread::sleep(after);
        self.guest.cut_power();
        Ok(())
    }

    /// Unloads them.
    pub(crate) fn unload(&mut self) -> Result<()> {
        let ending = self.command("unload", MODULES_TIMEOUT, |_| Reaction::GoOn)?;
        self.expect(ending, "unload the modules")
    }

    /// What the kernel has allocated and nobody holds any more, as kmemleak tells it; nothing on a kernel without it. The
    /// modules are to be unloaded before: what they forgot then has no owner left.
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

    /// Runs a script of qemu/ and waits for its end. `on_say` gets what it says meanwhile.
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

    /// What a script left in the file `<name>.<kind>`, also if the machine died.
    pub(crate) fn written(&self, name: &str, kind: &str) -> String {
        let bytes = fs::read(self.run.join(format!("{name}.{kind}"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Lines of the kernel's log during a script that say that the kernel itself is at fault.
    ///
    /// A script that was cut off has no log of its own: then it is the console, from the boot on.
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

    /// A connection to the machine's monitor. There is one at a time.
    pub(crate) fn monitor(&self) -> Result<Monitor> {
        self.guest.monitor()
    }

    /// The end of the console.
    pub(crate) fn last_words(&self) -> String {
        self.guest.last_words()
    }

    /// Powers off properly.
    pub(crate) fn halt(self) -> Result<()> {
        process::check_interrupt()?;
        self.guest.halt()
    }
}
