// SPDX-License-Identifier: GPL-2.0-only
/*
 * scribble - write all over a file, a few sectors at a time, by direct I/O and never with a
 * flush. The file has to be as large as it is to be already.
 */
#include "../tools/common.h"

#define MAX_SECTORS	32u

static const char usage[] =
	"Usage: scribble --file FILE [--seed N] [--stop-file FILE]\n"
	"\n"
	"Goes on until there is the stop file.\n";

int main(int argc, char **argv)
{
	u64 seed = 1, *buf = xbuffer(MAX_SECTORS << SECTOR_SHIFT);
	const char *path = NULL, *stop = "";
	const struct arg args[] = {
		{ "file", .string = &path }, { "seed", .number = &seed },
		{ "stop-file", .string = &stop }, {}
	};
	struct dev file;
	struct rng rng;
	u64 i, n;
	int err;

	prog = "scribble";
	if (!parse_args(argc, argv, args, usage) || !path) {
		fputs(usage, stderr);
		return EXIT_TROUBLE;
	}
	rng.state = seed;
	dev_open(&file, path, O_WRONLY | O_DIRECT);
	while (access(stop, F_OK)) {
		n = rnd_log(&rng, MAX_SECTORS);
		for (i = 0; i < n << SECTOR_SHIFT >> 3; i++)
			buf[i] = rnd(&rng);
		err = dev_write(&file, rnd_below(&rng, file.sectors - n + 1), buf, n);
		if (err)
			trouble("%s: %s", path, strerror(-err));
		sleep_us(rnd_below(&rng, 2000));
	}
	return EXIT_OK;
}
