// SPDX-License-Identifier: GPL-2.0

//! Attributes of `regionN` (`Documentation/ABI/testing/sysfs-bus-nd`).

use super::{
    notify_children,
    Region,
    MAX_MAPPINGS, //
};
use crate::{
    attributes::Common,
    provider::PersistenceDomain,
    seeds::Seeds,
    text::{
        self,
        line, //
    },
    Event, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    str::Formatter,
    sync::atomic::Relaxed, //
};
use kernel_ext::{
    device::{
        DeviceData,
        TypedDevice, //
    },
    sysfs::{
        Attribute,
        Attributes,
        Group,
        Groups,
        HIDDEN,
        READ_ONLY,
        READ_WRITE, //
    },
};
use nd_format::pfn::DaxMode;

static SIZE: Attribute<Region> =
    Attribute::<Region>::read_only(c"size", |region, out| line!(out, "{}", region.size()));

static ALIGN: Attribute<Region> = Attribute::<Region>::read_write(
    c"align",
    |region, out| text::show_hex(out, region.align.load(Relaxed)),
    |region, input| {
        let align = text::parse_u64(input)?;
        let ways = region.mappings().len().max(1) as u64;
        let each = align / ways;
        if align % ways != 0
            || !each.is_power_of_two()
            || each < PAGE_SIZE as u64
            || align > region.size()
        {
            return Err(EINVAL);
        }
        let _lock = region.bus().lock();
        region.align.store(align, Relaxed);
        Ok(())
    },
)
.expecting(
    "for each DIMM a power of two of at least a page, in all not more than the size of the region",
);

static NSTYPE: Attribute<Region> = Attribute::<Region>::read_only(c"nstype", |region, out| {
    line!(out, "{}", region.namespace_type())
});

static MAPPINGS: Attribute<Region> = Attribute::<Region>::read_only(c"mappings", |region, out| {
    line!(out, "{}", region.mappings().len())
});

static RESOURCE: Attribute<Region> = Attribute::root_read_only(c"resource", |region, out| {
    text::show_hex(out, region.start())
});

static SET_COOKIE: Attribute<Region> =
    Attribute::<Region>::read_only(c"set_cookie", |region, out| {
        let (_device_lock, lock) = region.bus().lock_idle(region.device());
        let set = region.interleave_set().ok_or(ENXIO)?;
        let area = region
            .mappings()
            .first()
            .and_then(|mapping| mapping.dimm().area(&lock));
        let cookie = match area {
            Some(area) if !area.layout().has_v1_1_cookies() => set.cookie_v1_2,
            // A DIMM without a label area counts as one with labels of version 1.1.
            Some(_) | None => set.cookie_v1_1,
        };
        text::show_hex(out, cookie)
    })
    .visible(|region| {
        if region.interleave_set().is_some() {
            READ_ONLY
        } else {
            HIDDEN
        }
    });

static AVAILABLE_SIZE: Attribute<Region> =
    Attribute::<Region>::read_only(c"available_size", |region, out| {
        let (_device_lock, lock) = region.bus().lock_idle(region.device());
        line!(out, "{}", region.available_size(&lock))
    })
    .visible(|region| {
        if region.interleave_set().is_some() {
            READ_ONLY
        } else {
            HIDDEN
        }
    });

static MAX_AVAILABLE_EXTENT: Attribute<Region> =
    Attribute::read_only(c"max_available_extent", |region, out| {
        let (_device_lock, lock) = region.bus().lock_idle(region.device());
        line!(out, "{}", region.max_available_extent(&lock))
    });

static INIT_NAMESPACES: Attribute<Region> =
    Attribute::<Region>::read_only(c"init_namespaces", |region, out| {
        let lock = region.lock_device();
        if !lock.is_bound() {
            return Err(ENXIO);
        }
        line!(
            out,
            "{}/{}",
            region.registered_namespaces.load(Relaxed),
            region.found_namespaces.load(Relaxed)
        )
    });

/// Prints the name of the seed that `select` returns, or an empty line.
fn show_seed<T: DeviceData>(
    region: &TypedDevice<Region>,
    out: &mut Formatter<'_>,
    select: fn(&Seeds) -> Option<&TypedDevice<T>>,
) -> Result {
    let _lock = region.bus().lock();
    let seeds = region.seeds().lock();
    match select(&seeds) {
        Some(seed) => line!(out, "{}", seed.device().name()),
        None => line!(out),
    }
}

static NAMESPACE_SEED: Attribute<Region> =
    Attribute::read_only(c"namespace_seed", |region, out| {
        show_seed(region, out, Seeds::namespace)
    });
static BTT_SEED: Attribute<Region> = Attribute::read_only(c"btt_seed", |region, out| {
    show_seed(region, out, Seeds::btt)
});
static PFN_SEED: Attribute<Region> = Attribute::read_only(c"pfn_seed", |region, out| {
    show_seed(region, out, |seeds| seeds.pfn_device(DaxMode::FsDax))
});
static DAX_SEED: Attribute<Region> = Attribute::read_only(c"dax_seed", |region, out| {
    show_seed(region, out, |seeds| seeds.pfn_device(DaxMode::DevDax))
});

