// SPDX-License-Identifier: GPL-2.0

//! Topology of the two buses.
//!
//! ```text
//! nfit_test.0    DIMMs of 32 MiB, DPA →      nfit_test.1
//!            0             16M           32M            0              32M
//! 0x0    0   │ ── range 1 ─ │ ── range 2 ─ │    0x10000  5  │ ─ range 1 ─ │  not armed
//! 0x1    1   │ ── range 1 ─ │ ── range 2 ─ │    0x10001  6  │             │  failed to be mapped
//! 0x100  2   │              │ ── range 2 ─ │
//! 0x101  3   │              │ ── range 2 ─ │    and a virtual CD without DIMMs
//! 0x1000 4     declared to be plugged later, but never is
//! ```
//!
//! Block windows, the obsolete second interface of DIMMs, are not described: no driver uses them.

use crate::{
    module_parameters,
    output, //
};
use kernel::prelude::*;
use kernel_compat::parameter;
use nd_format::nfit::{
    MappingFlags,
    RangeKind, //
};

/// Size of a DIMM in bytes.
const DIMM_SIZE: u64 = 32 << 20;

/// First simulated physical address of flush hints: a page for each DIMM.
pub(crate) const FLUSH_HINTS: u64 = 0x1_5000_0000;

/// Flush hints of a DIMM.
pub(crate) const HINTS: u16 = 8;

/// A bus.
pub(crate) struct Topology {
    /// Name of the platform device, and of the provider.
    pub(crate) name: &'static CStr,
    /// DIMMs of the bus.
    pub(crate) dimms: &'static [Dimm],
    /// Ranges of the bus.
    pub(crate) ranges: &'static [Range],
    /// `true` if DIMMs have flush hints and the memory controller flushes at power loss.
    pub(crate) flushes: bool,
    /// `true` if the root device supports firmware activation.
    pub(crate) activates: bool,
    /// `true` if media errors can be injected.
    pub(crate) injects: bool,
}

impl Topology {
    /// Splits a range of addresses, first address and length (8 bytes each), off the start of
    /// `input`. `None`: it is empty, or not within a range of the bus.
    pub(crate) fn range_input<'a>(
        &self,
        input: &'a [u8],
    ) -> Option<(core::ops::Range<u64>, &'a [u8])> {
        let (start, rest) = output::long(input)?;
        let (len, rest) = output::long(rest)?;
        let range = start..start.checked_add(len)?;
        let is_ours = !range.is_empty()
            && self.ranges.iter().any(|known| {
                let known = known.bytes();
                known.start <= range.start && range.end <= known.end
            });
        is_ours.then_some((range, rest))
    }

    /// Returns the DIMMs of a range and their parts in it, in the order of the interleave set.
    pub(crate) fn members(&self, range: u16) -> impl Iterator<Item = (&Dimm, &MappedPart)> {
        self.dimms.iter().flat_map(move |dimm| {
            let parts = dimm.parts.iter().filter(move |part| part.range == range);
            parts.map(move |part| (dimm, part))
        })
    }
}

/// A DIMM.
pub(crate) struct Dimm {
    /// Number of `test_dimmN`.
    pub(crate) number: u32,
    /// Handle of the DIMM.
    pub(crate) handle: u32,
    /// Handle of the DIMM in SMBIOS.
    pub(crate) physical_id: u16,
    /// Format interface code.
    pub(crate) format: u16,
    /// Functions of its firmware.
    pub(crate) functions: FunctionSet,
    /// Mapped parts. A DIMM without any is not in the table.
    pub(crate) parts: &'static [MappedPart],
}

/// Set of functions that the firmware of a DIMM has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FunctionSet {
    /// All implemented functions.
    Full,
    /// Label functions, and the latch of the shutdown status.
    Basic,
}

/// A part of a DIMM.
pub(crate) struct MappedPart {
    /// Index of the range that it is mapped to; 0 for none.
    pub(crate) range: u16,
    /// First DIMM physical address.
    pub(crate) dpa: u64,
    /// Length in bytes.
    pub(crate) size: u64,
    /// Offset in the interleave set. Only the cookie of the set depends on it; the values match
    /// label images of existing tests.
    pub(crate) offset: u64,
    /// Number of DIMMs in the set.
    pub(crate) ways: u16,
    /// State flags of the mapping.
    pub(crate) flags: &'static [MappingFlags],
}

/// A range of system physical addresses.
pub(crate) struct Range {
    /// Index in the table.
    pub(crate) index: u16,
    /// Kind of the range.
    pub(crate) kind: RangeKind,
    /// First address.
    pub(crate) start: u64,
    /// Length in bytes, without those that the parameter `cd_excess` adds to a CD.
    size: u64,
}

