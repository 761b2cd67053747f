/**
 * @file
 * @brief What owns the handles and fills the structures of voxseg.h.
 */
#ifndef VOXSEG_HANDLE_HPP
#define VOXSEG_HANDLE_HPP

#include "version.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** @cond internal */
namespace detail {

struct Free {
    void operator()(vxs_model *handle) const noexcept { vxs_model_free(handle); }
    void operator()(vxs_plan *handle) const noexcept { vxs_plan_free(handle); }
    void operator()(vxs_cancel *handle) const noexcept { vxs_cancel_free(handle); }
    void operator()(vxs_device_list *handle) const noexcept { vxs_device_list_free(handle); }
    void operator()(vxs_comparison_list *handle) const noexcept { vxs_comparison_list_free(handle); }
    void operator()(vxs_statistics_list *handle) const noexcept { vxs_statistics_list_free(handle); }
    void operator()(vxs_dose_list *handle) const noexcept { vxs_dose_list_free(handle); }
    void operator()(vxs_record *handle) const noexcept { vxs_record_free(handle); }
    void operator()(vxs_nifti *handle) const noexcept { vxs_nifti_free(handle); }
    void operator()(vxs_inspection *handle) const noexcept { vxs_inspection_free(handle); }
    void operator()(vxs_session *handle) const noexcept { vxs_session_free(handle); }
    void operator()(vxs_log *handle) const noexcept { vxs_log_remove(handle); }
};

template <class Handle> using Owner = std::unique_ptr<Handle, Free>;

/** A structure with its defaults. Of a size that the library doesn't know it stays zero, and is refused when used. */
template <class T> T filled(vxs_status (*init)(T *, std::uint64_t)) noexcept {
    T structure{};
    init(&structure, sizeof structure);
    return structure;
}

inline std::string text(const char *value) { return value ? value : ""; }

/** A path as UTF-8, of whatever characters its system's are. */
inline std::string utf8(const std::filesystem::path &path) {
    const auto text = path.u8string();
    return std::string(text.begin(), text.end());
}

} // namespace detail
/** @endcond */

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_HANDLE_HPP
