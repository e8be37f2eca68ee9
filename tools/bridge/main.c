/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-bridge: forwards packets between two netmap ports.
 */
#include "bridge.h"
#include "stop.h"

#include <signal.h>

int main(int argc, char **argv)
{
	struct bridge_options options;
	enum exit_status status;
	struct bridge bridge;
	int result = options_parse(&options, argc, argv);

	if (result >= 0)
		return result;
	signal(SIGPIPE, SIG_IGN); /* a closed output is an error to report, not to die of */
	if (stop_begin())
		return STATUS_FAILED;
	result = bridge_open(&bridge, &options);
	if (!result)
		result = bridge_run(&bridge);
	status = bridge_status(&bridge, result);
	if (bridge_report(&bridge, status))
		status = STATUS_FAILED;
	bridge_close(&bridge);
	stop_end();
	return status;
}
