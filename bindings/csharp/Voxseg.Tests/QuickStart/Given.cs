using System;
using Voxseg;

/// <summary>What the quick start takes as given: an image, a dose, a window. Its own code comes out of the
/// document.</summary>
internal static partial class QuickStart
{
    private const int nx = 40, ny = 36, nz = 32;

    private static readonly ProgressBar bar = new ProgressBar();
    private static readonly Button cancelButton = new Button();

    /// <summary>Tissue with a bright rod along x, in which the example model finds organs.</summary>
    private static short[] LoadVoxels()
    {
        var voxels = new short[nx * ny * nz];
        for (var i = 0; i < voxels.Length; i++)
        {
            int x = i % nx, y = i / nx % ny - ny / 2, z = i / nx / ny - nz / 2;
            voxels[i] = (short)((y * y + z * z < 20 ? 250 : 40) + 5 * (x % 7));
        }
        return voxels;
    }

    private static Volume LoadDose()
    {
        return new Volume(new float[20 * 18 * 16], 20, 18, 16) { Spacing = new double[] { 6, 6, 6 } };
    }

    private static int Main()
    {
        Run().GetAwaiter().GetResult();
        cancelButton.Press();
        return 0;
    }

    private sealed class ProgressBar
    {
        public double Value { get; set; }
    }

    private sealed class Button
    {
        public event EventHandler Click;

        public void Press()
        {
            Click?.Invoke(this, EventArgs.Empty);
        }
    }
}
