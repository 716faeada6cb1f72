/*
 * Words: the words of a job's command, made from the template and its input.
 *
 * Marks in the template stand for the input, as GNU parallel writes them:
 *
 *	{}    dir/name.txt	{.}   dir/name
 *	{/}   name.txt		{/.}  name
 *	{//}  dir		{#}   the job's number, from 1	{%}  its slot's
 *
 * Where there are several sources {} stands for all values with a blank in
 * between, {2} for the second, {2.}, {2/}, {2//} and {2/.} for parts of it.
 */
#ifndef CAROM_TOOLS_RUN_WORDS_H
#define CAROM_TOOLS_RUN_WORDS_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct carom_run_values - what marks stand for
 * @text:   a value of each source, each with a NUL behind it
 * @length: of all of it, without the last NUL
 * @number: of the job, from 1
 * @slot:   that it runs in, from 1
 */
struct carom_run_values {
	const char *text;
	size_t length;
	uint64_t number;
	uint32_t slot;
};

/**
 * carom_run_words() - put values into a template
 * @template:  NULL-terminated; if there is no mark in it, the values become its
 *             last words. What names a source that does not exist is no mark.
 * @ret_words: NULL-terminated, the strings included: one free(3)
 *
 * Return: 0, -ENOMEM.
 */
int carom_run_words(char *const template[], const struct carom_run_values *values,
		    char ***ret_words);

/**
 * carom_run_words_quote() - the words as a line that a shell would take apart into them again
 *
 * One line whatever is in them: control characters are written as in $'\n'.
 * Return: the caller's, ended by free(3); NULL without memory.
 */
char *carom_run_words_quote(char *const words[]);

#endif
