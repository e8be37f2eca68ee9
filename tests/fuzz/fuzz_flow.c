/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a frame for ptnet-lb: nothing is read outside (ASan), and the frame with its MAC
 * addresses exchanged has the same number where those told the flow.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct flow flow, back;
	uint8_t *copy = malloc(size ? size : 1); /* its end is the end of what may be read */

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	flow = flow_of(copy, (uint32_t)size, FLOW_FIELDS_PORTS, 0);
	flow_of(copy, (uint32_t)size, FLOW_FIELDS_ADDRESSES, 0);
	if (size >= 14) {
		memcpy(copy, data + 6, 6);
		memcpy(copy + 6, data, 6);
	}
	back = flow_of(copy, (uint32_t)size, FLOW_FIELDS_PORTS, 0);
	if (back.kind != flow.kind || back.hash != flow.hash)
		abort();
	free(copy);
	return 0;
}
