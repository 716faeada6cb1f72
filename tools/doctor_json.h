/*
 * JSON: the report for programs. What the members mean is in carom-doctor(1).
 */
#ifndef CAROM_TOOLS_DOCTOR_JSON_H
#define CAROM_TOOLS_DOCTOR_JSON_H

#include "tools/doctor_place.h"
#include "tools/doctor_report.h"

/** carom_doctor_json() - the report as one object. Return: to be freed; NULL: no memory. */
char *carom_doctor_json(const struct carom_doctor_place *place,
			const struct carom_doctor_report *report);

#endif
