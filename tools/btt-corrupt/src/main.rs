// SPDX-License-Identifier: GPL-2.0

//! `btt-corrupt`: creates an image of a BTT, writes to it and damages it as a seed decides, or
//! creates one as another implementation leaves it.
//!
//! It prints one word for what it did, which tells a test what checkers should find: see [`Damage`]
//! and [`Writer`].

mod image;
mod writers;

use anyhow::{
    Context,
    Result, //
};
use clap::{
    Parser,
    ValueEnum as _, //
};
use image::Subject;
use nd_format::{
    btt::LbaSize,
    uuid::Uuid, //
};
use rand::{
    rngs::SmallRng,
    seq::IndexedRandom,
    RngExt,
    SeedableRng, //
};
use std::{
    fs::File,
    path::PathBuf, //
};
use writers::Writer;

/// Creates an image of a BTT, with or without damage.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Seed that decides about the damage, or the implementation whose image is created: linux,
    /// early-linux, zero-flags, pmemblk, firmware, many-lanes, few-lanes, misplaced.
    #[arg(value_parser = Order::parse)]
    order: Order,
    /// File to create.
    image: PathBuf,
    /// Size of the image in bytes.
    #[arg(long, default_value_t = 17 << 20)]
    size: u64,
    /// Bytes of a sector, for the image of an implementation.
    #[arg(long, default_value_t = 4096)]
    sector_size: u32,
    /// UUID of the namespace, for the image of an implementation.
    #[arg(long, value_parser = uuid)]
    namespace: Option<Uuid>,
}

/// The image to create.
#[derive(Clone, Copy)]
enum Order {
    Damage(u64),
    Foreign(Writer),
}

impl Order {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(seed) => Ok(Self::Damage(seed)),
            Err(_) => Writer::from_str(text, false).map(Self::Foreign),
        }
    }
}

fn uuid(text: &str) -> Result<Uuid, &'static str> {
    Uuid::parse(text.as_bytes()).map_err(|_| "expected a UUID")
}

/// Kind of damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Damage {
    /// None.
    Good,
    /// Interrupted writes: the flog has them and the map does not.
    Interrupted,
    /// A word of the first info block is wrong.
    FirstInfo,
    /// The first info block is zeroes, as if the BTT had been deleted.
    Zeroed,
    /// The first info block is other data.
    Overwritten,
    /// The copy of the info block is damaged.
    Copy,
    /// Both info blocks are damaged.
    BothInfos,
    /// A field of the info blocks is wrong, and their checksums are right.
    Geometry,
    /// The BTT belongs to another namespace.
    Foreign,
    /// A map entry names a block that does not exist.
    MapRange,
    /// Two map entries name the same block.
    MapTwice,
    /// A map entry names a free block.
    MapFree,
    /// All map entries are as in a new BTT.
    MapLost,
    /// The newest flog entry names a block or a sector that does not exist.
    FlogRange,
    /// Both flog entries of a lane have the same sequence number.
    FlogEqual,
    /// A sequence number that no driver writes, although a careless driver accepts it.
    FlogNumber,
    /// Flog slots are used that no driver uses.
    FlogSlots,
    /// The BTT was created in a larger namespace.
    Larger,
}

impl Damage {
    const ALL: [Self; 18] = [
        Self::Good,
        Self::Interrupted,
        Self::FirstInfo,
        Self::Zeroed,
        Self::Overwritten,
        Self::Copy,
        Self::BothInfos,
        Self::Geometry,
        Self::Foreign,
        Self::MapRange,
        Self::MapTwice,
        Self::MapFree,
        Self::MapLost,
        Self::FlogRange,
        Self::FlogEqual,
        Self::FlogNumber,
        Self::FlogSlots,
        Self::Larger,
    ];

