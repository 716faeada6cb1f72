/*
 * Text: a look as people read it, or programs
 */
#ifndef CAROM_TOOLS_TOP_TEXT_H
#define CAROM_TOOLS_TOP_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "tools/top_look.h"

/** carom_top_print() - in lines of 80 columns; @has_colour: of a terminal that may have some */
void carom_top_print(const struct carom_top_look *look, bool has_colour, FILE *file);

/** carom_top_print_json() - one object, in one line. Return: 0, -ENOMEM. */
int carom_top_print_json(const struct carom_top_look *look, FILE *file);

/** carom_top_print_openmetrics() - https://openmetrics.io, in base units, up to "# EOF" */
void carom_top_print_openmetrics(const struct carom_top_look *look, FILE *file);

/** carom_top_state_name() - of enum carom_pool_state: "running", "closed", ... */
const char *carom_top_state_name(uint64_t state);

#endif
