/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnetd: reads its options and configuration, takes the control socket, gives up
 * what it does not need, starts the engine, makes what the configuration lists,
 * and serves until it is told to end. Each step is undone in reverse order.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "control/configuration.h"
#include "control/control_socket.h"
#include "control/inventory.h"
#include "control/netmap_device.h"
#include "control/protocol.h"
#include "control/readiness.h"
#include "control/sandbox.h"
#include "engine/engine.h"
#include "log/log.h"

#define EXIT_USAGE 2

/* A port with 16 ring pairs and its VM take up to 102 descriptors (docs/vfio-user.md). */
#define WANTED_DESCRIPTORS 262144

/* Bytes; a switch's address table takes twice as much. */
#define LARGE_ALLOCATION (128 << 10)

struct options {
	const char *config, *control, *sockets, *workers, *log_level;
	bool no_sandbox, check_config;
};

struct daemon {
	struct configuration configuration;
	struct control_socket *control;
	struct event_base *base;
	struct event *signals[3];
	struct engine *engine;
	struct inventory inventory;
	struct netmap_device netmap;
	struct request_context requests;
};

/* ---- the command line ---- */

static void usage(FILE *to)
{
	fputs("Usage: ptnetd [OPTION]...\n"
	      "Serves netmap ports to virtual machines (vfio-user) and to host programs\n"
	      "(ptnet-run(1)). Stays in the foreground.\n"
	      "\n"
	      "  -c, --config FILE      read the configuration (ptnetd.json(5)); default: none\n"
	      "      --control PATH     control socket; default: " CONTROL_DEFAULT_PATH "\n"
	      "      --sockets DIR      where the ports' sockets are made; default: the\n"
	      "                         directory of the control socket\n"
	      "      --workers N        worker threads; 0, the default: one per online CPU\n"
	      "      --log-level LEVEL  error, warning, info (default) or debug\n"
	      "      --no-sandbox       keep all capabilities and system calls\n"
	      "      --check-config     say whether the configuration is right, and end\n"
	      "  -h, --help             show this\n"
	      "  -V, --version          show the version\n"
	      "\n"
	      "Options take precedence over the configuration file. ptnetctl(8) talks to the\n"
	      "daemon. SIGTERM and SIGINT end it; VMs lose their ports then.\n",
	      to);
}

static int usage_error(const char *format, const char *value)
{
	fprintf(stderr, "ptnetd: ");
	fprintf(stderr, format, value);
	fprintf(stderr, "\nptnetd: try 'ptnetd --help'\n");
	return EXIT_USAGE;
}

