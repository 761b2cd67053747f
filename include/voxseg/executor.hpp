/**
 * @file
 * @brief The host's threads.
 */
#ifndef VOXSEG_EXECUTOR_HPP
#define VOXSEG_EXECUTOR_HPP

#include "handle.hpp"

#include <cstdint>
#include <functional>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** The library's part of Executor::parallel_for: does the task of a number. Any thread; it throws nothing. */
class ParallelTask {
public:
    /** Does it. */
    void operator()(std::uint64_t index) const noexcept { function_(data_, index); }

private:
    friend struct Executor;
    ParallelTask(vxs_task_function function, void *data) : function_(function), data_(data) {}

    vxs_task_function function_;
    void *data_;
};

/** The host's threads for a plan, a comparison or a measurement, which then starts none of its own. */
struct Executor {
    /**
     * Calls the task once for each number below `count`, on any threads, in any order, one after another or at the same
     * time, and returns when the last call has returned. It may be called from several threads at once, and must not
     * throw: what it throws ends the program. Empty: the library's own threads.
     */
    std::function<void(std::uint64_t count, const ParallelTask &task)> parallel_for{};
    /** The most tasks that it runs at the same time, up to 1024; 0: as many as the process has processors. */
    std::uint32_t max_concurrency = 0;

    /** @cond internal */
    /** Tells `raw` of it, which lives as long as the call or the plan; NULL without a function. */
    const vxs_executor *fill(vxs_executor &raw) const {
        raw = detail::filled(&vxs_executor_init);
        raw.max_concurrency = max_concurrency;
        raw.user_data = const_cast<Executor *>(this);
        raw.parallel_for = &Executor::call;
        return parallel_for ? &raw : nullptr;
    }

    static void call(void *user_data, std::uint64_t count, vxs_task_function function, void *data) noexcept {
        static_cast<const Executor *>(user_data)->parallel_for(count, ParallelTask(function, data));
    }
    /** @endcond */
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_EXECUTOR_HPP
