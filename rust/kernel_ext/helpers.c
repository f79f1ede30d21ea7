// SPDX-License-Identifier: GPL-2.0
/* Inline functions and macros of the kernel that bindgen cannot see, one real function each. */

#include <linux/blkdev.h>
#include <linux/device.h>
#include <linux/numa.h>

#include "helpers.h"

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
