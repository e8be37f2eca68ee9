/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EXTMEM (spec/netmap-api.md section 7.1): the program brings the memory. The daemon makes a region
 * with the wished geometry, which is then mapped in place of the program's pages; their content is
 * the region's from then on.
 */
#ifndef PTNET_SHIM_EXTMEM_H
#define PTNET_SHIM_EXTMEM_H

#include <ptnet/local.h>

#include "description.h"

/*
 * Checks the memory and puts the wish into the request; if it is a region already, its id. 0,
 * -EINVAL, -EFAULT.
 */
int extmem_prepare(const struct nmreq_opt_extmem *extmem, struct ptnet_local_request *request);

/*
 * After the daemon's answer, with the binding prepared: maps the region and writes its geometry
 * into the option. @made: as the daemon made it; NULL: it was there already.
 */
int extmem_map(struct description *d, struct nmreq_opt_extmem *extmem,
	       const struct nmreq_pools_info *made);

#endif
