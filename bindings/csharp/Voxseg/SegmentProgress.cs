namespace Voxseg
{
    /// <summary>How far a run is.</summary>
    public struct SegmentProgress
    {
        internal unsafe SegmentProgress(vxs_progress* raw)
        {
            Stage = (Stage)raw->stage;
            Fraction = raw->fraction;
            TilesDone = (long)raw->tiles_done;
            Tiles = (long)raw->tiles;
        }

        /// <summary>What it is at.</summary>
        public Stage Stage { get; }

        /// <summary>Share of the whole run that is done: never decreases, 1 at the end of a run that succeeds.</summary>
        public double Fraction { get; }

        /// <summary>Tiles done.</summary>
        public long TilesDone { get; }

        /// <summary>Tiles in all.</summary>
        public long Tiles { get; }
    }
}
