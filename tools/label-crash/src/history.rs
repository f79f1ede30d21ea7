// SPDX-License-Identifier: GPL-2.0

//! Operations on namespaces, and short sequences of them.

use crate::world::{
    Effect,
    Request,
    World, //
};
use anyhow::Result;
use label_engine::LabelFields;
use nd_format::{
    label::{
        ClaimClass,
        Name, //
    },
    uuid::Uuid, //
};
use std::collections::BTreeSet;

/// Operations of a user on namespace 1, and creations of others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Create namespace 1, two units of each DIMM, or give it that size.
    Create,
    /// Create namespace 2, a neighbour.
    Neighbour,
    /// Resize namespace 1 to five units of each DIMM.
    Grow,
    /// Resize namespace 1 to one unit of each DIMM.
    Shrink,
    /// Give namespace 1 the UUID 3.
    Rename,
    /// Give namespace 3 the UUID 1 again.
    RenameBack,
    /// Give namespace 1 another name, sector size and class.
    Describe,
    /// Remove namespace 1.
    Remove,
    /// Create namespace 4, one unit of each DIMM. Not in [`Self::ALL`].
    Another,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::Neighbour,
        Self::Grow,
        Self::Shrink,
        Self::Rename,
        Self::RenameBack,
        Self::Describe,
        Self::Remove,
    ];

    /// Returns the namespaces that the operation creates, changes or removes.
    pub fn targets(self) -> BTreeSet<Uuid> {
        let numbers: &[u8] = match self {
            Self::Create | Self::Grow | Self::Shrink | Self::Describe | Self::Remove => &[1],
            Self::Neighbour => &[2],
            Self::Rename | Self::RenameBack => &[1, 3],
            Self::Another => &[4],
        };
        numbers.iter().copied().map(uuid).collect()
    }

    /// Returns the namespace that is created or removed: its labels may be left incomplete.
    pub fn created_or_removed(self) -> Option<Uuid> {
        match self {
            Self::Create | Self::Remove => Some(uuid(1)),
            Self::Neighbour => Some(uuid(2)),
            Self::Another => Some(uuid(4)),
            Self::Grow | Self::Shrink | Self::Rename | Self::RenameBack | Self::Describe => None,
        }
    }

    /// Performs the operation and returns its effect. An impossible operation writes nothing.
    pub fn perform(self, world: &mut World) -> Result<Effect> {
        let wanted = match self {
            Self::Create => sized(1, 2),
            Self::Neighbour => sized(2, 3),
            Self::Grow => kept(1, world).map(|fields| resized(fields, 5)),
            Self::Shrink => kept(1, world).map(|fields| resized(fields, 1)),
            Self::Rename => renamed(1, 3, world),
            Self::RenameBack => renamed(3, 1, world),
            Self::Describe => kept(1, world).map(|fields| Request {
                fields: LabelFields {
                    name: Name::new(b"described").unwrap_or(Name::EMPTY),
                    lba_size: 4096,
                    class: ClaimClass::Btt2_0,
                    ..fields
                },
                units: None,
                replaces: None,
            }),
            Self::Another => sized(4, 1),
            Self::Remove => return world.remove(uuid(1)),
        };
        wanted.map_or(Ok(Effect::NONE), |wanted| world.update(&wanted))
    }
}

/// Returns all sequences of `len` operations.
pub fn histories(len: usize) -> Vec<Vec<Operation>> {
    (0..len).fold(vec![Vec::new()], |shorter, _| {
        shorter
            .iter()
            .flat_map(|history| {
                Operation::ALL.map(|operation| {
                    let mut history = history.clone();
                    history.push(operation);
                    history
                })
            })
            .collect()
    })
}

/// The numbers that the changed namespace may have.
pub const CHANGED: [u8; 2] = [1, 3];

/// Returns the UUID of the namespace `number`.
pub fn uuid(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

/// Requests a namespace of `units` units of each DIMM.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the shape that the other operations have"
)]
fn sized(number: u8, units: u64) -> Option<Request> {
    let fields = LabelFields {
        uuid: uuid(number),
        name: Name::EMPTY,
        lba_size: 0,
        class: ClaimClass::None,
    };
    Some(resized(fields, units))
}

fn resized(fields: LabelFields, units: u64) -> Request {
    Request {
        fields,
        units: Some(units),
        replaces: None,
    }
}

/// Returns the label fields of a namespace, if it exists.
fn kept(number: u8, world: &World) -> Option<LabelFields> {
    world.view().get(&uuid(number)).map(|seen| LabelFields {
        uuid: uuid(number),
        name: seen.name,
        lba_size: seen.lba_size,
        class: seen.class,
    })
}

fn renamed(from: u8, to: u8, world: &World) -> Option<Request> {
    if kept(to, world).is_some() {
        return None;
    }
    kept(from, world).map(|fields| Request {
        fields: LabelFields {
            uuid: uuid(to),
            ..fields
        },
        units: None,
        replaces: Some(uuid(from)),
    })
}
