/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/vfio_user_errors.h"

const char *const vfio_user_error_names[VFIO_USER_ERROR_COUNT] = {
#define X(identifier, name) [VFIO_USER_ERROR_##identifier] = name,
	VFIO_USER_ERRORS(X)
#undef X
};
