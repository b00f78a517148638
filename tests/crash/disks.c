// SPDX-License-Identifier: GPL-2.0-only
/*
 * disks - the disks of a VM, with write caches that are lost with its power.
 *
 * Each is a file of a directory, with what is durable. Beside it, while this runs, there is
 * a socket, FILE.sock, at which QEMU has it as an NBD disk. A block that is written is in
 * the cache until there is a flush. If it is written again, what it had before may have
 * become durable or not.
 *
 * When QEMU ends, the power is off: of the blocks in the cache some are on the disk, and
 * the others are lost, each by itself; how many differs from disk to disk.
 *
 * A block is a sector of a disk with metadata in its name, as the format of that takes it.
 * It is two of the others: the superblock of ext4 has that size, and has to be whole before
 * its journal is looked at.
 *
 * No FUA, for virtio-blk has none, and no discards.
 */
#include "nbd.h"

#include <sys/mman.h>
#include <sys/un.h>

#define MAX_REQUEST	(32u << 20)	/* QEMU's */
#define MAX_DISKS	8

struct disk {
	const char *name;
	int listening, sock;
	u64 size, block;		/* bytes */
	u64 nr_blocks;
	u8 *durable;			/* the file */
	u8 *content;			/* with what is in the cache */
	u8 *cached;			/* for each block: is it? */
	u8 *buf;			/* of a request */
	u64 nr_cached, nr_lost;		/* sectors, when the power failed */
	struct rng rng;
	pthread_t thread;
};

static const char usage[] =
	"Usage: disks --dir DIRECTORY --files FILE[,FILE...] [--seed N]\n"
	"\n"
	"Prints \"ready\" when QEMU can be started, and when it has ended, for each disk, how many\n"
	"sectors were lost of how many that were in its cache.\n";

static struct disk disks[MAX_DISKS];
static unsigned int nr_disks;

/* -------------------------------------------------------------------- cache */

static void make_durable(struct disk *disk, u64 nr)
{
	u64 at = nr * disk->block;

	memcpy(disk->durable + at, disk->content + at, disk->block);
	disk->cached[nr] = false;
}

static void cache_write(struct disk *disk, u64 from, u64 len)
{
	u64 nr, end = (from + len + disk->block - 1) / disk->block;

	for (nr = from / disk->block; nr < end; nr++) {
		if (disk->cached[nr] && rnd_one_in(&disk->rng, 2))
			make_durable(disk, nr);
		disk->cached[nr] = true;
	}
	memcpy(disk->content + from, disk->buf, len);
}

/* The first block from this one on that is in the cache. */
static u64 next_cached(struct disk *disk, u64 nr)
{
	const u8 *found = memchr(disk->cached + nr, true, disk->nr_blocks - nr);

	return found ? (u64)(found - disk->cached) : disk->nr_blocks;
}

static void cache_flush(struct disk *disk)
{
	u64 nr = 0;

	while ((nr = next_cached(disk, nr)) < disk->nr_blocks)
		make_durable(disk, nr);
}

static void cache_lose(struct disk *disk)
{
	u64 nr = 0, sectors = disk->block >> SECTOR_SHIFT;
	unsigned int eighths = rnd_below(&disk->rng, 9);

	for (; (nr = next_cached(disk, nr)) < disk->nr_blocks; nr++) {
		disk->nr_cached += sectors;
		if (rnd_below(&disk->rng, 8) < eighths)
			disk->nr_lost += sectors;
		else
			make_durable(disk, nr);
	}
}

/* ------------------------------------------------------------------ serving */

/* The old handshake, in which only the server has something to say. */
static bool greet(struct disk *disk)
{
	struct {
		char magic[8];
		__be64 version, size;
		__be32 flags;
		u8 rest[124];
	} __attribute__((packed)) hello = {
		.magic = "NBDMAGIC",
		.version = htobe64(0x00420281861253ull),
		.size = htobe64(disk->size),
		.flags = htonl(NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH),
	};

	return put(disk->sock, &hello, sizeof(hello));
}

