/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What libdevmapper says. It has one function for errors, warnings and the lines of
 * reports; here they part.
 */
#ifndef DMREPCTL_LIBRARY_H
#define DMREPCTL_LIBRARY_H

#include "types.h"

/* Before anything else is asked of the library. */
void library_init(void);

/* The last error since the last call of library_forget(); "" if there was none. */
const char *library_error(void);
void library_forget(void);

/* Where lines of reports go: to stdout, if it is NULL. */
void library_print_to(void (*print)(void *context, const char *line), void *context);

/* Warnings too, which are the list of fields that a report has. */
void library_print_warnings(bool print);

#endif
