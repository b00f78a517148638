# SPDX-License-Identifier: GPL-2.0-only
# file: metadata.c
#
# A commit is over while the maps are being written.
/^int repl_meta_commit/,/^}/s/return dm_bufio_write_dirty_buffers(meta->bufio);/dm_bufio_write_dirty_buffers_async(meta->bufio);\n\treturn 0;/
