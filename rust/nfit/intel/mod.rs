// SPDX-License-Identifier: GPL-2.0

//! Functions of Intel's families that the driver itself calls (NVDIMM DSM Interface).

pub(crate) mod activation;
