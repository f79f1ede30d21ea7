// SPDX-License-Identifier: GPL-2.0

//! What the kernel itself does with Intel's families of functions (NVDIMM DSM Interface).

pub(crate) mod activation;
pub(crate) mod security;

use kernel::prelude::*;

/// The status that an answer begins with. `ENXIO`: it is not even that long.
fn status_of(answer: Option<&[u8]>) -> Result<u32> {
    let status = answer
        .and_then(|answer| answer.first_chunk())
        .ok_or(ENXIO)?;
    Ok(u32::from_le_bytes(*status))
}
