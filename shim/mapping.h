/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's mappings of regions. As with a file of the kernel's, a mapping keeps the
 * description open until it is unmapped: each holds a hidden copy of the descriptor.
 */
#ifndef PTNET_SHIM_MAPPING_H
#define PTNET_SHIM_MAPPING_H

/* From now on it matters what the program unmaps: some of its memory is a region (extmem.h). */
void mapping_watch(void);

#endif
