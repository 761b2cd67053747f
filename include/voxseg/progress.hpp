/**
 * @file
 * @brief Progress functions, and what they throw, kept away from the C frames.
 */
#ifndef VOXSEG_PROGRESS_HPP
#define VOXSEG_PROGRESS_HPP

#include "enumerations.hpp"

#include <cstdint>
#include <exception>
#include <functional>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** How far a call is. */
struct Progress {
    Stage stage{};                /**< What it is at. */
    double fraction = 0;          /**< Share of the whole call that is done: never decreases, 1 at its end. */
    std::uint64_t tiles_done = 0; /**< In Stage::Network: tiles that are done. */
    std::uint64_t tiles = 0;      /**< Tiles in all. */
    std::uint64_t bytes_read = 0; /**< In Stage::Open: bytes of the files that were read, or that aren't needed. */
    std::uint64_t bytes = 0;      /**< Bytes of these files in all, as far as they are known. */
};

/**
 * Called on the thread that works; returns true to go on, false to cancel. It may throw: the call is cancelled, and the
 * exception comes out of it. With VOXSEG_NO_EXCEPTIONS it must not.
 */
using ProgressFunction = std::function<bool(const Progress &)>;

/** @cond internal */
namespace detail {

/** Keeps exceptions of a progress function on this side of the C frames. */
struct Callback {
    const ProgressFunction *progress;
    std::exception_ptr thrown;

    static std::int32_t call(void *user_data, const vxs_progress *raw) noexcept {
        auto *self = static_cast<Callback *>(user_data);
        const Progress now{static_cast<Stage>(raw->stage), raw->fraction, raw->tiles_done,
                           raw->tiles, raw->bytes_read, raw->bytes};
#ifdef VOXSEG_NO_EXCEPTIONS
        return (*self->progress)(now) ? 0 : 1;
#else
        try {
            return (*self->progress)(now) ? 0 : 1;
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
