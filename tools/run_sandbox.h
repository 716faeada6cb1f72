/*
 * Sandbox of jobs: what they may ask of the kernel
 */
#ifndef CAROM_TOOLS_RUN_SANDBOX_H
#define CAROM_TOOLS_RUN_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#define CAROM_RUN_WRITABLE_MAX 16

struct carom_sandbox;

/**
 * struct carom_run_sandbox - what is asked for
 * @is_basic:    jobs are in the sandbox "basic"
 * @write_paths: what they may write to, NULL-terminated
 */
struct carom_run_sandbox {
	bool is_basic;
	const char *write_paths[CAROM_RUN_WRITABLE_MAX + 1];
	size_t write_count;
};

/** carom_run_sandbox_parse_profile() - Return: 0, or an exit status, and what is wrong is said */
int carom_run_sandbox_parse_profile(const char *text, struct carom_run_sandbox *sandbox);
int carom_run_sandbox_parse_writable(const char *text, struct carom_run_sandbox *sandbox);

/** carom_run_sandbox_check() - once all is read: does it make sense together? Likewise. */
int carom_run_sandbox_check(const struct carom_run_sandbox *sandbox);

/**
 * carom_run_sandbox_make() - for all jobs
 * @ret_sandbox: the caller's, ended by carom_sandbox_free(); NULL: none was asked for
 *
 * Return: 0, or an exit status: it cannot be had, and why is said.
 */
int carom_run_sandbox_make(const struct carom_run_sandbox *sandbox,
			   struct carom_sandbox **ret_sandbox);

#endif
