/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening ptnet-gen's port: whole, or a ring of it for each thread.
 */
#ifndef GEN_OPEN_H
#define GEN_OPEN_H

#include "options.h"
#include "port.h"

/*
 * Opens the port of o: all its rings (index < 0), or ring index only. first: the port of thread
 * 0, whose settings the others take; NULL for thread 0. 0, or -1 after saying what is wrong.
 */
int gen_open_port(struct open_port *p, const struct gen_options *o, const struct open_port *first,
		  int index);

#endif
