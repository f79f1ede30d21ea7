/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints of BTT disks, in events/nd_btt of tracefs. rust/kernel_ext/trace.rs calls them. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM nd_btt

#if !defined(ND_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define ND_TRACE_H

#include <linux/kdev_t.h>
#include <linux/tracepoint.h>

/*
 * A request has ended: its disk, its first sector, its number of sectors of 512 bytes, and 0 or a
 * negative errno.
 */
DECLARE_EVENT_CLASS(btt_request,
	TP_PROTO(dev_t dev, u64 sector, u32 count, int error),
	TP_ARGS(dev, sector, count, error),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, sector)
		__field(u32, count)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->sector = sector;
		__entry->count = count;
		__entry->error = error;
	),
	TP_printk("%d,%d %llu + %u [%d]", MAJOR(__entry->dev), MINOR(__entry->dev),
		  __entry->sector, __entry->count, __entry->error)
);

DEFINE_EVENT(btt_request, btt_read,
	TP_PROTO(dev_t dev, u64 sector, u32 count, int error),
	TP_ARGS(dev, sector, count, error));

DEFINE_EVENT(btt_request, btt_write,
	TP_PROTO(dev_t dev, u64 sector, u32 count, int error),
	TP_ARGS(dev, sector, count, error));

DEFINE_EVENT(btt_request, btt_discard,
	TP_PROTO(dev_t dev, u64 sector, u32 count, int error),
	TP_ARGS(dev, sector, count, error));

/* A request of any type has failed. */
DEFINE_EVENT(btt_request, btt_error,
	TP_PROTO(dev_t dev, u64 sector, u32 count, int error),
	TP_ARGS(dev, sector, count, error));

/* A BTT was opened. Recovery has finished this number of interrupted writes. */
TRACE_EVENT(btt_recovery,
	TP_PROTO(const char *device, u32 finished),
	TP_ARGS(device, finished),
	TP_STRUCT__entry(
		__string(device, device)
		__field(u32, finished)
	),
	TP_fast_assign(
		__assign_str(device);
		__entry->finished = finished;
	),
	TP_printk("%s finished %u", __get_str(device), __entry->finished)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE nd_trace
#include <trace/define_trace.h>
