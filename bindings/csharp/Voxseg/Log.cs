using System;
using System.Runtime.InteropServices;
using System.Threading.Tasks;

namespace Voxseg
{
    /// <summary> A receiver of the library's messages, those of ONNX Runtime among them, until it is disposed of. A
    /// process may have several, which don't know of each other; without one the library is silent. </summary>
    public sealed unsafe class Log : IDisposable
#if NETCOREAPP3_0_OR_GREATER
        , IAsyncDisposable
#endif
    {
        // Static, so that the collector never takes what native code calls.
        private static readonly vxs_log_callback Callback = OnMessage;

        private readonly Action<LogLevel, string> receive;
        private readonly LogHandle handle;
        private GCHandle self;

        private Log(Action<LogLevel, string> receive, LogLevel level)
        {
            this.receive = receive;
            self = GCHandle.Alloc(this);
            ErrorHandle error;
            var status = NativeMethods.vxs_log_add(
                (int)level, Callback, (void*)GCHandle.ToIntPtr(self), out handle, out error);
            if (status != NativeMethods.VXS_OK)
            {
                self.Free();
            }
            VoxsegException.Check(status, error);
        }

        /// <summary>Adds a receiver, beside others.</summary> <param name="receive"> Gets each message, from any thread
        /// and from several at once. It must not call this library; what it throws is dropped. </param> <param
        /// name="level">The least level that is told.</param> <returns>The receiver: it listens until it is disposed
        /// of.</returns>
        public static Log Receive(Action<LogLevel, string> receive, LogLevel level = LogLevel.Warning)
        {
            if (receive == null)
            {
                throw new ArgumentNullException("receive");
            }
            Library.Check();
            return new Log(receive, level);
        }

        /// <summary>Ends it. Returns when no message is under way; not from within the receiver.</summary>
        public void Dispose()
        {
            handle.Dispose();
            if (self.IsAllocated)
            {
                self.Free();
            }
        }

#if NETCOREAPP3_0_OR_GREATER
        /// <summary>Ends it on a thread of the pool: completes when no message is under way.</summary>
        public ValueTask DisposeAsync()
        {
            return new ValueTask(Task.Run(new Action(Dispose)));
        }
#endif

        private static void OnMessage(void* log, int level, byte* message)
        {
            try
            {
                ((Log)GCHandle.FromIntPtr((IntPtr)log).Target).receive((LogLevel)level, Text.From(message));
            }
            catch (Exception)
            {
                // Nothing may be thrown through the library's frames, and there is nobody to tell.
            }
        }
    }
}
