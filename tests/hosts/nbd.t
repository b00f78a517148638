#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two hosts, over nbd.

transport=nbd
. tests/hosts/cases.sh
