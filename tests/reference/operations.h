/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PTNET_REFERENCE_OPERATIONS_H
#define PTNET_REFERENCE_OPERATIONS_H

#include "world.h"

/* Does something at random to model and real thing. */
void operation(struct world *w);
/* Closes and removes everything, so that nothing is left for the next run. */
void operations_end(struct world *w);

#endif /* PTNET_REFERENCE_OPERATIONS_H */
