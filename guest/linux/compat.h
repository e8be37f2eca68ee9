/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Differences between the kernels that this driver builds for, 6.1 being the
 * oldest. The other files are written for the newest.
 */
#ifndef PTNET_COMPAT_H
#define PTNET_COMPAT_H

#include <linux/huge_mm.h>
#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#include <linux/pfn_t.h>
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void ptnet_compat_vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#define vm_flags_set ptnet_compat_vm_flags_set
#endif

/*
 * Device memory in user space by whole page tables. Before 6.12 such an entry looked
 * like one with struct pages behind it, and get_user_pages() believed it.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0) && defined(CONFIG_TRANSPARENT_HUGEPAGE) &&      \
	defined(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP)
#define PTNET_HUGE_MAPPINGS
static inline vm_fault_t ptnet_compat_insert_pfn_pmd(struct vm_fault *vmf, unsigned long pfn,
						     bool write)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	return vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, PFN_DEV), write);
#else
	return vmf_insert_pfn_pmd(vmf, pfn, write);
#endif
}
#define ptnet_get_unmapped_area thp_get_unmapped_area
#else
#define ptnet_get_unmapped_area NULL
#endif

#endif /* PTNET_COMPAT_H */
