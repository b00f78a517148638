# SPDX-License-Identifier: GPL-2.0-only
# file: view.c
#
# A write with FUA is acknowledged without its chunks being recorded.
s/io->fua = rs->commit && bio->bi_opf & REQ_FUA;/io->fua = false;/
