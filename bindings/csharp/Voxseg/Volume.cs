using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;

namespace Voxseg
{
    /// <summary>
    /// An image: one or several channels on one grid. Voxel (i, j, k) lies at
    /// <c>Origin + Direction · (i·Spacing[0], j·Spacing[1], k·Spacing[2])</c> in the patient, in millimetres.
    /// The voxels stay yours: they are only read, where they lie, during a call.
    /// </summary>
    public sealed class Volume
    {
        private readonly List<VoxelBuffer> buffers;
        private readonly long[] shape;
        private double[] spacing;
        private double[] origin = new double[3];
        private double[] direction = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };

        /// <summary>One buffer. Set <see cref="Spacing"/> too.</summary> <param name="voxels">An array, or native
        /// memory: axis 0 is the fastest unless its strides say otherwise.</param> <param name="nx">Voxels along axis
        /// 0.</param> <param name="ny">Voxels along axis 1.</param> <param name="nz">Voxels along axis 2.</param>
        public Volume(VoxelBuffer voxels, long nx, long ny, long nz) : this(new[] { voxels }, new[] { nx, ny, nz }) { }

        /// <summary>An array with three indices [z, y, x], as C# lays them out: x is axis 0. Set <see cref="Spacing"/>
        /// too.</summary>
        public Volume(Array zyx) : this(new VoxelBuffer[] { zyx }, ShapeOf(zyx)) { }

        private Volume(IEnumerable<VoxelBuffer> channels, long[] shape)
        {
            buffers = new List<VoxelBuffer>(channels);
            if (buffers.Contains(null))
            {
                throw new ArgumentNullException("voxels");
            }
            for (var axis = 0; axis < 3; axis++)
            {
                if (shape[axis] < 0)
                {
                    throw new ArgumentOutOfRangeException("n" + "xyz"[axis], shape[axis], "expected a number of voxels");
                }
            }
            this.shape = shape;
        }

        /// <summary>One buffer a channel, in the order that the model names them, all of one type and layout.</summary>
        public static Volume OfChannels(IEnumerable<VoxelBuffer> channels, long nx, long ny, long nz)
        {
            if (channels == null)
            {
                throw new ArgumentNullException("channels");
            }
            var volume = new Volume(channels, new[] { nx, ny, nz });
            if (volume.buffers.Count == 0)
            {
                throw new ArgumentException("found no channel, expected one or more", "channels");
            }
            var first = volume.buffers[0];
            foreach (var other in volume.buffers)
            {
                if (other.OnDevice != first.OnDevice || other.Type != first.Type || other.Offset != first.Offset || other.Bytes != first.Bytes
                    || string.Join(" ", other.Strides) != string.Join(" ", first.Strides))
                {
                    throw new ArgumentException("channels differ in type, size or layout, expected them alike", "channels");
                }
            }
            volume.ChannelCount = volume.buffers.Count;
            return volume;
        }

        /// <summary>A grid without voxels, enough for <see cref="Plan.Estimate(Volume)"/>.</summary>
        public static Volume Grid(long nx, long ny, long nz)
        {
            return new Volume(new VoxelBuffer[0], new[] { nx, ny, nz });
        }

        /// <summary>The grid that the library told, without voxels.</summary>
        internal static unsafe Volume Grid(vxs_volume* raw)
        {
            var grid = Grid((long)raw->shape[0], (long)raw->shape[1], (long)raw->shape[2]);
            grid.spacing = new double[3];
            for (var axis = 0; axis < 3; axis++)
            {
                grid.spacing[axis] = raw->spacing[axis];
                grid.origin[axis] = raw->origin[axis];
            }
            for (var i = 0; i < 9; i++)
            {
                grid.direction[i] = raw->direction[i];
            }
            grid.Ras = (raw->flags & (uint)NativeMethods.VXS_VOLUME_RAS) != 0;
            return grid;
        }

        /// <summary>Voxels along axes 0, 1 and 2.</summary>
        public long[] Shape
        {
            get { return (long[])shape.Clone(); }
        }

        /// <summary>
        /// Millimetres between neighbours along axes 0, 1 and 2. Null until you set it: a guess would give wrong labels
        /// without a word.
        /// </summary>
        [MaybeNull]
        public double[] Spacing
        {
            get { return spacing == null ? null : (double[])spacing.Clone(); }
            set { spacing = Checked.Copy(value, 3, "Spacing"); }
        }

        /// <summary>Position of voxel (0, 0, 0) in millimetres. 0 by default.</summary>
        public double[] Origin
        {
            get { return (double[])origin.Clone(); }
            set { origin = Checked.Copy(value, 3, "Origin"); }
        }

