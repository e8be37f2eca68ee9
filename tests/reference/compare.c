/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compare: the same random operations to the reference model and to /dev/netmap, of which
 * ptnetd's is meant (run it under ptnet-run). After each, return value, positions, slots and the
 * bytes of packets must agree. Exit status 1 at the first difference, with the operations that led
 * to it.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "operations.h"

static const char usage_text[] =
	"usage: compare [--seed N] [--operations N] [--history N] [--mistake WHAT] [--figures]\n"
	"  --seed N        the operations to do follow from it (default: the time)\n"
	"  --operations N  how many (default 50000)\n"
	"  --history N     how many to print before a difference (default 60)\n"
	"  --mistake WHAT  have the model make one, which must be found\n"
	"  --figures       print how often what happened\n";

static int usage(void)
{
	fputs(usage_text, stderr);
	return 2;
}

static bool number_of(const char *text, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 0);
	return *text && !*end;
}

static enum model_mistake mistake_of(const char *text)
{
	unsigned int i;

	for (i = 0; i < MODEL_MISTAKES; i++)
		if (strcmp(text, model_mistake_names[i]) == 0)
			return (enum model_mistake)i;
	return MODEL_MISTAKES;
}

static void begin(struct world *w)
{
	unsigned int i;

	w->state = w->seed * 0x9e3779b97f4a7c15u + 0x1234567;
	snprintf(w->unique, sizeof(w->unique), "%x", (unsigned int)getpid() & 0xfffff);
	for (i = 0; i < CLIENTS; i++)
		client_start(&w->clients[i]);
	w->control = open(NETMAP_DEVICE_NAME, O_RDWR | O_CLOEXEC);
	if (w->control < 0) {
		perror(NETMAP_DEVICE_NAME);
		exit(2);
	}
}

static void print_figures(const struct world *w)
{
	unsigned int i;

	for (i = 0; i < MODEL_COUNTS; i++)
		printf("%10llu %s\n", (unsigned long long)w->model.counts[i], model_count_names[i]);
}

/* In a long run everything happens, or the operations are not what they are meant to be. */
static bool all_happened(const struct world *w)
{
	bool all = true;
	unsigned int i;

	for (i = 0; i < MODEL_COUNTS; i++) {
		if (w->model.counts[i] == 0) {
			printf("never happened: %s\n", model_count_names[i]);
			all = false;
		}
	}
	return all;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},
		{"operations", required_argument, NULL, 'o'},
		{"history", required_argument, NULL, 'h'},
		{"mistake", required_argument, NULL, 'm'},
		{"figures", no_argument, NULL, 'f'},
		{0},
	};
	static struct world w;
	uint64_t history;
	bool figures = false;
	unsigned int i;
	int c;

	w.seed = (uint64_t)time(NULL);
	w.limit = 50000;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 's':
			if (!number_of(optarg, &w.seed))
				return usage();
			break;
		case 'o':
			if (!number_of(optarg, &w.limit))
				return usage();
			break;
		case 'h':
			if (!number_of(optarg, &history))
				return usage();
			world_keep_history((unsigned int)history);
			break;
		case 'm':
			w.model.mistake = mistake_of(optarg);
			if (w.model.mistake == MODEL_MISTAKES)
				return usage();
			break;
		case 'f':
			figures = true;
			break;
		default:
			return usage();
		}
	}
	if (optind != argc)
		return usage();
	begin(&w);
	while (w.operations < w.limit)
		operation(&w);
	operations_end(&w);
	if (figures)
		print_figures(&w);
	for (i = 0; i < CLIENTS; i++)
		client_kill(&w.clients[i]);
	model_free(&w.model);
	if (w.limit >= 40000 && w.model.mistake == MISTAKE_NONE && !all_happened(&w))
		return 1;
	printf("%llu operations, seed %llu: no difference\n", (unsigned long long)w.operations,
	       (unsigned long long)w.seed);
	return 0;
}
