/*
 * Annex: a library that is loaded when it is needed
 *
 * What few processes need costs all of them: five mappings of each library are copied for
 * each child, and torn down at its end before anybody hears of that. So libraries for keys,
 * values, XML and filters are loaded by the first call that needs them, unless this library
 * is static: then they are part of it.
 *
 * Each has a header that names what is used of it,
 *
 *	#define CAROM_NETTLE_NAMES(name) name(nettle_hmac_digest) name(nettle_md5)
 *	CAROM_ANNEX_DECLARE(nettle, CAROM_NETTLE_NAMES);
 *
 * a source file that says which library that is, and why it is wanted,
 *
 *	CAROM_ANNEX_DEFINE(nettle, CAROM_NETTLE_NAMES, CAROM_NETTLE_SONAME,
 *			   "authentication", "listeners and connections with keys")
 *
 * and is used by
 *
 *	const struct carom_nettle *nettle = carom_nettle();
 *
 *	if (!nettle)
 *		return carom_annex_error();	// the log says why
 *	nettle->nettle_hmac_digest(...);
 *
 * Once loaded it stays. What there is not is remembered: the loader maps what it finds before
 * it misses something, and whoever looks at what was loaded would take that for news. What could
 * not be loaded for want of descriptors or memory is tried again by the next call.
 */
#ifndef CAROM_CORE_ANNEX_H
#define CAROM_CORE_ANNEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAROM_ANNEX_SIZE 64 /* a power of two, as CAROM_FORK_LOCK_SIZE is */

/**
 * struct carom_annex - one of them
 * @soname:  as the dynamic linker looks for it
 * @purpose: what there is not without it, for people
 * @names:   what is used of it, each with its NUL; then an empty one
 * @symbols: where these are, in that order; NULL until all were found
 * @why:     there is none; NULL: that is not known
 * @is_told: the log has been told that it cannot be loaded
 * @is_counted: in carom_annexes_image_count()
 */
struct carom_annex {
	const char *soname;
	const char *purpose;
	const char *names;
	_Atomic(void **) symbols;
	_Atomic(char *) why;
	atomic_bool is_told;
	atomic_bool is_counted;
} __attribute__((aligned(CAROM_ANNEX_SIZE)));

/** carom_annex_symbols() - load it, if it is not yet. NULL: it cannot be. MT-Safe. */
void *carom_annex_symbols(struct carom_annex *annex);

/**
 * carom_annex_error() - why the last one that this thread asked for and did not get was not there
 *
 * Return: -EOPNOTSUPP; -EMFILE, -ENFILE or -ENOMEM, and then the log was told nothing.
 */
int carom_annex_error(void);

/**
 * carom_annexes_load() - all that this program is linked with
 *
 * For who will not be able to: a process that is to be confined, or copied among threads.
 * What cannot be loaded is no error yet.
 */
void carom_annexes_load(void);

/** carom_annexes_load_for_children() - likewise; and later children of the fork server are born with it */
void carom_annexes_load_for_children(void);

/** carom_annexes_settle() - what is not loaded by now is not even looked for; nor in children */
void carom_annexes_settle(void);

/** carom_annexes_end() - both, in a process that is about to enter a sandbox */
void carom_annexes_end(void);

/** carom_annexes_are_settled() - has that been said, here or to whom this is a copy of? */
bool carom_annexes_are_settled(void);

/**
 * carom_annexes_enter() - nobody forks until carom_annexes_leave(): what uses the loader's list
 * would leave it locked in a child. Many may at the same time.
 */
void carom_annexes_enter(void);
void carom_annexes_leave(void);

/**
 * carom_annexes_image_count() - images that were loaded for them, as the loader counts
 *
 * Whoever was made before them lacks nothing. What they need in turn is counted as well, but
 * not what that needs.
 */
uint64_t carom_annexes_image_count(void);

/**
 * carom_annex_next() - what this program may load
 * @annex: the one before; NULL for the first. Return: NULL after the last; in a static build
 * there are none.
 */
struct carom_annex *carom_annex_next(struct carom_annex *annex);

#define CAROM_ANNEX_POINTER(symbol) __typeof__(symbol) *symbol;
#define CAROM_ANNEX_ADDRESS(symbol) .symbol = &(symbol),
#define CAROM_ANNEX_NAME(symbol)    #symbol "\0"

/** CAROM_ANNEX_DECLARE() - struct carom_NAME, and a function that gives it */
#define CAROM_ANNEX_DECLARE(name, symbols)   \
	struct carom_##name {                \
		symbols(CAROM_ANNEX_POINTER) \
	};                                   \
	const struct carom_##name *carom_##name(void)

#ifdef CAROM_LOADS_LATE

/*
 * For who makes packages: readelf --notes shows it, as the UAPI group's "ELF dlopen
 * metadata" has it. Without the library the rest works.
 */
#define CAROM_ANNEX_TEXT(soname, feature, purpose)                 \
	"[{\"feature\":\"" feature "\",\"description\":\"" purpose \
	"\",\"priority\":\"recommended\",\"soname\":[\"" soname "\"]}]"

#define CAROM_ANNEX_DEFINE(name, symbols, soname, feature, purpose)                              \
	static const struct {                                                                    \
		uint32_t name_size, text_size, type;                                             \
		char name[4];                                                                    \
		char text[sizeof(CAROM_ANNEX_TEXT(soname, feature, purpose))];                   \
	} note __attribute__((used, aligned(4), section(".note.dlopen"))) = {                    \
		4, sizeof(note.text), 0x407c0c0a, "FDO",                                         \
		CAROM_ANNEX_TEXT(soname, feature, purpose)                                       \
	};                                                                                       \
	static struct carom_annex annex                                                          \
		__attribute__((used, section("carom_annexes"))) = { soname, purpose,             \
								    symbols(CAROM_ANNEX_NAME) }; \
	const struct carom_##name *carom_##name(void)                                            \
	{                                                                                        \
		return carom_annex_symbols(&annex);                                              \
	}

#else

#define CAROM_ANNEX_DEFINE(name, symbols, soname, feature, purpose)                 \
	static const struct carom_##name linked = { symbols(CAROM_ANNEX_ADDRESS) }; \
	const struct carom_##name *carom_##name(void)                               \
	{                                                                           \
		return &linked;                                                     \
	}

#endif

#endif
