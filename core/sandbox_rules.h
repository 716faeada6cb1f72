/*
 * Sandbox rules: which system calls a profile has
 *
 * Compiled by libseccomp, for this architecture alone.
 */
#ifndef CAROM_CORE_SANDBOX_RULES_H
#define CAROM_CORE_SANDBOX_RULES_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sandbox.h"

/**
 * carom_sandbox_compile() - make a filter of a profile and its lists
 * @profile:     but CAROM_SANDBOX_NONE
 * @guards_paths: there is landlock; else the profile has no call that takes a path
 * @executes:    programs are to live with it: see core/sandbox_program.h
 * @allow, @deny: ended by NULL, or NULL
 * @ret_program: malloc'd
 * @text:        what is wrong, for people: up to @size bytes, if it fails
 *
 * Return: 0, -ENOENT, -EPERM, -EINVAL (see carom_sandbox_new()), -ENOMEM, -EMFILE, -ENFILE,
 * -EOPNOTSUPP (built without libseccomp, or it cannot be loaded).
 */
int carom_sandbox_compile(enum carom_sandbox_profile profile, bool guards_paths, bool executes,
			  const char *const *allow, const char *const *deny,
			  struct sock_filter **ret_program, size_t *ret_length, char *text,
			  size_t size);

/** carom_system_call_name() - "openat", "system call 1234", "unknown" below 0; cut at @size */
void carom_system_call_name(int64_t number, char *name, size_t size);

/**
 * carom_sandbox_needs_landlock() - the first call of @allow that only landlock keeps from files
 *
 * Those that open, make, move, remove, cut or execute one.
 * Return: its name, static; NULL: there is none, or @deny has them.
 */
const char *carom_sandbox_needs_landlock(const char *const *allow, const char *const *deny);

#endif
