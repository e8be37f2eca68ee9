/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Snort does with a DAQ module: takes packets from the netmap module and passes them.
 *
 * usage: daq_packets MODULES DEVICE passive|inline COUNT
 * Prints a line in hex for each of COUNT packets and ends.
 */
#include <daq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static DAQ_Verdict print_packet(void *user, const DAQ_PktHdr_t *header, const uint8_t *data)
{
	unsigned long *left = (unsigned long *)user;
	uint32_t i;

	for (i = 0; i < header->caplen; i++)
		printf("%02x", data[i]);
	printf("\n");
	fflush(stdout);
	--*left;
	return DAQ_VERDICT_PASS;
}

int main(int argc, char **argv)
{
	const char *folders[] = {NULL, NULL};
	const DAQ_Module_t *module;
	DAQ_Config_t config;
	char text[512] = "";
	unsigned long left;
	void *handle;

	if (argc != 5)
		return 2;
	folders[0] = argv[1];
	left = strtoul(argv[4], NULL, 10);
	memset(&config, 0, sizeof(config));
	config.name = argv[2];
	config.snaplen = 65535;
	config.timeout = 100;
	config.mode = strcmp(argv[3], "inline") == 0 ? DAQ_MODE_INLINE : DAQ_MODE_PASSIVE;
	config.flags = DAQ_CFG_PROMISC;
	if (daq_load_modules(folders) != DAQ_SUCCESS || !(module = daq_find_module("netmap"))) {
		fprintf(stderr, "no module netmap in %s\n", argv[1]);
		return 1;
	}
	if (daq_initialize(module, &config, &handle, text, sizeof(text)) != DAQ_SUCCESS) {
		fprintf(stderr, "daq_initialize: %s\n", text);
		return 1;
	}
	if (daq_start(module, handle) != DAQ_SUCCESS) {
		fprintf(stderr, "daq_start: %s\n", daq_get_error(module, handle));
		return 1;
	}
	fprintf(stderr, "started\n");
	while (left > 0) {
		if (daq_acquire(module, handle, (int)left, print_packet, &left) < 0) {
			fprintf(stderr, "daq_acquire: %s\n", daq_get_error(module, handle));
			return 1;
		}
	}
	/* What was passed goes out with the next poll: another acquire, which finds nothing. */
	daq_acquire(module, handle, 1, print_packet, &left);
	daq_stop(module, handle);
	daq_shutdown(module, handle);
	return 0;
}
