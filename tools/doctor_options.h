/*
 * Options of carom doctor
 */
#ifndef CAROM_TOOLS_DOCTOR_OPTIONS_H
#define CAROM_TOOLS_DOCTOR_OPTIONS_H

#include <stdbool.h>

/**
 * struct carom_doctor_options - what the command line says
 * @root: put before the path of each file of the system that is read; "" usually
 */
struct carom_doctor_options {
	const char *root;
	bool is_verbose;
	bool wants_json;
	bool wants_cleaning;
	bool is_dry_run;
};

/**
 * carom_doctor_options_parse() - read the command line
 * @ret_options: point into @argv
 * @ret_status:  the exit status, if there is nothing left to do
 *
 * Return: true if there is something to do; else all has been said.
 */
bool carom_doctor_options_parse(int argc, char *argv[], struct carom_doctor_options *ret_options,
				int *ret_status);

#endif
