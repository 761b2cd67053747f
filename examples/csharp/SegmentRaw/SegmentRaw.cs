using System;
using System.Globalization;
using System.Threading;
using Voxseg;

/// <summary>
/// Segments a CT given as a raw int16 buffer: SegmentRaw MODEL CT.mhd OUT.mhd
/// Ctrl-C stops within one tile; then nothing is written. Exit code: 0, 1 for a failure, 2 when it was stopped.
/// </summary>
internal static class SegmentRaw
{
    private static int Main(string[] arguments)
    {
        if (arguments.Length != 3)
        {
            Console.Error.WriteLine("usage: SegmentRaw MODEL CT.mhd OUT.mhd");
            return 1;
        }
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        try
        {
            Run(arguments[0], arguments[1], arguments[2]);
            return 0;
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("SegmentRaw: stopped");
            return 2;
        }
        catch (Exception error)
        {
            Console.Error.WriteLine("SegmentRaw: " + error.Message);
            return 1;
        }
    }

    private static void Run(string modelPath, string imagePath, string outPath)
    {
        var volume = MetaImage.Read(imagePath);
        using (var stop = new CancellationTokenSource())
        using (var model = Model.Open(modelPath))
        using (var plan = new Plan(model))
        {
            Console.CancelKeyPress += (_, key) =>
            {
                key.Cancel = true;
                stop.Cancel();
            };
            var will = plan.Estimate(volume);
            Console.WriteLine(
                "plan    " + will.Tiles + " tiles, " + will.Threads + " threads, up to " + (will.HostPeakBytes >> 20) + " MiB");

            var map = plan.Segment(volume, new Percents(), stop.Token);

            MetaImage.Write(outPath, map);
            PrintTable(model, map);
            Console.WriteLine(map.Report.Tiles + " tiles in " + map.Report.TotalSeconds.ToString("F1") + " s");
        }
    }

    private static void PrintTable(Model model, LabelMap map)
    {
        var counts = new long[256];
        foreach (var label in map.Bytes)
        {
            counts[label]++;
        }
        var milliliters = map.Spacing[0] * map.Spacing[1] * map.Spacing[2] / 1000;
        foreach (var label in model.Labels)
        {
            if (label.Value != 0 && counts[label.Value] > 0)
            {
                Console.WriteLine("{0,5}  {1,-24} {2,10:F1} mL", label.Value, label.Name, counts[label.Value] * milliliters);
            }
        }
    }

    /// <summary>Prints each fifth of the way. Progress&lt;T&gt; would print on other threads, and later.</summary>
    private sealed class Percents : IProgress<SegmentProgress>
    {
        private int last;

        public void Report(SegmentProgress now)
        {
            var percent = (int)(100 * now.Fraction);
            if (percent / 20 > last / 20)
            {
                Console.Error.WriteLine(percent + " %");
            }
            last = percent;
        }
    }
}
