// SPDX-License-Identifier: GPL-2.0-only
/*
 * dm-bufio as it may be at its worst, for one that uses it as metadata.h says:
 *
 * - A dirty buffer may be on its way to the device from the moment it is marked until
 *   dm_bufio_write_dirty_buffers() comes back. So it is not changed meanwhile. By
 *   chance it is written at once.
 * - A clean buffer may be gone, and has to be read again.
 * - Dirty buffers are written in any order.
 * - A read ahead that failed may be kept, for the next read to fail.
 * - What dm_bufio_new() gives has any content.
 */
#include <stdlib.h>

#include "disk.h"

struct dm_buffer {
	struct dm_bufio_client *c;
	struct dm_buffer *next;
	u64 block;
	unsigned int holds;
	bool dirty;		/* to be written */
	int read_error;
	int write_error;
	u8 *data;
	u8 *marked;		/* how it was when it was marked dirty, till it is durable */
};

struct dm_bufio_client {
	struct block_device *bdev;
	unsigned int size;	/* of a block */
	unsigned int reserved;
	unsigned int holds;
	int write_error;	/* of writes, since the last dm_bufio_write_dirty_buffers() */
	struct dm_buffer *buffers;
};

static unsigned int block_sectors(const struct dm_bufio_client *c)
{
	return c->size / DISK_SECTOR;
}

static void drop(struct dm_buffer *buffer)
{
	struct dm_buffer **link = &buffer->c->buffers;

	while (*link != buffer)
		link = &(*link)->next;
	*link = buffer->next;
	kfree(buffer->marked);
	kfree(buffer->data);
	kfree(buffer);
}

static void write_buffer(struct dm_buffer *buffer)
{
	struct dm_bufio_client *c = buffer->c;

	buffer->dirty = false;
	buffer->write_error = disk_write(c->bdev, buffer->block * block_sectors(c),
					 block_sectors(c), buffer->data);
	if (!c->write_error)
		c->write_error = buffer->write_error;
}

static void check_marked(const struct dm_buffer *buffer)
{
	if (buffer->marked)
		check(!memcmp(buffer->data, buffer->marked, buffer->c->size),
		      "block %llu was changed while it may be being written", buffer->block);
}

/* That of a clean buffer is lost. */
static void check_clean(const struct dm_buffer *buffer)
{
	const struct dm_bufio_client *c = buffer->c;

	if (!buffer->marked && !buffer->holds && !buffer->read_error && !buffer->write_error &&
	    !c->bdev->shared)
		check(!memcmp(buffer->data, c->bdev->data + buffer->block * c->size, c->size),
		      "block %llu was changed, and not marked dirty", buffer->block);
}

/* At each call: the rules, and what may happen at any time. */
static void tick(struct dm_bufio_client *c)
{
	struct dm_buffer *buffer, *next;

	for (buffer = c->buffers; buffer; buffer = next) {
		next = buffer->next;
		check_marked(buffer);
		check_clean(buffer);
		if (!buffer->holds && !buffer->marked && fake_one_in(3))
			drop(buffer);
	}
}

struct dm_bufio_client *
dm_bufio_client_create(struct block_device *bdev, unsigned int block_size,
		       unsigned int reserved_buffers, unsigned int aux_size,
		       void (*alloc_callback)(struct dm_buffer *b),
		       void (*write_callback)(struct dm_buffer *b), unsigned int flags)
{
	struct dm_bufio_client *c = kzalloc(sizeof(*c), GFP_KERNEL);

	check(!aux_size && !alloc_callback && !write_callback && !flags, "the fake has these not");
	if (!c)
		return ERR_PTR(-ENOMEM);
	c->bdev = bdev;
	c->size = block_size;
	c->reserved = reserved_buffers;
	return c;
}

static struct dm_buffer *find(struct dm_bufio_client *c, u64 block)
{
	struct dm_buffer *buffer = c->buffers;

	while (buffer && buffer->block != block)
		buffer = buffer->next;
	return buffer;
}

static struct dm_buffer *new_buffer(struct dm_bufio_client *c, u64 block)
{
	struct dm_buffer *buffer = fake_alloc(sizeof(*buffer));

	buffer->c = c;
	buffer->block = block;
	buffer->data = fake_alloc(c->size);
	buffer->next = c->buffers;
	c->buffers = buffer;
	return buffer;
}

