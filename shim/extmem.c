/* SPDX-License-Identifier: BSD-2-Clause */
#include "extmem.h"

#include <errno.h>

#include "mapping.h"
#include "real.h"
#include "table.h"

#define PAGE 4096u

/* Memory comes in pages, whatever the program says of the last one. */
static uint64_t whole_pages(uint64_t size)
{
	return (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* Is there memory at all these addresses? */
static int check_memory(uint64_t base, uint64_t size)
{
	uint64_t piece, offset;
	unsigned char pages[1024];
	int error = errno;

	for (offset = 0; offset < size; offset += piece) {
		piece = sizeof(pages) * (uint64_t)PAGE;
		if (piece > size - offset)
			piece = size - offset;
		if (mincore((void *)(uintptr_t)(base + offset), piece, pages) < 0) {
			errno = error;
			return -EFAULT;
		}
	}
	return 0;
}

int extmem_prepare(const struct nmreq_opt_extmem *extmem, struct ptnet_local_request *request)
{
	struct shim_region *region;
	uint16_t mem_id = 0;
	sigset_t signals;
	int result;

	if (extmem->nro_usrptr == 0 || extmem->nro_usrptr % PAGE != 0 ||
	    extmem->nro_info.nr_memsize < PAGE ||
	    extmem->nro_info.nr_memsize > UINT64_MAX - PAGE - extmem->nro_usrptr)
		return -EINVAL;
	shim_lock(&signals);
	region = region_of_program(extmem->nro_usrptr, whole_pages(extmem->nro_info.nr_memsize));
	if (region != NULL)
		mem_id = region->mem_id;
	shim_unlock(&signals);
	if (mem_id != 0) {
		request->body.reg.nr_mem_id = mem_id;
		return 0;
	}
	result = check_memory(extmem->nro_usrptr, whole_pages(extmem->nro_info.nr_memsize));
	if (result < 0)
		return result;
	request->options.present |= PTNET_LOCAL_OPT_EXTMEM;
	request->options.extmem = extmem->nro_info;
	request->options.extmem.nr_memsize = whole_pages(extmem->nro_info.nr_memsize);
	return 0;
}

static int map_over(struct description *d, const struct nmreq_opt_extmem *extmem,
		    const struct nmreq_pools_info *made)
{
	struct shim_region *region = d->region;
	void *base = (void *)(uintptr_t)extmem->nro_usrptr;
	int error;

	if (region->memsize > whole_pages(extmem->nro_info.nr_memsize))
		return -ENOMEM;
	if (!mapping_note_program((uintptr_t)base, region->memsize))
		return -ENOMEM;
	if (real.mmap(base, region->memsize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		      hidden_fd(&region->file), 0) == MAP_FAILED) {
		error = errno;
		mapping_gone((uintptr_t)base, region->memsize);
		return -error;
	}
	region->program_base = extmem->nro_usrptr;
	region->program_size = region->memsize;
	region->program_pools = *made;
	return 0;
}

int extmem_map(struct description *d, struct nmreq_opt_extmem *extmem,
	       const struct nmreq_pools_info *made)
{
	uint64_t memsize = extmem->nro_info.nr_memsize;
	sigset_t signals;
	int result = 0;

	shim_lock(&signals);
	if (made != NULL)
		result = map_over(d, extmem, made);
	else if (d->region->program_base != extmem->nro_usrptr)
		result = -EINVAL; /* unmapped meanwhile, or the port is of another region */
	if (result == 0) {
		extmem->nro_info = d->region->program_pools;
		extmem->nro_info.nr_memsize = memsize;
	}
	shim_unlock(&signals);
	return result;
}
