// SPDX-License-Identifier: GPL-2.0
/*
 * Tests the simulated buses through libndctl: the assertions of ndctl's own library test on DIMMs,
 * their health and its notifications, labels, regions, raw namespaces and BTTs.
 * qemu/tests/ndctl/libndctl.sh runs it on buses in their initial state.
 *
 * The first failed assertion ends the program with a message and status 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/ndctl.h>
#include <ndctl/libndctl.h>

#define MIB (1ULL << 20)
#define LABELS (128 << 10)

#define check(condition, ...)									\
	do {											\
		if (!(condition)) {								\
			fprintf(stderr, "library.c:%d: %s: ", __LINE__, #condition);		\
			fprintf(stderr, __VA_ARGS__);						\
			fputc('\n', stderr);							\
			exit(1);								\
		}										\
	} while (0)

static struct ndctl_bus *find_bus(struct ndctl_ctx *context, const char *provider)
{
	struct ndctl_bus *bus;

	ndctl_bus_foreach(context, bus)
		if (strcmp(ndctl_bus_get_provider(bus), provider) == 0)
			return bus;
	check(bus, "there is no bus %s", provider);
	return NULL;
}

static struct ndctl_region *find_region(struct ndctl_bus *bus, unsigned int range)
{
	struct ndctl_region *region;

	ndctl_region_foreach(bus, region)
		if (ndctl_region_get_range_index(region) == range)
			return region;
	check(region, "there is no region of range %u", range);
	return NULL;
}

static struct ndctl_dimm *find_dimm(struct ndctl_bus *bus, unsigned int handle)
{
	struct ndctl_dimm *dimm;

	ndctl_dimm_foreach(bus, dimm)
		if (ndctl_dimm_get_handle(dimm) == handle)
			return dimm;
	check(dimm, "there is no DIMM %#x", handle);
	return NULL;
}

/* Submits a command, which must succeed in the kernel and in the firmware. */
static struct ndctl_cmd *done(struct ndctl_cmd *command, const char *what)
{
	check(command, "%s is not supported", what);
	int error = ndctl_cmd_submit(command);
	check(error >= 0, "%s: %d", what, error);
	check(ndctl_cmd_get_firmware_status(command) == 0,
	      "%s: status %#x", what, ndctl_cmd_get_firmware_status(command));
	return command;
}

static void check_label_area(struct ndctl_dimm *dimm)
{
	static char area[LABELS], again[sizeof(area)];
	struct ndctl_cmd *size = done(ndctl_dimm_cmd_new_cfg_size(dimm), "get_size");
	check(ndctl_cmd_cfg_size_get_size(size) == sizeof(area),
	      "%u", ndctl_cmd_cfg_size_get_size(size));

	struct ndctl_cmd *read = done(ndctl_dimm_cmd_new_cfg_read(size), "get_data");
	ssize_t length = ndctl_cmd_cfg_read_get_data(read, area, sizeof(area), 0);
	check(length == sizeof(area), "%zd", length);

	/* In the middle of the area, where there is no label. */
	char text[] = "0123456789abcdefghi";
	const unsigned int place = sizeof(area) / 2;
	struct ndctl_cmd *write = ndctl_dimm_cmd_new_cfg_write(read);
	length = ndctl_cmd_cfg_write_set_data(write, text, sizeof(text), place);
	check(length == sizeof(text), "%zd", length);
	done(write, "set_data");
	memcpy(area + place, text, sizeof(text));
	done(read, "get_data");
	ndctl_cmd_cfg_read_get_data(read, again, sizeof(again), 0);
	check(memcmp(area, again, sizeof(area)) == 0, "the label area is not what was written");

	ndctl_cmd_unref(write);
	ndctl_cmd_unref(read);
	ndctl_cmd_unref(size);
}

