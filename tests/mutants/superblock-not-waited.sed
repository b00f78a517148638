# SPDX-License-Identifier: GPL-2.0-only
# file: metadata.c
#
# Stage and epoch take effect while the superblock is being written.
/^static int write_super/,/^}/s/return dm_bufio_write_dirty_buffers(meta->bufio);/dm_bufio_write_dirty_buffers_async(meta->bufio);\n\treturn 0;/
