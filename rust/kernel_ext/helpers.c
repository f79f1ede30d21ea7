// SPDX-License-Identifier: GPL-2.0
/*
 * Functions for the kernel's inline functions and macros, which bindgen cannot see. sys.rs declares
 * them for Rust. They take no locks but those of the functions that they call.
 */

#include <linux/blkdev.h>
#include <linux/build_bug.h>
#include <linux/device.h>
#include <linux/huge_mm.h>
#include <linux/numa.h>
#include <linux/pgtable.h>
#include <linux/pm_domain.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <linux/suspend.h>

#ifdef CONFIG_X86
#include <asm/alternative.h>
#include <asm/cpufeatures.h>
#include <asm/extable.h>
#include <asm/extable_fixup_types.h>
#endif

#include "helpers.h"

/*
 * Rust code repeats the values of these macros, which bindgen cannot see, and the layout of these
 * tables, to which inline assembly adds entries.
 */
static_assert((__force u32)BLK_FEAT_WRITE_CACHE == 1u << 0);
static_assert((__force u32)BLK_FEAT_FUA == 1u << 1);
static_assert((__force u32)BLK_FEAT_IO_STAT == 1u << 4);
static_assert((__force u32)BLK_FEAT_SYNCHRONOUS == 1u << 6);
static_assert((__force u32)BLK_FEAT_NOWAIT == 1u << 7);
static_assert((__force u32)BLK_FEAT_ATOMIC_WRITES == 1u << 14);
#ifdef CONFIG_X86
static_assert(EX_TYPE_DEFAULT_MCE_SAFE == 14);
static_assert(sizeof(struct alt_instr) == 14);
static_assert(offsetof(struct alt_instr, instr_offset) == 0);
static_assert(offsetof(struct alt_instr, repl_offset) == 4);
static_assert(offsetof(struct alt_instr, ft_flags) == 8);
static_assert(offsetof(struct alt_instr, instrlen) == 12);
static_assert(offsetof(struct alt_instr, replacementlen) == 13);
static_assert(sizeof(struct exception_table_entry) == 12);
static_assert(offsetof(struct exception_table_entry, insn) == 0);
static_assert(offsetof(struct exception_table_entry, fixup) == 4);
static_assert(offsetof(struct exception_table_entry, data) == 8);
static_assert(X86_FEATURE_CLFLUSHOPT == 9 * 32 + 23);
static_assert(X86_FEATURE_CLWB == 9 * 32 + 24);
#endif

void rust_helper_nd_device_lock(struct device *dev)
{
	device_lock(dev);
}

void rust_helper_nd_device_unlock(struct device *dev)
{
	device_unlock(dev);
}

void rust_helper_nd_set_dev_node(struct device *dev, int node)
{
	set_dev_node(dev, node);
}

int rust_helper_nd_dev_to_node(struct device *dev)
{
	return dev_to_node(dev);
}

void rust_helper_nd_device_set_pm_not_required(struct device *dev)
{
	device_set_pm_not_required(dev);
}

void rust_helper_nd_dev_pm_domain_set(struct device *dev, struct dev_pm_domain *domain)
{
	dev_pm_domain_set(dev, domain);
}

unsigned long rust_helper_nd_huge_pmd_size(void)
{
	return has_transparent_hugepage() ? PMD_SIZE : 0;
}

unsigned long rust_helper_nd_huge_pud_size(void)
{
	return has_transparent_hugepage() && has_transparent_pud_hugepage() ? PUD_SIZE : 0;
}

unsigned int rust_helper_nd_memalloc_noio_save(void)
{
	return memalloc_noio_save();
}

void rust_helper_nd_memalloc_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
}

/* Without CONFIG_TASKS_RCU this is a macro for synchronize_rcu(). */
void rust_helper_nd_synchronize_rcu_tasks(void)
{
	synchronize_rcu_tasks();
}

bool rust_helper_nd_memalloc_is_noio(void)
{
	return current->flags & PF_MEMALLOC_NOIO;
}

bool rust_helper_nd_is_mapped(const void *address)
{
	unsigned int level;
	pte_t *entry = lookup_address((unsigned long)address, &level);

	return entry && pte_present(*entry);
}

/* Without CONFIG_HIBERNATION this is an inline function that returns -ENOTSUPP. */
int rust_helper_nd_hibernate_quiet_exec(int (*func)(void *data), void *data)
{
	return hibernate_quiet_exec(func, data);
}

void rust_helper_nd_memzero_explicit(void *start, size_t len)
{
	memzero_explicit(start, len);
}
