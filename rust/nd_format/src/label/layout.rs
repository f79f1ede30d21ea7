// SPDX-License-Identifier: GPL-2.0

//! The layout of a label area: its geometry and its current index.
//!
//! An area without a current index is blank or damaged:
//!
//! | index                            | a label | area    |                                       |
//! |----------------------------------|---------|---------|---------------------------------------|
//! | whole, but its fields do not fit | any     | damaged | later version, or another layout      |
//! | torn or none                     | yes     | damaged | both indexes are lost                 |
//! | torn or none                     | no      | blank   | unused, or initialisation interrupted |
//!
//! A blank area is initialised with its first label. A damaged area shows no labels and takes none
//! until the administrator restores it from a backup or initialises it.

use super::{
    bytes::range,
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
    record::Label,
};
use core::fmt;

/// The current index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Current {
    /// Which of the two indexes it is.
    pub copy: IndexCopy,
    /// Number of slots that it names.
    pub slots: u32,
    /// Major and minor version number.
    pub version: (u16, u16),
    /// Sequence number of the next index to be written. After initialisation it is not the
    /// successor of the current one's.
    pub next: Sequence,
    /// The other index may be the newest one on the medium: its write has not been confirmed.
    pub overtaken: bool,
}

/// The layout of one label area. The owner keeps it beside the bytes of the area and changes both
/// together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    pub(super) geometry: Geometry,
    pub(super) current: Option<Current>,
    /// The reason why an area without a current index is not blank.
    pub(super) damage: Option<AreaDamage>,
}

impl Layout {
    /// Looks for the current index of an area of `config_size` bytes, which are `bytes`.
    ///
    /// Labels of 128 bytes are tried first. An area without a valid index is damaged or blank. A
    /// blank area will get labels of 256 bytes, unless only the smaller ones fit.
    pub fn discover(config_size: u32, bytes: &[u8]) -> Result<Self, AreaTooSmall> {
        let small = Geometry::new(config_size, LabelFormat::V1_1)?;
        let large = Geometry::new(config_size, LabelFormat::V1_2).ok();
        let geometries = || [Some(small), large].into_iter().flatten();
        let found = geometries().find_map(|geometry| {
            Some(Self {
                geometry,
                current: Some(find(&geometry, bytes)?),
                damage: None,
            })
        });
        Ok(found.unwrap_or_else(|| Self {
            geometry: large.unwrap_or(small),
            current: None,
            damage: damage(geometries, bytes),
        }))
    }

    /// Returns the geometry.
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Returns the current index; [`None`] if the area is blank or damaged.
    pub const fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// Replaces the current index, as an update does.
    pub fn set_current(&mut self, current: Current) {
        self.current = Some(current);
    }

    /// Returns the reason why an area without a current index is not blank.
    pub const fn damage(&self) -> Option<&AreaDamage> {
        self.damage.as_ref()
    }

    /// Returns `true` if labels in this area carry their set's cookie of version 1.1.
    pub fn has_v1_1_cookies(&self) -> bool {
        match self.current {
            Some(current) => current.version == LabelFormat::V1_1.version(),
            None => self.geometry.format() == LabelFormat::V1_1,
        }
    }
}

/// Finds the current index.
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

/// Finds the reason why an area without a current index is not blank, if there is one.
fn damage<G: Iterator<Item = Geometry>>(
    geometries: impl Fn() -> G,
    bytes: &[u8],
) -> Option<AreaDamage> {
    let indexes = || {
        geometries().flat_map(|geometry| {
            IndexCopy::ALL.into_iter().filter_map(move |copy| {
                let error = inspect(&geometry, bytes, copy).err()?;
                let index = index_bytes(&geometry, bytes, copy)?;
                let is_whole = Index::is_whole(index, &geometry);
                (error != IndexError::Signature).then_some((is_whole, copy, error))
            })
        })
    };
    // Labels of version 1.2 come last, and are preferred: they have a checksum.
    let labels = geometries().filter_map(|geometry| {
        let format = geometry.format();
        let label = |slot| range(bytes, geometry.label_offset(slot)?, geometry.label_len());
        let labels = (0..geometry.slots()).map_while(|slot| Some((slot, label(slot)?)));
        let mut slots = labels.filter(|(slot, label)| Label::decode(label, format, *slot).is_ok());
        let (slot, _) = slots.next()?;
        Some(AreaDamage::Labels { format, slot })
    });
    let label = labels.last();
    // An index of labels of another size may just be one of the other geometry.
    let is_certain = |error: &IndexError| !matches!(error, IndexError::LabelSizeCode { .. });
    let index = indexes()
        .filter(|(is_whole, ..)| *is_whole || label.is_some())
        .min_by_key(|(is_whole, _, error)| (!*is_whole, !is_certain(error)));
    let index = index.map(|(_, copy, error)| AreaDamage::Index { copy, error });
    index.or(label)
}

/// Checks the index `copy` of the area that begins with `bytes`.
pub fn inspect(geometry: &Geometry, bytes: &[u8], copy: IndexCopy) -> Result<Index, IndexError> {
    let bytes = index_bytes(geometry, bytes, copy).ok_or(IndexError::Signature)?;
    Index::parse(bytes, geometry, copy)
}

/// Returns the area from the index `copy` on.
fn index_bytes<'b>(geometry: &Geometry, bytes: &'b [u8], copy: IndexCopy) -> Option<&'b [u8]> {
    bytes.get(usize::try_from(geometry.index_offset(copy)).ok()?..)
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
            None => match &self.damage {
                Some(damage) => damage.fmt(f),
                None => write!(f, "no labels, space for {}", self.geometry.slots()),
            },
        }
    }
}

/// Reasons why an area without a current index is not blank.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AreaDamage {
    /// There is an index, but it is not valid.
    Index {
        /// The index.
        copy: IndexCopy,
        /// The error.
        error: IndexError,
    },
    /// There is no index, but a label.
    Labels {
        /// Format of the label.
        format: LabelFormat,
        /// Slot of the label.
        slot: u32,
    },
}

impl fmt::Display for AreaDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index { copy, error } => write!(f, "{copy}: {error}"),
            Self::Labels { format, slot } => write!(
                f,
                "label of version {format} in slot {slot}, but no index, expected one"
            ),
        }
    }
}
