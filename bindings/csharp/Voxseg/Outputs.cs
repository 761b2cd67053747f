using System;
using System.Collections.Generic;

namespace Voxseg
{
    /// <summary>What a run writes: labels and maps, in memory of their own.</summary>
    internal sealed unsafe class Outputs
    {
        private readonly VoxelBuffer labels;
        private readonly IList<VoxelMap> maps;

        public Outputs(Volume volume, VoxelBuffer labels, IList<VoxelMap> maps)
        {
            this.labels = labels;
            this.maps = maps;
            var all = new List<VoxelBuffer> { labels };
            foreach (var map in maps)
            {
                all.Add(map.Values);
            }
            for (var i = 0; i < all.Count; i++)
            {
                all[i].CheckWritable();
                if (volume.Overlaps(all[i]) || all.FindIndex(i + 1, all[i].Overlaps) >= 0)
                {
                    throw new ArgumentException(
                        (i == 0 ? "the labels' memory" : "the memory of map " + (i - 1))
                        + " is also that of the volume or of another output, expected memory of its own", "options");
                }
            }
        }

        /// <summary>Tells the library, for one call.</summary>
        public void Fill(vxs_labels* raw, vxs_run_options* options, NativeCall call)
        {
            VoxsegException.Check(NativeMethods.vxs_labels_init(raw, (ulong)sizeof(vxs_labels)));
            raw->dtype = (int)labels.Type;
            raw->data = labels.At(call);
            raw->data_size = (ulong)labels.Bytes;
            raw->offset = labels.Start;
            raw->flags = labels.OnDevice ? (uint)NativeMethods.VXS_LABELS_ON_DEVICE : 0;
            labels.CopyStrides(raw->strides);
            var rawMaps = (vxs_map*)call.Pin(new vxs_map[maps.Count]);
            var pointers = (vxs_map**)call.Pin(new IntPtr[maps.Count]);
            for (var i = 0; i < maps.Count; i++)
            {
                maps[i].Fill(rawMaps + i, call);
                pointers[i] = rawMaps + i;
            }
            options->maps = pointers;
            options->map_count = (ulong)maps.Count;
        }
    }
}
