using System;
using System.Diagnostics.CodeAnalysis;

namespace Voxseg
{
    /// <summary>The native library behind this assembly, and the ONNX Runtime that it uses. Any thread.</summary>
    public static unsafe class Library
    {
        private static volatile bool isChecked;

        /// <summary>The library's release, for example "0.1.0".</summary>
        public static string Version
        {
            get
            {
                Check();
                return Text.From(NativeMethods.vxs_version());
            }
        }

        /// <summary> What this build of the library has, as JSON: version, interface, target, engines, models,
        /// licences. Loads nothing. </summary>
        public static string BuildInfo
        {
            get
            {
                Check();
                return Text.From(NativeMethods.vxs_build_info());
            }
        }

        /// <summary>The version of the ONNX Runtime that is loaded; null when none is.</summary>
        [MaybeNull]
        public static string RuntimeVersion
        {
            get
            {
                Check();
                var version = NativeMethods.vxs_runtime_version();
                return version == null ? null : Text.From(version);
            }
        }

        /// <summary>The file that the loaded ONNX Runtime came from; null when none is loaded.</summary>
        [MaybeNull]
        public static string RuntimePath
        {
            get
            {
                Check();
                var path = NativeMethods.vxs_runtime_path();
                return path == null ? null : Text.From(path);
            }
        }

        /// <summary> Loads ONNX Runtime now, so that a missing library shows before the first plan is made. A plan
        /// loads it by itself otherwise. The process keeps the first one that was opened. </summary> <param
        /// name="path"> Its file, or the folder that holds it. Null looks at the environment variable
        /// VOXSEG_ORT_LIBRARY, then in the folder of the native library and its subfolder onnxruntime; never in the
        /// system's search path. </param> <exception cref="DeviceException">It wasn't found, or is too old.</exception>
        /// <exception cref="InputException">The process has opened another one.</exception>
        public static void OpenRuntime([AllowNull] string path = null)
        {
            Check();
            ErrorHandle error;
            VoxsegException.Check(NativeMethods.vxs_runtime_open(Text.Utf8(path, "path"), out error), error);
        }

        /// <summary> Registers a library of ONNX Runtime's plug-in execution providers, so that its
        /// devices can be listed and used. Opens ONNX Runtime if it isn't open. It stays until the process ends.
        /// </summary> <param name="path">The library's file; one that is registered already is left alone.</param>
        /// <exception cref="DeviceException">It can't be used.</exception>
        public static void AddRuntimePlugin(string path)
        {
            if (path == null)
            {
                throw new ArgumentNullException("path");
            }
            Check();
            ErrorHandle error;
            VoxsegException.Check(NativeMethods.vxs_runtime_add_plugin(Text.Utf8(path, "path"), out error), error);
        }

        /// <summary>
        /// Makes sure that the library is there and offers the interface that this assembly was written for. Whatever
        /// starts to use the library calls it first.
        /// </summary>
        internal static void Check()
        {
            if (isChecked)
            {
                return;
            }
            uint found;
            try
            {
                found = NativeMethods.vxs_abi_version();
            }
            catch (DllNotFoundException reason)
            {
                throw new DllNotFoundException(
                    "the native library voxseg was not found or couldn't be loaded; expected voxseg.dll, libvoxseg.so or "
                    + "libvoxseg.dylib beside " + typeof(Library).Assembly.Location
                    + " or in the package's runtimes/<platform>/native: " + reason.Message, reason);
            }
            catch (BadImageFormatException reason)
            {
                throw new BadImageFormatException(
                    "the native library voxseg is for another kind of process, this one has " + 8 * IntPtr.Size
                    + " bits (a .NET Framework program must not prefer 32 bits): " + reason.Message, reason);
            }
            catch (EntryPointNotFoundException reason)
            {
                throw new NotSupportedException("the library that was found under the name voxseg is another one", reason);
            }
            uint major = found >> 16, minor = found & 0xffff;
            if (major != NativeMethods.VXS_ABI_MAJOR || minor < NativeMethods.VXS_ABI_MINOR)
            {
                throw new NotSupportedException(
                    "this assembly needs interface " + NativeMethods.VXS_ABI_MAJOR + "." + NativeMethods.VXS_ABI_MINOR
                    + " of the native library, the loaded one (release " + Text.From(NativeMethods.vxs_version())
                    + ") offers " + major + "." + minor);
            }
            isChecked = true;
        }
    }
}
