/*
 * Plugin: what a plug-in of the example of that name is
 *
 * A shared object with one function, which transforms a text in place.
 */
#ifndef EXAMPLES_PLUGIN_H
#define EXAMPLES_PLUGIN_H

#include <stddef.h>

/* Return: 0, or below 0: it cannot. */
typedef int plugin_fn(char *text, size_t size);

#define PLUGIN_FUNCTION "plugin_transform"

#endif
