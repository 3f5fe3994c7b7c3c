#ifndef MARTLET_CBYTES_H
#define MARTLET_CBYTES_H
#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `length` bytes, continued from `crc`: start with 0, pass the last result to go on.
   Uses the processor's instruction where it has one. */
uint32_t martlet_crc32c(uint32_t crc, const void *bytes, size_t length);

#endif
