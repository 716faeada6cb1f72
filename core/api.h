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

#endif
