using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;

namespace Voxseg
{
    /// <summary>Where a run writes, and what it tells beside the labels.</summary>
    public sealed class SegmentOptions
    {
        /// <summary> Your own buffer for the labels, integers that hold every value of the model. It is written whole
        /// or, when the run fails or is cancelled, not at all. Null (default): a new byte[], or ushort[] where values
        /// exceed 255. </summary>
        [AllowNull, MaybeNull]
        public VoxelBuffer Labels { get; set; }

        /// <summary>Maps to fill beside the labels.</summary>
        public IList<VoxelMap> Maps { get; } = new List<VoxelMap>();

        /// <summary>What happens to voxels that are NaN or infinite; an error by default.</summary>
        public NonFinite NonFinite { get; set; } = NonFinite.Error;

        /// <summary>The voxels that get labels, which are those of the run over the whole volume; none for all. Only tiles
        /// that touch them are computed; elsewhere buffers stay as they are.</summary>
        public IList<VoxelBox> Regions { get; } = new List<VoxelBox>();

        /// <summary>What becomes of regions where labels depend on the whole image.</summary>
        public WhenGlobal WhenGlobal { get; set; } = WhenGlobal.Compute;

        /// <summary>Called on the running thread when labels are final, and in the buffer of <see cref="Labels"/>; they
        /// stay there when the run fails. What it throws cancels the run and comes out of it. Null (default): labels are
        /// written at the end, all or none.</summary>
        [AllowNull, MaybeNull]
        public Action<LabelsSoFar> OnLabels { get; set; }

        /// <summary>Whether <see cref="LabelMap.Record"/> is wanted.</summary>
        public bool Record { get; set; }
    }

    /// <summary> A map that a run fills on the volume's grid, of what the network says before any postprocessing. After
    /// a run that fails it is as it was, or all zero. It overlaps no other buffer of the run. </summary>
    public sealed class VoxelMap
    {
        private VoxelMap(MapKind kind, uint label, VoxelBuffer values)
        {
            if (values == null)
            {
                throw new ArgumentNullException("values");
            }
            Kind = kind;
            Label = label;
            Values = values;
        }

        /// <summary>The probability of one of the model's labels, in float or half precision.</summary>
        public static VoxelMap Probability(uint label, VoxelBuffer values)
        {
            return new VoxelMap(MapKind.Probability, label, values);
        }

        /// <summary> By how many thousandths the highest probability is over the second highest, at most 255, in bytes.
        /// For models whose classes overlap: twice the distance of the nearest region's probability from one half.
        /// </summary>
        public static VoxelMap Margin(VoxelBuffer values)
        {
            return new VoxelMap(MapKind.Margin, 0, values);
        }

        /// <summary>The entropy of the probabilities in nats, in float or half precision.</summary>
        public static VoxelMap Entropy(VoxelBuffer values)
        {
            return new VoxelMap(MapKind.Entropy, 0, values);
        }

        /// <summary>What it tells of each voxel.</summary>
        public MapKind Kind { get; }

        /// <summary>For <see cref="MapKind.Probability"/>: which label.</summary>
        public uint Label { get; }

        /// <summary>Where it goes.</summary>
        public VoxelBuffer Values { get; }

        internal unsafe void Fill(vxs_map* raw, NativeCall call)
        {
            VoxsegException.Check(NativeMethods.vxs_map_init(raw, (ulong)sizeof(vxs_map)));
            raw->kind = (int)Kind;
            raw->label = Label;
            raw->dtype = (int)Values.Type;
            raw->data = Values.At(call);
            raw->data_size = (ulong)Values.Bytes;
            raw->offset = Values.Start;
            Values.CopyStrides(raw->strides);
        }
    }
}
