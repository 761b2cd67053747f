/**
 * @file
 * @brief Which ONNX Runtime is loaded.
 */
#ifndef VOXSEG_RUNTIME_HPP
#define VOXSEG_RUNTIME_HPP

#include "error.hpp"
#include "handle.hpp"

#include <string>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** Loads ONNX Runtime now, from a file or folder (UTF-8), or, for "", from where the library looks. */
inline Result<void> open_runtime(const std::string &path = {}) {
    return detail::call(
        [&](vxs_error **error) { return vxs_runtime_open(path.empty() ? nullptr : path.c_str(), error); });
}

/** Registers a library of ONNX Runtime's plug-in execution providers (UTF-8), such as WebGPU's. */
inline Result<void> add_runtime_plugin(const std::string &path) {
    return detail::call([&](vxs_error **error) { return vxs_runtime_add_plugin(path.c_str(), error); });
}

/** The version of the ONNX Runtime that is loaded; empty when none is. */
inline std::string runtime_version() { return detail::text(vxs_runtime_version()); }

/** The file that it came from; empty when none is loaded. */
inline std::string runtime_path() { return detail::text(vxs_runtime_path()); }

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_RUNTIME_HPP
