/*
 * Remedy: the one line that would give what is missing.
 */
#ifndef CAROM_TOOLS_DOCTOR_REMEDY_H
#define CAROM_TOOLS_DOCTOR_REMEDY_H

#include "tools/doctor_place.h"
#include "tools/doctor_report.h"

/**
 * carom_doctor_allow_calls() - have the container's runtime allow @calls
 * @calls: names of system calls, with blanks between them
 */
void carom_doctor_allow_calls(const struct carom_doctor_place *place,
			      struct carom_doctor_finding *finding, const char *calls);

/** carom_doctor_delegate_cgroup() - have a cgroup of one's own in which others can be made */
void carom_doctor_delegate_cgroup(const struct carom_doctor_place *place,
				  struct carom_doctor_finding *finding, int error);

/** carom_doctor_enable_landlock() - where the kernel has it, and was started without */
void carom_doctor_enable_landlock(struct carom_doctor_finding *finding);

/** carom_doctor_set_sysctl() - a parameter of the kernel, as "vm.overcommit_memory=0" */
void carom_doctor_set_sysctl(const struct carom_doctor_place *place,
			     struct carom_doctor_finding *finding, const char *setting);

/**
 * carom_doctor_raise_limit() - a resource limit
 * @letter:   ulimit's option
 * @name:     docker's and podman's name for it, "nofile"
 * @property: systemd's, "LimitNOFILE"
 * @can_raise: the process itself may
 */
void carom_doctor_raise_limit(const struct carom_doctor_place *place,
			      struct carom_doctor_finding *finding, char letter, const char *name,
			      const char *property, uint64_t value, bool can_raise);

#endif
