// SPDX-License-Identifier: GPL-2.0-only
/*
 * dmrepctl - the tool for dm-replication. Documentation/dmrepctl.8.rst says what it does.
 */
#include <stdio.h>

#include "command.h"

int main(int argc, char **argv)
{
	enum outcome outcome;

	if (argc < 2)
		return error(WRONG_USAGE, "what is to be done? See dmrepctl help");
	outcome = run_command(argc - 1, argv + 1);
	/* A full disk, or a pipe that nobody reads. */
	if (fflush(stdout) || ferror(stdout))
		return outcome ? outcome : error(FAILED, "the output cannot be written");
	return outcome;
}
