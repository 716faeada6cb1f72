/*
 * Options of carom run: what the command line says.
 */
#ifndef CAROM_TOOLS_RUN_OPTIONS_H
#define CAROM_TOOLS_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAROM_RUN_JOBS_MAX 10000

/**
 * struct carom_run_options - what to run, on what, and how
 * @command:     words of the command, NULL-terminated; {} stands for the input
 * @inputs:      the inputs after ":::", NULL if there was none
 * @input_count: how many
 * @input_path:  the file that holds the inputs; NULL means standard input
 * @separator:   ends an input in a file: '\n' or '\0'
 * @keep_order:  output in the order of the inputs
 * @wants_bar:   show the progress
 * @job_count:   jobs at a time, 1 to CAROM_RUN_JOBS_MAX
 * @timeout_ns:  time limit of a job; 0 means none
 *
 * All strings are those of argv.
 */
struct carom_run_options {
	char *const *command;
	char *const *inputs;
	size_t input_count;
	const char *input_path;
	uint64_t timeout_ns;
	uint32_t job_count;
	char separator;
	bool keep_order;
	bool wants_bar;
};

/**
 * carom_run_options_parse() - read the command line
 * @argv:       [0] is the name of the command; ":::" is overwritten with NULL
 * @ret_status: where nothing is to be run: the exit status, everything being said
 *
 * Return: whether there is something to run.
 */
bool carom_run_options_parse(int argc, char *argv[], struct carom_run_options *ret_options,
			     int *ret_status);

#endif
