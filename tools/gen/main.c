/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-gen: generator, receiver and latency tool on the netmap API.
 */
#include "report.h"

#include <signal.h>

int main(int argc, char **argv)
{
	struct gen_options options;
	struct run run;
	int status = options_parse(&options, argc, argv);

	if (status >= 0)
		return status;
	signal(SIGPIPE, SIG_IGN); /* a closed output is an error to report, not to die of */
	if (run_all(&run, &options)) {
		report_print_failure(&options);
		run_free(&run);
		return STATUS_FAILED;
	}
	status = report_status(&run);
	if (report_print(&run))
		status = STATUS_FAILED;
	run_free(&run);
	return status;
}
