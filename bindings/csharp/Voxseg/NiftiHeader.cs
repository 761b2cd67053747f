using System;
using System.Diagnostics.CodeAnalysis;

namespace Voxseg
{
    /// <summary>
    /// A NIfTI header, read as the software reads it that a model was trained with. Immutable; any thread.
    /// </summary>
    public sealed unsafe class NiftiHeader
    {
        /// <summary>Reads a header of NIfTI-1 or NIfTI-2.</summary>
        /// <param name="header">The first bytes of the file; bytes behind the header are ignored.</param>
        /// <param name="reader">The model's reader: <see cref="Model.Reader"/>.</param>
        /// <exception cref="InputException">It is no such header, or one that the reader refuses as well.</exception>
        public NiftiHeader(byte[] header, Reader reader)
        {
            if (header == null)
            {
                throw new ArgumentNullException("header");
            }
            fixed (byte* bytes = header)
            {
                Read(bytes, header.Length, reader);
            }
        }

#if NETCOREAPP3_0_OR_GREATER
        /// <summary>Reads a header of NIfTI-1 or NIfTI-2.</summary>
        /// <param name="header">The first bytes of the file; bytes behind the header are ignored.</param>
        /// <param name="reader">The model's reader: <see cref="Model.Reader"/>.</param>
        /// <exception cref="InputException">It is no such header, or one that the reader refuses as well.</exception>
        public NiftiHeader(ReadOnlySpan<byte> header, Reader reader)
        {
            fixed (byte* bytes = &System.Runtime.InteropServices.MemoryMarshal.GetReference(header))
            {
                Read(bytes, header.Length, reader);
            }
        }
#endif

        private void Read(byte* header, int length, Reader reader)
        {
            Library.Check();
            NiftiHandle handle;
            ErrorHandle error;
            VoxsegException.Check(
                NativeMethods.vxs_nifti_parse(header, (ulong)length, (int)reader, out handle, out error), error);
            using (handle)
            {
                vxs_volume raw;
                VoxsegException.Check(NativeMethods.vxs_volume_init(&raw, (ulong)sizeof(vxs_volume)));
                VoxsegException.Check(NativeMethods.vxs_nifti_volume(handle, &raw, out error), error);
                Grid = Volume.Grid(&raw);
                Type = raw.dtype == 0 ? (VoxelType?)null : (VoxelType)raw.dtype;
                Channels = (long)raw.channels;
                Slope = raw.slope;
                Intercept = raw.intercept;
                IsSwapped = (raw.flags & (uint)NativeMethods.VXS_VOLUME_SWAPPED) != 0;
                DataOffset = (long)NativeMethods.vxs_nifti_data_offset(handle);
                DataType = NativeMethods.vxs_nifti_datatype(handle);
                var note = NativeMethods.vxs_nifti_note(handle);
                Note = note == null ? null : Text.From(note);
            }
        }

        /// <summary>Shape, spacing, origin and direction, without voxels.</summary>
        public Volume Grid { get; private set; }

        /// <summary>Type of the stored voxels; null for 64-bit integers, which the library doesn't take.</summary>
        public VoxelType? Type { get; private set; }

        /// <summary>The code of their type in the header.</summary>
        public int DataType { get; private set; }

        /// <summary>Number of volumes behind each other.</summary>
        public long Channels { get; private set; }

        /// <summary>Intensity = stored value · slope + intercept.</summary>
        public double Slope { get; private set; }

        /// <summary>See <see cref="Slope"/>.</summary>
        public double Intercept { get; private set; }

        /// <summary>Whether voxels are in the other byte order than the machine's.</summary>
        public bool IsSwapped { get; private set; }

        /// <summary>Where the voxels start in their file, in bytes.</summary>
        public long DataOffset { get; private set; }

        /// <summary>What the header contradicts itself in, and what counts; null for a header at one with
        /// itself.</summary>
        [MaybeNull]
        public string Note { get; private set; }
    }
}
