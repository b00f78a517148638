/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Selections of devices, as of dmrepctl status --select.
 */
#ifndef DMREPCTL_SELECT_H
#define DMREPCTL_SELECT_H

#include "device.h"

/*
 * Whether each word that a field is compared with is one that a device can have; @all
 * may have others than are known here. @select, which may be NULL, is one that
 * libdevmapper takes.
 */
enum outcome check_selection(const char *select, const struct device_list *all);

#endif