static void check_health(struct ndctl_dimm *dimm)
{
	struct ndctl_cmd *smart = done(ndctl_dimm_cmd_new_smart(dimm), "smart");
	const unsigned int alarms = ND_SMART_SPARE_TRIP | ND_SMART_MTEMP_TRIP;

	check(ndctl_cmd_smart_get_health(smart) == ND_SMART_NON_CRITICAL_HEALTH,
	      "%u", ndctl_cmd_smart_get_health(smart));
	check(ndctl_cmd_smart_get_media_temperature(smart) == 23 * 16,
	      "%u", ndctl_cmd_smart_get_media_temperature(smart));
	check(ndctl_cmd_smart_get_spares(smart) == 75, "%u", ndctl_cmd_smart_get_spares(smart));
	check(ndctl_cmd_smart_get_alarm_flags(smart) == alarms,
	      "%#x", ndctl_cmd_smart_get_alarm_flags(smart));
	check(ndctl_cmd_smart_get_life_used(smart) == 5,
	      "%u", ndctl_cmd_smart_get_life_used(smart));
	check(ndctl_cmd_smart_get_shutdown_state(smart) == 0,
	      "%u", ndctl_cmd_smart_get_shutdown_state(smart));
	check(ndctl_cmd_smart_get_shutdown_count(smart) == 42,
	      "%u", ndctl_cmd_smart_get_shutdown_count(smart));
	check(ndctl_cmd_smart_get_vendor_size(smart) == 0,
	      "%u", ndctl_cmd_smart_get_vendor_size(smart));

	struct ndctl_cmd *limits = done(ndctl_dimm_cmd_new_smart_threshold(dimm), "smart_thresh");
	check(ndctl_cmd_smart_threshold_get_alarm_control(limits) == alarms, "%#x",
	      ndctl_cmd_smart_threshold_get_alarm_control(limits));
	check(ndctl_cmd_smart_threshold_get_media_temperature(limits) == 40 * 16, "%u",
	      ndctl_cmd_smart_threshold_get_media_temperature(limits));
	check(ndctl_cmd_smart_threshold_get_ctrl_temperature(limits) == 30 * 16, "%u",
	      ndctl_cmd_smart_threshold_get_ctrl_temperature(limits));
	check(ndctl_cmd_smart_threshold_get_spares(limits) == 5,
	      "%u", ndctl_cmd_smart_threshold_get_spares(limits));

	/* A threshold that is crossed already: setting it wakes pollers of the health event. */
	struct pollfd event = { .fd = ndctl_dimm_get_health_eventfd(dimm), .events = POLLPRI };
	char flags[64];
	check(event.fd >= 0, "no descriptor for events");
	check(pread(event.fd, flags, sizeof(flags), 0) > 0, "%s", strerror(errno));
	check(poll(&event, 1, 0) == 0, "an event before anything happened");
	struct ndctl_cmd *set = ndctl_dimm_cmd_new_smart_set_threshold(limits);
	check(set, "thresholds cannot be set");
	ndctl_cmd_smart_threshold_set_alarm_control(set, alarms);
	ndctl_cmd_smart_threshold_set_media_temperature(
		set, ndctl_cmd_smart_get_media_temperature(smart));
	ndctl_cmd_smart_threshold_set_spares(set, ndctl_cmd_smart_get_spares(smart));
	done(set, "set_threshold");
	check(poll(&event, 1, 30000) == 1, "no event although a threshold is crossed");

	ndctl_cmd_unref(set);
	ndctl_cmd_unref(limits);
	ndctl_cmd_unref(smart);
}

