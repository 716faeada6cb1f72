/*
 * Words: the words of a job's command, made from the template and one input.
 */
#ifndef CAROM_TOOLS_RUN_WORDS_H
#define CAROM_TOOLS_RUN_WORDS_H

/**
 * carom_run_words() - put @input into @template
 * @template:  NULL-terminated; every {} is replaced; if there is none, @input
 *             becomes one more word at the end
 * @ret_words: NULL-terminated, the strings included: one free(3)
 *
 * Return: 0, -ENOMEM.
 */
int carom_run_words(char *const template[], const char *input, char ***ret_words);

#endif
