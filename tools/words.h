/*
 * Words
 *
 * A command that was given as one string, taken apart as a shell would: blanks separate,
 * '...', "..." and \ quote. Nothing else has a meaning, and what would have one in a shell
 * is refused, so that nobody takes a pipe for words of a command.
 */
#ifndef CAROM_TOOLS_WORDS_H
#define CAROM_TOOLS_WORDS_H

/**
 * carom_words_split()
 * @ret_words: NULL-terminated, one piece of memory; the caller's, ended by free(3)
 * @ret_bad:   where it returns -EINVAL: the character that needs a shell, or the quote
 *             that is not closed
 *
 * Return: how many words, or -EINVAL, -ENOMEM.
 */
int carom_words_split(const char *text, char ***ret_words, char *ret_bad);

#endif
