/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The source address to use when none was given.
 */
#ifndef GEN_OWNMAC_H
#define GEN_OWNMAC_H

#include "address.h"

/* The address of the network interface named port, else a locally administered one that is the
 * same for the same port of the same machine until it boots, and most likely no other's. */
void own_mac(struct address_range *r, const char *port);

#endif
