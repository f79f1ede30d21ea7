// SPDX-License-Identifier: GPL-2.0

//! What becomes of a namespace: a raw disk, unless something else was made of it.

use crate::info_block::{
    self,
    PageMap, //
};
use kernel::prelude::*;
use kernel_ext::{
    error::eopnotsupp,
    memory::PmemRange, //
};
use nd::{
    namespace::OpenNamespace,
    Btt, //
};
use nd_btt::Detection;

/// Reserves and maps the memory of a namespace that is to be driven raw.
///
/// `EBUSY`: the memory is in use by somebody else. `ENXIO`: there is a BTT on it, which has got a device of its own now, or
/// is damaged. `EOPNOTSUPP`: there is a page map on it, which this driver does not know how to use.
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
        Detection::Absent(range) => {
            refuse_page_map(namespace, &range)?;
            Ok(range)
        }
    }
}

/// Fails if the namespace is set up for file systems or programs that map it, so that nobody writes over it as a raw disk.
fn refuse_page_map(namespace: &OpenNamespace, range: &PmemRange) -> Result {
    let Some(page_map) = info_block::find(range, namespace.uuid())? else {
        return Ok(());
    };

    dev_err!(
        namespace.node(),
        "has an info block of a {} device at {:#x}, which is not supported (write 1 to force_raw to get at it as it is)\n",
        match page_map {
            PageMap::Pfn => "pfn",
            PageMap::Dax => "dax",
        },
        info_block::OFFSET
    );
    Err(eopnotsupp())
}
