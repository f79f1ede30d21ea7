// SPDX-License-Identifier: GPL-2.0

//! What becomes of a namespace: a raw disk, unless something else was made of it.

use crate::pfn;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use kernel_ext::{
    error::eopnotsupp,
    memory::PmemRange, //
};
use nd::{
    claim::ClaimClass,
    namespace::OpenNamespace,
    Btt,
    PageMap,
    PageMapConfig, //
};
use nd_btt::Detection;
use nd_format::page_map::{
    Info,
    Purpose,
    INFO_OFFSET, //
};

/// Reserves and maps the memory of a namespace that is to be driven raw.
///
/// `EBUSY`: the memory is in use by somebody else. `ENXIO`: there is a BTT or a page map on it, which has got a device of its own
/// now, or a BTT that is damaged. `EOPNOTSUPP`: there is a page map on it that cannot be used, or it has no room for one of its own.
pub(crate) fn open_raw(namespace: &OpenNamespace) -> Result<PmemRange> {
    let range = namespace
        .map()
        .inspect_err(|error| dev_err!(namespace.node(), "its memory {error}\n"))?;

    if namespace.is_forced_raw() {
        return Ok(range);
    }

    match nd_btt::detect(namespace, range)? {
        Detection::Found(config) => {
            Btt::autodetected(namespace, config)?;
            Err(ENXIO)
        }
        Detection::Absent(range) => match pfn::detect(namespace, &range)? {
            Some(found) => Err(hand_over(namespace, &found)?),
            None => check_pages(namespace).map(|()| range),
        },
    }
}

/// `EOPNOTSUPP`, and a message: the namespace is to have page structures, and is not made of pages.
fn check_pages(namespace: &OpenNamespace) -> Result {
    let page = PAGE_SIZE as u64;
    if namespace.region().has_page_map() && namespace.size() % page != 0 {
        dev_err!(
            namespace.node(),
            "has no raw disk: its size is {:#x}, expected a multiple of {page:#x} (write 1 to force_raw to do without page structures)\n",
            namespace.size()
        );
        return Err(eopnotsupp());
    }
    Ok(())
}

/// Makes a device for the page map that was found, and says why the namespace is not driven raw.
fn hand_over(namespace: &OpenNamespace, found: &Info) -> Result<Error> {
    match (found.purpose, namespace.claim_class()) {
        (Purpose::FileSystem, ClaimClass::None | ClaimClass::Pfn) => {
            let config = PageMapConfig {
                uuid: found.uuid,
                location: found.location,
                align: found.align,
            };
            PageMap::autodetected(namespace, config)?;
            Ok(ENXIO)
        }
        // Nobody shall write over it as a raw disk.
        (purpose, class) => {
            dev_err!(
                namespace.node(),
                "has a page map ({purpose:?}, class {class:?}) at {INFO_OFFSET:#x}, which is not supported (write 1 to force_raw to get at it as it is)\n"
            );
            Ok(eopnotsupp())
        }
    }
}
