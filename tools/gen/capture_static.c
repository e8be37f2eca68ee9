/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the static ptnet-gen only. Debian's libpcap.a can capture from the D-Bus, and so asks for
 * libdbus and libsystemd, the latter of which exists as a shared library only. We read and
 * write files. libpcap reaches its D-Bus module through these two functions; with ours in the
 * program the linker doesn't take the module out of the archive.
 */
#include <pcap/pcap.h>

pcap_t *dbus_create(const char *device, char *ebuf, int *is_ours);
int dbus_findalldevs(void *devices, char *ebuf);

pcap_t *dbus_create(const char *device, char *ebuf, int *is_ours)
{
	(void)device;
	(void)ebuf;
	*is_ours = 0;
	return NULL;
}

int dbus_findalldevs(void *devices, char *ebuf)
{
	(void)devices;
	(void)ebuf;
	return 0;
}
