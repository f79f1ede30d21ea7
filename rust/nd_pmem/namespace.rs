// SPDX-License-Identifier: GPL-2.0

//! The disk of a namespace device: a raw disk, unless a BTT or a pfn info block is found.

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
    namespace::{
        NamespaceMemory,
        OpenNamespace, //
    },
    Btt,
    PfnConfig,
    PfnDevice, //
};
use nd_btt::Detection;
use nd_format::pfn::{
    DaxMode,
    Info,
    INFO_OFFSET, //
};

/// Reserves and maps the memory of a namespace that is to have a raw disk.
///
/// `EBUSY`: the memory is in use. `ENXIO`: the namespace has a BTT or a pfn info block, for which a
/// device was created, or a damaged BTT. `EOPNOTSUPP`: it has a pfn info block that cannot be used,
/// or its region wants a memmap and its size is not a multiple of the page size.
pub(crate) fn open_raw(namespace: &OpenNamespace) -> Result<PmemRange> {
    let range = namespace
        .map()
        .inspect_err(|error| dev_err!(namespace.namespace(), "its memory {error}\n"))?;

    if namespace.is_forced_raw() {
        return Ok(range);
    }

    let memory = NamespaceMemory::new(range, namespace.region())?;
    match nd_btt::detect(namespace, memory)? {
        Detection::Found(config) => {
            Btt::autodetected(namespace, config)?;
            Err(ENXIO)
        }
        Detection::Absent(memory) => match pfn::detect(namespace, &memory)? {
            Some(found) => Err(hand_over(namespace, &found)?),
            None => check_pages(namespace).map(|()| memory.into_range()),
        },
    }
}

/// Fails with `EOPNOTSUPP` and a message if the namespace is to have a memmap, and its size is not
/// a multiple of the page size.
fn check_pages(namespace: &OpenNamespace) -> Result {
    let page = PAGE_SIZE as u64;
    if namespace.region().wants_memmap() && namespace.size() % page != 0 {
        dev_err!(
            namespace.namespace(),
            "has no raw disk: its size is {:#x}, expected a multiple of {page:#x} (write 1 to force_raw to do without a memmap)\n",
            namespace.size()
        );
        return Err(eopnotsupp());
    }
    Ok(())
}

/// Creates a device for the pfn info block that was found. Returns the error with which the probe
/// of the namespace ends.
fn hand_over(namespace: &OpenNamespace, found: &Info) -> Result<Error> {
    match (found.dax_mode, namespace.claim_class()) {
        (DaxMode::FsDax, ClaimClass::None | ClaimClass::Pfn) => {
            let config = PfnConfig {
                uuid: found.uuid,
                location: found.location,
                align: found.align,
            };
            PfnDevice::autodetected(namespace, config)?;
            Ok(ENXIO)
        }
        // A raw disk would overwrite it.
        (dax_mode, class) => {
            dev_err!(
                namespace.namespace(),
                "has a pfn info block ({dax_mode:?}, class {class:?}) at {INFO_OFFSET:#x}, which is not supported (write 1 to force_raw for a raw disk)\n"
            );
            Ok(eopnotsupp())
        }
    }
}
