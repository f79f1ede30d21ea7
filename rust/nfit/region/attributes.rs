// SPDX-License-Identifier: GPL-2.0

//! Attributes of `regionN/nfit`, and the private data of a region that they show.

use kernel::{
    fmt::Write as _,
    prelude::*, //
};
use kernel_ext::sysfs::{
    Attribute,
    Attributes,
    Group,
    GroupList,
    Groups, //
};
use nd::Region;

/// Private data of a [`Region`].
pub(crate) struct NfitRegion {
    /// Index of the range in the table.
    pub(crate) range_index: u16,
}

static RANGE_INDEX: Attribute<Region> = Attribute::read_only(c"range_index", |region, out| {
    let region = region.private::<NfitRegion>().ok_or(ENXIO)?;
    writeln!(out, "{}", region.range_index)?;
    Ok(())
});

static ATTRIBUTES: Attributes<Region, 1> = Attributes::new([&RANGE_INDEX]);
static GROUP: Group<Region> = Group::named(c"nfit", &ATTRIBUTES);
static GROUPS: Groups<Region, 1> = Groups::new([&GROUP]);

pub(crate) fn groups() -> GroupList<Region> {
    GROUPS.list()
}