    /// Returns the name that is printed.
    fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seed = match arguments.order {
        Order::Damage(seed) => seed,
        Order::Foreign(writer) => return foreign(&arguments, writer),
    };
    let mut random = SmallRng::seed_from_u64(seed);
    // The seed selects the kinds in turn; undamaged images come twice as often as each of the
    // others.
    let turn = seed as usize % (Damage::ALL.len() + 1);
    let damage = Damage::ALL.get(turn).copied().unwrap_or(Damage::Good);
    let larger = match damage {
        Damage::Larger => random.random_range(1..1024) * 4096,
        _ => 0,
    };
    let subject = Subject::make(&arguments.image, arguments.size + larger, &mut random)?;
    apply(&subject, damage, &mut random)?;
    if larger != 0 {
        File::options()
            .write(true)
            .open(&arguments.image)?
            .set_len(arguments.size)?;
    }
    println!("{}", damage.name());
    Ok(())
}

/// Creates an image as another implementation leaves it.
fn foreign(arguments: &Arguments, writer: Writer) -> Result<()> {
    let lba_size = LbaSize::from_bytes(arguments.sector_size).context("no such sector size")?;
    let uuids = [
        Uuid::from_bytes([7; 16]),
        arguments.namespace.unwrap_or_default(),
    ];
    writer.make(&arguments.image, arguments.size, lba_size, uuids)?;
    if let Some(value) = writer.to_possible_value() {
        println!("{}", value.get_name());
    }
    Ok(())
}

fn apply(subject: &Subject, damage: Damage, random: &mut SmallRng) -> Result<()> {
    let sector = random.random_range(0..subject.sectors());
    let lane = random.random_range(0..subject.lanes());
    match damage {
        Damage::Good => Ok(()),
        Damage::Interrupted => {
            let count = random.random_range(1..5);
            (0..count).try_for_each(|index| subject.interrupt((lane + index) % subject.lanes()))
        }
        Damage::FirstInfo => subject.scribble(subject.first(), random),
        Damage::Zeroed => subject.put(subject.first(), &[0; 4096]),
        Damage::Overwritten => {
            subject.put(subject.first(), &random.random::<[u8; 32]>().repeat(128))
        }
        Damage::Copy => {
            if random.random() {
                return subject.put(subject.copy(), &[0; 4096]);
            }
            subject.scribble(subject.copy(), random)
        }
        Damage::BothInfos => {
            subject.scribble(subject.first(), random)?;
            subject.scribble(subject.copy(), random)
        }
        Damage::Geometry => {
            // mapoff, logoff or info2off: 64 MiB too large.
            let field = [96, 104, 112].choose(random).copied().unwrap_or(96);
            subject.edit_infos(|block| {
                let field = &mut block[field..field + 8];
                let value = field
                    .iter()
                    .rev()
                    .fold(0, |value, &byte| value << 8 | u64::from(byte));
                field.copy_from_slice(&(value + (64 << 20)).to_le_bytes());
            })
        }
        Damage::Foreign => subject.edit_infos(|block| block[32..48].fill(0x42)),
        Damage::MapRange => subject.set_map(sector, 0xffff_ffff - random.random_range(0..100)),
        Damage::MapTwice => {
            let other = (sector + 1) % subject.sectors();
            subject.set_map(sector, 0xc000_0000 | subject.block_of(other)?)
        }
        Damage::MapFree => subject.set_map(sector, 0xc000_0000 | subject.free_block(lane)?),
        Damage::MapLost => subject.lose_map(),
        Damage::FlogRange => {
            let field = random.random_range(0..3);
            subject.edit_newest(lane, |slot| slot[field] = 0x0fff_ffff)
        }
        Damage::FlogEqual => subject.set_numbers(lane, [2, 2]),
        Damage::FlogNumber => {
            let numbers = [[2, 0], [3, 0], [0, 2], [1, 7], [4, 1]];
            subject.set_numbers(lane, numbers.choose(random).copied().unwrap_or([2, 0]))
        }
        Damage::FlogSlots => subject.use_all_slots(lane),
        // The caller truncates the file.
        Damage::Larger => Ok(()),
    }
}
