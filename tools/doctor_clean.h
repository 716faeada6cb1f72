/*
 * Clean: what killed programs have left is removed.
 */
#ifndef CAROM_TOOLS_DOCTOR_CLEAN_H
#define CAROM_TOOLS_DOCTOR_CLEAN_H

#include <stdbool.h>

/**
 * carom_doctor_clean() - remove it, and say what was removed, a line each
 * @is_dry_run: say what would be removed
 *
 * Return: 0, 1 (something could not be removed), CAROM_EXIT_ERROR (it cannot be said).
 */
int carom_doctor_clean(bool is_dry_run);

#endif
