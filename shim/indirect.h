/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PTNET_SHIM_INDIRECT_H
#define PTNET_SHIM_INDIRECT_H

#include <stdint.h>

#include "description.h"

/*
 * NS_INDIRECT (spec/ports.md section 2.3): the data of such slots from @from up to @to is copied
 * from the program's memory, which the daemon cannot see, into the slot's buffer, and the flag is
 * taken off. Data that can't be read, and slots without a valid buffer, get length 0. Under
 * sync_lock, before publishing.
 */
void indirect_fetch(struct shim_ring *r, uint32_t from, uint32_t to);

#endif
