/* SPDX-License-Identifier: BSD-2-Clause */
#include <stddef.h>

#include "command.h"

#define SOCKET_OPTIONS                                                                             \
	{"socket-user", OPTION_TEXT, "USER", "owner of the sockets"},                              \
		{"socket-group", OPTION_TEXT, "GROUP", "group of the sockets"},                    \
	{                                                                                          \
		"socket-mode", OPTION_TEXT, "MODE", "mode of the sockets, octal; 0660"             \
	}

#define PROGRAM_OPTIONS                                                                            \
	{"program-user", OPTION_TEXT, "USER", "of the host programs that may use it"},             \
		{"program-group", OPTION_TEXT, "GROUP", "of the host programs that may use it"},   \
	{                                                                                          \
		"program-mode", OPTION_TEXT, "MODE", "for them, octal; 0660"                       \
	}

#define END                                                                                        \
	{                                                                                          \
		NULL, OPTION_FLAG, NULL, NULL                                                      \
	}

static const struct option_spec region_options[] = {
	{"buf-num", OPTION_NUMBER, "N", "buffers; 163840"},
	{"buf-size", OPTION_NUMBER, "BYTES", "of a buffer, 64 to 65536; 2048"},
	{"ring-num", OPTION_NUMBER, "N", "rings; 200"},
	{"ring-size", OPTION_NUMBER, "BYTES", "of a ring: 256 + 16 per slot; 65792"},
	{"if-num", OPTION_NUMBER, "N", "interfaces; 100"},
	{"if-size", OPTION_NUMBER, "BYTES", "of an interface; 1024"},
	{"csb-num", OPTION_NUMBER, "N", "VMs whose CSB may be in the region; 64"},
	{"hugepages", OPTION_FLAG, NULL, "back it by huge pages if there are enough"},
	SOCKET_OPTIONS,
	END,
};

static const struct option_spec switch_options[] = {
	{"ageing-s", OPTION_NUMBER, "SECONDS", "until an address is forgotten; 300"},
	{"mac-limit", OPTION_NUMBER, "N", "addresses learnt per port; 1024"},
	PROGRAM_OPTIONS,
	END,
};

static const struct option_spec port_options[] = {
	{"rings", OPTION_NUMBER, "N", "ring pairs, 1 to 16; 1"},
	{"slots", OPTION_NUMBER, "N", "slots per ring, 64 to 4096; 1024"},
	{"mac", OPTION_TEXT, "ADDRESS", "what guests are told; made from the name"},
	{"region", OPTION_TEXT, "NAME", "a named region instead of one of its own"},
	{"buf-size", OPTION_NUMBER, "BYTES", "of a buffer of its own region; 2048"},
	{"pipes", OPTION_NUMBER, "N", "pipes for which its own region has room; 2"},
	{"hugepages", OPTION_FLAG, NULL, "back its own region by huge pages"},
	SOCKET_OPTIONS,
	PROGRAM_OPTIONS,
	END,
};

static const struct option_spec force_options[] = {
	{"force", OPTION_FLAG, NULL,
	 "even if a VM or a program has it: the VM's device is then dead, the program gets EIO"},
	END,
};

static const struct option_spec stats_options[] = {
	{"watch", OPTION_SECONDS, "SECONDS", "show rates every second, or every SECONDS"},
	{"count", OPTION_NUMBER, "N", "with --watch: end after N times"},
	END,
};

static const struct option_spec qemu_options[] = {
	{"legacy", OPTION_FLAG, NULL,
	 "for drivers that keep the CSB in guest memory (FreeBSD, netmap's own): also make that "
	 "memory shared; needs --memory"},
	{"memory", OPTION_TEXT, "SIZE", "with --legacy: the guest's memory, for example 2G"},
	END,
};

