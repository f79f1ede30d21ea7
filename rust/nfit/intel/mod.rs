// SPDX-License-Identifier: GPL-2.0

//! Functions of Intel's families that the driver itself calls (NVDIMM DSM Interface).

pub(crate) mod activation;
pub(crate) mod security;

use kernel::prelude::*;

/// Returns the status at the start of `answer`. `ENXIO`: there is none.
fn status_of(answer: Option<&[u8]>) -> Result<u32> {
    let status = answer
        .and_then(|answer| answer.first_chunk())
        .ok_or(ENXIO)?;
    Ok(u32::from_le_bytes(*status))
}
