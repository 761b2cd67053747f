using System;
#if NETCOREAPP3_0_OR_GREATER
using System.Buffers;
#endif
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace Voxseg
{
    /// <summary>What must stay alive, and where it is, while one native call runs.</summary>
    internal sealed unsafe class NativeCall : IDisposable
    {
        private readonly List<GCHandle> pinned = new List<GCHandle>();
#if NETCOREAPP3_0_OR_GREATER
        private readonly List<MemoryHandle> lent = new List<MemoryHandle>();
#endif
        private readonly List<SafeHandle> held = new List<SafeHandle>();
        private readonly List<object> owners = new List<object>();

        /// <summary>The address of an array's first element; null for null.</summary>
        public void* Pin(Array array)
        {
            if (array == null)
            {
                return null;
            }
            var handle = GCHandle.Alloc(array, GCHandleType.Pinned);
            pinned.Add(handle);
            return (void*)handle.AddrOfPinnedObject();
        }

#if NETCOREAPP3_0_OR_GREATER
        /// <summary>The address of memory that somebody else pins.</summary>
        public void* Pin(Func<MemoryHandle> pin)
        {
            var handle = pin();
            lent.Add(handle);
            return handle.Pointer;
        }
#endif

        /// <summary>A string as the library reads it; null for null.</summary>
        public byte* Pin(string text, string argument)
        {
            return (byte*)Pin(Text.Utf8(text, argument));
        }

        /// <summary>A handle's own pointer, for structures and arrays.</summary>
        public IntPtr Hold(SafeHandle handle)
        {
            var added = false;
            handle.DangerousAddRef(ref added);
            held.Add(handle);
            return handle.DangerousGetHandle();
        }

        /// <summary>Frees a handle when the call is over.</summary>
        public void Free(GCHandle handle)
        {
            pinned.Add(handle);
        }

        /// <summary>Keeps the owner of native memory.</summary>
        public void Keep(object owner)
        {
            owners.Add(owner);
        }

        /// <summary>The call is over.</summary>
        public void Dispose()
        {
            foreach (var handle in pinned)
            {
                handle.Free();
            }
#if NETCOREAPP3_0_OR_GREATER
            foreach (var memory in lent)
            {
                memory.Dispose();
            }
#endif
            foreach (var handle in held)
            {
                handle.DangerousRelease();
            }
            GC.KeepAlive(owners);
        }
    }
}
