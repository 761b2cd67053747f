/**
 * @file
 * @brief What the library was built with, and which ONNX Runtime is loaded.
 */
#ifndef VOXSEG_RUNTIME_HPP
#define VOXSEG_RUNTIME_HPP

#include "error.hpp"
#include "handle.hpp"

#include <filesystem>
#include <string>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** What this build of the library has, as JSON; see vxs_build_info(). */
inline std::string build_info() { return detail::text(vxs_build_info()); }

/** Loads ONNX Runtime now, from a file or folder, or, for "", from where the library looks. */
inline Result<void> open_runtime(const std::filesystem::path &path = {}) {
    const std::string name = detail::utf8(path);
    return detail::call(
        [&](vxs_error **error) { return vxs_runtime_open(name.empty() ? nullptr : name.c_str(), error); });
}

/** Registers a library of ONNX Runtime's plug-in execution providers. */
inline Result<void> add_runtime_plugin(const std::filesystem::path &path) {
    const std::string name = detail::utf8(path);
    return detail::call([&](vxs_error **error) { return vxs_runtime_add_plugin(name.c_str(), error); });
}

/** The version of the ONNX Runtime that is loaded; empty when none is. */
inline std::string runtime_version() { return detail::text(vxs_runtime_version()); }

/** The file that it came from; empty when none is loaded. */
inline std::string runtime_path() { return detail::text(vxs_runtime_path()); }

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_RUNTIME_HPP
