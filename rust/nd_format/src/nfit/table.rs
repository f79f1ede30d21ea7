// SPDX-License-Identifier: GPL-2.0

//! A checked table and the views of it.

use super::{
    dimm::{
        Dimm,
        DimmError, //
    },
    layout::{
        Capabilities,
        ControlRegion,
        DeviceHandle,
        Mapping,
        MappingFlags,
        SystemRange,
        TableHeader, //
    },
    range::RangeKind,
    structures::{
        structures,
        FlushHints,
        Malformed,
        Structure,
        Subject, //
    },
    Error, //
};
use core::iter;
use zerocopy::FromBytes;

/// A table that can be walked to its end, and whose malformed structures reveal what they describe.
///
/// # Invariants
///
/// The walk over the bytes returns no error.
#[derive(Clone, Copy, Debug)]
pub struct Nfit<'a> {
    bytes: &'a [u8],
}

impl<'a> Nfit<'a> {
    /// Checks structures without a header, as the `_FIT` method returns them.
    pub fn from_structures(bytes: &'a [u8]) -> Result<Self, Error> {
        structures(bytes).try_for_each(|structure| match structure? {
            Structure::Malformed(malformed) if malformed.subject().is_none() => {
                Err(malformed.as_error())
            }
            _ => Ok(()),
        })?;
        // INVARIANT: The walk above came to the end.
        Ok(Self { bytes })
    }

    /// Checks the static table, including its header.
    pub fn from_table(bytes: &'a [u8]) -> Result<(&'a TableHeader, Self), Error> {
        let (header, body) = TableHeader::ref_from_prefix(bytes)
            .map_err(|_| Error::NoHeader { found: bytes.len() })?;
        if header.signature != *b"NFIT" {
            return Err(Error::Signature {
                found: header.signature,
            });
        }
        let found = header.length.get();
        let body = usize::try_from(found)
            .ok()
            .and_then(|length| length.checked_sub(size_of::<TableHeader>()))
            .and_then(|length| body.get(..length))
            .ok_or(Error::TableLength {
                found,
                available: bytes.len(),
            })?;
        Ok((header, Self::from_structures(body)?))
    }

    /// Returns all structures, in the order of the table.
    pub fn structures(&self) -> impl Iterator<Item = Structure<'a>> + Clone + use<'a> {
        // By the type invariant, no structure is lost here.
        structures(self.bytes).map_while(Result::ok)
    }

    /// Returns the ranges of system physical addresses, in the order of the table.
    pub fn ranges(&self) -> impl Iterator<Item = &'a SystemRange> + Clone + use<'a> {
        self.structures().filter_map(|structure| match structure {
            Structure::Range(range) => Some(range),
            _ => None,
        })
    }

    /// Returns all mappings, in the order of the table.
    pub fn mappings(&self) -> impl Iterator<Item = &'a Mapping> + Clone + use<'a> {
        self.structures().filter_map(|structure| match structure {
            Structure::Mapping(mapping) => Some(mapping),
            _ => None,
        })
    }

    /// Returns the mappings into a range, in the order of the table. A range of index 0 has none.
    pub fn mappings_of(
        &self,
        range: &SystemRange,
    ) -> impl Iterator<Item = &'a Mapping> + Clone + use<'a> {
        let index = range.index.get();
        self.mappings()
            .filter(move |mapping| index != 0 && mapping.range_index.get() == index)
    }

    /// Returns the structures whose length is wrong for their type, in the order of the table.
    pub fn malformed(&self) -> impl Iterator<Item = Malformed<'a>> + Clone + use<'a> {
        self.structures().filter_map(|structure| match structure {
            Structure::Malformed(malformed) => Some(malformed),
            _ => None,
        })
    }

