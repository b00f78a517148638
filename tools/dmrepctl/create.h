/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREPCTL_CREATE_H
#define DMREPCTL_CREATE_H

#include "command.h"

extern const struct option_spec create_secondary_options[], create_ingress_options[];
extern const struct option_spec create_primary_options[], format_options[], remove_options[];

enum outcome create_secondary_command(const struct invocation *in);
enum outcome create_ingress_command(const struct invocation *in);
enum outcome create_primary_command(const struct invocation *in);
enum outcome format_command(const struct invocation *in);
enum outcome remove_command(const struct invocation *in);

#endif
