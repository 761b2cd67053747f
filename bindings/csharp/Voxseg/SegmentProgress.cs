namespace Voxseg
{
    /// <summary>How far a call is.</summary>
    public struct SegmentProgress
    {
        internal unsafe SegmentProgress(vxs_progress* raw)
        {
            Stage = (Stage)raw->stage;
            Fraction = raw->fraction;
            TilesDone = (long)raw->tiles_done;
            Tiles = (long)raw->tiles;
            BytesRead = (long)raw->bytes_read;
            Bytes = (long)raw->bytes;
        }

        /// <summary>What it is at.</summary>
        public Stage Stage { get; }

        /// <summary>Share of the whole call that is done: never decreases, 1 at the end of a call that
        /// succeeds.</summary>
        public double Fraction { get; }

        /// <summary>Tiles done.</summary>
        public long TilesDone { get; }

        /// <summary>Tiles in all.</summary>
        public long Tiles { get; }

        /// <summary>While a model is opened: bytes of its files that were read, or that aren't needed.</summary>
        public long BytesRead { get; }

        /// <summary>Bytes of these files in all, as far as they are known.</summary>
        public long Bytes { get; }
    }
}