        /// <summary> Row-major 3×3 matrix: column a is the unit vector in patient coordinates along which axis a runs.
        /// Columns are orthogonal, of either handedness. Identity by default. </summary>
        public double[] Direction
        {
            get { return (double[])direction.Clone(); }
            set { direction = Checked.Copy(value, 9, "Direction"); }
        }

        /// <summary>Intensity = stored value · slope + intercept. 1 by default.</summary>
        public double Slope { get; set; } = 1;

        /// <summary>See <see cref="Slope"/>. 0 by default.</summary>
        public double Intercept { get; set; }

        /// <summary>Origin and direction are RAS (NIfTI, Slicer) and not LPS (DICOM, ITK).</summary>
        public bool Ras { get; set; }

        /// <summary>Voxels are in the other byte order than the machine's.</summary>
        public bool ByteSwapped { get; set; }

        /// <summary>Number of channels. 1 by default; set it where one buffer holds several.</summary>
        public long ChannelCount { get; set; } = 1;

        /// <summary>Bytes between channels in one buffer; 0 (default): each channel follows the one before.</summary>
        public long ChannelStride { get; set; }

        /// <summary>Number of voxels of a channel.</summary>
        internal long VoxelCount
        {
            get
            {
                try
                {
                    return checked(shape[0] * shape[1] * shape[2]);
                }
                catch (OverflowException)
                {
                    throw new ArgumentException(
                        "the volume's shape is " + string.Join("×", shape) + ", expected what fits into memory", "volume");
                }
            }
        }

        /// <summary>Whether a buffer that is written lies in the same memory.</summary>
        internal bool Overlaps(VoxelBuffer output)
        {
            return buffers.Exists(output.Overlaps);
        }

        /// <summary>The same grid under other voxels.</summary>
        internal Volume WithVoxels(VoxelBuffer voxels)
        {
            return new Volume(new[] { voxels }, shape)
            {
                Spacing = spacing, Origin = origin, Direction = direction, Ras = Ras,
            };
        }

        /// <summary>Tells the library, for one call.</summary>
        internal unsafe void Fill(vxs_volume* raw, NativeCall call)
        {
            if (spacing == null)
            {
                throw new ArgumentException("the volume's Spacing isn't set, expected millimetres along each axis", "volume");
            }
            if (ChannelCount < 0)
            {
                throw new ArgumentOutOfRangeException("ChannelCount", ChannelCount, "expected a number of channels");
            }
            VoxsegException.Check(NativeMethods.vxs_volume_init(raw, (ulong)sizeof(vxs_volume)));
            for (var axis = 0; axis < 3; axis++)
            {
                raw->shape[axis] = (ulong)shape[axis];
                raw->spacing[axis] = spacing[axis];
                raw->origin[axis] = origin[axis];
            }
            for (var i = 0; i < 9; i++)
            {
                raw->direction[i] = direction[i];
            }
            raw->channels = (ulong)ChannelCount;
            raw->channel_stride = ChannelStride;
            raw->slope = Slope;
            raw->intercept = Intercept;
            raw->flags = (Ras ? (uint)NativeMethods.VXS_VOLUME_RAS : 0)
                | (ByteSwapped ? (uint)NativeMethods.VXS_VOLUME_SWAPPED : 0);
            if (buffers.Count == 0)
            {
                raw->dtype = (int)VoxelType.Float32;
                return;
            }
            var first = buffers[0];
            raw->flags |= first.OnDevice ? (uint)NativeMethods.VXS_VOLUME_ON_DEVICE : 0;
            raw->dtype = (int)first.Type;
            raw->data_size = (ulong)first.Bytes;
            raw->offset = first.Start;
            first.CopyStrides(raw->strides);
            if (buffers.Count == 1)
            {
                raw->data = first.At(call);
                return;
            }
            var addresses = new IntPtr[buffers.Count];
            for (var i = 0; i < addresses.Length; i++)
            {
                addresses[i] = (IntPtr)buffers[i].At(call);
            }
            raw->channel_data = (void**)call.Pin(addresses);
        }

        private static long[] ShapeOf(Array zyx)
        {
            if (zyx == null)
            {
                throw new ArgumentNullException("zyx");
            }
            if (zyx.Rank != 3)
            {
                throw new ArgumentException("found an array with " + zyx.Rank + " indices, expected three or the shape", "zyx");
            }
            return new[] { zyx.GetLongLength(2), zyx.GetLongLength(1), zyx.GetLongLength(0) };
        }
    }
}
