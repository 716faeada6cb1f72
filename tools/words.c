/*
 * Words
 *
 * The words and the pointers to them share one allocation: there are at most half as many
 * words as characters, and no word is longer than what it was made of.
 */
#include "tools/words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

static bool needs_shell(char c, char quote, bool is_first)
{
	if (quote)
		return quote == '"' && strchr("$`", c);
	return strchr("|&;<>()$`*?[", c) || (is_first && strchr("~#", c));
}

/*
 * One word from *@from to *@to. Returns 0, or the character that it cannot take.
 */
static char take_word(const char **from, char **to)
{
	const char *begin = *from;
	char quote = '\0';

	for (; **from && (quote || !is_blank(**from)); (*from)++) {
		char c = **from;

		if (quote && c == quote) {
			quote = '\0';
		} else if (!quote && (c == '\'' || c == '"')) {
			quote = c;
		} else if (c == '\\' && quote != '\'' && (*from)[1] &&
			   (!quote || strchr("\\\"$`", (*from)[1]))) {
			*(*to)++ = *++*from;
		} else if (needs_shell(c, quote, *from == begin)) {
			return c;
		} else {
			*(*to)++ = c;
		}
	}
	*(*to)++ = '\0';
	return quote;
}

int carom_words_split(const char *text, char ***ret_words, char *ret_bad)
{
	size_t length = strlen(text);
	char **words = malloc((length / 2 + 2) * sizeof(*words) + length + 1);
	char *to;
	int count = 0;
	char bad;

	if (!words)
		return -ENOMEM;
	to = (char *)(words + length / 2 + 2);
	while (true) {
		while (is_blank(*text))
			text++;
		if (!*text)
			break;
		words[count++] = to;
		bad = take_word(&text, &to);
		if (bad) {
			free(words);
			*ret_bad = bad;
			return -EINVAL;
		}
	}
	words[count] = NULL;
	*ret_words = words;
	return count;
}