static struct dm_buffer *read_buffer(struct dm_bufio_client *c, u64 block)
{
	struct dm_buffer *buffer = new_buffer(c, block);

	buffer->read_error = disk_read(c->bdev, block * block_sectors(c), block_sectors(c),
				       buffer->data);
	return buffer;
}

static void *hold(struct dm_buffer *buffer, struct dm_buffer **bp)
{
	int error = buffer->read_error;

	if (error) {
		drop(buffer);
		return ERR_PTR(error);
	}
	buffer->holds++;
	buffer->c->holds++;
	check(buffer->c->holds <= buffer->c->reserved, "more buffers are held than reserved");
	*bp = buffer;
	return buffer->data;
}

void *dm_bufio_read(struct dm_bufio_client *c, sector_t block, struct dm_buffer **bp)
{
	struct dm_buffer *buffer;

	tick(c);
	buffer = find(c, block);
	if (!buffer)
		buffer = read_buffer(c, block);
	return hold(buffer, bp);
}

void *dm_bufio_new(struct dm_bufio_client *c, sector_t block, struct dm_buffer **bp)
{
	struct dm_buffer *buffer;

	tick(c);
	buffer = find(c, block);
	if (!buffer) {
		buffer = new_buffer(c, block);
		memset(buffer->data, 0xa5, c->size);
	}
	return hold(buffer, bp);
}

void dm_bufio_prefetch(struct dm_bufio_client *c, sector_t block, unsigned int n_blocks)
{
	tick(c);
	for (; n_blocks--; block++) {
		/* It may be that there is no memory for it. */
		if (!find(c, block) && !fake_one_in(4))
			read_buffer(c, block);
	}
}

void dm_bufio_forget(struct dm_bufio_client *c, sector_t block)
{
	struct dm_buffer *buffer;

	tick(c);
	buffer = find(c, block);
	if (buffer && !buffer->holds && !buffer->marked)
		drop(buffer);
}

/* Of what is clean: a change that was not marked is lost, as somebody may want. */
void dm_bufio_forget_buffers(struct dm_bufio_client *c, sector_t block, sector_t n_blocks)
{
	struct dm_buffer *buffer;

	for (; n_blocks--; block++) {
		buffer = find(c, block);
		if (buffer && !buffer->holds && !buffer->marked)
			drop(buffer);
	}
}

void dm_bufio_mark_buffer_dirty(struct dm_buffer *buffer)
{
	struct dm_bufio_client *c = buffer->c;

	check(buffer->holds, "not held");
	tick(c);
	if (!buffer->marked)
		buffer->marked = fake_alloc(c->size);
	memcpy(buffer->marked, buffer->data, c->size);
	buffer->dirty = true;
	if (fake_one_in(3))
		write_buffer(buffer);
}

void dm_bufio_release(struct dm_buffer *buffer)
{
	check(buffer->holds, "not held");
	buffer->holds--;
	buffer->c->holds--;
}

static void write_dirty(struct dm_bufio_client *c)
{
	unsigned int n = 0, nth;
	struct dm_buffer *buffer;

	for (buffer = c->buffers; buffer; buffer = buffer->next)
		n += buffer->dirty;
	for (; n; n--) {
		nth = fake_below(n);
		for (buffer = c->buffers; !buffer->dirty || nth--; buffer = buffer->next)
			;
		write_buffer(buffer);
	}
}

int dm_bufio_write_dirty_buffers(struct dm_bufio_client *c)
{
	struct dm_buffer *buffer;
	int r, flush;

	tick(c);
	write_dirty(c);
	for (buffer = c->buffers; buffer; buffer = buffer->next) {
		kfree(buffer->marked);
		buffer->marked = NULL;
	}
	r = c->write_error;
	c->write_error = 0;
	flush = disk_flush(c->bdev);
	tick(c);
	return r ? r : flush;
}

/*
 * What is dirty is written, but nobody hears how, and nothing is flushed. A change that
 * was not marked is lost, as somebody may want.
 */
void dm_bufio_client_destroy(struct dm_bufio_client *c)
{
	struct dm_buffer *buffer;

	check(!c->holds, "a buffer is still held");
	for (buffer = c->buffers; buffer; buffer = buffer->next)
		check_marked(buffer);
	write_dirty(c);
	while (c->buffers)
		drop(c->buffers);
	kfree(c);
}
