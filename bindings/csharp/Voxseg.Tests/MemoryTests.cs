#if NETCOREAPP3_0_OR_GREATER
using System;
using System.Buffers;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading.Tasks;
using Xunit;

namespace Voxseg.Tests
{
    /// <summary>What the newer frameworks add: Memory, Span, asynchronous disposal.</summary>
    public sealed class MemoryTests
    {
        private static readonly long[] Shape = Fixture.Small;

        /// <summary>Native memory as somebody else's library lends it.</summary>
        private sealed unsafe class Lent : MemoryManager<short>
        {
            private readonly int count;
            private readonly IntPtr address;

            public Lent(short[] voxels)
            {
                count = voxels.Length;
                address = Marshal.AllocHGlobal(2 * count);
                Marshal.Copy(voxels, 0, address, count);
            }

            public int Pins { get; private set; }

            public override Span<short> GetSpan()
            {
                return new Span<short>((void*)address, count);
            }

            public override MemoryHandle Pin(int index = 0)
            {
                Pins++;
                return new MemoryHandle((short*)address + index, default(GCHandle), this);
            }

            public override void Unpin()
            {
                Pins--;
            }

            protected override void Dispose(bool disposing)
            {
                Marshal.FreeHGlobal(address);
            }
        }

        [Fact]
        public void PartsOfArraysAreRead()
        {
            var ct = Fixture.Ct(Shape);
            var padded = new short[ct.Length + 20];
            ct.CopyTo(padded, 7);
            foreach (var voxels in new[]
            {
                VoxelBuffer.Of(new Memory<short>(padded, 7, ct.Length)),
                VoxelBuffer.Of(new ReadOnlyMemory<short>(padded, 7, ct.Length)),
            })
            {
                Assert.Equal(2L * ct.Length, voxels.Bytes);
                Assert.Equal(Fixture.Expected(Shape), Fixture.Plan.Segment(Fixture.Volume(Shape, voxels)).Bytes);
            }
            var shorter = VoxelBuffer.Of(new Memory<short>(padded, 7, ct.Length - 1));
            Assert.Throws<InputException>(() => Fixture.Plan.Segment(Fixture.Volume(Shape, shorter)));
            Assert.Throws<ArgumentException>(() => VoxelBuffer.Of(new Memory<long>(new long[3])));
        }

        [Fact]
        public void MemoryOfOthersIsPinnedDuringTheCall()
        {
            using (IMemoryOwner<short> owner = new Lent(Fixture.Ct(Shape)))
            {
                var pins = 0;
                var progress = new Reports(_ => pins = ((Lent)owner).Pins);
                var voxels = VoxelBuffer.Of(owner.Memory);
                var map = Fixture.Plan.Segment(Fixture.Volume(Shape, voxels), progress);
                Assert.Equal(Fixture.Expected(Shape), map.Bytes);
                Assert.Equal(1, pins);
                Assert.Equal(0, ((Lent)owner).Pins);
                Assert.Throws<InvalidOperationException>(() => voxels.AsSpan<short>());
                Assert.Throws<ArgumentException>(
                    () => Fixture.Plan.Segment(Fixture.Volume(Shape, voxels), null, default(System.Threading.CancellationToken),
                        new SegmentOptions { Labels = voxels }));
            }
        }

        [Fact]
        public void LabelsGoIntoPartOfAnArray()
        {
            var count = Fixture.Expected(Shape).Length;
            var both = new byte[2 * count];
            var options = new SegmentOptions { Labels = VoxelBuffer.Of(new Memory<byte>(both, count, count)) };
            var map = Fixture.Plan.Segment(Fixture.Volume(Shape), options: options);
            Assert.Equal(Fixture.Expected(Shape), both.AsSpan(count).ToArray());
            Assert.Equal(new byte[count], both.AsSpan(0, count).ToArray());
            Assert.Equal(Fixture.Expected(Shape), map.Voxels.AsSpan<byte>().ToArray());
            var kept = VoxelBuffer.Of(new ReadOnlyMemory<byte>(both));
            var refused = Assert.Throws<ArgumentException>(
                () => Fixture.Plan.Segment(Fixture.Volume(Shape), options: new SegmentOptions { Labels = kept }));
            Assert.Contains("read-only", refused.Message);
            // Parts of one array that don't touch are memory of their own; parts that do aren't.
            var ct = Fixture.Ct(Shape);
            var shared = new short[2 * ct.Length];
            ct.CopyTo(shared, 0);
            var volume = Fixture.Volume(Shape, VoxelBuffer.Of(new Memory<short>(shared, 0, ct.Length)));
            options.Labels = VoxelBuffer.Of(new Memory<short>(shared, ct.Length, ct.Length));
            Assert.True(Array.Exists(
                Fixture.Plan.Segment(volume, options: options).Voxels.AsSpan<short>().ToArray(), label => label != 0));
            options.Labels = VoxelBuffer.Of(new Memory<short>(shared, ct.Length - 1, ct.Length));
            Assert.Throws<ArgumentException>(() => Fixture.Plan.Segment(volume, options: options));
        }

        [Fact]
        public unsafe void SpansAreWhatTheySay()
        {
            var numbers = new VoxelBuffer(new float[] { 1, 2 });
            var span = numbers.AsSpan<float>();
            span[1] = 3;
            Assert.Equal(3f, ((float[])numbers.Array)[1]);
            Assert.Throws<InvalidOperationException>(() => numbers.AsSpan<int>());
            Assert.Throws<InvalidOperationException>(() => new VoxelBuffer(new byte[1, 1, 1]).AsSpan<byte>());
            var native = stackalloc byte[4];
            native[3] = 9;
            Assert.Equal((byte)9, new VoxelBuffer((IntPtr)native, 4, VoxelType.UInt8).AsSpan<byte>()[3]);
            Assert.Throws<InputException>(() => new NiftiHeader(new ReadOnlySpan<byte>(new byte[10]), Reader.Itk));
        }

        [Fact]
        public void ModelsComeFromMemoryOfOthers()
        {
            var files = new Dictionary<string, ReadOnlyMemory<byte>>();
            foreach (var file in Fixture.Files())
            {
                files.Add(file.Key, file.Value);
            }
            using (Model model = Model.OpenMemory(files), same = Model.Open(Fixture.ModelFolder))
            {
                Assert.Equal(same.Identity, model.Identity);
            }
        }

        [Fact]
        public async Task DisposalIsAsynchronous()
        {
            var model = Fixture.Open();
            var plan = new Plan(model);
            await ((IAsyncDisposable)model).DisposeAsync();
            Assert.Throws<ObjectDisposedException>(() => model.Name.ToString());
            await plan.DisposeAsync();
            Assert.Throws<ObjectDisposedException>(() => plan.Trim());
            await plan.DisposeAsync();
            await Log.Receive((level, message) => { }).DisposeAsync();
        }
    }
}
#endif
