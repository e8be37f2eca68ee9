/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names that people give to switches, ports, pipes and regions, and the
 * socket files that follow from them.
 *
 *     vale0:vm1     port vm1 of the VALE switch vale0    vale0-vm1.sock
 *     vmlink{1      master end of pipe 1 of vmlink       vmlink-1-master.sock
 *     vmlink}1      its slave end                        vmlink-1-slave.sock
 *     pool          a memory region                      mem-pool.sock
 *
 * Only letters, digits, '_' and '.' may be in the parts: netmap's own port-name
 * grammar takes `- * ^ / @` for separators (spec/netmap-api.md section 11). So a
 * file name, which has '-' where the name has ':', '{' or '}', is unique and
 * needs no quotes in a shell or in QEMU's options.
 */
#ifndef PTNET_CONTROL_NAMES_H
#define PTNET_CONTROL_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "log/error.h"
#include "port/port.h"
#include "port/vale.h"

#define REGION_NAME_SIZE   PORT_NAME_SIZE
#define REGION_NAME_MAX	   31 /* bytes, of a region that has a name of its own */
#define VALE_PORT_PART_MAX 15 /* bytes behind the ':' */
#define PIPE_PARENT_MAX	   15 /* bytes of a parent that is no VALE port */
#define PIPE_ID_MAX	   15
#define SOCKET_PATH_SIZE   108 /* sizeof sun_path, NUL included */

/* All of these are free of side effects; any thread. -EINVAL with the rule in @error. */

int name_check_switch(const char *name, struct error *error);
int name_check_region(const char *name, struct error *error);

/* valeX:Y; @switch_name gets valeX. */
int name_check_vale_port(const char *name, char switch_name[VALE_NAME_SIZE], struct error *error);

/* PARENT{ID, or PARENT}ID when @either_end; @parent gets PARENT. */
int name_check_pipe(const char *name, bool either_end, char parent[PORT_NAME_SIZE],
		    struct error *error);

/* Where the socket of a port (or pipe end) and that of a region's memdev function is. */
int name_port_socket(char path[SOCKET_PATH_SIZE], const char *directory, const char *port,
		     struct error *error);
int name_region_socket(char path[SOCKET_PATH_SIZE], const char *directory, const char *region,
		       struct error *error);

#endif
