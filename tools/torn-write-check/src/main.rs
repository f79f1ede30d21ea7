// SPDX-License-Identifier: GPL-2.0

//! `torn-write-check`: the writer and the reader in the guest. The library describes the formats.

use anyhow::{
    ensure,
    Context,
    Result, //
};
use clap::{
    Parser,
    Subcommand, //
};
use rand::RngExt;
use rustix::fs::{
    fallocate,
    FallocateFlags, //
};
use std::{
    fs::{
        self,
        File, //
    },
    io::{
        Seek,
        SeekFrom,
        Write, //
    },
    os::unix::fs::{
        FileExt,
        OpenOptionsExt, //
    },
    path::{
        Path,
        PathBuf, //
    },
    process::ExitCode,
    sync::{
        Mutex,
        Once,
        PoisonError, //
    },
    time::{
        Duration,
        Instant, //
    },
};

/// Largest number of sectors in one request of the writer.
const LONGEST_REQUEST: u64 = 64;
/// Bytes that the reader reads at once.
const READ: u64 = 1 << 20;
/// Alignment of buffers for direct I/O.
const ALIGNMENT: usize = 4096;

#[derive(Parser)]
#[command(about = "Stamps sectors, and reads the stamps back")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Stamp random sectors until the power fails, or for some seconds. Prints `writing` after the
    /// first acknowledgement.
    Write {
        #[command(flatten)]
        device: Device,
        /// File for acknowledgements: one for each sector when its request is complete.
        #[arg(long)]
        acknowledge: PathBuf,
        /// File of `read` with the generations to start from.
        #[arg(long)]
        generations: Option<PathBuf>,
        #[arg(long, default_value_t = 4)]
        threads: u64,
        /// Number of this run, if sectors may have been zeroed in an earlier run.
        #[arg(long, default_value_t = 0)]
        epoch: u32,
        /// Zero the sectors of one request in eight instead of writing them.
        #[arg(long)]
        zero: bool,
        /// Stop after this many seconds.
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Read all sectors and record their generations.
    Read {
        #[command(flatten)]
        device: Device,
        /// File for the generations: 8 bytes for each sector.
        #[arg(long)]
        generations: PathBuf,
    },
}

#[derive(clap::Args)]
struct Device {
    device: PathBuf,
    /// Bytes that the device promises to write atomically.
    #[arg(long)]
    sector_size: u64,
}

impl Device {
    /// Opens the device past the page cache. Returns it and its number of sectors.
    fn open(&self, write: bool) -> Result<(File, u64)> {
        let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits())
            .context("O_DIRECT is not a flag of open")?;
        let mut options = File::options();
        let file = options
            .read(true)
            .write(write)
            .custom_flags(direct)
            .open(&self.device);
        let mut file = file.with_context(|| format!("cannot open {}", self.device.display()))?;
        let size = file
            .seek(SeekFrom::End(0))
            .context("cannot find the end of the device")?;
        ensure!(
            self.sector_size >= 512 && size >= self.sector_size,
            "there is no whole sector on this device"
        );
        Ok((file, size / self.sector_size))
    }
}

/// A buffer that direct I/O accepts.
struct Aligned {
    storage: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    fn new(length: usize) -> Self {
        let storage = vec![0; length + ALIGNMENT];
        let start = storage.as_ptr().align_offset(ALIGNMENT);
        Self {
            storage,
            start,
            length,
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..][..self.length]
    }
}

/// State that all threads of the writer share.
struct Writer<'a> {
    file: &'a File,
    sector_size: u64,
    epoch: u32,
    zero: bool,
    acknowledge: &'a Mutex<File>,
    deadline: Option<Instant>,
    begun: &'a Once,
}

