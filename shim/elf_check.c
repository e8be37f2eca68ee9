/* SPDX-License-Identifier: BSD-2-Clause */
#include "elf_check.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* What we are ourselves is what can be preloaded. */
#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#else
#define OUR_MACHINE EM_NONE
#endif

struct file {
	const unsigned char *bytes;
	size_t size;
};

/* NULL: not wholly inside the file. */
static const void *at(const struct file *file, uint64_t offset, uint64_t size)
{
	if (offset > file->size || size > file->size - offset)
		return NULL;
	return file->bytes + offset;
}

static bool read_header(const struct file *file, ElfW(Ehdr) * header)
{
	const void *bytes = at(file, 0, sizeof(*header));

	if (bytes == NULL)
		return false;
	memcpy(header, bytes, sizeof(*header));
	return header->e_phentsize == sizeof(ElfW(Phdr));
}

/* The program header number @index; false: there is none. */
static bool read_segment(const struct file *file, const ElfW(Ehdr) * header, unsigned index,
			 ElfW(Phdr) * segment)
{
	const void *bytes =
		index < header->e_phnum
			? at(file, header->e_phoff + index * sizeof(*segment), sizeof(*segment))
			: NULL;

	if (bytes == NULL)
		return false;
	memcpy(segment, bytes, sizeof(*segment));
	return true;
}

static bool find_segment(const struct file *file, const ElfW(Ehdr) * header, uint32_t type,
			 ElfW(Phdr) * segment)
{
	unsigned i;

	for (i = 0; read_segment(file, header, i, segment); i++)
		if (segment->p_type == type)
			return true;
	return false;
}

static enum program_kind script(const struct file *file, char *interpreter, size_t size)
{
	size_t start = 2, end;

	while (start < file->size && (file->bytes[start] == ' ' || file->bytes[start] == '\t'))
		start++;
	for (end = start; end < file->size && strchr(" \t\n", file->bytes[end]) == NULL; end++)
		;
	if (end == start || end - start >= size)
		return PROGRAM_NO_FORMAT;
	memcpy(interpreter, file->bytes + start, end - start);
	interpreter[end - start] = '\0';
	return PROGRAM_SCRIPT;
}

enum program_kind program_kind(const void *bytes, size_t file_size, char *interpreter, size_t size)
{
	const struct file file = {bytes, file_size};
	ElfW(Ehdr) header;
	ElfW(Phdr) segment;

	if (file_size >= 2 && memcmp(bytes, "#!", 2) == 0)
		return script(&file, interpreter, size);
	if (file_size < EI_NIDENT || memcmp(bytes, ELFMAG, SELFMAG) != 0)
		return PROGRAM_NO_FORMAT;
	if (file.bytes[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		return PROGRAM_FOREIGN;
	if (!read_header(&file, &header))
		return PROGRAM_NO_FORMAT;
	if (OUR_MACHINE != EM_NONE && header.e_machine != OUR_MACHINE)
		return PROGRAM_FOREIGN;
	return find_segment(&file, &header, PT_INTERP, &segment) ? PROGRAM_DYNAMIC : PROGRAM_STATIC;
}

bool program_is_privileged(mode_t mode, uid_t owner, gid_t group, uid_t uid, gid_t gid,
			   bool capabilities)
{
	return ((mode & S_ISUID) != 0 && owner != uid) ||
	       ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && group != gid) ||
	       (capabilities && uid != 0);
}

/* Where in the file an address of the program's lies. */
static bool offset_of(const struct file *file, const ElfW(Ehdr) * header, uint64_t address,
		      uint64_t *offset)
{
	ElfW(Phdr) segment;
	unsigned i;

	for (i = 0; read_segment(file, header, i, &segment); i++)
		if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
		    address - segment.p_vaddr < segment.p_filesz) {
			*offset = segment.p_offset + (address - segment.p_vaddr);
			return true;
		}
	return false;
}

static bool entry(const struct file *file, const ElfW(Phdr) * dynamic, unsigned index,
		  ElfW(Dyn) * entry)
{
	const void *bytes;

	if ((index + 1) * sizeof(*entry) > dynamic->p_filesz)
		return false;
	bytes = at(file, dynamic->p_offset + index * sizeof(*entry), sizeof(*entry));
	if (bytes == NULL)
		return false;
	memcpy(entry, bytes, sizeof(*entry));
	return entry->d_tag != DT_NULL;
}

/* A string of the file's, copied. */
static bool string_at(const struct file *file, uint64_t offset, char *name, size_t size)
{
	size_t length;

	if (offset >= file->size)
		return false;
	length = strnlen((const char *)file->bytes + offset, file->size - offset);
	if (length >= size || length == file->size - offset)
		return false;
	memcpy(name, file->bytes + offset, length + 1);
	return true;
}

bool program_needs(const void *bytes, size_t file_size, const char *prefix, char *name, size_t size)
{
	const struct file file = {bytes, file_size};
	uint64_t strings = 0;
	ElfW(Ehdr) header;
	ElfW(Phdr) dynamic;
	ElfW(Dyn) d;
	unsigned i;

	if (!read_header(&file, &header) || !find_segment(&file, &header, PT_DYNAMIC, &dynamic))
		return false;
	for (i = 0; entry(&file, &dynamic, i, &d); i++)
		if (d.d_tag == DT_STRTAB && !offset_of(&file, &header, d.d_un.d_ptr, &strings))
			return false;
	for (i = 0; entry(&file, &dynamic, i, &d); i++)
		if (d.d_tag == DT_NEEDED && string_at(&file, strings + d.d_un.d_val, name, size) &&
		    strncmp(name, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}
