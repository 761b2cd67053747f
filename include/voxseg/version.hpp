/**
 * @file
 * @brief How failures are told, and the name that this and the interface's version give all others.
 */
#ifndef VOXSEG_VERSION_HPP
#define VOXSEG_VERSION_HPP

#include "../voxseg.h"

#if !defined(VOXSEG_NO_EXCEPTIONS) && !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#define VOXSEG_NO_EXCEPTIONS
#endif

/** @cond internal */
#ifdef VOXSEG_NO_EXCEPTIONS
#define VOXSEG_NAMESPACE v0_results
#else
#define VOXSEG_NAMESPACE v0
#endif
/** @endcond */

namespace voxseg {

/**
 * Names carry the interface's major version: two plug-ins with different ones can share a process. Likewise how
 * failures are told.
 */
inline namespace VOXSEG_NAMESPACE {
static_assert(VXS_ABI_MAJOR == 0, "rename the inline namespace together with the interface's major version");

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_VERSION_HPP
