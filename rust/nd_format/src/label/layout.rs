// SPDX-License-Identifier: GPL-2.0

//! What is known of a label area: its places, and which index counts.

use super::{
    geometry::{
        AreaTooSmall,
        Geometry,
        IndexCopy,
        LabelFormat, //
    },
    index::{
        Index,
        IndexError,
        Sequence, //
    },
};
use core::fmt;

/// The index that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Current {
    pub(super) copy: IndexCopy,
    pub(super) slots: u32,
    pub(super) version: (u16, u16),
    /// What the next index to be written gets. After initialisation it is not the successor of the current one's.
    pub(super) next: Sequence,
    /// The other index may be on the medium already, although nobody has confirmed it.
    pub(super) overtaken: bool,
}

impl Current {
    /// Which of the two it is.
    pub const fn copy(&self) -> IndexCopy {
        self.copy
    }

    /// Slots that it names.
    pub const fn slots(&self) -> u32 {
        self.slots
    }

    /// Major and minor number.
    pub const fn version(&self) -> (u16, u16) {
        self.version
    }
}

/// The state of one label area. Its owner keeps it next to the bytes of the area and changes both together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    pub(super) geometry: Geometry,
    pub(super) current: Option<Current>,
}

impl Layout {
    /// Looks for an index in the area of `config_size` bytes that begins with `bytes`.
    ///
    /// [`Geometry::discovery_len`] bytes are enough. Labels of 128 bytes are tried first. An area without a good
    /// index is blank; labels of 256 bytes will be written into it, unless only the small ones fit.
    pub fn discover(config_size: u32, bytes: &[u8]) -> Result<Self, AreaTooSmall> {
        let small = Geometry::new(config_size, LabelFormat::V1_1)?;
        let large = Geometry::new(config_size, LabelFormat::V1_2);
        let found = [Some(small), large.ok()]
            .into_iter()
            .flatten()
            .find_map(|geometry| {
                Some(Self {
                    geometry,
                    current: Some(find(&geometry, bytes)?),
                })
            });
        Ok(found.unwrap_or(Self {
            geometry: large.unwrap_or(small),
            current: None,
        }))
    }

    /// The places.
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The index that counts; [`None`] if the area is blank.
    pub const fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// Tells whether labels in this area carry the set's cookie of version 1.1.
    pub fn has_v1_1_cookies(&self) -> bool {
        match self.current {
            Some(current) => current.version == LabelFormat::V1_1.version(),
            None => self.geometry.format() == LabelFormat::V1_1,
        }
    }
}

/// Finds the index that counts.
fn find(geometry: &Geometry, bytes: &[u8]) -> Option<Current> {
    let [first, second] = IndexCopy::ALL.map(|copy| inspect(geometry, bytes, copy).ok());
    let (copy, index) = match (first, second) {
        (Some(first), Some(second)) => match Index::newer(&first, &second) {
            IndexCopy::First => (IndexCopy::First, first),
            IndexCopy::Second => (IndexCopy::Second, second),
        },
        (Some(first), None) => (IndexCopy::First, first),
        (None, Some(second)) => (IndexCopy::Second, second),
        (None, None) => return None,
    };
    Some(Current {
        copy,
        slots: index.slots,
        version: index.version,
        next: index.sequence.successor(),
        overtaken: false,
    })
}

/// Checks the index `copy` of an area whose first bytes are `bytes`.
pub fn inspect(geometry: &Geometry, bytes: &[u8], copy: IndexCopy) -> Result<Index, IndexError> {
    let offset = usize::try_from(geometry.index_offset(copy)).map_err(|_| IndexError::Signature)?;
    let bytes = bytes.get(offset..).ok_or(IndexError::Signature)?;
    Index::parse(bytes, geometry, copy)
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.current {
            Some(current) => {
                let (major, minor) = current.version;
                write!(
                    f,
                    "labels {major}.{minor}, {} slots, {}",
                    current.slots, current.copy
                )
            }
            None => write!(f, "no labels, room for {}", self.geometry.slots()),
        }
    }
}