impl Range {
    /// Returns the length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self.kind {
            RangeKind::VolatileCd => self
                .size
                .saturating_add(parameter!(module_parameters::cd_excess)),
            _ => self.size,
        }
    }

    /// Returns the addresses.
    pub(crate) fn bytes(&self) -> core::ops::Range<u64> {
        self.start..self.start.saturating_add(self.len())
    }
}

/// Returns the handle of a DIMM (ACPI 6.5, section 5.2.25.3).
const fn handle(node: u32, socket: u32, controller: u32, dimm: u32) -> u32 {
    (node << 16) | (socket << 12) | (controller << 8) | dimm
}

/// Format interface codes (JEDEC Annex L): byte addressable and energy backed, with and without
/// vendor specific interfaces.
const BYTE_ADDRESSABLE_VENDOR: u16 = 0x0201;
const BYTE_ADDRESSABLE: u16 = 0x0101;

const NOTIFIES: &[MappingFlags] = &[MappingFlags::HEALTH_ENABLED];

const fn pair(offset: u64, flags: &'static [MappingFlags]) -> MappedPart {
    MappedPart {
        range: 1,
        dpa: 0,
        size: DIMM_SIZE / 2,
        offset,
        ways: 2,
        flags,
    }
}

const fn quad(offset: u64, flags: &'static [MappingFlags]) -> MappedPart {
    MappedPart {
        range: 2,
        dpa: DIMM_SIZE / 2,
        size: DIMM_SIZE / 2,
        offset,
        ways: 4,
        flags,
    }
}

const fn full(number: u32, handle: u32, physical_id: u16, parts: &'static [MappedPart]) -> Dimm {
    Dimm {
        number,
        handle,
        physical_id,
        format: BYTE_ADDRESSABLE_VENDOR,
        functions: FunctionSet::Full,
        parts,
    }
}

/// The buses, in the order of their numbers.
pub(crate) static BUSES: [Topology; 2] = [
    Topology {
        name: c"nfit_test.0",
        dimms: &[
            full(
                0,
                handle(0, 0, 0, 0),
                0,
                &[pair(1, &[]), quad(1 << 16, NOTIFIES)],
            ),
            full(
                1,
                handle(0, 0, 0, 1),
                1,
                &[pair(1 << 8, NOTIFIES), quad(1 << 24, &[])],
            ),
            full(2, handle(0, 0, 1, 0), 2, &[quad(1 << 32, NOTIFIES)]),
            full(3, handle(0, 0, 1, 1), 3, &[quad(1 << 40, NOTIFIES)]),
            full(4, handle(0, 1, 0, 0), 4, &[]),
        ],
        ranges: &[
            Range {
                index: 1,
                kind: RangeKind::Persistent,
                start: 0x1_0000_0000,
                size: DIMM_SIZE,
            },
            Range {
                index: 2,
                kind: RangeKind::Persistent,
                start: 0x1_0800_0000,
                size: 2 * DIMM_SIZE,
            },
        ],
        flushes: true,
        activates: true,
        injects: true,
    },
    Topology {
        name: c"nfit_test.1",
        dimms: &[
            Dimm {
                number: 5,
                handle: handle(1, 0, 0, 0),
                physical_id: 0,
                format: BYTE_ADDRESSABLE,
                functions: FunctionSet::Basic,
                parts: &[MappedPart {
                    range: 1,
                    dpa: 0,
                    size: DIMM_SIZE,
                    offset: 0,
                    ways: 1,
                    flags: &[
                        MappingFlags::SAVE_FAILED,
                        MappingFlags::RESTORE_FAILED,
                        MappingFlags::FLUSH_FAILED,
                        MappingFlags::HEALTH_OBSERVED,
                        MappingFlags::NOT_ARMED,
                    ],
                }],
            },
            Dimm {
                number: 6,
                handle: handle(1, 0, 0, 1),
                physical_id: 0,
                format: BYTE_ADDRESSABLE,
                functions: FunctionSet::Basic,
                parts: &[MappedPart {
                    range: 0,
                    dpa: 0,
                    size: DIMM_SIZE,
                    offset: 0,
                    ways: 1,
                    flags: &[MappingFlags::MAP_FAILED],
                }],
            },
        ],
        ranges: &[
            Range {
                index: 1,
                kind: RangeKind::Persistent,
                start: 0x1_4000_0000,
                size: DIMM_SIZE,
            },
            Range {
                index: 0,
                kind: RangeKind::VolatileCd,
                start: 0x1_4800_0000,
                size: 4 << 20,
            },
        ],
        flushes: false,
        activates: false,
        injects: false,
    },
];