/// Stamps the sectors from `first` on, whose generations are `generations`.
fn write_zone(writer: &Writer<'_>, first: u64, generations: &mut [u64]) -> Result<()> {
    let (sector_size, deadline) = (writer.sector_size, writer.deadline);
    let mut random = rand::rng();
    let mut buffer = Aligned::new((LONGEST_REQUEST * sector_size) as usize);
    let mut records = Vec::new();
    while deadline.is_none_or(|deadline| Instant::now() < deadline) {
        let count = random.random_range(1..=LONGEST_REQUEST.min(generations.len() as u64)) as usize;
        let start = random.random_range(0..=generations.len() - count);
        let bytes = &mut buffer.bytes()[..count * sector_size as usize];
        let zeroed = writer.zero && random.random_range(0..8) == 0;
        records.clear();
        let written = (first + start as u64..).zip(&mut generations[start..][..count]);
        for ((sector, generation), contents) in
            written.zip(bytes.chunks_exact_mut(sector_size as usize))
        {
            *generation = torn_write_check::successor(*generation, writer.epoch);
            torn_write_check::fill(contents, sector, *generation);
            let flag = if zeroed { torn_write_check::ZEROED } else { 0 };
            records.extend(torn_write_check::acknowledgement(
                sector,
                *generation | flag,
            ));
        }
        let offset = (first + start as u64) * sector_size;
        if zeroed {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(writer.file, hole, offset, bytes.len() as u64)
                .with_context(|| format!("cannot zero {count} sectors at {offset}"))?;
        } else {
            let written = writer.file.write_all_at(bytes, offset);
            written.with_context(|| format!("cannot write {count} sectors at {offset}"))?;
        }
        let acknowledge = writer.acknowledge.lock();
        let mut acknowledge = acknowledge.unwrap_or_else(PoisonError::into_inner);
        acknowledge
            .write_all(&records)
            .context("cannot acknowledge")?;
        writer.begun.call_once(|| println!("writing"));
    }
    Ok(())
}

/// Options of the writer.
struct Options {
    threads: u64,
    seconds: Option<u64>,
    epoch: u32,
    zero: bool,
}

fn write(
    device: &Device,
    acknowledge: &Path,
    generations: Option<&Path>,
    options: &Options,
) -> Result<()> {
    let (file, sectors) = device.open(true)?;
    let mut known = match generations {
        Some(path) => {
            let bytes =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            torn_write_check::generations(&bytes).collect::<Vec<_>>()
        }
        None => vec![0; sectors as usize],
    };
    ensure!(
        known.len() as u64 == sectors,
        "{} generations for {sectors} sectors",
        known.len()
    );
    let records = File::create(acknowledge);
    let records = records.with_context(|| format!("cannot create {}", acknowledge.display()))?;
    let records = Mutex::new(records);
    let zone = sectors.div_ceil(options.threads.max(1)) as usize;
    let deadline = options
        .seconds
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let begun = Once::new();
    let writer = &Writer {
        file: &file,
        sector_size: device.sector_size,
        epoch: options.epoch,
        zero: options.zero,
        acknowledge: &records,
        deadline,
        begun: &begun,
    };
    std::thread::scope(|scope| {
        let zones = (0..).step_by(zone).zip(known.chunks_mut(zone));
        let workers = zones.map(|(first, generations)| {
            scope.spawn(move || write_zone(writer, first, generations))
        });
        let workers = workers.collect::<Vec<_>>();
        let mut ends = workers.into_iter().map(|worker| worker.join());
        ends.try_for_each(|end| end.unwrap_or_else(|_| anyhow::bail!("a writer panicked")))
    })
}

fn read(device: &Device, generations: &Path) -> Result<ExitCode> {
    let (file, sectors) = device.open(false)?;
    let mut found = Vec::with_capacity(sectors as usize * 8);
    let mut buffer = Aligned::new((READ - READ % device.sector_size) as usize);
    let mut torn = 0_u64;
    let at_once = READ / device.sector_size;
    for first in (0..sectors).step_by(at_once as usize) {
        let count = at_once.min(sectors - first);
        let bytes = &mut buffer.bytes()[..(count * device.sector_size) as usize];
        let offset = first * device.sector_size;
        file.read_exact_at(bytes, offset)
            .with_context(|| format!("cannot read at {offset}"))?;
        for (sector, contents) in (first..).zip(bytes.chunks_exact(device.sector_size as usize)) {
            let generation =
                torn_write_check::generation(contents, sector).unwrap_or_else(|error| {
                    eprintln!("sector {sector}: {error}");
                    torn += 1;
                    0
                });
            found.extend(generation.to_le_bytes());
        }
    }
    fs::write(generations, found)
        .with_context(|| format!("cannot write {}", generations.display()))?;
    println!("{sectors} sectors, {torn} torn");
    Ok(if torn == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::Write {
            device,
            acknowledge,
            generations,
            threads,
            epoch,
            zero,
            seconds,
        } => {
            let options = Options {
                threads,
                seconds,
                epoch,
                zero,
            };
            write(&device, &acknowledge, generations.as_deref(), &options)
                .map(|()| ExitCode::SUCCESS)
        }
        Command::Read {
            device,
            generations,
        } => read(&device, &generations),
    }
}
