# SPDX-License-Identifier: GPL-2.0-only
# file: forward.c
# case: primary-load
#
# The replica gets what is in the buffer of the writer when its turn comes.
s,/\* Whatever becomes of the other one. \*/,submit_bio_noacct(\&job->local); if (job->nr_pages) copy_data(job\, job->orig); submit_bio_noacct(\&job->replica); return;,
