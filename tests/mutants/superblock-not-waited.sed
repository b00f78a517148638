# SPDX-License-Identifier: GPL-2.0-only
# file: metadata.c
#
# Stage and epoch take effect while the superblock is being written.
/^int repl_meta_set_state/,/^}/s/r = dm_bufio_write_dirty_buffers(meta->bufio);/dm_bufio_write_dirty_buffers_async(meta->bufio);\n\tr = 0;/
