// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of nfit_get_smbios_id() of nfit.ko, called as EDAC drivers do: from C, by the
 * declaration of the kernel. KUnit runs them when the simulated buses are registered. Their DIMMs
 * are in topology.rs. QEMU's own DIMMs have handles from 1 on, so they do not get in the way of
 * those that are used here.
 */

#include <kunit/test.h>
#include <linux/acpi.h>
#include <acpi/nfit.h>

/* Like the tests in Rust, these are there if KUnit is built into the kernel. */
#if IS_ENABLED(CONFIG_ACPI_NFIT) && IS_BUILTIN(CONFIG_KUNIT)

/* Bits that no DIMM here has, to see whether anything was stored. */
#define UNTOUCHED 0xabcd

static void known_dimms_have_their_handle_and_flags(struct kunit *test)
{
	static const struct {
		u32 device_handle;
		int physical_id;
		u16 flags;
	} dimms[] = {
		{ ACPI_NFIT_BUILD_DEVICE_HANDLE(15, 15, 15, 15, 0xffe), -ENODEV, UNTOUCHED },
		{ ACPI_NFIT_BUILD_DEVICE_HANDLE(0, 0, 1, 0, 0), 2, ACPI_NFIT_MEM_HEALTH_ENABLED },
		{ ACPI_NFIT_BUILD_DEVICE_HANDLE(1, 0, 1, 0, 0), 3, ACPI_NFIT_MEM_HEALTH_ENABLED },
		{ ACPI_NFIT_BUILD_DEVICE_HANDLE(1, 0, 0, 0, 1), 0, ACPI_NFIT_MEM_MAP_FAILED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(dimms); i++) {
		u16 flags = UNTOUCHED;

		KUNIT_EXPECT_EQ(test, nfit_get_smbios_id(dimms[i].device_handle, &flags),
				dimms[i].physical_id);
		KUNIT_EXPECT_EQ(test, flags, dimms[i].flags);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(known_dimms_have_their_handle_and_flags),
	{}
};

static struct kunit_suite suite = {
	.name = "nd_nfit_get_smbios_id",
	.test_cases = cases,
};
kunit_test_suite(suite);

#endif
