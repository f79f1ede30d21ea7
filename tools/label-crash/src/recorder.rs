// SPDX-License-Identifier: GPL-2.0

//! Recorded writes to label areas, and how they fail.

use label_engine::Medium;
use std::{
    cell::RefCell,
    fmt, //
};

/// A write that has reached a medium.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Number of the DIMM.
    pub member: usize,
    /// Offset in its label area in bytes.
    pub offset: usize,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DIMM {}: {} bytes at {:#x}",
            self.member,
            self.bytes.len(),
            self.offset
        )
    }
}

/// How a write fails. The driver gets an error in each case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// Nothing has reached the medium.
    Lost,
    /// The first half has reached the medium.
    Half,
    /// All of it has reached the medium.
    Landed,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Lost, Self::Half, Self::Landed];
}

/// A write that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Number of writes that succeed before.
    pub after: usize,
    /// How it fails.
    pub kind: FaultKind,
    /// The later writes that are lost.
    pub then: Lost,
}

/// Writes that are lost after the one that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// None.
    Nothing,
    /// Those to the same DIMM.
    Dimm,
    /// All.
    Everything,
}

impl Lost {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Dimm, Self::Everything];
}

/// Records writes, and fails one of them.
pub(crate) struct Recorder {
    /// The writes that reached the media.
    pub(crate) log: Vec<Recorded>,
    seen: usize,
    fault: Option<Fault>,
    failed: Option<(Lost, usize)>,
}

impl Recorder {
    /// Records writes and fails only `fault`.
    pub(crate) fn new(fault: Option<Fault>) -> RefCell<Self> {
        RefCell::new(Self {
            log: Vec::new(),
            seen: 0,
            fault,
            failed: None,
        })
    }

    fn write(&mut self, mut write: Recorded) -> Result<(), WriteFailed> {
        let is_lost = match self.failed {
            None | Some((Lost::Nothing, _)) => false,
            Some((Lost::Dimm, member)) => member == write.member,
            Some((Lost::Everything, _)) => true,
        };
        if is_lost {
            return Err(WriteFailed);
        }
        let fault = self.fault.filter(|fault| fault.after == self.seen);
        self.seen += 1;
        let Some(fault) = fault else {
            self.log.push(write);
            return Ok(());
        };
        self.failed = Some((fault.then, write.member));
        let len = match fault.kind {
            FaultKind::Lost => 0,
            FaultKind::Half => write.bytes.len() / 2,
            FaultKind::Landed => write.bytes.len(),
        };
        write.bytes.truncate(len);
        self.log.push(write);
        Err(WriteFailed)
    }
}

/// A write failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WriteFailed;

/// The label area of a DIMM whose writes are recorded.
pub(crate) struct RecordedMedium<'a> {
    pub(crate) recorder: &'a RefCell<Recorder>,
    pub(crate) member: usize,
}

impl Medium for RecordedMedium<'_> {
    type Error = WriteFailed;

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), WriteFailed> {
        self.recorder.borrow_mut().write(Recorded {
            member: self.member,
            offset: offset as usize,
            bytes: bytes.to_vec(),
        })
    }
}
