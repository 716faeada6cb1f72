/*
 * Text: the report for people.
 */
#ifndef CAROM_TOOLS_DOCTOR_TEXT_H
#define CAROM_TOOLS_DOCTOR_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "tools/doctor_report.h"

/**
 * carom_doctor_text() - write the report: groups, aligned, at most 80 columns
 * @is_verbose: every mechanism with what is done with it, and the numbers
 * @has_colour: marks are coloured
 */
void carom_doctor_text(FILE *file, const struct carom_doctor_report *report, bool is_verbose,
		       bool has_colour);

#endif
