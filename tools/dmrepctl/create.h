/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_CREATE_H
#define DMREPCTL_CREATE_H

#include "plan.h"

extern const struct option_spec create_secondary_options[], create_ingress_options[];
extern const struct option_spec create_primary_options[], format_options[], remove_options[];

enum outcome create_secondary_command(const struct invocation *in);
enum outcome create_ingress_command(const struct invocation *in);
enum outcome create_primary_command(const struct invocation *in);
enum outcome format_command(const struct invocation *in);
enum outcome remove_command(const struct invocation *in);

/*
 * Before a metadata device gets new metadata. The first: it belongs to no live table of ours. The
 * second, of one whose first 4 KiB are zero: nothing else shows that it has data.
 */
enum outcome check_not_live(const struct block_device *device);
enum outcome check_blank(const struct block_device *device);

extern const struct plan_kind plan_secondary, plan_primary;

/* Plan it, and make it, or print its table. */
enum outcome create_planned(const struct invocation *in, const struct plan_kind *kind);
enum outcome make_ingress(const char *name, const struct device *view, bool dry_run);

/* Ingresses before views, all or nothing; all there are, if @names is NULL. */
enum outcome remove_devices(char * const *names, int n, bool force);

#endif
