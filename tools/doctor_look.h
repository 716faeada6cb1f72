/*
 * Look: the parts of the report, each added by who knows about it.
 */
#ifndef CAROM_TOOLS_DOCTOR_LOOK_H
#define CAROM_TOOLS_DOCTOR_LOOK_H

#include "tools/doctor_place.h"
#include "tools/doctor_report.h"

/** carom_doctor_look_at_mechanisms() - what the library probes and what it chose */
void carom_doctor_look_at_mechanisms(const struct carom_doctor_place *place,
				     struct carom_doctor_report *report);

/** carom_doctor_look_at_machine() - kernel, container, CPUs, memory */
void carom_doctor_look_at_machine(const struct carom_doctor_place *place,
				  struct carom_doctor_report *report);

/** carom_doctor_look_at_cgroups() - where groups can be made, and what they limit */
void carom_doctor_look_at_cgroups(const struct carom_doctor_place *place,
				  struct carom_doctor_report *report);

/** carom_doctor_look_at_limits() - resource limits, and what cgroups allow */
void carom_doctor_look_at_limits(const struct carom_doctor_place *place,
				 struct carom_doctor_report *report);

/** carom_doctor_look_at_sandbox() - what workers can be kept inside with */
void carom_doctor_look_at_sandbox(const struct carom_doctor_place *place,
				  struct carom_doctor_report *report);

#endif