static void check_dimms(struct ndctl_bus *bus)
{
	static const unsigned int handles[] = { 0, 1, 0x100, 0x101 };
	static const int commands[] = { ND_CMD_SMART, ND_CMD_SMART_THRESHOLD,
					ND_CMD_GET_CONFIG_SIZE, ND_CMD_GET_CONFIG_DATA,
					ND_CMD_SET_CONFIG_DATA };
	struct ndctl_dimm *dimm;
	unsigned int count = 0;

	ndctl_dimm_foreach(bus, dimm)
		count++;
	check(count == 4, "%u DIMMs", count);
	for (unsigned int i = 0; i < 4; i++) {
		dimm = find_dimm(bus, handles[i]);
		check(ndctl_dimm_get_phys_id(dimm) == i,
		      "%#x: %u", handles[i], ndctl_dimm_get_phys_id(dimm));
		check(!ndctl_dimm_has_errors(dimm), "%#x", handles[i]);
		check(ndctl_dimm_get_subsystem_vendor(dimm) == 0,
		      "%#x", ndctl_dimm_get_subsystem_vendor(dimm));
		check(ndctl_dimm_get_manufacturing_date(dimm) == 2016,
		      "%u", ndctl_dimm_get_manufacturing_date(dimm));
		check(ndctl_dimm_get_dirty_shutdown(dimm) == 42,
		      "%lld", ndctl_dimm_get_dirty_shutdown(dimm));
		for (unsigned int c = 0; c < sizeof(commands) / sizeof(*commands); c++)
			check(ndctl_dimm_is_cmd_supported(dimm, commands[c]),
			      "%#x: command %d", handles[i], commands[c]);
		check_label_area(dimm);
		check_health(dimm);

		struct ndctl_cmd *latch =
			done(ndctl_dimm_cmd_new_ack_shutdown_count(dimm), "ack_shutdown_count");
		ndctl_cmd_unref(latch);
	}
}

/* Writes one block of a disk and reads it back, without the page cache. */
static void check_disk(const char *name, int flags)
{
	char path[64];
	char *block = aligned_alloc(4096, 4096), *read_back = aligned_alloc(4096, 4096);

	check(name && block && read_back, "no disk, or no memory");
	snprintf(path, sizeof(path), "/dev/%s", name);
	int disk = open(path, O_RDWR | O_DIRECT | flags);
	check(disk >= 0, "%s: %s", path, strerror(errno));
	memset(block, name[strlen(name) - 1], 4096);
	check(pwrite(disk, block, 4096, 4096) == 4096, "%s: %s", path, strerror(errno));
	check(pread(disk, read_back, 4096, 4096) == 4096, "%s: %s", path, strerror(errno));
	check(memcmp(block, read_back, 4096) == 0, "%s has lost a block", path);
	close(disk);
	free(block);
	free(read_back);
}

/* Creates a BTT on the namespace, with the namespace's UUID. */
static struct ndctl_btt *make_btt(struct ndctl_region *region, struct ndctl_namespace *namespace,
				  unsigned int sector_size)
{
	struct ndctl_btt *btt = ndctl_region_get_btt_seed(region);
	uuid_t uuid;

	check(btt && !ndctl_btt_is_configured(btt), "no idle BTT");
	ndctl_btt_get_uuid(btt, uuid);
	check(memcmp(uuid, (uuid_t){ 0 }, sizeof(uuid)) == 0, "an idle BTT has a UUID");
	ndctl_namespace_get_uuid(namespace, uuid);
	check(ndctl_namespace_set_enforce_mode(namespace, NDCTL_NS_MODE_SECTOR) == 0,
	      "%u", sector_size);
	check(ndctl_namespace_get_enforce_mode(namespace) == NDCTL_NS_MODE_SECTOR,
	      "%u", sector_size);
	check(ndctl_btt_set_uuid(btt, uuid) == 0, "%u", sector_size);
	check(ndctl_btt_set_sector_size(btt, sector_size) == 0, "%u", sector_size);
	check(ndctl_btt_set_namespace(btt, namespace) == 0, "%u", sector_size);
	check(ndctl_btt_enable(btt) == 0, "%u", sector_size);
	check(ndctl_btt_is_enabled(btt), "%u", sector_size);
	check(ndctl_region_get_btt_seed(region) != btt,
	      "no new seed after %s", ndctl_btt_get_devname(btt));
	check(ndctl_namespace_get_mode(namespace) == NDCTL_NS_MODE_SECTOR,
	      "%d", ndctl_namespace_get_mode(namespace));
	check_disk(ndctl_btt_get_block_device(btt), O_EXCL);
	return btt;
}

