/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text as a configuration file: refused with a message or accepted, nothing leaks. */
#include <stdint.h>
#include <stdlib.h>

#include "control/configuration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct configuration configuration;
	struct error error = {0};

	configuration_init(&configuration);
	if (configuration_parse(&configuration, (const char *)data, size, &error) < 0) {
		if (error.code == 0 || error.text[0] == '\0')
			abort();
		return 0;
	}
	configuration_complete(&configuration);
	configuration_fini(&configuration);
	return 0;
}
