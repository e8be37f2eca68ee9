/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PTNET_SHIM_CSB_H
#define PTNET_SHIM_CSB_H

#include "description.h"

/*
 * The CSB option, of REGISTER or CSB_ENABLE (spec/netmap-api.md section 7.2): checks the program's
 * arrays, fills them in, and puts the description into CSB mode. @d has its binding, published or
 * not. 0; -EBUSY, -EINVAL, -EFAULT.
 */
int csb_enable(struct description *d, const struct nmreq_opt_csb *csb);

#endif
