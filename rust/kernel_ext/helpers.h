/* SPDX-License-Identifier: GPL-2.0 */
/* Prototypes for helpers.c. rust/kernel_ext/sys.rs declares the same functions for Rust. */
#ifndef ND_KERNEL_EXT_HELPERS_H
#define ND_KERNEL_EXT_HELPERS_H

#include <linux/types.h>

struct dev_pm_domain;
struct device;

void rust_helper_nd_device_lock(struct device *dev);
void rust_helper_nd_device_unlock(struct device *dev);
void rust_helper_nd_set_dev_node(struct device *dev, int node);
int rust_helper_nd_dev_to_node(struct device *dev);
void rust_helper_nd_device_set_pm_not_required(struct device *dev);
void rust_helper_nd_dev_pm_domain_set(struct device *dev, struct dev_pm_domain *domain);
unsigned long rust_helper_nd_huge_pmd_size(void);
unsigned long rust_helper_nd_huge_pud_size(void);
unsigned int rust_helper_nd_memalloc_noio_save(void);
void rust_helper_nd_memalloc_noio_restore(unsigned int flags);
void rust_helper_nd_synchronize_rcu_tasks(void);
bool rust_helper_nd_memalloc_is_noio(void);
bool rust_helper_nd_is_mapped(const void *address);
int rust_helper_nd_hibernate_quiet_exec(int (*func)(void *data), void *data);
void rust_helper_nd_memzero_explicit(void *start, size_t len);

#endif
