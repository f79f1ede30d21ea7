// SPDX-License-Identifier: GPL-2.0
/* Defines the tracepoints of include/nd_trace.h, and for each a function that Rust code calls. */

#include <linux/export.h>
#include <linux/types.h>

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "nd_trace.h"

/* Exported to nd_btt.ko, into which the Rust functions of trace.rs are inlined. */
#define EXPORT_RUST_TRACEPOINT(name)		\
	EXPORT_TRACEPOINT_SYMBOL_GPL(name);	\
	EXPORT_SYMBOL_GPL(rust_do_trace_##name)

EXPORT_RUST_TRACEPOINT(btt_read);
EXPORT_RUST_TRACEPOINT(btt_write);
EXPORT_RUST_TRACEPOINT(btt_discard);
EXPORT_RUST_TRACEPOINT(btt_error);
EXPORT_RUST_TRACEPOINT(btt_recovery);
