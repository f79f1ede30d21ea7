// SPDX-License-Identifier: GPL-2.0

//! One virtual machine: QEMU with emulated NVDIMMs, and the connection to the agent in the guest.
//!
//! The host and the agent ([`AGENT`]) exchange lines over a virtio port that is QEMU's standard
//! input and output. The contents of the guest's NVDIMMs are files of the host that QEMU maps
//! shared: killing QEMU is a power cut, and the files keep what was stored.

use crate::{
    accelerator::Accelerator,
    firmware::{
        self,
        Firmware, //
    },
    image,
    monitor::Monitor,
    nvdimm::Nvdimm,
    process::{
        self,
        Group, //
    },
    project,
    units::MIB, //
};
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::{
    ffi::OsString,
    fs::{
        self,
        File, //
    },
    io::{
        BufRead,
        BufReader,
        Write, //
    },
    path::{
        Path,
        PathBuf, //
    },
    process::{
        ChildStdin,
        Command,
        Stdio, //
    },
    sync::mpsc,
    time::{
        Duration,
        Instant, //
    },
};

const QEMU: &str = "qemu-system-x86_64";
/// The agent's script, under the mount of the checkout's qemu/ in the guest.
const AGENT: &str = "guest/agent.sh";
/// Time for a boot up to the agent's greeting.
const BOOT_TIMEOUT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);
/// Limit of the guest's memory with the default address width of the emulated CPU. Above it lies
/// the space for devices.
const WIDE: u64 = 1 << 39;

/// A directory of the host that the guest mounts over 9p.
#[derive(Clone, Debug)]
struct Share {
    tag: &'static str,
    directory: PathBuf,
    writable: bool,
}

/// The configuration of a virtual machine.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    kernel: PathBuf,
    image: PathBuf,
    /// The initramfs, for a kernel that has as modules what the image needs.
    pub(crate) initramfs: Option<PathBuf>,
    pub(crate) accelerator: Accelerator,
    pub(crate) cpus: u32,
    pub(crate) memory: u64,
    pub(crate) nvdimms: Vec<Nvdimm>,
    /// NVDIMMs that are plugged into the running machine on request.
    pub(crate) spares: Vec<Nvdimm>,
    /// Tables that replace those which QEMU makes for `nvdimms` and `spares`, which are empty then.
    pub(crate) firmware: Option<Firmware>,
    /// The socket of QEMU's monitor, if the machine has one. Its path must fit into `sockaddr_un`.
    pub(crate) monitor: Option<PathBuf>,
    /// Words that are added to the kernel's command line.
    pub(crate) kernel_arguments: Vec<String>,
    pub(crate) boot_timeout: Duration,
    /// Factor of the timeouts of commands in this guest.
    pub(crate) timeout_scale: u32,
    shares: Vec<Share>,
    console: PathBuf,
}

impl Setup {
    /// Returns a machine without NVDIMMs, whose console log and results go to the directory `run`.
    pub(crate) fn new(
        kernel: PathBuf,
        image: PathBuf,
        accelerator: Accelerator,
        run: &Path,
    ) -> Self {
        let shares = vec![
            Share {
                tag: "qemu",
                directory: project::root().join("qemu"),
                writable: false,
            },
            Share {
                tag: "run",
                directory: run.to_path_buf(),
                writable: true,
            },
        ];
        Self {
            kernel,
            image,
            initramfs: None,
            accelerator,
            cpus: 2,
            memory: 1024 * MIB,
            nvdimms: Vec::new(),
            spares: Vec::new(),
            firmware: None,
            monitor: None,
            kernel_arguments: Vec::new(),
            boot_timeout: BOOT_TIMEOUT,
            timeout_scale: 1,
            shares,
            console: run.join("console.log"),
        }
    }

    /// Lets the guest mount `directory` as /host/`tag`, read-only.
    pub(crate) fn share(&mut self, tag: &'static str, directory: PathBuf) {
        self.shares.push(Share {
            tag,
            directory,
            writable: false,
        });
    }

