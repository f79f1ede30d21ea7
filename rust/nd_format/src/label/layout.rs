// SPDX-License-Identifier: GPL-2.0

//! What is known of a label area: its places, and which index counts.
//!
//! An area without an index that counts is blank or damaged:
//!
//! | index                            | a label | area    |                                                      |
//! |----------------------------------|---------|---------|------------------------------------------------------|
//! | whole, but its fields do not fit | any     | damaged | of a later version, or of another layout of the area |
//! | torn or none                     | yes     | damaged | both indexes are lost                                |
//! | torn or none                     | no      | blank   | never used, or its initialisation was cut short      |
//!
//! A blank area is initialised with its first label. A damaged one has no labels and takes none, until it is restored from a backup
//! or initialised by the administrator.

use super::{
    area::range,
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
    /// What keeps an area without an index that counts from being blank.
    pub(super) damage: Option<AreaDamage>,
}

impl Layout {
    /// Looks for an index in the area of `config_size` bytes, which are `bytes`.
    ///
    /// Labels of 128 bytes are tried first. An area without a good index is damaged or blank; labels of 256 bytes will be written
    /// into a blank one, unless only the small ones fit.
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

    /// The places.
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The index that counts; [`None`] if the area is blank or damaged.
    pub const fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// What is wrong with an area that has no index that counts, but is not blank.
    pub const fn damage(&self) -> Option<&AreaDamage> {
        self.damage.as_ref()
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

/// Finds what keeps an area without an index that counts from being blank.
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
    // Those of version 1.2 have a checksum, and come last.
    let labels = geometries().filter_map(|geometry| {
        let format = geometry.format();
        let label = |slot| range(bytes, geometry.label_offset(slot)?, geometry.label_len());
        let labels = (0..geometry.slots()).map_while(|slot| Some((slot, label(slot)?)));
        let mut slots = labels.filter(|(slot, label)| Label::decode(label, format, *slot).is_ok());
        let (slot, _) = slots.next()?;
        Some(AreaDamage::Labels { format, slot })
    });
    let label = labels.last();
    // Labels of another size may just be those of the other geometry.
    let is_certain = |error: &IndexError| !matches!(error, IndexError::LabelSizeCode { .. });
    let index = indexes()
        .filter(|(is_whole, ..)| *is_whole || label.is_some())
        .min_by_key(|(is_whole, _, error)| (!*is_whole, !is_certain(error)));
    let index = index.map(|(_, copy, error)| AreaDamage::Index { copy, error });
    index.or(label)
}

/// Checks the index `copy` of an area whose first bytes are `bytes`.
pub fn inspect(geometry: &Geometry, bytes: &[u8], copy: IndexCopy) -> Result<Index, IndexError> {
    let bytes = index_bytes(geometry, bytes, copy).ok_or(IndexError::Signature)?;
    Index::parse(bytes, geometry, copy)
}

/// The area from the index `copy` on.
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

/// Why an area without an index that counts is not blank.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AreaDamage {
    /// There is an index, but it does not count.
    Index {
        /// Which.
        copy: IndexCopy,
        /// Why not.
        error: IndexError,
    },
    /// There is no index, but a label.
    Labels {
        /// The format of the label.
        format: LabelFormat,
        /// The slot where it is.
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