    /// Returns a malformed mapping into `range`, if there is one: the other mappings then are not
    /// all of the range. A range of index 0 has none.
    pub fn malformed_mapping_of(&self, range: &SystemRange) -> Option<Malformed<'a>> {
        let index = range.index.get();
        self.malformed().find(|malformed| {
            matches!(
                malformed.subject(),
                Some(Subject::Mapping { range_index, .. }) if index != 0 && range_index == index
            )
        })
    }

    /// Returns the control region with an index.
    pub fn control_region(&self, index: u16) -> Option<&'a ControlRegion> {
        self.structures().find_map(|structure| match structure {
            Structure::ControlRegion(region) if region.index.get() == index => Some(region),
            _ => None,
        })
    }

    /// Returns the flush hints of a DIMM; empty if the firmware provides none.
    pub fn flush_hints(&self, device: DeviceHandle) -> FlushHints<'a> {
        self.structures()
            .find_map(|structure| match structure {
                Structure::FlushHints(hints) if hints.device == device => Some(hints),
                _ => None,
            })
            .unwrap_or(FlushHints {
                device,
                addresses: &[],
            })
    }

    /// Returns the capabilities of the platform, if it reports them.
    pub fn capabilities(&self) -> Option<&'a Capabilities> {
        self.structures().find_map(|structure| match structure {
            Structure::Capabilities(capabilities) => Some(capabilities),
            _ => None,
        })
    }

    /// Returns the DIMMs in ascending order of their handles.
    ///
    /// A handle is a DIMM if at least one mapping of it is not mapped at all, or is mapped into a
    /// control or a persistent range. The walk takes steps of the order of the square of the number
    /// of structures.
    pub fn dimms(&self) -> impl Iterator<Item = Result<Dimm<'a>, DimmError>> + use<'a> {
        let table = *self;
        let next = move |after: Option<DeviceHandle>| {
            table
                .mappings()
                .map(Mapping::device)
                .filter(|&handle| after.is_none_or(|after| handle > after))
                .min()
        };
        iter::successors(next(None), move |&handle| next(Some(handle)))
            .filter(move |&handle| table.nvdimm_mappings(handle).next().is_some())
            .map(move |handle| table.dimm(handle))
    }

    /// Returns the mappings that make `handle` a DIMM, each with the kind of the range into which
    /// it is mapped.
    fn nvdimm_mappings(
        self,
        handle: DeviceHandle,
    ) -> impl Iterator<Item = (&'a Mapping, Option<RangeKind>)> + use<'a> {
        // Few mappings have the same handle, so this filter comes before the walk over the ranges.
        self.mappings()
            .filter(move |mapping| mapping.device() == handle)
            .filter_map(move |mapping| {
                if mapping.range_index.get() == 0 {
                    return Some((mapping, None));
                }
                self.ranges()
                    .filter(|range| range.index == mapping.range_index)
                    .map(SystemRange::kind)
                    .find(|kind| kind.is_of_nvdimm())
                    .map(|kind| (mapping, Some(kind)))
            })
    }

    /// Returns a malformed mapping of `handle`, or its malformed flush hints.
    fn malformed_structure_of(self, handle: DeviceHandle) -> Option<Malformed<'a>> {
        self.malformed()
            .find(|malformed| match malformed.subject() {
                Some(Subject::Mapping { device, .. } | Subject::FlushHints { device }) => {
                    device == handle
                }
                _ => false,
            })
    }

    fn dimm(self, handle: DeviceHandle) -> Result<Dimm<'a>, DimmError> {
        let mut dimm = Dimm {
            handle,
            physical_id: 0,
            flags: MappingFlags::default(),
            backs_persistent_memory: false,
            control_region: None,
        };
        if let Some(malformed) = self.malformed_structure_of(handle) {
            let offset = malformed.offset;
            return Err(DimmError::Malformed { handle, offset });
        }
        let mut missing = None;
        for (mapping, kind) in self.nvdimm_mappings(handle) {
            dimm.physical_id = mapping.physical_id.get();
            dimm.backs_persistent_memory |= kind == Some(RangeKind::Persistent);

            let index = mapping.control_region_index.get();
            match self.control_region(index) {
                // Firmware of ACPI 6.1 has two control regions for a DIMM with block windows. The
                // one that describes the windows is preferred.
                Some(found) => match dimm.control_region {
                    Some(known) if known.windows.get() != 0 || found.windows.get() == 0 => {}
                    _ => dimm.control_region = Some(found),
                },
                None if index != 0 => missing = Some(index),
                None => {}
            }
        }
        if let (None, Some(index)) = (dimm.control_region, missing) {
            return Err(DimmError::NoControlRegion { handle, index });
        }
        dimm.flags = self
            .mappings()
            .filter(|mapping| mapping.device() == handle)
            .fold(dimm.flags, |flags, mapping| flags.union(mapping.state()));
        Ok(dimm)
    }
}
