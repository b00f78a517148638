// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command format.
 */
#include <stdio.h>
#include <string.h>

#include "create.h"
#include "signature.h"

const struct option_spec format_options[] = {
	{ "force", 'f', NULL, "overwrite what is on the device" },
	{ 0 }
};

/* What it is to be made for has not what its primary may think that it has. */
static void warn_of_primary(const struct block_device *device, const struct metadata_super *super)
{
	if (!super->primary)
		warning("metadata device %s: its view was the disk at the end; if its primary goes on, that has to copy everything, over what was written since, so format its metadata device too; or let the two hosts change roles",
			device->path);
}

/* What is not done has what is nowhere else. */
static enum outcome check_overwritten(const struct block_device *device)
{
	struct metadata_super super;
	char why[256];

	switch (look_at_metadata(device, &super, why, sizeof(why))) {
	case METADATA_SET:
		if (!strcmp(super.stage, "done")) {
			warn_of_primary(device, &super);
			return DONE;
		}
		if (super.primary)
			return error(REFUSED, "metadata device %s: it knows where the disks of a primary are equal; without it all is copied anew; if that may be, --force",
				     device->path);
		return error(REFUSED, "metadata device %s: it has a set in stage %s, whose view would be lost; if that may be, --force",
			     device->path, super.stage);
	case METADATA_BLANK:
	case METADATA_OTHER:
		return check_signature(device);
	case METADATA_DAMAGED:
		return error(REFUSED, "metadata device %s: it has a set, but %s; if that may be lost, --force",
			     device->path, why);
	default:
		return error(FAILED, "metadata device %s: %s", device->path, why);
	}
}

enum outcome format_command(const struct invocation *in)
{
	struct block_device device;
	enum outcome outcome;

	outcome = look_at_device("metadata", in->argv[0], &device);
	if (!outcome)
		outcome = check_unused(&device);
	if (!outcome && !has_option(in, "force"))
		outcome = check_overwritten(&device);
	return outcome ? outcome : zero_metadata(&device);
}
