/*
 * Report
 *
 * What was found out, finding by finding: whoever looks adds to it, whoever writes
 * reads from it. All texts are cut where their room ends, so nothing here can fail.
 */
#ifndef CAROM_TOOLS_DOCTOR_REPORT_H
#define CAROM_TOOLS_DOCTOR_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAROM_DOCTOR_TEXT_BYTES 256

/* The order of the groups in the report. */
enum carom_doctor_group {
	CAROM_DOCTOR_MACHINE,
	CAROM_DOCTOR_PROCESSES,
	CAROM_DOCTOR_WAITING,
	CAROM_DOCTOR_MEMORY,
	CAROM_DOCTOR_LIMITS,
	CAROM_DOCTOR_SANDBOX,
	CAROM_DOCTOR_OTHER, /* what the library names and this program does not know yet */
	CAROM_DOCTOR_GROUP_COUNT,
};

/* How bad it is, in rising order. */
enum carom_doctor_state {
	CAROM_DOCTOR_INFO,   /* good to know, nothing depends on it */
	CAROM_DOCTOR_OK,     /* it is there */
	CAROM_DOCTOR_LESS,   /* something lesser is done instead */
	CAROM_DOCTOR_BROKEN, /* something does not work */
};

/* What kind of thing the line is that would help. */
enum carom_doctor_remedy {
	CAROM_DOCTOR_NONE, /* nothing is known to help */
	CAROM_DOCTOR_RUN,  /* a command */
	CAROM_DOCTOR_SET,  /* a line of some configuration */
	CAROM_DOCTOR_NEED, /* something else to run on */
};

/**
 * struct carom_doctor_fact - a number that stands behind a finding
 * @key:      a word; static
 * @number:   its value, if it is one
 * @is_known: false: there is none, or no limit
 */
struct carom_doctor_fact {
	const char *key;
	uint64_t number;
	bool is_known;
};

/**
 * struct carom_doctor_finding - one thing that was looked at
 * @id:     a word that stays the same in later versions
 * @is_mechanism: one of the library's (carom_feature_next()), not something around it
 * @is_brief: where all is well, its name tells enough
 * @value:  what is found, or done, for people
 * @reason: why it is not better; empty: nothing is to be said
 * @cost:   what that costs
 * @line:   the one line that would help, of the kind @remedy
 * @note:   what stands for the capitals in @line, or where it belongs
 */
struct carom_doctor_finding {
	enum carom_doctor_group group;
	char id[32];
	enum carom_doctor_state state;
	bool is_mechanism;
	bool is_brief;
	char value[CAROM_DOCTOR_TEXT_BYTES];
	char reason[CAROM_DOCTOR_TEXT_BYTES];
	char cost[CAROM_DOCTOR_TEXT_BYTES];
	enum carom_doctor_remedy remedy;
	char line[CAROM_DOCTOR_TEXT_BYTES];
	char note[CAROM_DOCTOR_TEXT_BYTES];
	struct carom_doctor_fact facts[4];
	size_t fact_count;
};

/**
 * struct carom_doctor_report - all of them
 * @headline: what was looked at
 * @in_force: of each group, what the library does here; empty: it says nothing
 */
struct carom_doctor_report {
	char headline[CAROM_DOCTOR_TEXT_BYTES];
	char in_force[CAROM_DOCTOR_GROUP_COUNT][CAROM_DOCTOR_TEXT_BYTES];
	struct carom_doctor_finding findings[96];
	size_t finding_count;
};

/** carom_doctor_set() - fill a text of a finding or report; cut if it is too long */
void carom_doctor_set(char text[CAROM_DOCTOR_TEXT_BYTES], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** carom_doctor_add() - a new finding. Return: to fill in further; the report's. */
struct carom_doctor_finding *carom_doctor_add(struct carom_doctor_report *report,
					      enum carom_doctor_group group, const char *id,
					      enum carom_doctor_state state, const char *format,
					      ...) __attribute__((format(printf, 5, 6)));

/** carom_doctor_suggest() - the line that would help */
void carom_doctor_suggest(struct carom_doctor_finding *finding, enum carom_doctor_remedy remedy,
			  const char *format, ...) __attribute__((format(printf, 3, 4)));

/** carom_doctor_add_number() - a fact */
void carom_doctor_add_number(struct carom_doctor_finding *finding, const char *key,
			     uint64_t number);

/** carom_doctor_add_nothing() - a fact that has no number: no limit, or not known */
void carom_doctor_add_nothing(struct carom_doctor_finding *finding, const char *key);

/** carom_doctor_count() - how many findings are in @state */
size_t carom_doctor_count(const struct carom_doctor_report *report, enum carom_doctor_state state);

/** carom_doctor_group_name() - a word: "machine", "processes", ... */
const char *carom_doctor_group_name(enum carom_doctor_group group);

/** carom_doctor_state_name() - a word: "info", "ok", "less", "broken" */
const char *carom_doctor_state_name(enum carom_doctor_state state);

/** carom_doctor_remedy_name() - a word: "run", "set", "need"; NULL for none */
const char *carom_doctor_remedy_name(enum carom_doctor_remedy remedy);

/** carom_doctor_status() - 0 all well, 1 some work with less, 2 some do not work */
int carom_doctor_status(const struct carom_doctor_report *report);

#endif