/* Deletes a BTT, and its remains on the namespace. */
static void delete_btt(struct ndctl_btt *btt, struct ndctl_namespace *namespace)
{
	static const char zeroes[8192];
	char path[64];

	check(ndctl_btt_delete(btt) == 0, "delete");
	check(ndctl_namespace_set_raw_mode(namespace, 1) >= 0, "raw");
	check(ndctl_namespace_enable(namespace) >= 0, "raw");
	snprintf(path, sizeof(path), "/dev/%s", ndctl_namespace_get_block_device(namespace));
	int disk = open(path, O_WRONLY | O_EXCL | O_SYNC);
	check(disk >= 0 && pwrite(disk, zeroes, sizeof(zeroes), 0) == sizeof(zeroes),
	      "%s: %s", path, strerror(errno));
	close(disk);
	check(ndctl_namespace_disable_invalidate(namespace) == 0, "raw");
	check(ndctl_namespace_set_raw_mode(namespace, 0) == 0, "raw");
}

/* A region of labelled DIMMs that has no namespace yet. */
struct region {
	unsigned int range;
	unsigned int ways;
	unsigned long long size;
	/* Bytes of its namespace, and of the BTT on that with sectors of 512 bytes. */
	unsigned long long part;
	unsigned long long btt;
	unsigned char id;
};

static const struct region REGIONS[] = {
	{ .range = 1, .ways = 2, .size = 32 * MIB, .part = 18 * MIB, .btt = 0x11b5400, .id = 1 },
	{ .range = 2, .ways = 4, .size = 64 * MIB, .part = 20 * MIB, .btt = 0x13b1400, .id = 2 },
};

static void check_idle_region(struct ndctl_region *region, const struct region *expected)
{
	static const unsigned int sizes[] = { 512, 520, 528, 4096, 4104, 4160, 4224 };
	struct ndctl_btt *btt = ndctl_region_get_btt_seed(region);
	struct ndctl_dimm *dimm;

	check(strcmp(ndctl_region_get_type_name(region), "pmem") == 0,
	      "%s", ndctl_region_get_type_name(region));
	check(ndctl_region_get_interleave_ways(region) == expected->ways,
	      "%u", ndctl_region_get_interleave_ways(region));
	check(ndctl_region_is_enabled(region), "disabled");
	check(ndctl_region_set_align(region, 4096 * expected->ways) == 0, "align");
	check(ndctl_region_get_size(region) == expected->size,
	      "%llu", ndctl_region_get_size(region));
	check(ndctl_region_get_available_size(region) == expected->size,
	      "%llu", ndctl_region_get_available_size(region));
	struct ndctl_interleave_set *set = ndctl_region_get_interleave_set(region);
	check(set && ndctl_interleave_set_is_active(set), "its interleave set is not active");
	ndctl_dimm_foreach_in_region(region, dimm)
		check(ndctl_dimm_is_active(dimm), "%s", ndctl_dimm_get_devname(dimm));
	check(btt && ndctl_btt_get_num_sector_sizes(btt) == 7, "sector sizes of the idle BTT");
	for (int i = 0; i < 7; i++)
		check(ndctl_btt_get_supported_sector_size(btt, i) == sizes[i], "%d: %u", i,
		      ndctl_btt_get_supported_sector_size(btt, i));
}

/*
 * Creates the namespace of the region, enables it raw, and creates BTTs on it. The last BTT stays.
 */
