/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's mappings of regions. As with a file of the kernel's, a mapping keeps the
 * description open until it is unmapped: each holds a hidden copy of the descriptor.
 */
#ifndef PTNET_SHIM_MAPPING_H
#define PTNET_SHIM_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Memory of the program's own is about to become a region (extmem.h): what it unmaps there matters
 * from now on. False: no memory to note it. Under shim_lock().
 */
bool mapping_note_program(uintptr_t start, size_t size);

/* Whatever was mapped there is no more. Under shim_lock(). */
void mapping_gone(uintptr_t start, size_t size);

#endif
