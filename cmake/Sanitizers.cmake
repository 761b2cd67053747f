# VOXSEG_SANITIZE="address,undefined": instruments everything that is compiled in this project. The Rust library
# itself isn't; its allocations and the C library's calls are seen all the same.

set(VOXSEG_SANITIZE "" CACHE STRING "Sanitizers for the C and C++ code, as -fsanitize takes them; empty for none")
if(VOXSEG_SANITIZE)
    add_compile_options(-fsanitize=${VOXSEG_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=${VOXSEG_SANITIZE})
endif()
