// SPDX-License-Identifier: GPL-2.0

//! The cost of creating and attaching a BTT, by the size of its namespace. The NVDIMM is a sparse
//! file, so that 1 TiB needs only as much disk space as the BTT's metadata.

use super::{
    guests::{
        Guests,
        Work, //
    },
    results::Summary,
};
use anyhow::{
    Context,
    Result, //
};
use std::fmt::Write as _;

const GIB: u64 = 1 << 30;

/// Sizes of namespaces, in GiB.
const SIZES: [u64; 4] = [1, 16, 128, 1024];

/// The costs in one boot, or the medians of many.
struct Cost {
    made: f64,
    attached: f64,
    memory: f64,
}

impl Cost {
    fn parse(printed: &str) -> Result<Self> {
        let mut words = printed.split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse().ok());
        (|| {
            Some(Self {
                made: number()?,
                attached: number()?,
                memory: number()?,
            })
        })()
        .with_context(|| format!("the guest printed '{printed}'"))
    }
}

/// Returns the medians of some boots.
fn median(costs: &[Cost]) -> Option<Cost> {
    let of = |number: fn(&Cost) -> f64| {
        Some(Summary::of(&costs.iter().map(number).collect::<Vec<_>>())?.median)
    };
    Some(Cost {
        made: of(|cost| cost.made)?,
        attached: of(|cost| cost.attached)?,
        memory: of(|cost| cost.memory)?,
    })
}

/// Measures all sizes up to `most` GiB, under both stacks in turns. Returns the section of the
/// documentation.
pub(super) fn measure(guests: &Guests<'_>, most: u64, rounds: u32) -> Result<String> {
    let mut text = format!(
        "Milliseconds to make and to attach a BTT with sectors of 4096 bytes, and the KiB of guest\n\
         memory that it uses: medians of {rounds} boots of each stack, which alternate.\n\n\
         | size | make, C | make, ours | ours/C | attach, C | attach, ours | memory, C | memory, ours |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for size in SIZES.into_iter().filter(|&size| size <= most) {
        let work = Work {
            script: "bench/sizes.sh",
            nvdimms: &[size * GIB],
            list: "",
        };
        let (mut of_c, mut of_ours) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let printed = guests.in_turns(&work)?;
            of_c.push(Cost::parse(&printed.c)?);
            of_ours.push(Cost::parse(&printed.ours)?);
        }
        let c = median(&of_c).context("nothing was measured")?;
        let ours = median(&of_ours).context("nothing was measured")?;
        writeln!(
            text,
            "| {size} GiB | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {:.0} | {:.0} |",
            c.made,
            ours.made,
            ours.made / c.made,
            c.attached,
            ours.attached,
            c.memory,
            ours.memory
        )?;
    }
    Ok(text)
}