/* -1: go on; otherwise the status to end with. */
static int options_parse(struct options *options, int argc, char **argv)
{
	enum { CONTROL = 256, SOCKETS, WORKERS, LOG_LEVEL, NO_SANDBOX, CHECK_CONFIG };
	static const struct option known[] = {
		{"config", required_argument, NULL, 'c'},
		{"control", required_argument, NULL, CONTROL},
		{"sockets", required_argument, NULL, SOCKETS},
		{"workers", required_argument, NULL, WORKERS},
		{"log-level", required_argument, NULL, LOG_LEVEL},
		{"no-sandbox", no_argument, NULL, NO_SANDBOX},
		{"check-config", no_argument, NULL, CHECK_CONFIG},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int c;

	argv[0] = "ptnetd"; /* for getopt's messages */
	while ((c = getopt_long(argc, argv, "c:hV", known, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->config = optarg;
			break;
		case CONTROL:
			options->control = optarg;
			break;
		case SOCKETS:
			options->sockets = optarg;
			break;
		case WORKERS:
			options->workers = optarg;
			break;
		case LOG_LEVEL:
			options->log_level = optarg;
			break;
		case NO_SANDBOX:
			options->no_sandbox = true;
			break;
		case CHECK_CONFIG:
			options->check_config = true;
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("ptnetd " PTNETMAP_VERSION);
			return EXIT_SUCCESS;
		default:
			fputs("ptnetd: try 'ptnetd --help'\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return usage_error("unexpected argument \"%s\"", argv[optind]);
	if (options->check_config && options->config == NULL)
		return usage_error("--check-config needs --config %s", "FILE");
	return -1;
}

/* ---- configuration ---- */

/* Puts the working directory in front of a relative path: what is shown must work anywhere. */
static int path_set(char path[SOCKET_PATH_SIZE], const char *option, const char *value,
		    struct error *error)
{
	char directory[4096] = "";
	char absolute[8192];

	if (value[0] == '\0')
		return error_set(error, EINVAL, "%s: the path is empty", option);
	if (value[0] != '/' && getcwd(directory, sizeof(directory)) == NULL)
		return error_set(error, errno, "%s: the working directory is unknown: %s", option,
				 strerror(errno));
	snprintf(absolute, sizeof(absolute), "%s%s%s", directory, value[0] != '/' ? "/" : "",
		 value);
	if (strlen(absolute) >= SOCKET_PATH_SIZE)
		return error_set(error, ENAMETOOLONG,
				 "%s %.100s: the path has %zu bytes, the system allows %d", option,
				 value, strlen(absolute), SOCKET_PATH_SIZE - 1);
	memcpy(path, absolute, strlen(absolute) + 1);
	return 0;
}

static int workers_set(unsigned *workers, const char *value, struct error *error)
{
	char *end;
	unsigned long number = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end != '\0' || number > CONFIGURATION_MAX_WORKERS)
		return error_set(error, EINVAL, "--workers %.40s: give a number from 0 to %d",
				 value, CONFIGURATION_MAX_WORKERS);
	*workers = (unsigned)number;
	return 0;
}

/* What the command line says takes the place of what the file says. */
static int options_apply(struct configuration *configuration, const struct options *options,
			 struct error *error)
{
	int rc = 0;

	if (options->control != NULL)
		rc = path_set(configuration->control_path, "--control", options->control, error);
	if (rc == 0 && options->sockets != NULL)
		rc = path_set(configuration->sockets_directory, "--sockets", options->sockets,
			      error);
	if (rc == 0 && options->workers != NULL)
		rc = workers_set(&configuration->engine.workers, options->workers, error);
	if (rc == 0 && options->log_level != NULL) {
		rc = log_level_parse(options->log_level, &configuration->log_level, error);
		if (rc < 0)
			error_prefix(error, "--log-level");
	}
	if (rc == 0)
		configuration_complete(configuration);
	return rc;
}

/* ---- surroundings ---- */

static void descriptors_raise(void)
{
	struct rlimit limit = {.rlim_cur = WANTED_DESCRIPTORS, .rlim_max = WANTED_DESCRIPTORS};
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return;
	if (now.rlim_cur >= WANTED_DESCRIPTORS)
		return;
	if (now.rlim_max >= WANTED_DESCRIPTORS)
		limit.rlim_max = now.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return;
	limit = (struct rlimit){.rlim_cur = now.rlim_max, .rlim_max = now.rlim_max};
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("the limit of open files stays at %llu: %s",
			    (unsigned long long)now.rlim_cur, strerror(errno));
}

static int directory_make(const char *path, struct error *error)
{
	struct stat status;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_set(error, errno,
				 "cannot make the directory %s: %s; make it for the user who runs "
				 "ptnetd, or choose another with --control and --sockets",
				 path, strerror(errno));
	if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode))
		return error_set(error, ENOTDIR, "%s is no directory", path);
	return 0;
}

/*
 * Also asks whether sockets can be made there: root without its capabilities may not
 * write into other people's directories.
 */
static int directory_check(const char *path, struct error *error)
{
	if (access(path, W_OK | X_OK) == 0)
		return 0;
	return error_set(error, errno,
			 "cannot make sockets in %s: %s; give the directory to the user who runs "
			 "ptnetd (root has given up the power to override that; --no-sandbox keeps "
			 "it)",
			 path, strerror(errno));
}

/* Makes the directories, then gives up what is not needed any more. */
static int surroundings_make(const struct configuration *configuration, bool sandbox,
			     struct error *error)
{
	const char *sockets = configuration->sockets_directory;
	char control[SOCKET_PATH_SIZE];
	int rc;

	descriptors_raise();
	control_directory(configuration, control);
	rc = directory_make(control, error);
	if (rc == 0)
		rc = directory_make(sockets, error);
	if (rc == 0 && sandbox)
		rc = sandbox_enter(error);
	if (rc == 0)
		rc = directory_check(control, error);
	if (rc == 0)
		rc = directory_check(sockets, error);
	return rc;
}

/* ---- signals ---- */

static void on_end(evutil_socket_t number, short events, void *argument)
{
	struct daemon *daemon = argument;

	(void)events;
	log_info("ending: %s", strsignal(number));
	readiness_notify("STOPPING=1");
	event_base_loopbreak(daemon->base);
}

static void on_hangup(evutil_socket_t number, short events, void *argument)
{
	(void)number;
	(void)events;
	(void)argument;
	log_warning("SIGHUP: the configuration file is not read again: VMs depend on what there "
		    "is; use ptnetctl to change it, or restart ptnetd");
}

static int signals_open(struct daemon *daemon, struct error *error)
{
	static const struct {
		int number;
		event_callback_fn function;
	} handled[] = {{SIGTERM, on_end}, {SIGINT, on_end}, {SIGHUP, on_hangup}};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++) {
		daemon->signals[i] =
			evsignal_new(daemon->base, handled[i].number, handled[i].function, daemon);
		if (daemon->signals[i] == NULL || event_add(daemon->signals[i], NULL) < 0)
			return error_set(error, ENOMEM, "cannot watch signals");
	}
	return 0;
}