    fn command(&self) -> Command {
        // The kernel kills QEMU if xtask itself is killed.
        let mut command = Command::new("setpriv");
        let machine = match self.firmware {
            None => "q35,nvdimm=on",
            Some(_) => "q35,nvdimm=off",
        };
        command
            .args(["--pdeathsig", "KILL", QEMU, "-machine", machine])
            .args(self.accelerator.arguments());
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
            "-rtc",
            "base=utc",
        ]);
        command.arg("-smp").arg(self.cpus.to_string());
        match &self.firmware {
            None => self.add_memory(&mut command),
            Some(firmware) => self.add_firmware(&mut command, firmware),
        }

        command
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-append")
            .arg(self.kernel_command_line());
        if let Some(initramfs) = &self.initramfs {
            command.arg("-initrd").arg(initramfs);
        }
        command.arg("-drive").arg(option(
            "if=none,id=root,format=raw,readonly=on,file=",
            &self.image,
        ));
        command.args([
            "-device",
            "virtio-blk-pci,drive=root",
            "-device",
            "virtio-rng-pci",
        ]);
        for share in &self.shares {
            let readonly = if share.writable { "off" } else { "on" };
            let tag = share.tag;
            let fixed = format!(
                "local,id={tag},security_model=none,readonly={readonly},multidevs=remap,path="
            );
            command.arg("-fsdev").arg(option(&fixed, &share.directory));
            command
                .arg("-device")
                .arg(format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"));
        }
        for (index, nvdimm) in self.nvdimms.iter().enumerate() {
            let size = nvdimm.size + nvdimm.label;
            let fixed =
                format!("memory-backend-file,id=memory{index},share=on,size={size},mem-path=");
            command.arg("-object").arg(option(&fixed, &nvdimm.file));
            let label = if nvdimm.label == 0 {
                String::new()
            } else {
                format!(",label-size={}", nvdimm.label)
            };
            command.arg("-device").arg(format!(
                "nvdimm,id=nvdimm{index},memdev=memory{index}{label}"
            ));
        }
        if let Some(monitor) = &self.monitor {
            command
                .arg("-chardev")
                .arg(option(
                    "socket,id=monitor,server=on,wait=off,path=",
                    monitor,
                ))
                .args(["-mon", "chardev=monitor,mode=control"]);
        }
        command
            .arg("-chardev")
            .arg(option("file,id=console,path=", &self.console))
            .args(["-serial", "chardev:console"]);
        command.args([
            "-device",
            "virtio-serial-pci",
            "-chardev",
            "stdio,id=control,signal=off",
        ]);
        command.args(["-device", "virtserialport,chardev=control,name=control"]);
        command
    }

    /// Adds RAM, and slots for NVDIMMs.
    fn add_memory(&self, command: &mut Command) {
        let modules = self.nvdimms.iter().chain(&self.spares);
        let backed = modules
            .clone()
            .map(|nvdimm| nvdimm.size + nvdimm.label)
            .sum::<u64>();
        // Includes space for the alignment of each module.
        let slots = modules.count().max(1) as u64;
        let most = self.memory + (backed / (1024 * MIB) + slots + 1) * 1024 * MIB;
        if most >= WIDE && self.accelerator != Accelerator::Kvm {
            // The last `-cpu` counts.
            command.args(["-cpu", "max,phys-bits=46"]);
        }
        command.arg("-m").arg(format!(
            "{}M,slots={slots},maxmem={}M",
            self.memory / MIB,
            most / MIB
        ));
    }

    /// Adds our tables, and the memory that they describe, between two parts of the RAM.
    fn add_firmware(&self, command: &mut Command, firmware: &Firmware) {
        let above = self.memory.saturating_sub(firmware::BASE);
        command.args(["-m", &format!("{}B", self.memory + firmware.memory)]);
        for (node, size) in [(0, firmware::BASE), (2, above)] {
            command
                .arg("-object")
                .arg(format!("memory-backend-ram,id=ram{node},size={size}"));
        }
        let fixed = format!(
            "memory-backend-file,id=ram1,share=on,size={},mem-path=",
            firmware.memory
        );
        command.arg("-object").arg(option(&fixed, &firmware.file));
        let last = self.cpus.saturating_sub(1);
        command
            .arg("-numa")
            .arg(format!("node,nodeid=0,memdev=ram0,cpus=0-{last}"));
        command.args(["-numa", "node,nodeid=1,memdev=ram1"]);
        command.args(["-numa", "node,nodeid=2,memdev=ram2"]);
        for table in [&firmware.ssdt, &firmware.nfit] {
            command.arg("-acpitable").arg(option("file=", table));
        }
    }

    fn kernel_command_line(&self) -> String {
        // On a busy host the emulated timer may be too late for the kernel's timer check.
        let fixed =
            "console=ttyS0 root=/dev/vda rootfstype=squashfs ro panic=-1 loglevel=5 no_timer_check";
        let mut line = format!("{fixed} init={}", image::INIT);
        let reserved = self
            .firmware
            .iter()
            .map(|firmware| &firmware.kernel_argument);
        for word in reserved.chain(&self.kernel_arguments) {
            line.push(' ');
            line.push_str(word);
        }
        line
    }

    /// Starts the machine and waits for the agent's greeting.
    ///
    /// # Errors
    ///
    /// QEMU ended, or the agent did not answer in time. The message has the end of the console.
    pub(crate) fn boot(&self) -> Result<Guest> {
        let complaints = self.console.with_file_name("qemu.log");
        let errors = File::create(&complaints)
            .with_context(|| format!("cannot create {}", complaints.display()))?;
        let mut command = self.command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors);
        let mut group = Group::spawn(&mut command)?;
        let child = group.child();
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("QEMU was started without its pipes");
        };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                // A line that cannot be read ends the stream. Sending fails once the `Guest` is
                // dropped.
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut guest = Guest {
            group,
            input,
            lines,
            console: self.console.clone(),
            complaints,
            spares: self.spares.clone().into_iter().enumerate(),
            monitor: self.monitor.clone(),
        };
        match guest.next(Instant::now() + self.boot_timeout)? {
            Event::Line(line) if line == format!("ready {AGENT}") => Ok(guest),
            Event::Line(line) => bail!("the guest's agent greeted with '{line}'"),
            Event::Ended => bail!(
                "the guest ended before its agent was there{}",
                guest.last_words()
            ),
            Event::Timeout => {
                guest.cut_power();
                bail!(
                    "no agent after {} s{}",
                    self.boot_timeout.as_secs(),
                    guest.last_words()
                )
            }
        }
    }
}

