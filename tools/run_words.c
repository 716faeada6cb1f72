/*
 * Words
 *
 * One block: the pointers first, then the strings one after the other. The
 * input is copied as it is, nothing in it means anything to anybody.
 */
#include "tools/run_words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MARK "{}"

struct measure {
	size_t word_count;
	size_t mark_count;
	size_t bytes; /* of the template's words with their NULs */
};

static struct measure measure_template(char *const template[])
{
	struct measure all = { 0 };

	for (; template[all.word_count]; all.word_count++) {
		const char *word = template[all.word_count];

		all.bytes += strlen(word) + 1;
		while ((word = strstr(word, MARK))) {
			all.mark_count++;
			word += strlen(MARK);
		}
	}
	return all;
}

/* Returns where the copy's NUL stands. */
static char *copy_word(char *to, const char *word, const char *input)
{
	const char *mark;

	while ((mark = strstr(word, MARK))) {
		to = mempcpy(to, word, (size_t)(mark - word));
		to = stpcpy(to, input);
		word = mark + strlen(MARK);
	}
	return stpcpy(to, word);
}

int carom_run_words(char *const template[], const char *input, char ***ret_words)
{
	struct measure all = measure_template(template);
	bool is_appended = all.mark_count == 0;
	size_t pointers = all.word_count + is_appended + 1, input_bytes, bytes;
	char **words, *to;

	if (__builtin_mul_overflow(all.mark_count + is_appended, strlen(input) + 1, &input_bytes) ||
	    __builtin_add_overflow(pointers * sizeof(*words) + all.bytes, input_bytes, &bytes))
		return -ENOMEM;
	words = malloc(bytes);
	if (!words)
		return -ENOMEM;
	to = (char *)(words + pointers);
	for (size_t i = 0; i < all.word_count; i++) {
		words[i] = to;
		to = copy_word(to, template[i], input) + 1;
	}
	if (is_appended)
		words[all.word_count] = strcpy(to, input);
	words[pointers - 1] = NULL;
	*ret_words = words;
	return 0;
}
