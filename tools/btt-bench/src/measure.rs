// SPDX-License-Identifier: GPL-2.0

//! One measurement: a strategy under a load, for a moment.

use crate::{
    medium,
    strategy::Strategy, //
};
use anyhow::{
    anyhow,
    Result, //
};
use rand::{
    rngs::SmallRng,
    RngExt,
    SeedableRng, //
};
use std::{
    fmt,
    sync::Barrier,
    thread,
    time::{
        Duration,
        Instant, //
    },
};

/// Number of requests between two reads of the clock.
const BURST: u32 = 16;

/// The operation of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Read,
    Write,
}

/// Requests of one kind and size at random, aligned positions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Load {
    pub(crate) operation: Operation,
    /// Bytes of a request.
    pub(crate) bytes: usize,
    /// Bytes of a sector.
    pub(crate) sector: u32,
    pub(crate) threads: usize,
}

impl Load {
    /// Returns all loads of the benchmark.
    pub(crate) fn all() -> Vec<Self> {
        let sizes = [
            (512, 512),
            (4 << 10, 4096),
            (64 << 10, 4096),
            (128 << 10, 4096),
            (1 << 20, 4096),
        ];
        let mut all = Vec::new();
        for operation in [Operation::Write, Operation::Read] {
            for (bytes, sector) in sizes {
                all.extend([1, 2].map(|threads| Self {
                    operation,
                    bytes,
                    sector,
                    threads,
                }));
            }
        }
        all
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.bytes {
            bytes if bytes >= 1 << 20 => (bytes >> 20, "MiB"),
            bytes if bytes >= 1 << 10 => (bytes >> 10, "KiB"),
            bytes => (bytes, "B"),
        };
        let operation = match self.operation {
            Operation::Read => "read",
            Operation::Write => "write",
        };
        let threads = match self.threads {
            1 => "1 thread",
            _ => "2 threads",
        };
        write!(f, "{number} {unit} {operation}, {threads}")
    }
}

/// The result of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Wall-clock nanoseconds for each request of all threads together.
    pub(crate) nanoseconds: f64,
    /// Fences for each request, of the strategies whose fences are counted.
    pub(crate) fences: f64,
}

/// Runs a load for about `time`. Threads use sectors of their own.
pub(crate) fn run(
    strategy: &dyn Strategy,
    load: &Load,
    time: Duration,
    seed: u64,
) -> Result<Sample> {
    let start = Barrier::new(load.threads);
    let results = thread::scope(|scope| {
        let threads: Vec<_> = (0..load.threads)
            .map(|thread| {
                let start = &start;
                scope.spawn(move || one_thread(strategy, load, time, seed, thread, start))
            })
            .collect();
        let results = threads.into_iter().map(|thread| thread.join());
        results
            .map(|result| result.map_err(|_| anyhow!("a thread has panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;
    // Requests of each thread per nanosecond, added up.
    let rate: f64 = results
        .iter()
        .map(|(requests, elapsed, _)| f64::from(*requests) / elapsed.as_nanos() as f64)
        .sum();
    let requests: u32 = results.iter().map(|(requests, ..)| requests).sum();
    let fences: u64 = results.iter().map(|(.., fences)| fences).sum();
    Ok(Sample {
        nanoseconds: 1.0 / rate,
        fences: fences as f64 / f64::from(requests),
    })
}

fn one_thread(
    strategy: &dyn Strategy,
    load: &Load,
    time: Duration,
    seed: u64,
    thread: usize,
    start: &Barrier,
) -> Result<(u32, Duration, u64)> {
    let count = (load.bytes / load.sector as usize) as u64;
    let share = strategy.sectors() / load.threads as u64;
    let first = share * thread as u64;
    // Requests begin at multiples of their size, as those of file systems mostly do.
    let places = share / count;
    let mut random = SmallRng::seed_from_u64(seed ^ (thread as u64 + 1) << 32);
    let mut room = vec![0xa5; load.bytes + 4096];
    let skip = room.as_ptr().align_offset(4096);
    let bytes = &mut room[skip..skip + load.bytes];
    start.wait();
    let fences = medium::fences();
    let begun = Instant::now();
    let mut requests = 0;
    loop {
        for _ in 0..BURST {
            let lba = first + random.random_range(..places) * count;
            match load.operation {
                Operation::Write => strategy.write(lba, bytes, thread)?,
                Operation::Read => strategy.read(lba, bytes, thread)?,
            }
        }
        requests += BURST;
        let elapsed = begun.elapsed();
        if elapsed >= time {
            return Ok((requests, elapsed, medium::fences() - fences));
        }
    }
}
