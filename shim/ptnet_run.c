/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-run: runs a program with the shim preloaded, so that it finds ptnetd behind
 * /dev/netmap. Says what stands in the way where the dynamic loader would keep silent.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <ptnet/local.h>

#include "daemon.h"
#include "elf_check.h"

/* As other programs that run programs, env(1) for one. */
#define EXIT_OURS	 125
#define EXIT_CANNOT_RUN	 126
#define EXIT_NOT_FOUND	 127
#define MAX_INTERPRETERS 5 /* as the kernel allows */

#define OBJECT "libptnet-shim.so"

static const char usage[] =
	"usage: ptnet-run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"       ptnet-run --check [--socket PATH] [PROGRAM]\n"
	"Run a netmap program on the ports of ptnetd.\n"
	"\n"
	"  -s, --socket PATH  the daemon's netmap socket (default " PTNET_LOCAL_SOCKET ")\n"
	"  -v, --verbose      say on standard error why something was refused\n"
	"      --check        say whether the daemon, the shim and PROGRAM would do; run nothing\n"
	"  -h, --help         print this and exit\n"
	"  -V, --version      print the version and exit\n";

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void complain(const char *format, ...)
{
	va_list arguments;

	fputs("ptnet-run: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

/* ---- the shim ---- */

/* In the build tree it lies beside us; else where it was installed. */
static bool find_shim(char *path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", path, size - sizeof("/" OBJECT));
	char *slash;

	if (length > 0) {
		path[length] = '\0';
		slash = strrchr(path, '/');
		memcpy(slash + 1, OBJECT, sizeof(OBJECT));
		if (access(path, R_OK) == 0)
			return true;
	}
	snprintf(path, size, "%s/%s", PTNET_SHIM_DIR, OBJECT);
	return access(path, R_OK) == 0;
}

/* The loader takes a space or a colon for the end of a name. */
static bool shim_usable(char *path, size_t size)
{
	if (!find_shim(path, size)) {
		complain("cannot find %s: neither beside ptnet-run nor in %s", OBJECT,
			 PTNET_SHIM_DIR);
		return false;
	}
	if (strpbrk(path, " :") != NULL) {
		complain("%s: the dynamic loader accepts no path with a space or a colon", path);
		return false;
	}
	return true;
}

/* ---- the program ---- */

static bool is_program(const char *path)
{
	struct stat file;

	return stat(path, &file) == 0 && S_ISREG(file.st_mode) && access(path, X_OK) == 0;
}

/* As execvp() looks for it. Returns the exit status if it isn't there, 0 if it is. */
static int find_program(const char *name, char *path, size_t size)
{
	const char *directories = getenv("PATH"), *end;

	if (strchr(name, '/') != NULL) {
		snprintf(path, size, "%s", name);
		if (is_program(path))
			return 0;
		complain("%s: %s", name,
			 access(name, F_OK) < 0 ? strerror(errno) : "is not an executable file");
		return access(name, F_OK) < 0 ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
	}
	if (directories == NULL)
		directories = "/bin:/usr/bin";
	for (;; directories = end + 1) {
		end = strchrnul(directories, ':');
		snprintf(path, size, "%.*s%s%s", (int)(end - directories), directories,
			 end == directories ? "" : "/", name);
		if (is_program(path))
			return 0;
		if (*end == '\0')
			break;
	}
	complain("%s: not found in PATH", name);
	return EXIT_NOT_FOUND;
}

struct image {
	void *bytes;
	size_t size;
	struct stat file;
	bool capabilities;
};

/* A file that can be run but not read is not looked at. */
static bool image_open(struct image *image, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	image->bytes = MAP_FAILED;
	if (fstat(fd, &image->file) == 0 && image->file.st_size > 0) {
		image->size = (size_t)image->file.st_size;
		image->capabilities = fgetxattr(fd, "security.capability", NULL, 0) > 0;
		image->bytes = mmap(NULL, image->size, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	close(fd);
	return image->bytes != MAP_FAILED;
}

/* Sanitizers' shared libraries insist on being the first. */
static void find_sanitizer(const struct image *image, char *first, size_t size)
{
	static const char *const runtimes[] = {"libasan.so", "libtsan.so"};
	size_t i;

	for (i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++)
		if (program_needs(image->bytes, image->size, runtimes[i], first, size))
			return;
	first[0] = '\0';
}

static bool check_image(const struct image *image, const char *path, char *interpreter, size_t size,
			enum program_kind *kind)
{
	*kind = program_kind(image->bytes, image->size, interpreter, size);
	if (*kind != PROGRAM_SCRIPT &&
	    program_is_privileged(image->file.st_mode, image->file.st_uid, image->file.st_gid,
				  geteuid(), getegid(), image->capabilities)) {
		complain("%s runs with other rights than yours (setuid, setgid or capabilities): "
			 "nothing can be preloaded into it; run it as the user that it becomes",
			 path);
		return false;
	}
	if (*kind == PROGRAM_STATIC) {
		complain("%s is statically linked: nothing can be preloaded into it; link it "
			 "dynamically",
			 path);
		return false;
	}
	if (*kind == PROGRAM_FOREIGN) {
		complain("%s is for another kind of processor than %s", path, OBJECT);
		return false;
	}
	return true;
}

/* Follows scripts to their interpreter. @first: a library to be preloaded before all, or "". */
static bool check_program(const char *program, char *first, size_t size)
{
	char path[4096], interpreter[4096];
	enum program_kind kind;
	struct image image;
	bool good;
	int i;

	first[0] = '\0';
	snprintf(path, sizeof(path), "%s", program);
	for (i = 0; i < MAX_INTERPRETERS; i++) {
		if (!image_open(&image, path))
			return true;
		good = check_image(&image, path, interpreter, sizeof(interpreter), &kind);
		if (good && kind == PROGRAM_DYNAMIC)
			find_sanitizer(&image, first, size);
		munmap(image.bytes, image.size);
		if (!good || kind != PROGRAM_SCRIPT)
			return good;
		memcpy(path, interpreter, strlen(interpreter) + 1);
	}
	return true;
}

/* ---- --check ---- */

static bool check_daemon(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool good;

	memcpy(address.sun_path, path, strlen(path) + 1);
	good = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (good)
		printf("ptnetd answers at %s\n", path);
	else
		complain("cannot connect to ptnetd at %s: %s%s", path, strerror(errno),
			 errno == EACCES ? " (who may is the socket's group, see ptnetd(8))"
					 : " (does ptnetd run?)");
	if (fd >= 0)
		close(fd);
	return good;
}

static int check(const char *socket_path, const char *program)
{
	char shim[4096], path[4096], first[256];
	bool good = check_daemon(socket_path);

	if (shim_usable(shim, sizeof(shim)))
		printf("the shim is %s\n", shim);
	else
		good = false;
	if (program == NULL)
		return good ? EXIT_SUCCESS : EXIT_FAILURE;
	if (find_program(program, path, sizeof(path)) != 0 ||
	    !check_program(path, first, sizeof(first)))
		return EXIT_FAILURE;
	printf("%s can be run\n", path);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- running ---- */

/* Before what is preloaded already, but for a sanitizer's library. */
static bool set_preload(const char *first, const char *shim)
{
	const char *before = getenv("LD_PRELOAD");
	char *value;
	bool good;

	if (asprintf(&value, "%s%s%s%s%s", first, first[0] != '\0' ? ":" : "", shim,
		     before != NULL && before[0] != '\0' ? ":" : "",
		     before != NULL ? before : "") < 0)
		return false;
	good = setenv("LD_PRELOAD", value, 1) == 0;
	free(value);
	return good;
}

static int run(char **words)
{
	char shim[4096], path[4096], first[256];
	int status;

	if (!shim_usable(shim, sizeof(shim)))
		return EXIT_OURS;
	status = find_program(words[0], path, sizeof(path));
	if (status != 0)
		return status;
	if (!check_program(path, first, sizeof(first)))
		return EXIT_CANNOT_RUN;
	if (!set_preload(first, shim)) {
		complain("%s", strerror(errno));
		return EXIT_OURS;
	}
	execvp(words[0], words);
	complain("%s: %s", words[0], strerror(errno));
	return EXIT_CANNOT_RUN;
}

enum { OPTION_CHECK = 256 };

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},   {"verbose", no_argument, NULL, 'v'},
		{"check", no_argument, NULL, OPTION_CHECK}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},	    {NULL, 0, NULL, 0},
	};
	const char *socket_path = getenv(PTNET_ENV_SOCKET);
	bool only_check = false;
	int option;

	if (socket_path == NULL || socket_path[0] == '\0')
		socket_path = PTNET_LOCAL_SOCKET;
	/* +: what follows the program's name is the program's. */
	while ((option = getopt_long(argc, argv, "+s:vhV", options, NULL)) >= 0) {
		switch (option) {
		case 's':
			socket_path = optarg;
			break;
		case 'v':
			setenv(PTNET_ENV_VERBOSE, "1", 1);
			break;
		case OPTION_CHECK:
			only_check = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("ptnet-run " PTNETMAP_VERSION);
			return EXIT_SUCCESS;
		default:
			fputs("Try 'ptnet-run --help'.\n", stderr);
			return EXIT_OURS;
		}
	}
	if (socket_path[0] != '/' ||
	    strlen(socket_path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		complain("%s: must be an absolute path of fewer than %zu bytes", socket_path,
			 sizeof(((struct sockaddr_un *)0)->sun_path));
		return EXIT_OURS;
	}
	setenv(PTNET_ENV_SOCKET, socket_path, 1);
	if (only_check)
		return check(socket_path, argv[optind]);
	if (optind == argc) {
		complain("which program?");
		fputs("Try 'ptnet-run --help'.\n", stderr);
		return EXIT_OURS;
	}
	return run(argv + optind);
}
