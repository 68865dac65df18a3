/* The C ABI of fastn. */
#ifndef FASTN_H
#define FASTN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library, such as "0.1.0". Never NULL; lives as long as the process. */
const char *fastn_version(void);

/* What an error code means, in words, such as "not found"; "unknown error" for a number that is no code.
   Never NULL; lives as long as the process. */
const char *fastn_error_text(uint16_t code);

#ifdef __cplusplus
}
#endif

#endif
