/* SPDX-License-Identifier: BSD-2-Clause */
#include "wakeup.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"

#define LAST UINT32_MAX /* the value that ends the game */

struct game {
	int there, back;
	double seconds; /* to play */
	double mean;	/* of a round */
};

static void give(int event, eventfd_t value)
{
	if (eventfd_write(event, value) < 0)
		abort();
}

static eventfd_t take(int event)
{
	eventfd_t value;

	if (eventfd_read(event, &value) < 0)
		abort();
	return value;
}

static void *answer(void *argument)
{
	const struct game *game = argument;
	eventfd_t value;

	pin_to_cpu(1);
	do {
		value = take(game->there);
		give(game->back, 1);
	} while (value != LAST);
	return NULL;
}

static void *ask(void *argument)
{
	struct game *game = argument;
	double started = now_s(), took = 0;
	unsigned rounds = 0;

	pin_to_cpu(0);
	for (; took < game->seconds; took = now_s() - started, rounds++) {
		give(game->there, 1);
		take(game->back);
	}
	game->mean = took / rounds;
	give(game->there, LAST);
	take(game->back);
	return NULL;
}

double wakeup_round_trip_s(double seconds)
{
	struct game game = {
		.there = eventfd(0, EFD_CLOEXEC),
		.back = eventfd(0, EFD_CLOEXEC),
		.seconds = seconds,
	};
	pthread_t threads[2];

	if (game.there < 0 || game.back < 0 ||
	    pthread_create(&threads[0], NULL, answer, &game) != 0 ||
	    pthread_create(&threads[1], NULL, ask, &game) != 0)
		abort();
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	close(game.there);
	close(game.back);
	return game.mean;
}
