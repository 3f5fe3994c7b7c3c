#include "CBytes.h"

/* Software: one table, a byte at a time. Only processors without the instruction come here. */
static uint32_t crc_by_table(uint32_t crc, const unsigned char *p, size_t n) {
    static uint32_t table[256];
    static int ready; /* a race here writes the same values twice */
    if (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++) c = (c & 1) ? (c >> 1) ^ 0x82F63B78u : c >> 1;
            __atomic_store_n(&table[i], c, __ATOMIC_RELAXED);
        }
        __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    }
    while (n--) crc = (crc >> 8) ^ __atomic_load_n(&table[(crc ^ *p++) & 0xff], __ATOMIC_RELAXED);
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <string.h>
__attribute__((target("sse4.2")))
static uint32_t crc_by_instruction(uint32_t crc, const unsigned char *p, size_t n) {
    uint64_t c = crc;
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = _mm_crc32_u64(c, word);
        p += 8;
        n -= 8;
    }
    crc = (uint32_t)c;
    while (n--) crc = _mm_crc32_u8(crc, *p++);
    return crc;
}
static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
static uint32_t crc_by_instruction(uint32_t crc, const unsigned char *p, size_t n) {
    while (n--) crc = __crc32cb(crc, *p++);
    return crc;
}
static int has_instruction(void) { return 1; }
#else
static uint32_t crc_by_instruction(uint32_t crc, const unsigned char *p, size_t n) { return crc_by_table(crc, p, n); }
static int has_instruction(void) { return 0; }
#endif

uint32_t martlet_crc32c(uint32_t crc, const void *bytes, size_t length) {
    crc = ~crc;
    crc = has_instruction() ? crc_by_instruction(crc, bytes, length) : crc_by_table(crc, bytes, length);
    return ~crc;
}
