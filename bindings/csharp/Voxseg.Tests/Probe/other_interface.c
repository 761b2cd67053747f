/* A library of the same name that offers another interface. */
#include <stdint.h>

uint32_t vxs_abi_version(void) {
    return 7u << 16 | 1;
}

const char *vxs_version(void) {
    return "7.1.2";
}
