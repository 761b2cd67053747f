/**
 * @file
 * @brief A flag that stops a run.
 */
#ifndef VOXSEG_CANCEL_HPP
#define VOXSEG_CANCEL_HPP

#include "error.hpp"
#include "handle.hpp"

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** A flag that stops a run within one tile. */
class Cancel {
public:
    /** A flag that isn't set. */
    static Result<Cancel> create() {
        vxs_cancel *handle = nullptr;
        return detail::call([&](vxs_error **error) { return vxs_cancel_create(&handle, error); },
                            [&] { return Cancel(handle); });
    }
#ifndef VOXSEG_NO_EXCEPTIONS
    /** As create(). */
    Cancel() : Cancel(create()) {}
#endif

    /** Asks the run to stop. Any thread, also a signal handler. */
    void request() const noexcept { vxs_cancel_request(get()); }
    /** Whether it was asked. */
    bool requested() const noexcept { return vxs_cancel_requested(get()) != 0; }
    /** Makes it ready for another run. */
    void reset() const noexcept { vxs_cancel_reset(get()); }
    /** The handle, for functions of voxseg.h. */
    const vxs_cancel *get() const noexcept { return handle_.get(); }

private:
    explicit Cancel(vxs_cancel *handle) : handle_(handle) {}

    detail::Owner<vxs_cancel> handle_;
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_CANCEL_HPP
