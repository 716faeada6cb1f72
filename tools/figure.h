/*
 * Figure
 *
 * Numbers as people read them: 13,359, 257 MB, 0.84 ms. The same in every locale,
 * so that what is printed can be compared.
 */
#ifndef CAROM_TOOLS_FIGURE_H
#define CAROM_TOOLS_FIGURE_H

#include <stdint.h>

/* Holds any figure: 18,446,744,073,709,551,615 with its NUL is 27. */
#define CAROM_FIGURE_BYTES 32

/** struct carom_figure - the text of one number, small enough to be passed around by value */
struct carom_figure {
	char text[CAROM_FIGURE_BYTES];
};

/** carom_figure_count() - "13,359" */
struct carom_figure carom_figure_count(uint64_t count);

/** carom_figure_bytes() - "812 bytes", "1.2 kB", "257 MB": thousands, three digits or so */
struct carom_figure carom_figure_bytes(uint64_t bytes);

/** carom_figure_time() - "85 us", "0.84 ms", "300 ms", "1.52 s", "3 min 20 s" */
struct carom_figure carom_figure_time(uint64_t ns);

#endif
