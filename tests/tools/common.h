/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the test programs share: exit codes, failure messages, random numbers,
 * devices and a few calls of device-mapper.  Everything is static inline, so that each
 * program stays one .c file.
 */
#ifndef TESTS_TOOLS_COMMON_H
#define TESTS_TOOLS_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/types.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXIT_OK		0
#define EXIT_MISMATCH	1
#define EXIT_TROUBLE	2

#define SECTOR_SIZE	512u
#define SECTOR_SHIFT	9
#define BUF_ALIGN	4096u
#define MIB_SECTORS	2048u

#define __noreturn	__attribute__((__noreturn__))
#define __printf(a, b)	__attribute__((__format__(printf, a, b)))
#define __maybe_unused	__attribute__((__unused__))

typedef __u64 u64;		/* printed by %llu */
typedef __s32 s32;
typedef __u8 u8;

static const char *prog = "test";

/* One message at a time, whichever thread fails first. */
static __maybe_unused pthread_mutex_t report_lock = PTHREAD_MUTEX_INITIALIZER;

static inline __noreturn __printf(2, 3) void quit(int code, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s: ", prog);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	fflush(stderr);
	_exit(code);
}

#define trouble(...)	quit(EXIT_TROUBLE, __VA_ARGS__)

/* ---------------------------------------------------------------- numbers */

static inline u64 mix64(u64 x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

struct rng {
	u64 state;
};

static inline u64 rnd(struct rng *r)
{
	r->state += 0x9e3779b97f4a7c15ull;
	return mix64(r->state);
}

/* Uniform in [0, n). */
static inline u64 rnd_below(struct rng *r, u64 n)
{
	return n ? rnd(r) % n : 0;
}

static inline bool rnd_one_in(struct rng *r, unsigned int n)
{
	return rnd_below(r, n) == 0;
}

/* In [1, max], every power of two as likely as the next. */
static inline u64 rnd_log(struct rng *r, u64 max)
{
	unsigned int bits = 64 - __builtin_clzll(max);
	u64 v = 1 + rnd_below(r, 1ull << rnd_below(r, bits + 1));

	return v > max ? 1 + rnd_below(r, max) : v;
}

static inline u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static inline void sleep_us(u64 us)
{
	struct timespec ts = {
		.tv_sec = us / 1000000,
		.tv_nsec = us % 1000000 * 1000,
	};

	nanosleep(&ts, NULL);
}

static inline u64 parse_number(const char *what, const char *s)
{
	char *end;
	u64 v;

	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno || end == s || *end || *s == '-')
		trouble("--%s: \"%s\" is not a number", what, s);
	return v;
}

/* One option of a program: of the first three, what it sets. */
struct arg {
	const char *name;
	const char **string;
	u64 *number;
	bool *flag;
	bool value;		/* of the flag */
};

#define MAX_ARGS	24

static inline void set_arg(const struct arg *arg, const char *value)
{
	if (arg->string)
		*arg->string = value;
	else if (arg->number)
		*arg->number = parse_number(arg->name, value);
	else
		*arg->flag = arg->value;
}

/* False: not what the usage says.  --help does not come back. */
static inline bool parse_args(int argc, char **argv, const struct arg *args,
			      const char *usage)
{
	struct option options[MAX_ARGS + 2] = { { "help", no_argument, NULL, 'h' } };
	int i, c;

	for (i = 0; i < MAX_ARGS && args[i].name; i++) {
		options[i + 1].name = args[i].name;
		options[i + 1].has_arg = args[i].flag ? no_argument : required_argument;
		options[i + 1].val = 256 + i;
	}
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			exit(EXIT_OK);
		}
		if (c < 256)
			return false;
		set_arg(&args[c - 256], optarg);
	}
	return optind == argc;
}

static inline void check_chunk(u64 chunk)
{
	if (chunk < 1 || chunk > MIB_SECTORS || chunk & (chunk - 1))
		trouble("chunk: %llu is not a power of two of sectors up to %u",
			chunk, MIB_SECTORS);
}

/* ----------------------------------------------------------------- memory */

static inline void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		trouble("out of memory (%zu x %zu bytes)", n, size);
	return p;
}

static inline void *xbuffer(size_t bytes)
{
	void *p;

	if (posix_memalign(&p, BUF_ALIGN, bytes))
		trouble("out of memory (%zu bytes)", bytes);
	return p;
}

/* ---------------------------------------------------------------- devices */

struct dev {
	const char *path;
	int fd;
	bool is_file;
	u64 sectors;
};

static inline void dev_open(struct dev *d, const char *path, int flags)
{
	struct stat st;
	u64 bytes;

	d->path = path;
	d->fd = open(path, flags | O_CLOEXEC);
	if (d->fd < 0 || fstat(d->fd, &st))
		trouble("%s: cannot open: %s", path, strerror(errno));
	d->is_file = !S_ISBLK(st.st_mode);
	if (d->is_file)
		bytes = st.st_size;
	else if (ioctl(d->fd, BLKGETSIZE64, &bytes))
		trouble("%s: cannot get the size: %s", path, strerror(errno));
	d->sectors = bytes >> SECTOR_SHIFT;
	if (!d->sectors)
		trouble("%s: is empty", path);
}