/// Returns an argument that ends in a path. QEMU requires commas in it to be doubled.
fn option(fixed: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(fixed);
    argument.push(path.to_string_lossy().replace(',', ",,"));
    argument
}

/// An event of a guest.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    /// A line of the agent.
    Line(String),
    /// QEMU has ended.
    Ended,
    /// Nothing came in time.
    Timeout,
}

/// A running machine, which is killed when this is dropped.
pub(crate) struct Guest {
    group: Group,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
    console: PathBuf,
    complaints: PathBuf,
    /// NVDIMMs that are not in the machine yet.
    spares: std::iter::Enumerate<std::vec::IntoIter<Nvdimm>>,
    monitor: Option<PathBuf>,
}

impl Guest {
    /// Sends `line` to the agent.
    pub(crate) fn send(&mut self, line: &str) -> Result<()> {
        let sent = writeln!(self.input, "{line}").and_then(|()| self.input.flush());
        sent.with_context(|| {
            format!(
                "the guest is gone, cannot say '{line}' to it{}",
                self.last_words()
            )
        })
    }

    /// Waits for the next event.
    pub(crate) fn next(&mut self, deadline: Instant) -> Result<Event> {
        loop {
            process::check_interrupt()?;
            match self.lines.recv_timeout(POLL) {
                Ok(line) => return Ok(Event::Line(line.trim_end().to_owned())),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(Event::Ended),
                Err(mpsc::RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                    return Ok(Event::Timeout)
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Plugs the next spare NVDIMM into the running machine.
    pub(crate) fn plug(&mut self) -> Result<()> {
        let spare = self.spares.next();
        let (index, nvdimm) = spare.context("there is no NVDIMM to plug in")?;
        self.monitor()?
            .plug(&nvdimm, &format!("spare{index}"))
            .context("cannot plug an NVDIMM in")
    }

    /// Connects to the machine's monitor. There can be one connection at a time.
    pub(crate) fn monitor(&self) -> Result<Monitor> {
        Monitor::connect(
            self.monitor
                .as_deref()
                .context("the machine has no monitor")?,
        )
    }

    /// Kills the machine, as a power cut does.
    pub(crate) fn cut_power(&mut self) {
        self.group.kill();
    }

    /// Powers the guest off through the agent, and waits for its end.
    pub(crate) fn halt(mut self) -> Result<()> {
        self.send("halt")?;
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.next(deadline)? {
                Event::Line(_) => {}
                Event::Ended => return Ok(()),
                Event::Timeout => bail!("the guest did not power off{}", self.last_words()),
            }
        }
    }

    /// Returns the end of the console and of QEMU's messages, for an error message.
    pub(crate) fn last_words(&self) -> String {
        let mut text = String::new();
        for file in [&self.complaints, &self.console] {
            let contents = fs::read(file).unwrap_or_default();
            let contents = String::from_utf8_lossy(&contents);
            let lines = contents.lines().collect::<Vec<_>>();
            for line in lines.iter().skip(lines.len().saturating_sub(30)) {
                text.push_str("\n    ");
                text.push_str(line.trim_end());
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_paths_are_doubled() {
        assert_eq!(
            option("path=", Path::new("/a,b")),
            OsString::from("path=/a,,b")
        );
    }
}
