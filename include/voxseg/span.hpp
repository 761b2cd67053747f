/**
 * @file
 * @brief A pointer and a count.
 */
#ifndef VOXSEG_SPAN_HPP
#define VOXSEG_SPAN_HPP

#include "version.hpp"

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <type_traits>
#include <utility>

#if __cplusplus >= 202002L
#include <ranges>
#endif

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

template <class T> class Span;

/** @cond internal */
namespace detail {

/** Whether a range's elements outlive the range itself, as those of views do. */
#if __cplusplus >= 202002L
template <class Range> struct IsView : std::bool_constant<std::ranges::enable_borrowed_range<Range>> {};
#else
template <class Range> struct IsView : std::false_type {};
#endif
template <class T> struct IsView<Span<T>> : std::true_type {};

template <class Range> using Element = std::remove_pointer_t<decltype(std::data(std::declval<Range &>()))>;

/** For contiguous ranges of `T`: a temporary container only lends what is read during a call. */
template <class Range, class T>
using IfLends = std::enable_if_t<std::is_convertible_v<Element<std::remove_reference_t<Range>> (*)[], T (*)[]> &&
                                 !std::is_same_v<std::decay_t<Range>, Span<T>> &&
                                 (std::is_lvalue_reference_v<Range> || std::is_const_v<T> ||
                                  IsView<std::decay_t<Range>>::value)>;

/** For contiguous ranges whose elements are kept a pointer to: no temporary containers. */
template <class Range>
using IfBorrowed =
    std::enable_if_t<std::is_object_v<Element<std::remove_reference_t<Range>>> &&
                     (std::is_lvalue_reference_v<Range> || IsView<std::decay_t<Range>>::value)>;

} // namespace detail
/** @endcond */

/**
 * Elements of the caller's: what std::span is in C++20, which converts to this and from it. One type whatever standard
 * a program's parts are compiled for. Made from a vector, an array, any contiguous range, or a list in braces.
 */
template <class T> class Span {
public:
    /** What a Span of constants holds, without const. */
    using value_type = std::remove_cv_t<T>;

    /** No element. */
    constexpr Span() noexcept = default;
    /** `size` elements from `data` on. */
    constexpr Span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    /** The elements of a contiguous range. */
    template <class Range, class = detail::IfLends<Range, T>>
    constexpr Span(Range &&range) : data_(std::data(range)), size_(std::size(range)) {}
    /** A list in braces, which lives as long as the call that it is passed to. */
    template <class U = T, class = std::enable_if_t<std::is_const_v<U>>>
    constexpr Span(const std::initializer_list<value_type> &list) noexcept
        : Span(std::data(list), list.size()) {}

    /** The first element. */
    constexpr T *data() const noexcept { return data_; }
    /** How many there are. */
    constexpr std::size_t size() const noexcept { return size_; }
    /** Whether there is none. */
    constexpr bool empty() const noexcept { return size_ == 0; }
    /** One of them; `index` is less than size(). */
    constexpr T &operator[](std::size_t index) const { return data_[index]; }
    /** The first. */
    constexpr T *begin() const noexcept { return data_; }
    /** Past the last. */
    constexpr T *end() const noexcept { return data_ + size_; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#if __cplusplus >= 202002L
/** Its elements outlive it. */
template <class T> inline constexpr bool std::ranges::enable_borrowed_range<voxseg::Span<T>> = true;
#endif

#endif // VOXSEG_SPAN_HPP