/* False: it was the last one. */
static bool serve(struct disk *disk)
{
	struct nbd_reply reply = { .magic = htonl(NBD_REPLY_MAGIC) };
	struct nbd_request head;
	__u32 type, len;
	u64 from;

	if (!get(disk->sock, &head, sizeof(head)))
		return false;
	type = ntohl(head.type);
	from = be64toh(head.from);
	len = ntohl(head.len);
	if (len > MAX_REQUEST || (from | len) % SECTOR_SIZE || from + len > disk->size)
		trouble("%s: a request for %u bytes at %llu", disk->name, len, from);

	memcpy(reply.handle, head.handle, sizeof(reply.handle));
	switch (type) {
	case NBD_CMD_READ:
		return put(disk->sock, &reply, sizeof(reply)) &&
		       put(disk->sock, disk->content + from, len);
	case NBD_CMD_WRITE:
		if (!get(disk->sock, disk->buf, len))
			return false;
		cache_write(disk, from, len);
		break;
	case NBD_CMD_FLUSH:
		cache_flush(disk);
		break;
	case NBD_CMD_DISC:
		return false;
	default:
		trouble("%s: a request of type %u", disk->name, type);
	}
	return put(disk->sock, &reply, sizeof(reply));
}

static void *disk_run(void *arg)
{
	struct disk *disk = arg;

	disk->sock = accept(disk->listening, NULL, NULL);
	if (disk->sock < 0)
		trouble("%s: cannot accept: %s", disk->name, strerror(errno));
	if (greet(disk))
		while (serve(disk))
			;
	cache_lose(disk);
	return NULL;
}

/* ------------------------------------------------------------------ the rest */

static u8 *map(struct disk *disk, int fd, int flags)
{
	void *p = mmap(NULL, disk->size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		trouble("%s: cannot map: %s", disk->name, strerror(errno));
	return p;
}

static void disk_open(struct disk *disk, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct dev file;

	disk->name = name;
	dev_open(&file, name, O_RDWR);
	disk->size = file.sectors << SECTOR_SHIFT;
	disk->block = strstr(name, "metadata") ? SECTOR_SIZE : 2 * SECTOR_SIZE;
	disk->nr_blocks = disk->size / disk->block;
	disk->durable = map(disk, file.fd, MAP_SHARED);
	disk->content = map(disk, file.fd, MAP_PRIVATE);
	disk->cached = xcalloc(disk->nr_blocks, 1);
	disk->buf = xcalloc(1, MAX_REQUEST);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s.sock", name);
	unlink(address.sun_path);
	disk->listening = socket(AF_UNIX, SOCK_STREAM, 0);
	if (disk->listening < 0 ||
	    bind(disk->listening, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(disk->listening, 1))
		trouble("%s: cannot listen: %s", address.sun_path, strerror(errno));
}

static void open_all(char *files, u64 seed)
{
	char *name, *at = NULL;

	for (name = strtok_r(files, ",", &at); name; name = strtok_r(NULL, ",", &at)) {
		if (nr_disks == MAX_DISKS)
			trouble("%s: that are more than %u", name, MAX_DISKS);
		disks[nr_disks].rng.state = mix64(seed + nr_disks);
		disk_open(&disks[nr_disks++], name);
	}
}

int main(int argc, char **argv)
{
	const char *dir = NULL, *files = NULL;
	u64 seed = 1;
	const struct arg args[] = {
		{ "dir", .string = &dir }, { "files", .string = &files },
		{ "seed", .number = &seed }, {}
	};
	unsigned int i;

	prog = "disks";
	if (!parse_args(argc, argv, args, usage) || !dir || !files) {
		fputs(usage, stderr);
		return EXIT_TROUBLE;
	}
	/* The path of a socket is short. */
	if (chdir(dir))
		trouble("%s: %s", dir, strerror(errno));
	open_all(strdup(files), seed);
	puts("ready");
	fflush(stdout);
	for (i = 0; i < nr_disks; i++)
		pthread_create(&disks[i].thread, NULL, disk_run, &disks[i]);
	for (i = 0; i < nr_disks; i++)
		pthread_join(disks[i].thread, NULL);
	for (i = 0; i < nr_disks; i++)
		printf("%s %llu/%llu%c", disks[i].name, disks[i].nr_lost,
		       disks[i].nr_cached, i < nr_disks - 1 ? ' ' : '\n');
	return EXIT_OK;
}
