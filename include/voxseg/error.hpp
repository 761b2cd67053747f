/**
 * @file
 * @brief What fails: an exception, or a Result where exceptions are off.
 */
#ifndef VOXSEG_ERROR_HPP
#define VOXSEG_ERROR_HPP

#include "enumerations.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** The name of a status, for example "missing tensor". */
inline const char *name(Status status) { return vxs_status_name(static_cast<vxs_status>(status)); }

/** What every failing call throws, or returns in a Result. Cheap to copy: copies share the underlying vxs_error. */
class Error : public std::runtime_error {
public:
    /** Takes ownership of `error`, which may be NULL: then the status' name is the message. */
    Error(Status status, vxs_error *error)
        : Error(status, std::shared_ptr<const vxs_error>(error, [](const vxs_error *owned) {
                    vxs_error_free(const_cast<vxs_error *>(owned));
                })) {}

    /** What this header finds by itself, in words. */
    Error(Status status, const std::string &message) : std::runtime_error(message), status_(status) {}

    /** What went wrong; its number is the one that the C function returned. */
    Status status() const noexcept { return status_; }
    /** The hundreds of its number: 1 the caller's arguments, 2 the model, 3 the device, 4 the run, 9 a defect. */
    int band() const noexcept { return static_cast<int>(status_) / 100; }
    /** Whether a Cancel, or the answer of a progress function, stopped the call. */
    bool cancelled() const noexcept { return status_ == Status::Cancelled; }

    /** A part of the message, by the keys of vxs_error_detail(); empty where it doesn't apply. */
    std::string detail(const std::string &key) const {
        const char *value = vxs_error_detail(error_.get(), key.c_str());
        return value ? value : "";
    }

private:
    Error(Status status, std::shared_ptr<const vxs_error> error)
        : std::runtime_error(error ? vxs_error_message(error.get()) : name(status)),
          status_(status), error_(std::move(error)) {}

    Status status_;
    std::shared_ptr<const vxs_error> error_;
};

/**
 * What a call throws that was cancelled: by a Cancel, or by the answer of a progress function. Where exceptions are
 * off, Error::cancelled() says it.
 */
class Cancelled : public Error {
public:
    /** Of an error with Status::Cancelled. */
    explicit Cancelled(Error error) : Error(std::move(error)) {}
};

#ifdef VOXSEG_NO_EXCEPTIONS

/** What a function that can fail returns where exceptions are off: its value, or an Error. */
template <class T> class [[nodiscard]] Result {
public:
    /** A success. */
    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    /** A failure. */
    Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

    /** Whether there is a value. */
    explicit operator bool() const noexcept { return content_.index() == 0; }
    /** The value; ends the program where there is none. */
    T &operator*() & { return std::get<0>(content_); }
    /** The value, to be read. */
    const T &operator*() const & { return std::get<0>(content_); }
    /** The value of a temporary, to be moved out. */
    T operator*() && { return std::get<0>(std::move(content_)); }
    /** The value's members. */
    T *operator->() { return &std::get<0>(content_); }
    /** The value's members, to be read. */
    const T *operator->() const { return &std::get<0>(content_); }
    /** The failure; ends the program where there is none. */
    const Error &error() const { return std::get<1>(content_); }

private:
    std::variant<T, Error> content_;
};

/** Nothing, or an Error. */
template <> class [[nodiscard]] Result<void> {
public:
    /** A success. */
    Result() = default;
    /** A failure. */
    Result(Error error) : error_(std::move(error)) {}

    /** Whether it succeeded. */
    explicit operator bool() const noexcept { return !error_; }
    /** The failure, where there is one. */
    const Error &error() const { return *error_; }

private:
    std::optional<Error> error_;
};

#else

/** What a function that can fail returns: its value, since failures are thrown. */
template <class T> using Result = T;

#endif

/** @cond internal */
namespace detail {

/** Throws a failure, or makes the Result that says so. */
template <class T> Result<T> failed(Error error) {
#ifdef VOXSEG_NO_EXCEPTIONS
    return error;
#else
    if (error.cancelled()) {
        throw Cancelled(std::move(error));
    }
    throw error;
#endif
}

/** What is wrong when the loaded library doesn't offer the interface that the program was compiled with. */
inline std::optional<Error> mismatch() {
    const std::uint32_t found = vxs_abi_version();
    const std::uint32_t major = found >> 16, minor = found & 0xffff;
    const std::uint32_t need_major = VXS_ABI_MAJOR, need_minor = VXS_ABI_MINOR;
    if (major == need_major && minor >= need_minor) {
        return std::nullopt;
    }
    const auto version = [](std::uint32_t one, std::uint32_t other) {
        return std::to_string(one) + "." + std::to_string(other);
    };
    return Error(Status::StructSize, "voxseg: the program needs interface " + version(need_major, need_minor) +
                                      ", the loaded library " + vxs_version() + " offers " +
                                      version(major, minor));
}

/** Calls `function` with a place for its error object, and tells what went wrong. */
template <class Function> std::optional<Error> failure(Function function) {
    if (auto wrong = mismatch()) {
        return wrong;
    }
    vxs_error *error = nullptr;
    const vxs_status status = function(&error);
    return status == VXS_OK ? std::nullopt : std::optional<Error>(Error(static_cast<Status>(status), error));
}

/** Calls `function`, and `make` for the value once it has succeeded. */
template <class Function, class Make> auto call(Function function, Make make) -> Result<decltype(make())> {
    if (auto wrong = failure(function)) {
        return failed<decltype(make())>(std::move(*wrong));
    }
    return make();
}

/** Calls a function that makes nothing. */
template <class Function> Result<void> call(Function function) {
    if (auto wrong = failure(function)) {
        return failed<void>(std::move(*wrong));
    }
    return Result<void>();
}

} // namespace detail
/** @endcond */

/**
 * Fails with Status::StructSize when the loaded library doesn't offer the interface of the header that this program
 * was compiled with. Every other function here looks by itself.
 */
inline Result<void> abi_check() {
    return detail::call([](vxs_error **) { return VXS_OK; });
}

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_ERROR_HPP
