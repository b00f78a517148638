#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two hosts, over nvme.

transport=nvme
. tests/hosts/cases.sh
