using System;
using System.Diagnostics.CodeAnalysis;

namespace Voxseg
{
    /// <summary>The labels of a volume, on its grid: one a voxel.</summary>
    public sealed class LabelMap
    {
        private readonly Volume grid;

        internal LabelMap(Volume grid, VoxelBuffer voxels, RunReport report, string record)
        {
            this.grid = grid.WithVoxels(voxels);
            Voxels = voxels;
            Report = report;
            Record = record;
        }

        /// <summary>
        /// Where the labels are: the buffer that you gave, or a new one with axis 0 fastest.
        /// </summary>
        public VoxelBuffer Voxels { get; }

        /// <summary>The labels as an array of bytes, which they are unless values exceed 255 or you gave another
        /// buffer.</summary> <exception cref="InvalidOperationException">They are something else: see <see
        /// cref="Voxels"/>.</exception>
        public byte[] Bytes
        {
            get
            {
                var bytes = Voxels.Array as byte[];
                if (bytes == null || Voxels.Type != VoxelType.UInt8)
                {
                    throw new InvalidOperationException("the labels are no byte[], but " + Voxels.Type + " in Voxels");
                }
                return bytes;
            }
        }

        /// <summary>What the run did.</summary>
        public RunReport Report { get; }

        /// <summary>
        /// What proves later which software and weights made the labels, as JSON: versions, model with hashes of its
        /// weights, plan, SHA-256 of the labels. Null unless it was asked for.
        /// </summary>
        [MaybeNull]
        public string Record { get; }

        /// <summary>Voxels along axes 0, 1 and 2.</summary>
        public long[] Shape
        {
            get { return grid.Shape; }
        }

        /// <summary>Millimetres between neighbours along each axis.</summary>
        public double[] Spacing
        {
            get { return grid.Spacing; }
        }

        /// <summary>Position of voxel (0, 0, 0), as the volume had it.</summary>
        public double[] Origin
        {
            get { return grid.Origin; }
        }

        /// <summary>Row-major directions, as the volume had them.</summary>
        public double[] Direction
        {
            get { return grid.Direction; }
        }

        /// <summary>Whether <see cref="Origin"/> and <see cref="Direction"/> are RAS.</summary>
        public bool Ras
        {
            get { return grid.Ras; }
        }

        /// <summary>The labels as a volume, to compare them.</summary>
        public Volume ToVolume()
        {
            return grid.WithVoxels(Voxels);
        }

        /// <summary> Brings a label map to another grid in patient space, such as that of a dose: each voxel gets the
        /// label of the voxel that its centre lies in, 0 outside. Blocks. </summary> <param name="labels">A volume with
        /// one channel of integers.</param> <param name="grid">A volume of which only the grid is looked at: the dose,
        /// or <see cref="Volume.Grid(long, long, long)"/>.</param> <param name="options">Threads, progress,
        /// cancellation.</param> <returns>A volume on that grid of the type of <paramref name="labels"/>, axis 0
        /// fastest.</returns>
        public static unsafe Volume OnGrid(Volume labels, Volume grid, [AllowNull] MeasureOptions options = null)
        {
            if (labels == null || grid == null)
            {
                throw new ArgumentNullException(labels == null ? "labels" : "grid");
            }
            Library.Check();
            options = options ?? new MeasureOptions();
            using (var watch = new Watch(options.Progress, options.Cancellation))
            using (var call = new NativeCall())
            {
                vxs_volume rawLabels, rawGrid;
                labels.Fill(&rawLabels, call);
                grid.Fill(&rawGrid, call);
                var voxels = VoxelBuffer.ForLabels((VoxelType)rawLabels.dtype, grid.VoxelCount);
                vxs_labels raw;
                VoxsegException.Check(NativeMethods.vxs_labels_init(&raw, (ulong)sizeof(vxs_labels)));
                raw.dtype = rawLabels.dtype;
                raw.data = voxels.At(call);
                raw.data_size = (ulong)voxels.Bytes;
                vxs_measure_options rawOptions;
                options.Fill(&rawOptions, watch, call);
                ErrorHandle error;
                var status = NativeMethods.vxs_labels_on_grid(&rawLabels, &rawGrid, &rawOptions, &raw, out error);
                watch.Check(status, error);
                return grid.WithVoxels(voxels);
            }
        }
    }
}