/* 0 or a negative errno; a short transfer is -EIO. */
static inline int dev_read(struct dev *d, u64 sector, void *buf, size_t n)
{
	ssize_t r = pread(d->fd, buf, n << SECTOR_SHIFT, sector << SECTOR_SHIFT);

	if (r < 0)
		return -errno;
	return (size_t)r == n << SECTOR_SHIFT ? 0 : -EIO;
}

static inline int dev_write(struct dev *d, u64 sector, const void *buf,
			    size_t n)
{
	ssize_t r = pwrite(d->fd, buf, n << SECTOR_SHIFT, sector << SECTOR_SHIFT);

	if (r < 0)
		return -errno;
	return (size_t)r == n << SECTOR_SHIFT ? 0 : -EIO;
}

/* BLKDISCARD or BLKZEROOUT; -ENOTTY and -EOPNOTSUPP mean: not to be had. */
static inline int dev_range(struct dev *d, unsigned long cmd, u64 sector,
			    u64 n)
{
	u64 range[2] = { sector << SECTOR_SHIFT, n << SECTOR_SHIFT };

	return ioctl(d->fd, cmd, range) ? -errno : 0;
}

static inline bool not_to_be_had(int err)
{
	return err == -ENOTTY || err == -EOPNOTSUPP || err == -ENOSYS;
}

/* ---------------------------------------------------------- device-mapper */

/*
 * Messages and status, which dmsetup would take a tenth of a second for in a
 * slow machine: too long where the moment matters.
 */
#define DM_BUFFER	16384

/* The buffer holds, and gets, what the command has beyond the header. */
static inline int dm_command(const char *name, unsigned long cmd, char *buf)
{
	struct dm_ioctl *hdr = (struct dm_ioctl *)buf;
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		trouble("/dev/mapper/control: %s", strerror(errno));
	memset(hdr, 0, sizeof(*hdr));
	hdr->version[0] = DM_VERSION_MAJOR;
	hdr->data_size = DM_BUFFER;
	hdr->data_start = sizeof(*hdr);
	snprintf(hdr->name, sizeof(hdr->name), "%s", name);
	return ioctl(fd, cmd, buf) ? -errno : 0;
}

static inline int dm_try_message(const char *name, const char *text)
{
	char *buf = xcalloc(1, DM_BUFFER);
	struct dm_target_msg *msg = (void *)(buf + sizeof(struct dm_ioctl));
	int err;

	strcpy(msg->message, text);
	err = dm_command(name, DM_TARGET_MSG, buf);
	free(buf);
	return err;
}

static inline void dm_message(const char *name, const char *text)
{
	int err = dm_try_message(name, text);

	if (err)
		trouble("%s: the message %s: %s", name, text, strerror(-err));
}

struct dm_status {
	char stage[32];
	u64 epoch;
	u64 merged, to_merge;
	char line[512];
};

/* False when the status does not look as it should. */
static inline bool dm_get_status(const char *name, struct dm_status *st)
{
	char *buf = xcalloc(1, DM_BUFFER);
	const struct dm_target_spec *spec;
	u64 chunk, active, hidden, total;
	int err;

	err = dm_command(name, DM_TABLE_STATUS, buf);
	if (err)
		trouble("%s: cannot get the status: %s", name, strerror(-err));
	spec = (void *)(buf + ((struct dm_ioctl *)buf)->data_start);
	snprintf(st->line, sizeof(st->line), "%s", (const char *)(spec + 1));
	free(buf);
	return sscanf(st->line, "secondary %31s %llu %llu %llu/%llu %llu/%llu %llu/%llu",
		      st->stage, &st->epoch, &chunk, &active, &total,
		      &hidden, &total, &st->merged, &st->to_merge) == 9;
}

/*
 * A checkpoint, complete when this returns: the message is sent and the epoch
 * in the status has moved on.
 */
static inline void dm_checkpoint(const char *name)
{
	u64 end = now_ns() + 60000000000ull;
	struct dm_status before, after;

	if (!dm_get_status(name, &before) || strcmp(before.stage, "running"))
		trouble("%s: status before a checkpoint: \"%s\"", name,
			before.line);
	for (dm_message(name, "checkpoint"); ; sleep_us(1000)) {
		if (!dm_get_status(name, &after))
			trouble("%s: status after a checkpoint: \"%s\"", name,
				after.line);
		if (after.epoch > before.epoch)
			return;
		if (now_ns() > end)
			trouble("%s: epoch still %llu 60 s after the checkpoint",
				name, after.epoch);
	}
}

#endif