static void make_namespace(struct ndctl_region *region, const struct region *expected)
{
	struct ndctl_namespace *namespace = ndctl_region_get_namespace_seed(region);
	unsigned long long most = expected->part;
	struct ndctl_btt *btt;
	uuid_t uuid;

	memset(uuid, expected->id, sizeof(uuid));
	check(ndctl_namespace_set_uuid(namespace, uuid) == 0, "uuid");
	check(ndctl_namespace_set_alt_name(namespace, ndctl_namespace_get_devname(namespace)) == 0,
	      "alt_name");
	check(ndctl_namespace_set_size(namespace, expected->part) == 0, "size");
	check(ndctl_namespace_set_sector_size(namespace, 512) == 0, "sector_size");
	check(ndctl_namespace_set_sector_size(namespace, 4096) == 0, "sector_size");
	check(ndctl_namespace_get_size(namespace) == expected->part,
	      "%llu", ndctl_namespace_get_size(namespace));
	check(ndctl_namespace_enable(namespace) == 0, "raw namespace");
	check(ndctl_region_get_namespace_seed(region) != namespace, "no new seed");
	check_disk(ndctl_namespace_get_block_device(namespace), O_EXCL);
	check(ndctl_namespace_disable_invalidate(namespace) == 0, "raw namespace");

	static const unsigned int sizes[] = { 520, 4096, 4224 };
	for (int i = 0; i < 3; i++) {
		btt = make_btt(region, namespace, sizes[i]);
		check(ndctl_btt_get_size(btt) <= most,
		      "%llu of %llu bytes", ndctl_btt_get_size(btt), most);
		delete_btt(btt, namespace);
	}
	btt = make_btt(region, namespace, 512);
	check(ndctl_btt_get_size(btt) == expected->btt, "%#llx", ndctl_btt_get_size(btt));
}

/* Checks the namespace and its BTT after they are read from the media again. */
static void find_again(struct ndctl_region *region, const struct region *expected)
{
	struct ndctl_namespace *namespace;
	struct ndctl_btt *btt;
	unsigned int found = 0;
	uuid_t uuid, read;

	check(ndctl_region_disable_preserve(region) == 0, "disable");
	check(ndctl_region_enable(region) == 0, "enable");
	check(ndctl_bus_wait_probe(ndctl_region_get_bus(region)) == 0, "wait_probe");
	memset(uuid, expected->id, sizeof(uuid));
	ndctl_namespace_foreach(region, namespace) {
		if (ndctl_namespace_get_size(namespace) == 0)
			continue;
		found++;
		ndctl_namespace_get_uuid(namespace, read);
		check(memcmp(uuid, read, sizeof(uuid)) == 0, "another UUID");
		check(strcmp(ndctl_namespace_get_alt_name(namespace),
			     ndctl_namespace_get_devname(namespace)) == 0,
		      "%s",
		      ndctl_namespace_get_alt_name(namespace));
		check(ndctl_namespace_get_sector_size(namespace) == 4096,
		      "%u", ndctl_namespace_get_sector_size(namespace));
		check(ndctl_namespace_get_size(namespace) == expected->part,
		      "%llu", ndctl_namespace_get_size(namespace));
	}
	check(found == 1, "%u namespaces", found);
	found = 0;
	ndctl_btt_foreach(region, btt) {
		if (!ndctl_btt_is_configured(btt))
			continue;
		found++;
		check(ndctl_btt_is_enabled(btt), "its BTT is disabled");
		ndctl_btt_get_uuid(btt, read);
		check(memcmp(uuid, read, sizeof(uuid)) == 0, "another UUID");
		check(ndctl_btt_get_size(btt) == expected->btt, "%#llx", ndctl_btt_get_size(btt));
	}
	check(found == 1, "%u BTTs", found);
}

/* Checks that the disk of a read-only region is read-only until the user changes that. */
static void check_read_only(struct ndctl_region *region)
{
	struct ndctl_namespace *namespace = ndctl_namespace_get_first(region);
	char path[64];
	int read_only = 0, no = 0;

	check(ndctl_region_get_ro(region) == 1, "not read-only");
	check(namespace && ndctl_namespace_get_size(namespace) == 32 * MIB, "no namespace");
	const char *name = ndctl_namespace_get_block_device(namespace);
	snprintf(path, sizeof(path), "/dev/%s", name);
	int disk = open(path, O_RDONLY);
	check(disk >= 0 && ioctl(disk, BLKROGET, &read_only) == 0 && read_only,
	      "%s is writable", path);
	check(ndctl_region_set_ro(region, 0) == 0, "read_only");
	check(ioctl(disk, BLKROSET, &no) == 0, "%s: %s", path, strerror(errno));
	check(ioctl(disk, BLKROGET, &read_only) == 0 && !read_only, "%s is read-only", path);
	close(disk);
	check_disk(name, 0);
	check(ndctl_region_set_ro(region, 1) == 1, "read_only");
	disk = open(path, O_RDONLY);
	check(disk >= 0 && ioctl(disk, BLKROGET, &read_only) == 0 && read_only,
	      "%s does not follow its region", path);
	close(disk);
}

