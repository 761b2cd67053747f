using System;
using System.Diagnostics.CodeAnalysis;
#if NETCOREAPP3_0_OR_GREATER
using System.Buffers;
using System.Runtime.InteropServices;
#endif

namespace Voxseg
{
    /// <summary> Memory with one number a voxel: an array of yours, or native memory. It is read or written where it
    /// lies; an array is pinned only while a call uses it. </summary>
    public sealed class VoxelBuffer
    {
        private readonly Array array;
        // Where it begins within the array, in bytes.
        private readonly long first;
        private readonly IntPtr address;
        private readonly object owner;
        private long[] strides = new long[3];

        /// <summary>An array of sbyte, byte, short, ushort, int, uint, float or double, of any rank.</summary>
        /// <exception cref="ArgumentException">The array is of another type.</exception>
        public VoxelBuffer(Array voxels) : this(voxels, TypeOf(voxels)) { }

        /// <summary> An array whose bytes are voxels of another type than its own: half precision in a ushort[], a
        /// file's content in a byte[]. </summary>
        public VoxelBuffer(Array voxels, VoxelType type)
        {
            array = voxels;
            first = 0;
            Type = type;
            Bytes = voxels.LongLength * SizeOf(TypeOf(voxels));
        }

        /// <summary>Native memory.</summary>
        /// <param name="voxels">Its address.</param>
        /// <param name="bytes">Its size. Nothing outside is touched.</param>
        /// <param name="type">The type of a voxel.</param>
        /// <param name="owner">What keeps the memory alive; null when you do.</param>
        public VoxelBuffer(IntPtr voxels, long bytes, VoxelType type, [AllowNull] object owner = null)
        {
            if (voxels == IntPtr.Zero)
            {
                throw new ArgumentNullException("voxels");
            }
            if (bytes < 0)
            {
                throw new ArgumentOutOfRangeException("bytes", bytes, "expected a size");
            }
            address = voxels;
            Bytes = bytes;
            Type = type;
            this.owner = owner;
        }

#if NETCOREAPP3_0_OR_GREATER
        private readonly Func<MemoryHandle> pin;
        private readonly bool isReadOnly;

        private VoxelBuffer(Func<MemoryHandle> pin, VoxelType type, long bytes, bool isReadOnly)
        {
            this.pin = pin;
            this.isReadOnly = isReadOnly;
            Type = type;
            Bytes = bytes;
        }

        private VoxelBuffer(Array array, int start, int count, bool isReadOnly) : this(array)
        {
            var size = SizeOf(Type);
            first = (long)start * size;
            Bytes = (long)count * size;
            this.isReadOnly = isReadOnly;
        }

        /// <summary>Part of an array, or memory that another library lends. It is pinned only while a call uses
        /// it.</summary> <exception cref="ArgumentException">The type is no voxel's.</exception>
        public static VoxelBuffer Of<T>(Memory<T> voxels) where T : struct
        {
            return Of<T>(voxels, false);
        }

        /// <summary>As above, for what is only read: not for labels and maps.</summary>
        public static VoxelBuffer Of<T>(ReadOnlyMemory<T> voxels) where T : struct
        {
            return Of<T>(voxels, true);
        }

        private static VoxelBuffer Of<T>(ReadOnlyMemory<T> voxels, bool isReadOnly) where T : struct
        {
            ArraySegment<T> part;
            if (MemoryMarshal.TryGetArray(voxels, out part))
            {
                return new VoxelBuffer(part.Array, part.Offset, part.Count, isReadOnly);
            }
            var type = TypeOf(new T[0]);
            return new VoxelBuffer(voxels.Pin, type, (long)voxels.Length * SizeOf(type), isReadOnly);
        }

        /// <summary>The voxels of an array with one index, or of native memory, where they lie.</summary> <exception
        /// cref="InvalidOperationException">They are of another type, on a device, or lent by another
        /// library.</exception>
        public unsafe Span<T> AsSpan<T>() where T : struct
        {
            var count = checked((int)(Bytes / SizeOf(Type)));
            var voxels = array as T[];
            if (voxels != null)
            {
                return new Span<T>(voxels, (int)(first / SizeOf(Type)), count);
            }
            if (address == IntPtr.Zero || OnDevice || TypeOf(new T[0]) != Type)
            {
                throw new InvalidOperationException("the voxels are no " + typeof(T) + " in one piece, but " + Type);
            }
            return new Span<T>((void*)address, count);
        }
#endif

        /// <summary> Memory of the GPU that a plan on <see cref="Voxseg.Device.Cuda"/> or <see
        /// cref="Voxseg.Device.TensorRT"/> runs on, for <see cref="Plan.Segment"/>. What was queued on the GPU before
        /// that call is waited for. </summary> <param name="voxels">Its address there.</param> <param name="bytes">Its
        /// size. Nothing outside is touched.</param> <param name="type">The type of a voxel.</param> <param
        /// name="owner">What keeps the memory alive; null when you do.</param>
        public static VoxelBuffer OfDevice(IntPtr voxels, long bytes, VoxelType type, [AllowNull] object owner = null)
        {
            return new VoxelBuffer(voxels, bytes, type, owner) { OnDevice = true };
        }

