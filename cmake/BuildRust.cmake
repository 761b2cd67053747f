# voxseg_build_rust(): a target that runs cargo on every build (cargo knows what is stale) and, in the caller's
# scope, VOXSEG_SHARED, VOXSEG_STATIC, VOXSEG_IMPORT (Windows), VOXSEG_ABI_MAJOR and VOXSEG_STATIC_LIBRARIES.

set(VOXSEG_BUILT_DIR "" CACHE PATH
    "Folder of voxseg.dll, voxseg.lib and libvoxseg.dll.a, built already; empty to build with cargo")

function(voxseg_build_rust)
    if(NOT VOXSEG_BUILT_DIR)
        find_program(CARGO_EXECUTABLE cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin" REQUIRED)
    endif()
    set(output "${VOXSEG_CARGO_TARGET_DIR}/release")
    if(MSVC)
        set(shared "${output}/voxseg.dll")
        set(import "${output}/voxseg.dll.lib")
        set(static "${output}/voxseg.lib")
    elseif(WIN32)
        # What Rust's -gnu targets, which mingw needs, call them.
        set(target --target x86_64-pc-windows-gnu)
        set(output "${VOXSEG_CARGO_TARGET_DIR}/x86_64-pc-windows-gnu/release")
        set(shared "${output}/voxseg.dll")
        set(import "${output}/libvoxseg.dll.a")
        set(static "${output}/libvoxseg.a")
    elseif(APPLE)
        set(shared "${output}/libvoxseg.dylib")
        set(static "${output}/libvoxseg.a")
    else()
        set(shared "${output}/libvoxseg.so")
        set(static "${output}/libvoxseg.a")
    endif()

    if(VOXSEG_BUILT_DIR)
        set(shared "${VOXSEG_BUILT_DIR}/voxseg.dll")
        set(import "${VOXSEG_BUILT_DIR}/voxseg.lib" "${VOXSEG_BUILT_DIR}/libvoxseg.dll.a")
        set(static "")
    endif()

    # Without the rlib, which link-time optimisation would silently be left out for.
    if(NOT VOXSEG_BUILT_DIR)
        add_custom_target(voxseg_rust ALL
            COMMAND "${CMAKE_COMMAND}" -E env "CARGO_TARGET_DIR=${VOXSEG_CARGO_TARGET_DIR}"
                    "${CARGO_EXECUTABLE}" rustc ${target} --release --lib --crate-type "cdylib,staticlib" --package voxseg
            BYPRODUCTS ${shared} ${static} ${import}
            WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
            COMMENT "building libvoxseg with cargo"
            USES_TERMINAL VERBATIM)
    endif()

    file(STRINGS "${PROJECT_SOURCE_DIR}/src/ffi/version.rs" line REGEX "^pub const VXS_ABI_MAJOR: u32 = [0-9]+")
    string(REGEX MATCH "= [0-9]+" major "${line}")
    string(REPLACE "= " "" major "${major}")
    if(major STREQUAL "")
        message(FATAL_ERROR "src/ffi/version.rs has no line `pub const VXS_ABI_MAJOR: u32 = N;`")
    endif()

    # What `cargo rustc -- --print native-static-libs` says, less what every C program links anyway.
    if(WIN32)
        set(libraries "-lkernel32 -lntdll -luserenv -lws2_32")
    elseif(APPLE)
        set(libraries "-liconv -lm")
    else()
        set(libraries "-lgcc_s -lutil -lrt -lpthread -lm -ldl")
    endif()

    set(VOXSEG_SHARED "${shared}" PARENT_SCOPE)
    set(VOXSEG_STATIC "${static}" PARENT_SCOPE)
    set(VOXSEG_IMPORT "${import}" PARENT_SCOPE)
    set(VOXSEG_ABI_MAJOR "${major}" PARENT_SCOPE)
    set(VOXSEG_STATIC_LIBRARIES "${libraries}" PARENT_SCOPE)
endfunction()
