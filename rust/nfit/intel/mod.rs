// SPDX-License-Identifier: GPL-2.0

//! What the kernel itself does with Intel's families of functions (NVDIMM DSM Interface).

pub(crate) mod activation;
