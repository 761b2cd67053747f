using System;

namespace Voxseg.Tests
{
    /// <summary>
    /// Uses the library where it is missing, another one, or without ONNX Runtime, and prints what it says and what was
    /// thrown.
    /// </summary>
    internal static class Probe
    {
        private static int Main(string[] arguments)
        {
            try
            {
                using (Log.Receive(
                    (level, message) =>
                    {
                        Console.WriteLine(level + ": " + message);
                        throw new InvalidOperationException("nobody sees it");
                    },
                    LogLevel.Info))
                using (var model = Model.Open(arguments[0]))
                using (new Plan(model, new PlanOptions { Device = Device.OrtCpu }))
                {
                    Console.WriteLine("a plan was made");
                }
            }
            catch (Exception exception)
            {
                Console.WriteLine(exception.GetType().Name + ": " + exception.Message);
            }
            return 0;
        }
    }
}
