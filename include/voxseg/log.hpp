/**
 * @file
 * @brief Messages of the library.
 */
#ifndef VOXSEG_LOG_HPP
#define VOXSEG_LOG_HPP

#include "error.hpp"

#include <functional>
#include <memory>
#include <utility>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/**
 * Receives the messages of the library and of ONNX Runtime while it lives; one at a time in a process. `level` is one
 * of VXS_LOG_*, the message UTF-8. It is called from any thread and from several at once, and must not call the
 * library; what it throws is dropped.
 */
class Log {
public:
    /** What receives a message. */
    using Receiver = std::function<void(vxs_log_level level, const char *message)>;

    /** Receives messages of at least `level` from now on. */
    static Result<Log> open(vxs_log_level level, Receiver receiver) {
        auto kept = std::make_unique<Receiver>(std::move(receiver));
        return detail::call(
            [&](vxs_error **error) { return vxs_log_set_callback(&Log::call, kept.get(), level, error); },
            [&] { return Log(std::move(kept)); });
    }

    /** Moves the receiver, whose place stays. */
    Log(Log &&) noexcept = default;
    Log &operator=(Log &&) = delete;
    ~Log() {
        if (receiver_) {
            vxs_log_set_callback(nullptr, nullptr, VXS_LOG_ERROR, nullptr);
        }
    }

private:
    explicit Log(std::unique_ptr<Receiver> receiver) : receiver_(std::move(receiver)) {}

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

    std::unique_ptr<Receiver> receiver_;
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_LOG_HPP
