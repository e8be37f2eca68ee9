/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-lb: spreads flows over pipes.
 */
#include "balancer.h"
#include "stop.h"

#include <signal.h>

int main(int argc, char **argv)
{
	static struct balancer balancer; /* large */
	struct lb_options options;
	enum exit_status status;
	int result = options_parse(&options, argc, argv);

	if (result >= 0)
		return result;
	signal(SIGPIPE, SIG_IGN); /* a closed output is an error to report, not to die of */
	if (stop_begin())
		return STATUS_FAILED;
	result = balancer_open(&balancer, &options);
	if (!result)
		result = balancer_run(&balancer);
	status = result ? STATUS_FAILED : STATUS_OK;
	if (balancer_report(&balancer, status))
		status = STATUS_FAILED;
	balancer_close(&balancer);
	stop_end();
	return status;
}
