// SPDX-License-Identifier: GPL-2.0

//! What making and attaching a BTT costs, by the size of its namespace. The NVDIMM is a sparse file, so that 1 TiB of it takes as
//! much of the disk as the BTT's metadata.

use super::Guest;
use crate::modules::Stack;
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::fmt::Write as _;

const GIB: u64 = 1 << 30;

/// Sizes of namespaces, in GiB.
const SIZES: [u64; 4] = [1, 16, 128, 1024];

/// What one boot found.
struct Cost {
    made: u64,
    attached: u64,
    memory: i64,
}

impl Cost {
    fn parse(printed: &str) -> Result<Self> {
        let mut words = printed.split_whitespace();
        let mut word = || words.next().context("the guest printed too little");
        Ok(Self {
            made: word()?.parse()?,
            attached: word()?.parse()?,
            memory: word()?.parse()?,
        })
    }
}

/// Measures all sizes up to `most` GiB, under both stacks in turns. Returns the section of the documentation.
pub(super) fn measure(guest: &Guest<'_>, most: u64) -> Result<String> {
    let mut text = String::from(
        "Milliseconds to make and to attach a BTT with sectors of 4096 bytes, and KiB of the guest's memory that it holds. One boot\n\
         for each number.\n\n\
         | size | make, C | make, ours | ours/C | attach, C | attach, ours | memory, C | memory, ours |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for size in SIZES.into_iter().filter(|&size| size <= most) {
        let cost = |stack: Stack| {
            let printed = guest.run(stack, "bench/sizes.sh", &[size * GIB], "")?;
            Cost::parse(&printed).with_context(|| format!("the guest printed '{printed}'"))
        };
        let (c, ours) = (cost(Stack::C)?, cost(Stack::Rust)?);
        if c.made == 0 {
            bail!("a BTT of {size} GiB takes no time");
        }
        writeln!(
            text,
            "| {size} GiB | {} | {} | {:.2} | {} | {} | {} | {} |",
            c.made,
            ours.made,
            ours.made as f64 / c.made as f64,
            c.attached,
            ours.attached,
            c.memory,
            ours.memory
        )?;
    }
    Ok(text)
}
