/*
 * Profile
 *
 * What a container runtime lets a program call, as a table: each row is a call, or
 * some arguments of one, with the answer that is given instead of it. The tables say
 * what the runtimes do in a container that was given no capability beyond the usual
 * ones; they are written from what the runtimes document and are known to answer, and
 * name what somebody who makes processes and shared memory may come across. What a
 * runtime denies and no table names (mounting, modules, clocks) a program without
 * these capabilities is denied by the kernel anyway.
 */
#ifndef CAROM_TESTS_CONTAINERS_PROFILE_H
#define CAROM_TESTS_CONTAINERS_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#define ALL_BITS   (~UINT64_C(0))
#define ALWAYS_YES (-1)

/**
 * struct profile_rule - one row
 * @call:     as libseccomp spells it; NULL: @number
 * @number:   of a call that is too new for libseccomp to know by name
 * @error:    the answer
 * @unless:   a capability with which the call is let through; 0: CAP_CHOWN, that is none
 * @mask:     0: whatever the arguments are; else only where the bits of @argument under
 *            @mask are @value
 */
struct profile_rule {
	const char *call;
	int number;
	int error;
	int unless;
	unsigned int argument;
	uint64_t mask;
	uint64_t value;
};

/**
 * struct profile - one runtime
 * @name:         as the program `contained` takes it
 * @is:           for people
 * @rules:        @rule_count of them
 * @first_unknown: calls from this number on are newer than the runtime: ENOSYS
 */
struct profile {
	const char *name;
	const char *is;
	const struct profile_rule *rules;
	size_t rule_count;
	int first_unknown;
};

extern const struct profile profiles[];
extern const size_t profile_count;

/** profile_find() - NULL: there is none of that name */
const struct profile *profile_find(const char *name);

/**
 * profile_load() - from now on this thread and all that it starts are answered that way
 * @capabilities: a bit for each that the container has, as in /proc/PID/status
 *
 * Return: 0, or what seccomp(2) said. With no_new_privs, unless we are root.
 */
int profile_load(const struct profile *profile, uint64_t capabilities);

#endif
