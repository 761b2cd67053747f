/*
 * Prints what C makes of the header's structures, one line a field: "struct field offset size", and one line a
 * structure: "struct - alignment size". The Rust side compares them with its own offset_of! and size_of!.
 */
#include <stddef.h>
#include <stdio.h>

#include <voxseg.h>

/* A char before the structure says what C11 calls alignof. */
#define STRUCT(type)                                                                                         \
    do {                                                                                                     \
        struct probe_##type {                                                                                \
            char first;                                                                                      \
            type value;                                                                                      \
        };                                                                                                   \
        printf("%s - %zu %zu\n", #type, offsetof(struct probe_##type, value), sizeof(type));                 \
    } while (0)
#define FIELD(type, field)                                                                                   \
    printf("%s %s %zu %zu\n", #type, #field, offsetof(type, field), sizeof(((type *)0)->field))

/* TABLE: every structure of the header, field by field. */
#include "structures.h"

#define PRINT_STRUCT(type) STRUCT(type);
#define PRINT_FIELD(type, field) FIELD(type, field);

int main(void) {
    TABLE(PRINT_STRUCT, PRINT_FIELD)
    return 0;
}
