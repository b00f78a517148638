// SPDX-License-Identifier: GPL-2.0-only
/*
 * churn - write all over a file, a few sectors at a time, by direct I/O and never with a
 * flush, until killed. The file has to be as large as it is to be already.
 */
#include "../tools/common.h"

#define MAX_SECTORS	32u

static const char usage[] = "Usage: churn --file FILE [--seed N]\n";

int main(int argc, char **argv)
{
	u64 seed = 1, *buf = xbuffer(MAX_SECTORS << SECTOR_SHIFT);
	const char *path = NULL;
	const struct arg args[] = {
		{ "file", .string = &path }, { "seed", .number = &seed }, {}
	};
	struct dev file;
	struct rng rng;
	u64 i, n;
	int err;

	prog = "churn";
	if (!parse_args(argc, argv, args, usage) || !path) {
		fputs(usage, stderr);
		return EXIT_TROUBLE;
	}
	rng.state = seed;
	dev_open(&file, path, O_WRONLY | O_DIRECT);
	do {
		n = rnd_log(&rng, MAX_SECTORS);
		for (i = 0; i < n << SECTOR_SHIFT >> 3; i++)
			buf[i] = rnd(&rng);
		err = dev_write(&file, rnd_below(&rng, file.sectors - n + 1), buf, n);
		sleep_us(rnd_below(&rng, 2000));
	} while (!err);
	trouble("%s: %s", path, strerror(-err));
}
