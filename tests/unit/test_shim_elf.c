/* SPDX-License-Identifier: BSD-2-Clause */
/* Which programs the shim can be preloaded into, by their files. */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "elf_check.h"

static char word[256];

static enum program_kind kind_of(const void *file, size_t size)
{
	return program_kind(file, size, word, sizeof(word));
}

/* Ourselves: a dynamic program. */
static unsigned char *own_file(size_t *size)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	struct stat file;
	void *bytes;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &file), 0);
	*size = (size_t)file.st_size;
	bytes = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	close(fd);
	return bytes;
}

static void test_dynamic(void **state)
{
	size_t size;
	unsigned char *file = own_file(&size);

	(void)state;
	assert_int_equal(kind_of(file, size), PROGRAM_DYNAMIC);
	assert_true(program_needs(file, size, "libcmocka.so", word, sizeof(word)));
	assert_memory_equal(word, "libcmocka.so", strlen("libcmocka.so"));
	assert_false(program_needs(file, size, "libnothing.so", word, sizeof(word)));
	/* No room for the name. */
	assert_false(program_needs(file, size, "libcmocka.so", word, 8));
	munmap(file, size);
}

static void test_static(void **state)
{
	size_t size;
	unsigned char *file = own_file(&size);
	ElfW(Ehdr) *header = (ElfW(Ehdr) *)file;
	ElfW(Phdr) *segments = (ElfW(Phdr) *)(file + header->e_phoff);
	unsigned i;

	(void)state;
	for (i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_INTERP)
			segments[i].p_type = PT_NULL;
	assert_int_equal(kind_of(file, size), PROGRAM_STATIC);
	munmap(file, size);
}

static void test_foreign(void **state)
{
	size_t size;
	unsigned char *file = own_file(&size);
	ElfW(Ehdr) *header = (ElfW(Ehdr) *)file;

	(void)state;
	header->e_machine = EM_S390;
	assert_int_equal(kind_of(file, size), PROGRAM_FOREIGN);
	file[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS32 : ELFCLASS64;
	assert_int_equal(kind_of(file, size), PROGRAM_FOREIGN);
	munmap(file, size);
}

static void test_script(void **state)
{
	(void)state;
	assert_int_equal(kind_of("#!/bin/sh\n", 10), PROGRAM_SCRIPT);
	assert_string_equal(word, "/bin/sh");
	assert_int_equal(kind_of("#! \t/usr/bin/env python3\n", 25), PROGRAM_SCRIPT);
	assert_string_equal(word, "/usr/bin/env");
	assert_int_equal(kind_of("#!/bin/sh", 9), PROGRAM_SCRIPT);
	assert_string_equal(word, "/bin/sh");
	assert_int_equal(kind_of("#!", 2), PROGRAM_NO_FORMAT);
	assert_int_equal(kind_of("#!  \n", 5), PROGRAM_NO_FORMAT);
	assert_int_equal(program_kind("#!/bin/sh\n", 10, word, 7), PROGRAM_NO_FORMAT);
}

static void test_no_format(void **state)
{
	(void)state;
	assert_int_equal(kind_of("", 0), PROGRAM_NO_FORMAT);
	assert_int_equal(kind_of("hello\n", 6), PROGRAM_NO_FORMAT);
	assert_int_equal(kind_of(ELFMAG, SELFMAG), PROGRAM_NO_FORMAT);
}

/* Every prefix of a program, and any byte of its head wrong: nothing is read outside the file. */
static void test_damaged(void **state)
{
	size_t size, cut, i;
	unsigned char *file = own_file(&size), *copy;

	(void)state;
	for (cut = 0; cut < 2048; cut += 7) {
		/* A copy of its own, so that a sanitizer sees what is read behind it. */
		copy = test_malloc(cut + 1);
		memcpy(copy, file, cut);
		kind_of(copy, cut);
		program_needs(copy, cut, "lib", word, sizeof(word));
		test_free(copy);
	}
	copy = test_malloc(8192);
	for (i = 0; i < 1024; i++) {
		memcpy(copy, file, 8192);
		copy[i] ^= 0xff;
		kind_of(copy, 8192);
		program_needs(copy, 8192, "lib", word, sizeof(word));
	}
	test_free(copy);
	munmap(file, size);
}

static void test_privileged(void **state)
{
	(void)state;
	assert_false(program_is_privileged(0755, 0, 0, 1000, 1000, false));
	assert_true(program_is_privileged(04755, 0, 0, 1000, 1000, false));
	assert_false(program_is_privileged(04755, 1000, 0, 1000, 1000, false));
	assert_true(program_is_privileged(02755, 0, 0, 1000, 1000, false));
	assert_false(program_is_privileged(02755, 0, 1000, 1000, 1000, false));
	/* Without x for the group it means locking, not rights. */
	assert_false(program_is_privileged(02745, 0, 0, 1000, 1000, false));
	assert_true(program_is_privileged(0755, 0, 0, 1000, 1000, true));
	assert_false(program_is_privileged(0755, 0, 0, 0, 0, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dynamic),	   cmocka_unit_test(test_static),
		cmocka_unit_test(test_foreign),	   cmocka_unit_test(test_script),
		cmocka_unit_test(test_no_format),  cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_privileged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
