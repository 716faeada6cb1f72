/* Annex: libseccomp, which compiles filters of system calls. Stands on <seccomp.h>. */
#ifndef CAROM_CORE_ANNEX_SECCOMP_H
#define CAROM_CORE_ANNEX_SECCOMP_H

#include <seccomp.h>

#include "core/annex.h"

#define CAROM_SECCOMP_NAMES(name)                                                                  \
	name(seccomp_attr_set) name(seccomp_export_bpf) name(seccomp_init) name(seccomp_release)   \
		name(seccomp_rule_add) name(seccomp_rule_add_array) name(seccomp_syscall_priority) \
			name(seccomp_syscall_resolve_name) name(seccomp_syscall_resolve_num_arch)

CAROM_ANNEX_DECLARE(seccomp, CAROM_SECCOMP_NAMES);

#endif
