// SPDX-License-Identifier: GPL-2.0

//! Attributes of `bttN.M` (`Documentation/ABI/testing/sysfs-bus-nd`).

use super::{
    Btt,
    SECTOR_SIZES, //
};
use crate::{
    attributes::Common,
    personality::{
        self,
        UnboundPersonality, //
    },
    text::{
        self,
        line, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use kernel_ext::sysfs::{
    Attribute,
    Attributes,
    Group,
    Groups, //
};

static UUID: Attribute<Btt> = personality::uuid();
static NAMESPACE: Attribute<Btt> = personality::namespace();

static SECTOR_SIZE: Attribute<Btt> = Attribute::<Btt>::read_write(
    c"sector_size",
    |btt, out| text::show_selection(out, &SECTOR_SIZES, btt.sector_size()),
    |btt, input| {
        let btt = UnboundPersonality::new(btt)?;
        let size = text::parse_choice(input, SECTOR_SIZES)?;
        btt.sector_size.store(size, Relaxed);
        Ok(())
    },
)
.expecting("one of the sizes that it lists");

static SIZE: Attribute<Btt> = Attribute::read_only(c"size", |btt, out| {
    let device_lock = btt.lock_device();
    if !device_lock.is_bound() {
        return Err(ENXIO);
    }
    line!(out, "{}", btt.disk_size.load(Relaxed))
});

/// Shows that the flags in the old block of a flog entry are not taken for a part of its number.
static LOG_ZERO_FLAGS: Attribute<Btt> =
    Attribute::read_only(c"log_zero_flags", |_, out| line!(out, "Y"));

static ATTRIBUTES: Attributes<Btt, 5> =
    Attributes::new([&SECTOR_SIZE, &UUID, &NAMESPACE, &SIZE, &LOG_ZERO_FLAGS]);
static GROUP: Group<Btt> = Group::new(&ATTRIBUTES);
pub(super) static GROUPS: Groups<Btt, 3> =
    Groups::new([Common::<Btt>::IDENTITY, Common::<Btt>::PLACE, &GROUP]);
