/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings of memory that somebody else can take away.
 *
 * The file behind a mapping is also the client's: it may cut it short or punch holes in
 * it, and the next access of a worker is then a SIGBUS. (Of a sealed memory file only
 * when no page is left for the hole: huge pages, or a kernel that does not overcommit.)
 * The handler here knows all such mappings: it puts fresh zeroed pages in the place of
 * the lost ones, so that the worker goes on, and tells the owner of the mapping through
 * an eventfd. A SIGBUS anywhere else does what it always did. So that the handler does not
 * fail for want of memory or mappings either, address space as long as the mapping is set
 * aside; only a kernel that does not overcommit counts it as memory.
 *
 * The handler may run at any instant in any thread, so mappings are known to it
 * through a table of single words that are written whole. It never meets a
 * mapping that goes away: the thread that faults is using it, and nobody unmaps
 * before the last user is gone.
 */
#ifndef PTNET_MEMORY_GUARD_H
#define PTNET_MEMORY_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/* mappings in the process: two per VM, one per region, one per port that programs have */
#define GUARD_MAX 16384

/*
 * Guards @length bytes at @pages; of lost ones @granule bytes (a multiple of the mapping's
 * page size) are replaced at a time, all when that has been done often or can't be done.
 * @lost_eventfd is written then; it must stay open until guard_remove(). A number for the functions
 * below; -ENOSPC: too many mappings; -EINVAL: over a terabyte; -ENOMEM: nothing can be set aside.
 * Any thread.
 */
int guard_add(void *pages, size_t length, size_t granule, int lost_eventfd);

/* Before munmap(); nobody may be using the memory any more. */
void guard_remove(int guard);

/* Memory went away since guard_add(). */
bool guard_lost(int guard);

#endif