static READ_ONLY_FLAG: Attribute<Region> = Attribute::<Region>::read_write(
    c"read_only",
    |region, out| line!(out, "{}", u8::from(region.is_read_only())),
    |region, input| {
        region.read_only.store(text::parse_bool(input)?, Relaxed);
        notify_children(region, Event::RevalidateRegion);
        Ok(())
    },
)
.expecting("0 or 1");

static DEEP_FLUSH: Attribute<Region> = Attribute::<Region>::read_write(
    c"deep_flush",
    |region, out| line!(out, "{}", u8::from(region.needs_flush() == Some(true))),
    |region, input| {
        if !text::parse_bool(input)? {
            return Err(EINVAL);
        }
        region.fence();
        Ok(())
    },
)
.expecting("1")
.visible(|region| match region.needs_flush() {
    Some(true) => READ_WRITE,
    Some(false) => READ_ONLY,
    None => HIDDEN,
});

static PERSISTENCE_DOMAIN: Attribute<Region> =
    Attribute::<Region>::read_only(c"persistence_domain", |region, out| {
        match region.description().persistence {
            Some(PersistenceDomain::CpuCache) => line!(out, "cpu_cache")?,
            Some(PersistenceDomain::MemoryController) => line!(out, "memory_controller")?,
            None => line!(out)?,
        }
        Ok(())
    })
    .visible(|region| {
        if region.description().persistence.is_some() {
            READ_ONLY
        } else {
            HIDDEN
        }
    });

static BADBLOCKS: Attribute<Region> =
    Attribute::<Region>::read_only(c"badblocks", |region, out| {
        let lock = region.lock_device();
        if lock.is_bound() {
            region.show_badblocks(out)
        } else {
            Err(ENXIO)
        }
    });

static ATTRIBUTES: Attributes<Region, 17> = Attributes::new([
    &SIZE,
    &ALIGN,
    &NSTYPE,
    &MAPPINGS,
    &RESOURCE,
    &SET_COOKIE,
    &AVAILABLE_SIZE,
    &MAX_AVAILABLE_EXTENT,
    &INIT_NAMESPACES,
    &NAMESPACE_SEED,
    &BTT_SEED,
    &PFN_SEED,
    &DAX_SEED,
    &READ_ONLY_FLAG,
    &DEEP_FLUSH,
    &PERSISTENCE_DOMAIN,
    &BADBLOCKS,
]);

/// Defines the attributes `mapping0`, `mapping1`, …, each for its index.
macro_rules! mapping_attributes {
    ($($index:literal => $name:ident),+ $(,)?) => {
        $(
            static $name: Attribute<Region> = Attribute::read_only(
                // The name is a literal with a NUL at its end.
                match CStr::from_bytes_with_nul(concat!("mapping", $index, "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => c"mapping",
                },
                |region, out| show_mapping(region, $index, out),
            )
            .visible(|region| if $index < region.mappings().len() { READ_ONLY } else { HIDDEN });
        )+
        static MAPPING_ATTRIBUTES: Attributes<Region, MAX_MAPPINGS> = Attributes::new([$(&$name),+]);
    };
}

mapping_attributes! {
    0 => MAPPING_0, 1 => MAPPING_1, 2 => MAPPING_2, 3 => MAPPING_3, 4 => MAPPING_4, 5 => MAPPING_5, 6 => MAPPING_6,
    7 => MAPPING_7, 8 => MAPPING_8, 9 => MAPPING_9, 10 => MAPPING_10, 11 => MAPPING_11, 12 => MAPPING_12,
    13 => MAPPING_13, 14 => MAPPING_14, 15 => MAPPING_15, 16 => MAPPING_16, 17 => MAPPING_17, 18 => MAPPING_18,
    19 => MAPPING_19, 20 => MAPPING_20, 21 => MAPPING_21, 22 => MAPPING_22, 23 => MAPPING_23, 24 => MAPPING_24,
    25 => MAPPING_25, 26 => MAPPING_26, 27 => MAPPING_27, 28 => MAPPING_28, 29 => MAPPING_29, 30 => MAPPING_30,
    31 => MAPPING_31,
}

fn show_mapping(region: &Region, index: usize, out: &mut Formatter<'_>) -> Result {
    let mapping = region.mappings().get(index).ok_or(ENXIO)?;
    line!(
        out,
        "{},{},{},{}",
        mapping.dimm().device().name(),
        mapping.dpa(),
        mapping.size(),
        mapping.position()
    )
}

static GROUP: Group<Region> = Group::new(&ATTRIBUTES);
static MAPPING_GROUP: Group<Region> = Group::new(&MAPPING_ATTRIBUTES);
pub(super) static GROUPS: Groups<Region, 4> = Groups::new([
    Common::<Region>::IDENTITY,
    Common::<Region>::PLACE,
    &GROUP,
    &MAPPING_GROUP,
]);
