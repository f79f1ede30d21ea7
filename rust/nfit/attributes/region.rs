// SPDX-License-Identifier: GPL-2.0

//! Attributes of `regionN/nfit`.

use crate::region::NfitRegion;
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

static RANGE_INDEX: Attribute<Region> = Attribute::read_only(c"range_index", |region, out| {
    let region = region.private::<NfitRegion>().ok_or(ENXIO)?;
    writeln!(out, "{}", region.range_index)?;
    Ok(())
});

static ATTRIBUTES: Attributes<Region, 2> = Attributes::new([&RANGE_INDEX]);
static GROUP: Group<Region> = Group::named(c"nfit", &ATTRIBUTES);
static GROUPS: Groups<Region, 2> = Groups::new([&GROUP]);

pub(crate) fn groups() -> GroupList<Region> {
    GROUPS.list()
}
