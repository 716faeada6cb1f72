/*
 * Name: a file's name on a terminal, where any byte but NUL may stand in it.
 */
#ifndef WORDS_NAME_H
#define WORDS_NAME_H

#include <stdio.h>

/**
 * words_name_print() - write @name in @columns columns at most
 *
 * What is no printable character of the locale is written as \n or \033, so that
 * a name is one line and gives the terminal no orders. Of a name that is too long
 * the end is shown, after "...": that is where names differ.
 */
void words_name_print(FILE *to, const char *name, int columns);

#endif
