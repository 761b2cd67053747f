/* All that tests/abi/layout.c needs of <stdio.h>, for where there is a compiler and no C library's headers. */
int printf(const char *format, ...);
