/**
 * @file
 * @brief Messages of the library.
 */
#ifndef VOXSEG_LOG_HPP
#define VOXSEG_LOG_HPP

#include "error.hpp"
#include "handle.hpp"

#include <functional>
#include <memory>
#include <utility>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/**
 * Receives the messages of the library and of ONNX Runtime while it lives, beside other receivers. `level` is one
 * of VXS_LOG_*, the message UTF-8. It is called from any thread and from several at once, and must not call the
 * library; what it throws is dropped.
 */
class Log {
public:
    /** What receives a message. */
    using Receiver = std::function<void(vxs_log_level level, const char *message)>;

    /** Receives messages of at least `level` from now on, beside other receivers. */
    static Result<Log> open(vxs_log_level level, Receiver receiver) {
        auto kept = std::make_unique<Receiver>(std::move(receiver));
        vxs_log *handle = nullptr;
        return detail::call(
            [&](vxs_error **error) { return vxs_log_add(level, &Log::call, kept.get(), &handle, error); },
            [&] { return Log(std::move(kept), handle); });
    }

private:
    Log(std::unique_ptr<Receiver> receiver, vxs_log *handle)
        : receiver_(std::move(receiver)), handle_(handle) {}

    static void call(void *user_data, vxs_log_level level, const char *message) noexcept {
#ifdef VOXSEG_NO_EXCEPTIONS
        (*static_cast<Receiver *>(user_data))(level, message);
#else
        try {
            (*static_cast<Receiver *>(user_data))(level, message);
        } catch (...) {
            // Nothing is above this frame but the library.
        }
#endif
    }

    // The handle ends first, and the receiver isn't called any more.
    std::unique_ptr<Receiver> receiver_;
    detail::Owner<vxs_log> handle_;
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_LOG_HPP
