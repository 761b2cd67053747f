/**
 * @file
 * @brief Messages of the library.
 */
#ifndef VOXSEG_LOG_HPP
#define VOXSEG_LOG_HPP

#include "enumerations.hpp"
#include "error.hpp"
#include "handle.hpp"

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/**
 * Receives the messages of the library and of ONNX Runtime while it lives, beside other receivers. A message is UTF-8
 * and lives during the call. It is called from any thread and from several at once, and must not call the
 * library; what it throws is dropped.
 */
class Log {
public:
    /** What receives a message. */
    using Receiver = std::function<void(LogLevel level, std::string_view message)>;

    /** Receives messages of at least `level` from now on, beside other receivers. */
    static Result<Log> open(LogLevel level, Receiver receiver) {
        auto kept = std::make_unique<Receiver>(std::move(receiver));
        vxs_log *handle = nullptr;
        return detail::call(
            [&](vxs_error **error) {
                const auto least = static_cast<vxs_log_level>(level);
                return vxs_log_add(least, &Log::call, kept.get(), &handle, error);
            },
            [&] { return Log(std::move(kept), handle); });
    }

    /** Moves and doesn't copy. */
    Log(Log &&) noexcept = default;
    /** Ends the receiver that was here. */
    Log &operator=(Log &&other) noexcept {
        // Member by member, a receiver would go while it is still called.
        receiver_.swap(other.receiver_);
        handle_.swap(other.handle_);
        return *this;
    }

private:
    Log(std::unique_ptr<Receiver> receiver, vxs_log *handle)
        : receiver_(std::move(receiver)), handle_(handle) {}

    static void call(void *user_data, vxs_log_level level, const char *message) noexcept {
#ifdef VOXSEG_NO_EXCEPTIONS
        (*static_cast<Receiver *>(user_data))(static_cast<LogLevel>(level), message);
#else
        try {
            (*static_cast<Receiver *>(user_data))(static_cast<LogLevel>(level), message);
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
