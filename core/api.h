/* What marks a declaration as part of the library's interface; carom.map lists the same names. */
#ifndef CAROM_CORE_API_H
#define CAROM_CORE_API_H

#define CAROM_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define CAROM_BEGIN_DECLS extern "C" {
#define CAROM_END_DECLS   }
#else
#define CAROM_BEGIN_DECLS
#define CAROM_END_DECLS
#endif

/* a variable of the type that it is given */
#ifdef __cplusplus
#define CAROM_AUTO_ auto
#else
#define CAROM_AUTO_ __auto_type
#endif

/*
 * What the CAROM_..._OPTIONS() macros are: a struct whose first member is its size. In C it
 * has an address, that of a compound literal; in C++ that of a temporary, which lives until
 * the end of the full expression (designators there are C++20, in the order of the members).
 * Members that are left out are what options are for, and g++ -Wextra would name each of them,
 * but for what a system header expands to.
 */
#ifdef __cplusplus
#pragma GCC system_header
#define CAROM_OPTIONS(tag, ...) \
	(static_cast<const tag &>(tag{ .size_bytes = sizeof(tag), __VA_ARGS__ }))
#else
#define CAROM_OPTIONS(tag, ...) ((struct tag){ .size_bytes = sizeof(struct tag), __VA_ARGS__ })
#endif

#endif
