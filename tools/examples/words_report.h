/*
 * Report: what carom-words shows when all is done.
 */
#ifndef WORDS_REPORT_H
#define WORDS_REPORT_H

#include "tools/examples/words_job.h"

/** words_report_begin() - what is going to be done, before it is */
void words_report_begin(const struct words_job *job);

/** words_report() - what was counted, what went wrong, who did it. Return: 0, -errno of the output. */
int words_report(const struct words_job *job);

#endif
