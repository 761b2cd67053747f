/**
 * @file
 * @brief Progress functions, and what they throw, kept away from the C frames.
 */
#ifndef VOXSEG_PROGRESS_HPP
#define VOXSEG_PROGRESS_HPP

#include "version.hpp"

#include <cstdint>
#include <exception>
#include <functional>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/**
 * Called on the thread that works; returns true to go on, false to cancel. It may throw: the call is cancelled, and the
 * exception comes out of it. With VOXSEG_NO_EXCEPTIONS it must not.
 */
using Progress = std::function<bool(const vxs_progress &)>;

/** @cond internal */
namespace detail {

/** Keeps exceptions of a progress function on this side of the C frames. */
struct Callback {
    const Progress *progress;
    std::exception_ptr thrown;

    static std::int32_t call(void *user_data, const vxs_progress *progress) noexcept {
        auto *self = static_cast<Callback *>(user_data);
#ifdef VOXSEG_NO_EXCEPTIONS
        return (*self->progress)(*progress) ? 0 : 1;
#else
        try {
            return (*self->progress)(*progress) ? 0 : 1;
        } catch (...) {
            self->thrown = std::current_exception();
            return 1;
        }
#endif
    }

    /** Lets the options of a call tell it of progress, and of a wish to stop. */
    template <class Options, class Flag> void watch(Options &options, const Flag *cancel) {
        if (*progress) {
            options.progress = &Callback::call;
            options.user_data = this;
        }
        options.cancel = cancel ? cancel->get() : nullptr;
    }

    /** Throws what the progress function threw, in the place of the call's own error. */
    void rethrow(vxs_error *error) const {
        if (thrown) {
            vxs_error_free(error);
            std::rethrow_exception(thrown);
        }
    }
};

} // namespace detail
/** @endcond */

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_PROGRESS_HPP
