namespace Voxseg
{
    /// <summary>What a run of a session did, or taking a prompt back.</summary>
    public sealed unsafe class SessionReport
    {
        internal SessionReport(vxs_session_report* raw)
        {
            ChangedStart = Checked.Copy(raw->changed_start, 3);
            ChangedEnd = Checked.Copy(raw->changed_end, 3);
            NetworkRuns = (long)raw->network_runs;
            NearTies = (long)raw->near_ties;
            Zoom = raw->zoom;
            TotalSeconds = raw->total_seconds;
        }

        /// <summary>The first voxel along each axis of the box of the mask that may have changed.</summary>
        public long[] ChangedStart { get; }

        /// <summary>The voxel behind the last one; equal to the first where nothing has changed.</summary>
        public long[] ChangedEnd { get; }

        /// <summary>Times that the network ran.</summary>
        public long NetworkRuns { get; }

        /// <summary>Voxels whose two classes differ in probability by at most 0.01, counted in each box that was looked
        /// at from near.</summary>
        public long NearTies { get; }

        /// <summary>How many times the network's patch was seen at last from far away: 1 where one patch was
        /// enough.</summary>
        public double Zoom { get; }

        /// <summary>Seconds from the call to its return.</summary>
        public double TotalSeconds { get; }
    }
}