/* Checks that labels cannot be written while a region uses them. */
static void check_busy_labels(struct ndctl_dimm *dimm)
{
	struct ndctl_cmd *size = done(ndctl_dimm_cmd_new_cfg_size(dimm), "get_size");
	struct ndctl_cmd *read = done(ndctl_dimm_cmd_new_cfg_read(size), "get_data");
	struct ndctl_cmd *write = ndctl_dimm_cmd_new_cfg_write(read);
	char byte = 0;

	check(ndctl_cmd_cfg_write_set_data(write, &byte, 1, 0) == 1, "set_data");
	check(ndctl_cmd_submit(write) < 0, "labels of an enabled region were written");
	ndctl_cmd_unref(write);
	ndctl_cmd_unref(read);
	ndctl_cmd_unref(size);
}

static void check_broken_bus(struct ndctl_bus *bus)
{
	struct ndctl_dimm *dimm = find_dimm(bus, 0x10000);
	struct ndctl_region *region = find_region(bus, 1);

	check(ndctl_dimm_failed_save(dimm) && ndctl_dimm_failed_restore(dimm) &&
		      ndctl_dimm_failed_flush(dimm) && ndctl_dimm_failed_arm(dimm) &&
		      ndctl_dimm_smart_pending(dimm),
	      "a failure is not reported");
	check(ndctl_dimm_failed_map(find_dimm(bus, 0x10001)), "a failure is not reported");
	check(ndctl_region_get_interleave_ways(region) == 1,
	      "%u", ndctl_region_get_interleave_ways(region));
	check(ndctl_region_get_size(region) == 32 * MIB, "%llu", ndctl_region_get_size(region));
	check(ndctl_region_get_available_size(region) == 0,
	      "%llu", ndctl_region_get_available_size(region));
	check(!ndctl_region_get_interleave_set(region), "a set of one DIMM without labels");
	check_read_only(region);
}

/*
 * Checks the commands of DIMMs while no region uses their labels, and creates empty label areas of
 * version 1.2.
 */
static void begin(struct ndctl_bus *bus)
{
	struct ndctl_region *region;
	struct ndctl_dimm *dimm;

	ndctl_region_foreach(bus, region)
		check(ndctl_region_disable_invalidate(region) == 0, "disable");
	check_dimms(bus);
	ndctl_dimm_foreach(bus, dimm) {
		/* No index yet, but the attempt tells the library the size of the area. */
		ndctl_dimm_read_label_index(dimm);
		check(ndctl_dimm_init_labels(dimm, NDCTL_NS_VERSION_1_2) >= 0, "init_labels");
		check(ndctl_dimm_disable(dimm) == 0, "disable");
		check(ndctl_dimm_enable(dimm) == 0, "enable");
	}
	ndctl_region_foreach(bus, region)
		check(ndctl_region_enable(region) == 0, "enable");
}

int main(void)
{
	struct ndctl_ctx *context;

	check(ndctl_new(&context) == 0, "no context");
	struct ndctl_bus *bus = find_bus(context, "nfit_test.0");
	begin(bus);
	for (int i = 0; i < 2; i++) {
		struct ndctl_region *region = find_region(bus, REGIONS[i].range);

		check_idle_region(region, &REGIONS[i]);
		make_namespace(region, &REGIONS[i]);
		find_again(region, &REGIONS[i]);
	}
	check_busy_labels(find_dimm(bus, 0));
	check_broken_bus(find_bus(context, "nfit_test.1"));
	ndctl_unref(context);
	return 0;
}
