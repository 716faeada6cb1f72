/*
 * Options
 *
 * How a public function takes an options struct of any age: a shorter one (an
 * older program) gets defaults for what it does not know, a longer one (a newer
 * program) is refused with -E2BIG if it sets anything this library does not
 * know, as clone3(2) and openat2(2) do.
 */
#ifndef CAROM_CORE_OPTIONS_H
#define CAROM_CORE_OPTIONS_H

#include <stddef.h>

/**
 * carom_options_take() - copy @theirs into @ours
 * @theirs: the caller's struct, whose first member is `size_t size_bytes`; NULL
 *          means all defaults
 * @ours:   becomes the copy, zero-filled at the end
 * @size:   sizeof(*@ours)
 *
 * Return: 0, -EINVAL (size_bytes is smaller than itself: not made by the
 * options macro), -E2BIG.
 */
int carom_options_take(const void *theirs, void *ours, size_t size);

#endif
