#!/usr/bin/env bash
# The same consumer without CMake: build.sh PREFIX OUTPUT_FOLDER MODEL, by pkg-config and the compilers alone.
set -euo pipefail
cd "$(dirname "$0")"
prefix=$1 out=$2 model=$3
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
mkdir -p "$out"
# Word splitting is what pkg-config's output is made for.
# shellcheck disable=SC2046
{
    "${CC:-cc}" -std=c99 consumer.c $(pkg-config --cflags --libs voxseg) "-Wl,-rpath,$prefix/lib" -o "$out/pc_c"
    "${CXX:-c++}" -std=c++17 consumer.cpp $(pkg-config --cflags --libs voxseg) "-Wl,-rpath,$prefix/lib" -o "$out/pc_cpp"
}
"$out/pc_c" "$model"
"$out/pc_cpp" "$model"
