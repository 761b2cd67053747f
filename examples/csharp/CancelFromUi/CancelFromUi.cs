using System;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using Voxseg;

/// <summary>
/// A window that segments, shows progress, stays alive meanwhile and cancels: CancelFromUi MODEL CT.mhd
///
/// So that it runs on a machine without a screen, the window is the terminal: a line with "c" is the click on Cancel.
/// <see cref="Window"/> is what a form of WinForms, WPF or Avalonia has in it, and <see cref="MessageLoop"/> the part
/// that those bring along. Exit code: 0, 1 for a failure, 2 when it was cancelled. </summary>
internal static class CancelFromUi
{
    private static int Main(string[] arguments)
    {
        if (arguments.Length != 2)
        {
            Console.Error.WriteLine("usage: CancelFromUi MODEL CT.mhd");
            return 1;
        }
        var loop = new MessageLoop();
        SynchronizationContext.SetSynchronizationContext(loop);
        var window = new Window(loop, arguments[0], arguments[1]);
        var keyboard = new Thread(() =>
        {
            for (var line = Console.ReadLine(); line != null; line = Console.ReadLine())
            {
                if (line == "c")
                {
                    loop.Post(_ => window.CancelClicked(), null);
                }
            }
        });
        keyboard.IsBackground = true;
        keyboard.Start();
        loop.Post(_ => window.SegmentClicked(), null);
        return loop.Run();
    }
}

internal sealed class Window
{
    private readonly MessageLoop loop;
    private readonly string modelPath;
    private readonly string imagePath;
    private CancellationTokenSource cancel;

    public Window(MessageLoop loop, string modelPath, string imagePath)
    {
        this.loop = loop;
        this.modelPath = modelPath;
        this.imagePath = imagePath;
    }

    public async void SegmentClicked()
    {
        var percent = -1;
        // It is made on the window's thread, so that it reports there: the controls may be touched.
        var progress = new Progress<SegmentProgress>(now =>
        {
            if ((int)(100 * now.Fraction) > percent)
            {
                percent = (int)(100 * now.Fraction);
                Console.WriteLine(percent + " %");
            }
        });
        var result = 1;
        cancel = new CancellationTokenSource();
        try
        {
            // Opening takes as long as reading the weights does: not on this thread.
            var volume = await Task.Run(() => MetaImage.Read(imagePath));
            using (var model = await Task.Run(() => Model.Open(modelPath)))
            using (var plan = await Task.Run(() => new Plan(model)))
            {
                var map = await plan.SegmentAsync(volume, progress, cancel.Token);
                Console.WriteLine("done: " + map.Report.Tiles + " tiles");
                result = 0;
            }
        }
        catch (OperationCanceledException)
        {
            Console.WriteLine("cancelled");
            result = 2;
        }
        catch (Exception error)
        {
            Console.Error.WriteLine("CancelFromUi: " + error.Message);
        }
        cancel.Dispose();
        cancel = null;
        loop.End(result);
    }

    public void CancelClicked()
    {
        if (cancel != null)
        {
            cancel.Cancel();
        }
    }
}

/// <summary>One thread that does what is posted to it, one after the other.</summary>
internal sealed class MessageLoop : SynchronizationContext
{
    private readonly BlockingCollection<Action> messages = new BlockingCollection<Action>();
    private int result;

    public override void Post(SendOrPostCallback callback, object state)
    {
        // Progress may still come in from the run's thread while the window closes.
        lock (messages)
        {
            if (!messages.IsAddingCompleted)
            {
                messages.Add(() => callback(state));
            }
        }
    }

    public void End(int code)
    {
        result = code;
        lock (messages)
        {
            messages.CompleteAdding();
        }
    }

    /// <summary>Tells how long the window ever was deaf, then returns what <see cref="End"/> was told.</summary>
    public int Run()
    {
        var longest = TimeSpan.Zero;
        foreach (var message in messages.GetConsumingEnumerable())
        {
            var watch = Stopwatch.StartNew();
            message();
            longest = watch.Elapsed > longest ? watch.Elapsed : longest;
        }
        Console.WriteLine("the window was never busy for longer than " + longest.TotalMilliseconds.ToString("F0") + " ms");
        return result;
    }
}