        /// <summary>Whether it is memory of a GPU.</summary>
        public bool OnDevice { get; private set; }

        /// <summary>The type of a voxel.</summary>
        public VoxelType Type { get; }

        /// <summary>Size of the memory in bytes.</summary>
        public long Bytes { get; }

        /// <summary>The array; null for native memory.</summary>
        [MaybeNull]
        public Array Array
        {
            get { return array; }
        }

        /// <summary> Bytes between neighbours along axes 0, 1 and 2, negative when an axis runs backwards. All zero
        /// (default): axis 0 is the fastest and nothing lies between the voxels. </summary>
        public long[] Strides
        {
            get { return (long[])strides.Clone(); }
            set { strides = Checked.Copy(value, 3, "Strides"); }
        }

        /// <summary>Where voxel (0, 0, 0) lies, in bytes from the first.</summary>
        public long Offset { get; set; }

        /// <summary>Any array of numbers can be passed for a buffer.</summary>
        public static implicit operator VoxelBuffer(Array voxels)
        {
            return voxels == null ? null : new VoxelBuffer(voxels);
        }

        /// <summary>New memory for so many labels.</summary>
        internal static VoxelBuffer ForLabels(VoxelType type, long count)
        {
            switch (type)
            {
                case VoxelType.Int8: return new sbyte[count];
                case VoxelType.UInt8: return new byte[count];
                case VoxelType.Int16: return new short[count];
                case VoxelType.UInt16: return new ushort[count];
                case VoxelType.Int32: return new int[count];
                case VoxelType.UInt32: return new uint[count];
            }
            throw new ArgumentException("found " + type + ", expected integers, for a label map", "labels");
        }

        /// <summary>Its address during a call.</summary>
        internal unsafe void* At(NativeCall call)
        {
            call.Keep(owner);
#if NETCOREAPP3_0_OR_GREATER
            if (pin != null)
            {
                return call.Pin(pin);
            }
#endif
            return array == null ? (void*)address : (byte*)call.Pin(array) + first;
        }

        /// <summary>Refuses to be written where its owner said that it is only read.</summary>
        internal void CheckWritable()
        {
#if NETCOREAPP3_0_OR_GREATER
            if (isReadOnly)
            {
                throw new ArgumentException("labels and maps are written, expected memory that isn't read-only", "options");
            }
#endif
        }

        /// <summary>Writes its strides into a structure.</summary>
        internal unsafe void CopyStrides(long* to)
        {
            for (var axis = 0; axis < 3; axis++)
            {
                to[axis] = strides[axis];
            }
        }

        /// <summary>Offset as the library takes it.</summary>
        internal ulong Start
        {
            get
            {
                if (Offset < 0)
                {
                    throw new ArgumentOutOfRangeException("Offset", Offset, "expected bytes from the buffer's start");
                }
                return (ulong)Offset;
            }
        }

        /// <summary>Whether it shares memory with another one.</summary>
        internal unsafe bool Overlaps(VoxelBuffer other)
        {
            if (OnDevice != other.OnDevice || array != null && other.array != null && array != other.array)
            {
                return false;
            }
            using (var call = new NativeCall())
            {
                long own = (long)At(call), its = (long)other.At(call);
                return own < its + other.Bytes && its < own + Bytes;
            }
        }

        private static VoxelType TypeOf(Array voxels)
        {
            if (voxels == null)
            {
                throw new ArgumentNullException("voxels");
            }
            switch (System.Type.GetTypeCode(voxels.GetType().GetElementType()))
            {
                case TypeCode.SByte: return VoxelType.Int8;
                case TypeCode.Byte: return VoxelType.UInt8;
                case TypeCode.Int16: return VoxelType.Int16;
                case TypeCode.UInt16: return VoxelType.UInt16;
                case TypeCode.Int32: return VoxelType.Int32;
                case TypeCode.UInt32: return VoxelType.UInt32;
                case TypeCode.Single: return VoxelType.Float32;
                case TypeCode.Double: return VoxelType.Float64;
            }
            throw new ArgumentException(
                "found " + voxels.GetType() + ", expected an array of integers of 8 to 32 bits, of float or of double",
                "voxels");
        }

        private static int SizeOf(VoxelType type)
        {
            switch (type)
            {
                case VoxelType.Int8:
                case VoxelType.UInt8: return 1;
                case VoxelType.Int16:
                case VoxelType.UInt16: return 2;
                case VoxelType.Float64: return 8;
                default: return 4;
            }
        }
    }
}
