// SPDX-License-Identifier: GPL-2.0

//! Ways to write sectors, all over files of the same size in memory.
//!
//! | Strategy | A write of some sectors |
//! |---|---|
//! | raw | a non-temporal copy and one fence, the physical limit; nothing is atomic |
//! | ours | the engine |
//! | C protocol | [`c_protocol`](crate::c_protocol), a sector at a time |
//! | libpmemblk | Debian's library, a sector at a time |
//! | floor | [`floor`](crate::floor), what the format requires and nothing else |

use crate::{
    c_protocol::CProtocol,
    floor::Floor,
    medium::Medium,
    strategy::{
        Engine,
        Library,
        Raw,
        Strategy,
        SIZE, //
    },
};
use anyhow::{
    anyhow,
    Result, //
};
use btt_engine::{
    create,
    CreateParams, //
};
use nd_format::{
    btt::{
        LbaSize,
        Version,
        NFREE, //
    },
    uuid::Uuid, //
};
use persist::Region;
use std::{
    path::Path,
    sync::Arc, //
};

/// Names a strategy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Raw,
    Ours,
    CProtocol,
    PmemBlk,
    Floor,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Raw,
        Self::Ours,
        Self::CProtocol,
        Self::PmemBlk,
        Self::Floor,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Ours => "ours",
            Self::CProtocol => "C protocol",
            Self::PmemBlk => "libpmemblk",
            Self::Floor => "floor",
        }
    }

    /// Creates the strategy in a directory, with sectors of `sector` bytes.
    pub(crate) fn make(self, directory: &Path, sector: u32) -> Result<Box<dyn Strategy>> {
        let path = directory.join(format!("{}-{sector}", self.name()));
        let medium = || Ok::<_, anyhow::Error>(Medium(Arc::new(Region::create(&path, SIZE)?)));
        let btt = || -> Result<Medium> {
            let medium = medium()?;
            make_btt(&medium, sector)?;
            Ok(medium)
        };
        Ok(match self {
            Self::Raw => Box::new(Raw::new(medium()?, sector)),
            Self::Ours => Box::new(Engine::open(&btt()?)?),
            Self::CProtocol => Box::new(CProtocol::open(&btt()?)?),
            Self::PmemBlk => Box::new(Library::create(&path, sector as usize)?),
            Self::Floor => Box::new(Floor::open(&btt()?)?),
        })
    }
}

fn make_btt(medium: &Medium, sector: u32) -> Result<()> {
    let params = CreateParams {
        version: Version::V1_1,
        uuid: Uuid::from_bytes([1; 16]),
        parent_uuid: Uuid::NIL,
        lba_size: LbaSize::from_bytes(sector).ok_or_else(|| anyhow!("sectors of {sector}"))?,
        lanes: NFREE,
    };
    create(medium, &params).map_err(|error| anyhow!("{error}"))
}
