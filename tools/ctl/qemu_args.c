/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnetctl qemu-args: a VM needs a ptnet function per port, and before it in the
 * list, because drivers look for it, one memdev function per region.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

/* Adds a vfio-user device to @words. */
static void device_add(json_t *words, const char *socket)
{
	json_t *device = json_pack("{s:s, s:{s:s, s:s}}", "driver", "vfio-user-pci", "socket",
				   "type", "unix", "path", socket);
	char *text = json_dumps(device, JSON_COMPACT);

	json_array_append_new(words, json_string("-device"));
	json_array_append_new(words, json_string(text));
	free(text);
	json_decref(device);
}

static int port_add(struct invocation *invocation, const char *name, json_t *words, json_t *seen)
{
	json_t *arguments = json_pack("{s:s}", "name", name), *port;

	if (arguments == NULL) {
		fprintf(stderr, "ptnetctl: the name is not valid UTF-8\n");
		return EXIT_USAGE;
	}
	port = client_request(invocation->client, "port-show", arguments);
	json_decref(arguments);
	if (port == NULL)
		return EXIT_FAILURE;
	if (text_of(port, "socket")[0] == '\0') {
		fprintf(stderr,
			"ptnetctl: port \"%s\" was made by a host program and is not for VMs: make "
			"one with 'ptnetctl port add'\n",
			name);
		json_decref(port);
		return EXIT_FAILURE;
	}
	if (json_object_get(seen, text_of(port, "socket")) != NULL) {
		fprintf(stderr, "ptnetctl: port \"%s\" is named twice\n", name);
		json_decref(port);
		return EXIT_USAGE;
	}
	if (json_object_get(seen, text_of(port, "memdev_socket")) == NULL)
		device_add(words, text_of(port, "memdev_socket"));
	device_add(words, text_of(port, "socket"));
	json_object_set_new(seen, text_of(port, "memdev_socket"), json_true());
	json_object_set_new(seen, text_of(port, "socket"), json_true());
	json_decref(port);
	return EXIT_SUCCESS;
}

/*
 * QEMU reads a bare number as MiB in -m and as bytes in a memory backend: so the
 * unit must be there.
 */
static bool size_valid(const char *size)
{
	size_t digits = strspn(size, "0123456789");

	return digits > 0 && size[0] != '0' && size[digits] != '\0' &&
	       strchr("MG", toupper((unsigned char)size[digits])) != NULL &&
	       size[digits + 1] == '\0';
}

static int memory_add(const struct invocation *invocation, json_t *words)
{
	const char *size = json_string_value(option_get(invocation, "memory"));
	bool legacy = option_get(invocation, "legacy") != NULL;

	if (!legacy && size == NULL)
		return EXIT_SUCCESS;
	if (!legacy || size == NULL) {
		fprintf(stderr, "ptnetctl: --legacy and --memory SIZE need each other\n");
		return EXIT_USAGE;
	}
	if (!size_valid(size)) {
		fprintf(stderr,
			"ptnetctl: --memory %s: give a number with M or G, for example 2G\n", size);
		return EXIT_USAGE;
	}
	json_array_append_new(words, json_string("-m"));
	json_array_append_new(words, json_string(size));
	json_array_append_new(words, json_string("-object"));
	json_array_append_new(
		words, json_sprintf("memory-backend-memfd,id=ptnet-ram,size=%s,share=on", size));
	json_array_append_new(words, json_string("-machine"));
	json_array_append_new(words, json_string("memory-backend=ptnet-ram"));
	return EXIT_SUCCESS;
}

/* In single quotes if a shell would see more in it than a word. */
static void print_quoted(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "@%_-+=:,./";

	if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*word);
	}
	putchar('\'');
}

static void print_line(const json_t *words)
{
	json_t *word;
	size_t i;

	json_array_foreach(words, i, word)
	{
		if (i > 0)
			putchar(' ');
		print_quoted(json_string_value(word));
	}
	putchar('\n');
}

int run_qemu_args(struct invocation *invocation)
{
	json_t *words = json_array(), *seen = json_object();
	int status = memory_add(invocation, words);

	for (int i = 0; i < invocation->count && status == EXIT_SUCCESS; i++)
		status = port_add(invocation, invocation->arguments[i], words, seen);
	if (status == EXIT_SUCCESS && invocation->json)
		json_print(words, false);
	else if (status == EXIT_SUCCESS)
		print_line(words);
	json_decref(words);
	json_decref(seen);
	return status;
}