static void signals_close(struct daemon *daemon)
{
	for (size_t i = 0; i < sizeof(daemon->signals) / sizeof(daemon->signals[0]); i++)
		if (daemon->signals[i] != NULL)
			event_free(daemon->signals[i]);
}

/* ---- running ---- */

static int base_open(struct daemon *daemon, struct error *error)
{
	daemon->base = event_base_new();
	if (daemon->base == NULL)
		return error_set(error, ENOMEM, "cannot make an event loop");
	return 0;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* What needs the engine: from here to the end of serving. */
static int serve(struct daemon *daemon, struct error *error)
{
	const struct configuration *configuration = &daemon->configuration;
	const struct socket_access programs = {.uid = configuration->netmap.access.uid,
					       .gid = configuration->netmap.access.gid,
					       .mode = 0660};
	int rc;

	inventory_init(&daemon->inventory, daemon->engine, daemon->base,
		       configuration->sockets_directory, &configuration->sockets_access, &programs);
	daemon->requests = (struct request_context){.inventory = &daemon->inventory,
						    .netmap = &daemon->netmap,
						    .started_ns = monotonic_ns()};
	rc = inventory_apply(&daemon->inventory, configuration, error);
	if (rc == 0)
		rc = netmap_device_open(&daemon->netmap, &daemon->inventory, &configuration->netmap,
					error);
	if (rc == 0)
		rc = control_socket_serve(daemon->control, daemon->base, &daemon->requests, error);
	if (rc == 0) {
		log_info("ready: %u workers, control socket %s, ports' sockets in %s, netmap "
			 "socket %s",
			 engine_num_workers(daemon->engine), configuration->control_path,
			 configuration->sockets_directory, configuration->netmap.path);
		readiness_notify("READY=1");
		event_base_dispatch(daemon->base);
	}
	return rc;
}

static int run(struct daemon *daemon, bool sandbox, struct error *error)
{
	const struct configuration *configuration = &daemon->configuration;
	int rc;

	rc = surroundings_make(configuration, sandbox, error);
	if (rc < 0)
		return rc;
	rc = control_socket_open(&daemon->control, configuration->control_path,
				 &configuration->control_access, error);
	if (rc < 0)
		return rc;
	rc = base_open(daemon, error);
	if (rc < 0)
		goto out_control;
	rc = signals_open(daemon, error);
	if (rc < 0)
		goto out_signals;
	rc = engine_create(&daemon->engine, &configuration->engine, error);
	if (rc < 0)
		goto out_signals;
	rc = serve(daemon, error);
	netmap_device_close(&daemon->netmap);
	inventory_fini(&daemon->inventory);
	engine_destroy(daemon->engine);
out_signals:
	signals_close(daemon);
out_control:
	control_socket_close(daemon->control);
	if (daemon->base != NULL)
		event_base_free(daemon->base);
	return rc;
}

static int failed(struct daemon *daemon, const struct error *error, int status)
{
	log_error("%s", error->text);
	configuration_fini(&daemon->configuration);
	return status;
}

int main(int argc, char **argv)
{
	struct daemon daemon = {0};
	struct options options = {0};
	struct error error = {0};
	int rc = options_parse(&options, argc, argv);

	if (rc >= 0)
		return rc;
	/*
	 * What is large comes and goes with switches and VMs, and shall go back to the kernel. Left
	 * to itself, malloc() would put it on the heap from the second time on, where a small
	 * block that happens to follow it keeps it for as long as the daemon runs.
	 */
	mallopt(M_MMAP_THRESHOLD, LARGE_ALLOCATION);
	configuration_init(&daemon.configuration);
	if (options.config != NULL &&
	    configuration_load(&daemon.configuration, options.config, &error) < 0)
		return failed(&daemon, &error, EXIT_FAILURE);
	if (options_apply(&daemon.configuration, &options, &error) < 0)
		return failed(&daemon, &error, EXIT_USAGE);
	log_set_level(daemon.configuration.log_level);
	if (options.check_config)
		printf("%s is right\n", options.config);
	else if (run(&daemon, !options.no_sandbox, &error) < 0)
		return failed(&daemon, &error, EXIT_FAILURE);
	configuration_fini(&daemon.configuration);
	return EXIT_SUCCESS;
}
