/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Differences between the kernels that this driver builds for, 6.1 being the
 * oldest. The other files are written for the newest.
 */
#ifndef PTNET_COMPAT_H
#define PTNET_COMPAT_H

#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void ptnet_compat_vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#define vm_flags_set ptnet_compat_vm_flags_set
#endif

#endif /* PTNET_COMPAT_H */