const struct command commands[] = {
	{"version", "", 0, 0, "Show the daemon's version.", NULL, NULL, "version", run_request,
	 print_version},
	{"show", "", 0, 0, "Show all that there is.", NULL, NULL, "show", run_request, print_show},

	{"switch add", "NAME", 1, 1, "Make a VALE switch.",
	 "NAME is \"vale\" followed by letters, digits or '_'. A switch made this way stays until\n"
	 "it is deleted; one that comes with its first port goes with its last.",
	 switch_options, "switch-add", run_request, NULL},
	{"switch del", "NAME", 1, 1, "Delete a switch, which must have no ports.", NULL, NULL,
	 "switch-del", run_request, NULL},
	{"switch list", "", 0, 0, "List the switches.", NULL, NULL, "switch-list", run_request,
	 print_switches},
	{"macs", "SWITCH", 1, 1, "Show the addresses that a switch has learnt.", NULL, NULL, "macs",
	 run_request, print_macs},

	{"port add", "SWITCH:NAME", 1, 1, "Make a port on a switch.",
	 "Makes the switch if there is none of that name. See 'ptnetctl qemu-args' for how a\n"
	 "VM gets the port.",
	 port_options, "port-add", run_request, NULL},
	{"port del", "SWITCH:NAME", 1, 1, "Delete a port.", NULL, force_options, "port-del",
	 run_request, NULL},
	{"port list", "", 0, 0, "List the ports, ends of pipes too.", NULL, NULL, "port-list",
	 run_request, print_ports},
	{"port show", "PORT", 1, 1, "Show one port and its rings.", NULL, NULL, "port-show",
	 run_request, print_port},

	{"pipe add", "PARENT{ID", 1, 1, "Make a pipe: two ports in one region.",
	 "Its ends are the ports PARENT{ID and PARENT}ID (quote the braces for your shell). If\n"
	 "PARENT is a port, the pipe lies in that port's region, else in one that all pipes of\n"
	 "PARENT share. What is sent is not copied: who has one end can read and write all of\n"
	 "the region, so give the ends only to VMs that trust each other.",
	 port_options, "pipe-add", run_request, NULL},
	{"pipe del", "PARENT{ID", 1, 1, "Delete a pipe with both ends.", NULL, force_options,
	 "pipe-del", run_request, NULL},
	{"pipe list", "", 0, 0, "List the pipes.", NULL, NULL, "pipe-list", run_request,
	 print_pipes},

	{"region add", "NAME", 1, 1, "Make a memory region that several ports may use.",
	 "Who is attached to any port of a region can read and write all of it.", region_options,
	 "region-add", run_request, NULL},
	{"region del", "NAME", 1, 1, "Delete a region, which no port may use.", NULL, force_options,
	 "region-del", run_request, NULL},
	{"region list", "", 0, 0, "List the regions.", NULL, NULL, "region-list", run_request,
	 print_regions},

	{"stats", "[PORT...]", 0, -1, "Show packets, bytes, drops and kicks.",
	 "Without PORT: a line for each. With PORT: each of its rings, with all counters that\n"
	 "are not 0.",
	 stats_options, "counters", run_stats, NULL},
	{"workers", "", 0, 0, "Show what the worker threads have done.", NULL, NULL, "workers",
	 run_request, print_workers},
	{"attachments", "", 0, 0, "Show which VMs are attached.", NULL, NULL, "attachments",
	 run_request, print_attachments},
	{"programs", "", 0, 0, "Show which host programs have which ports.",
	 "Below the table is what programs did wrong at the netmap socket, and how often.", NULL,
	 "programs", run_request, print_programs},
	{"log-level", "[LEVEL]", 0, 1, "Show or set the log level.",
	 "LEVEL is error, warning, info or debug.", NULL, "log-level", run_log_level, NULL},
	{"qemu-args", "PORT...", 1, -1, "Print what to add to a QEMU command line.",
	 "The line is quoted for a shell: eval \"qemu-system-x86_64 ... $(ptnetctl qemu-args\n"
	 "vale0:vm1)\". With --json: an array of words. Name all ports of one VM at once: a "
	 "region\n"
	 "that they share is then attached once. QEMU 10.1 or later.",
	 qemu_options, NULL, run_qemu_args, NULL},
	{NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL},
};
