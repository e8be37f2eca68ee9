/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ioctls of older programs, NIOCREGIF and NIOCGINFO, said in NIOCCTRL's terms
 * (spec/netmap-api.md section 6).
 */
#ifndef PTNET_SHIM_LEGACY_H
#define PTNET_SHIM_LEGACY_H

#include <stdbool.h>
#include <stdint.h>

#include <net/netmap.h>

#include "request.h"

/* 0, or the negative errno with which the ioctl fails. @old: the program's, copied. */
int legacy_to_request(const struct nmreq *old, bool register_ioctl, struct request *request);

/* After success: writes the answer into the copy. */
void legacy_from_request(const struct request *request, struct nmreq *old);

#endif
