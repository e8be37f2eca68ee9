/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-replay: sends the frames of capture files with their timing.
 */
#include "player.h"
#include "stop.h"

#include <signal.h>

int main(int argc, char **argv)
{
	struct replay_options options;
	enum exit_status status;
	struct player player;
	int result = options_parse(&options, argc, argv);

	if (result >= 0)
		return result;
	signal(SIGPIPE, SIG_IGN); /* a closed output is an error to report, not to die of */
	if (stop_begin())
		return STATUS_FAILED;
	result = player_open(&player, &options);
	if (!result)
		result = player_run(&player);
	status = player_status(&player, result);
	if (player_report(&player, status))
		status = STATUS_FAILED;
	player_close(&player);
	stop_end();
	return status;
}
